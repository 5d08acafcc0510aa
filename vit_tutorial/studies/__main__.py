"""The command line of the studies: python -m vit_tutorial.studies."""

import argparse
import contextlib
import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path

from vit_tutorial import studies
from vit_tutorial.studies.experiments import EXPERIMENTS, StudyError
from vit_tutorial.studies.record import make_study
from vit_tutorial.studies.runner import choose_rates, run_search, run_study, take_orders
from vit_tutorial.support.command_line import print_all_names, refuse_repeated
from vit_tutorial.support.files import write_json
from vit_tutorial.support.paths import NEW_DATA, RUNS, at_home


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors that a person can mend end it with one sentence and exit status 1."""
    arguments = sys.argv[1:] if arguments is None else arguments
    print_all_names()
    options = parse(arguments)
    if options.take_orders:
        take_orders()
        return
    try:
        names = options.names or EXPERIMENTS
        for name in names:
            check_seeds(name, options)
        for name in names:
            experiment, seeds = EXPERIMENTS[name], seeds_of(name, options)
            searched, rates = [], None
            if experiment.search:
                searched = run_search(name, experiment, options.runs, options.workers)
                rates = choose_rates(experiment, searched)
                print(f"{name}: chosen {', '.join(f'{rate:g} for {key}' for key, rate in rates.items())}", flush=True)
            runs = run_study(name, experiment, options.runs, seeds, options.workers, rates)
            chosen = ["--seeds", *map(str, seeds)] if options.seeds else []
            command = shlex.join(["python", "-m", "vit_tutorial.studies", name, *chosen])
            path = record_of(name, options)
            study = make_study(name, experiment, runs, command, searched)
            write_json(path, asdict(study))
            print(f"{name}: {len(runs) + len(searched)} runs, {study.seconds:.0f} s; record in {path}", flush=True)
    except (StudyError, ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(f"stopped; the same command goes on with the runs that are not in {options.runs} yet")


def seeds_of(name: str, options: argparse.Namespace) -> list[int]:
    """Give the seeds to run, each once: those that are named, or those of the study."""
    return list(dict.fromkeys(options.seeds or EXPERIMENTS[name].seeds))


def record_of(name: str, options: argparse.Namespace) -> Path:
    """Give the file that gets the record."""
    return options.records / f"study_{name}.json"


def check_seeds(name: str, options: argparse.Namespace) -> None:
    """Raise ValueError if a seed chose the rates, or if this record would take the place of one with more seeds."""
    seeds, search, path = seeds_of(name, options), EXPERIMENTS[name].search, record_of(name, options)
    if chose := sorted({*seeds} & {*(search.seeds if search else ())}):
        raise ValueError(f"seed {chose[0]} chooses the rates of {name}, and no seed judges what it chose; give others")
    there = []
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # no record, or one that nobody can read
        there = json.loads(path.read_text(encoding="utf-8"))["seeds"]
    if lost := [seed for seed in there if seed not in seeds]:
        raise ValueError(
            f"{path} has the seeds {', '.join(map(str, there))}, and a record without {', '.join(map(str, lost))} "
            "would take its place; name another folder with --records, or all of them with --seeds"
        )


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        prog="python -m vit_tutorial.studies",
        description=studies.__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(EXPERIMENTS)} (default: all)")
    parser.add_argument("--seeds", type=int, nargs="+", metavar="N", help="(default: those of the study)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="trainings side by side (default: 1)")
    parser.add_argument(
        "--runs", type=folder, default=RUNS / "studies", metavar="FOLDER", help="where each training is kept"
    )
    parser.add_argument(
        "--records", type=folder, default=NEW_DATA / "results", metavar="FOLDER", help="(default: data/results)"
    )
    parser.add_argument("--take-orders", action="store_true", help=argparse.SUPPRESS)  # what each worker runs
    refuse_repeated(arguments, ["seeds"])
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in EXPERIMENTS]
    if unknown:
        parser.error(f"{unknown[0]!r} is no study; the studies are {', '.join(EXPERIMENTS)}")
    if options.workers < 1:
        parser.error(f"--workers is {options.workers}; it must be 1 or more")
    return options


def folder(name: str) -> Path:
    """Take a name for a folder; no shell expands the ~ of --runs=~/runs."""
    try:
        return at_home(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    main()
