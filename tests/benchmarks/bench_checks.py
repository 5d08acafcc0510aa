"""What the checks say of wrong answers that nobody listed, and how long they take.

python tests/benchmarks/bench_checks.py tries the corpus, slips as students make them (`tests/exercises/corpus`); with
`--mutants` it tries mutants of the right answers there. For each exercise: how many are wrong, how many of these get
a sentence, and how many pass (each of those is to be looked at by eye: is it right after all?). At the end the share
named, and the median and the worst time of a check in seconds of computing. `--all` prints every sentence, so that
somebody can read whether it is true. `--record` keeps the figures of all exercises, in
data/results/benchmark_checks.json.
"""

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import os

os.environ["VIT_TUTORIAL_PROGRESS"] = ""  # nothing that passes here is anybody's progress

import torch
from exercises.corpus import made_of, wrong_answers
from exercises.corpus.gathered import CORPUS
from exercises.mutants import mutants_of

from vit_tutorial.datasets import DATA_FOLDER
from vit_tutorial.exercises import check
from vit_tutorial.support.files import write_json
from vit_tutorial.training.devices import describe_environment


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="some exercises only")
    parser.add_argument("--mutants", action="store_true", help="mutants of the solutions in place of the corpus")
    parser.add_argument("--all", action="store_true", help="print every sentence")
    parser.add_argument("--unnamed", action="store_true", help="print what has no sentence, or passes")
    parser.add_argument("--record", action="store_true", help="keep it in data/results/benchmark_checks.json")
    options = parser.parse_args()
    if options.record and options.names:
        parser.error("--record keeps the figures of all exercises; leave out the names, or --record")
    warnings.simplefilter("ignore")
    names = options.names or [name for name in check.__all__ if name in CORPUS]
    kind = "mutants" if options.mutants else "corpus"
    measured = measure(names, kind, options)
    print(json.dumps(measured["all"]))
    if options.record:
        path = DATA_FOLDER / "results" / "benchmark_checks.json"
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        made = {
            "command": f"python tests/benchmarks/bench_checks.py{' --mutants' * options.mutants} --record",
            "environment": describe_environment(torch.device("cpu")),
            "clock": "processor time",
        }
        write_json(path, {**kept, kind: {**made, **measured}})


def measure(names: list[str], kind: str, options: argparse.Namespace) -> dict[str, dict]:
    """Check all wrong answers of a kind to some exercises; return counts for each, and for all together."""
    rows, seconds = {}, []
    for name in names:
        rows[name] = judge(name, kind, options, seconds)
        print(f"{name:22} {', '.join(f'{count:4} {what}' for what, count in rows[name].items())}", flush=True)
    total = {key: sum(row[key] for row in rows.values()) for key in ("wrong", "named", "listed", "passed")}
    seconds.sort()
    total["share_named"] = round(total["named"] / max(1, total["wrong"]), 3)
    total["median_seconds"] = round(seconds[len(seconds) // 2], 3)
    total["worst_seconds"] = round(seconds[-1], 3)
    return {"all": total, **rows}


def judge(name: str, kind: str, options: argparse.Namespace, seconds: list[float]) -> dict[str, int]:
    """Check every wrong answer to one exercise, and count."""
    exercise = getattr(check, name)
    exercise(made_of(CORPUS[name].right))  # what is done once, on a first call, is nobody's time
    counts = {"wrong": 0, "named": 0, "listed": 0, "passed": 0}
    for label, text in mutants_of(CORPUS[name].right) if kind == "mutants" else wrong_answers(CORPUS[name]):
        answer = made_of(text)
        start = time.process_time()
        verdict = exercise(answer)
        seconds.append(time.process_time() - start)
        counts["passed"] += verdict.passed
        counts["wrong"] += not verdict.passed
        counts["named"] += not verdict.passed and bool(verdict.diagnosis)
        counts["listed"] += "looks like" in verdict.message
        if options.all or (options.unnamed and not (verdict.diagnosis and not verdict.passed)):
            sign = "PASSED" if verdict.passed else "listed" if "looks like" in verdict.message else "words "
            first = verdict.diagnosis or verdict.title.split(": ", 1)[-1].replace("\n", " ")[:120] * (
                not verdict.passed
            )
            print(f"   {sign} {label[:110]!r}\n          {first or '-'}  [{seconds[-1]:.2f} s]")
    return counts


if __name__ == "__main__":
    main()
