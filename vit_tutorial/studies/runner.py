"""The runner: every job of a study in worker processes of one thread each, kept as soon as it is done."""

import contextlib
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import Queue
from typing import NamedTuple

import torch

from vit_tutorial.evidence import best_rate
from vit_tutorial.studies.experiments import Experiment, StudyError
from vit_tutorial.studies.record import with_younger_settings
from vit_tutorial.support.differences import differences
from vit_tutorial.support.files import write_json
from vit_tutorial.training.devices import describe_environment


class Job(NamedTuple):
    """One run of a study; the rate is None where no learning rate is searched."""

    variant: str
    rate: float | None
    seed: int

    @property
    def words(self) -> str:
        """What is run, for a line of progress."""
        rate = "" if self.rate is None else f" at {self.rate:g}"
        return f"{self.variant}{rate}, seed {self.seed}"

    @property
    def file_name(self) -> str:
        """The file that keeps its result."""
        rate = "" if self.rate is None else f"-at-{self.rate:g}"
        return f"{re.sub('[^A-Za-z0-9.]+', '-', self.variant)}{rate}-seed-{self.seed}.json"


def run_search(name: str, experiment: Experiment, runs: Path, workers: int = 1) -> list[dict]:
    """Run every variant at every learning rate of the search; kept runs are not repeated. Give all results in order.

    Raises StudyError if a kept run was made with other settings, or if a run fails.
    """
    search = experiment.search
    tried = [(name, rate) for name in experiment.variants for rate in search.rates_of(name)]
    jobs = [Job(name, rate, seed) for name, rate in tried for seed in search.seeds]
    return _run(f"{name}, search", experiment, jobs, runs / name, workers)


def choose_rates(experiment: Experiment, searched: list[dict]) -> dict[str, float]:
    """Choose the learning rate of each variant from the results of its search."""
    search = experiment.search
    scores = {name: {rate: [] for rate in rates} for name in experiment.variants if (rates := search.rates_of(name))}
    for run in searched:
        scores[run["variant"]][run["learning_rate"]].append(run[search.by])
    return {variant: best_rate(of_rates).value for variant, of_rates in scores.items()}


def run_study(
    name: str,
    experiment: Experiment,
    runs: Path,
    seeds: list[int],
    workers: int = 1,
    rates: dict[str, float] | None = None,
) -> list[dict]:
    """Run every variant with every seed that is not kept in the folder `runs` yet, and return all results in order.

    `rates` has the learning rate of each variant, where the study searches for it. Raises StudyError if a kept run was
    made with other settings, or if a run fails.
    """
    rates = rates or {}
    jobs = [Job(variant, rates.get(variant), seed) for variant in experiment.variants for seed in seeds]
    return _run(name, experiment, jobs, runs / name, workers)


def _run(title: str, experiment: Experiment, jobs: list[Job], folder: Path, workers: int) -> list[dict]:
    files = {job: folder / job.file_name for job in jobs}
    if len(set(files.values())) < len(files):
        raise ValueError(
            f"{title}: two variants would be kept in one file; let their names differ in letters or digits"
        )
    kept = {job: _read(file) for job, file in files.items() if file.exists()}
    for job, run in kept.items():
        _check_kept(files[job], run, experiment, job)
    seeds = list(dict.fromkeys(job.seed for job in jobs))
    missing = sorted((job for job in jobs if job not in kept), key=lambda job: seeds.index(job.seed))
    if kept:
        print(f"{title}: {len(kept)} of {len(jobs)} runs are done already", flush=True)
    if kept and missing:
        _check_here(folder, next(iter(kept.values()))["result"]["environment"])

    processes = Queue()
    for _ in range(min(workers, len(missing))):
        processes.put(_start_process())

    def carry_out(job: Job) -> dict:
        file, process = files[job], processes.get()
        answer = ""
        with contextlib.suppress(BrokenPipeError):  # the process is no more
            process.stdin.write(json.dumps(make_order(experiment, job, file)) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        processes.put(process)
        if not answer:
            raise StudyError(f"the run of {job.variant!r} with seed {job.seed} ended with exit status {process.wait()}")
        return _read(file)["result"]

    with ThreadPoolExecutor(workers) as pool:
        waiting = {pool.submit(carry_out, job): job for job in missing}
        try:
            for count, future in enumerate(as_completed(waiting), len(jobs) - len(missing) + 1):
                print(f"{title} {count}/{len(jobs)}: {waiting[future].words}: {_words(future.result())}", flush=True)
        finally:
            pool.shutdown(cancel_futures=True)
            while not processes.empty():
                processes.get().communicate()  # closes its input, and waits for its end
    results = {job: _read(file)["result"] for job, file in files.items()}
    _check_same(folder, [result["environment"] for result in results.values()])
    return [
        {"variant": job.variant} | ({} if job.rate is None else {"learning_rate": job.rate}) | result
        for job, result in results.items()
    ]


def _words(result: dict) -> str:
    """Say what a run came to: its accuracies, if it has any, and its seconds."""
    named = {"validation": result.get("validation_accuracy"), "test": result.get("test_accuracy")}
    words = [f"{name} {accuracy:.1%}" for name, accuracy in named.items() if accuracy is not None]
    return ", ".join([*words, f"{result['seconds']:.0f} s"])


def _read(file: Path) -> dict:
    """Read a run that is kept; raise StudyError if the file holds none."""
    with contextlib.suppress(ValueError):
        run = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(run, dict) and {"recipe", "result"} <= run.keys():
            return run
    raise StudyError(f"{file} ({file.stat().st_size} bytes) holds no run of a study; delete it, and it is run again")


def _check_kept(file: Path, run: dict, experiment: Experiment, job: Job) -> None:
    now = experiment.settings(job.variant, job.rate)
    changes = differences(with_younger_settings(run["recipe"], now), now)
    if changes:
        raise StudyError(
            f"{file} was made with other settings ({changes}); delete the folder {file.parent}, or name another one "
            "with --runs"
        )


def _check_here(folder: Path, then: dict) -> None:
    """Raise StudyError before anything is run if what is kept was made elsewhere or with other versions."""
    here = describe_environment(torch.device("cpu")) | {"threads": 1, "git_revision": then.get("git_revision")}
    if changes := differences(then, then | here):
        raise StudyError(
            f"the runs in {folder} were made in another way than would go on here ({changes}); delete the folder, or "
            "name another one with --runs"
        )


def _check_same(folder: Path, environments: list[dict]) -> None:
    first, *others = ({**environment, "git_revision": None} for environment in environments)
    for other in others:
        if other != first:
            raise StudyError(
                f"the runs in {folder} were made in two ways ({differences(first, other)}); delete the folder, or "
                "name another one with --runs"
            )


# --- The worker processes --------------------------------------------------------------------------------------------


def make_order(experiment: Experiment, job: Job, file: Path) -> dict:
    """Write down for a worker what it has to run, and where it keeps the result."""
    return {
        "job": _name_of(experiment.job),
        "recipe": experiment.settings(job.variant, job.rate),
        "seed": job.seed,
        "file": str(file),
    }


def _name_of(function: Callable) -> str:
    module, name = function.__module__, function.__qualname__
    if module == "__main__" or not name.isidentifier():
        raise ValueError(
            f"the workers cannot import the job {name} of {module}; put it at the top of a module of its own"
        )
    return f"{module}:{name}"


def _start_process() -> subprocess.Popen:
    command = [sys.executable, "-m", "vit_tutorial.studies", "--take-orders"]
    # A worker imports the job from wherever this process can.
    places = os.pathsep.join(place for place in sys.path if place)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": places}
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def take_orders() -> None:
    """Carry out what each line of the input asks for, until the input ends, as it does if the sender is killed.

    Here Ctrl+C ends the process without a word, and the sender speaks. What a job prints goes to the error output: the
    other one is for the answers.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        carry_out(json.loads(line))
        with contextlib.suppress(BrokenPipeError):  # the sender was killed, and the result is kept all the same
            os.write(answers, b"done\n")


def carry_out(order: dict) -> None:
    """Run the job of an order and keep its result, with its seed, its seconds and where it ran."""
    module, name = order["job"].split(":")
    job = getattr(importlib.import_module(module), name)
    started = time.perf_counter()
    result = job(order["recipe"], order["seed"])
    about = {"seed": order["seed"], "seconds": round(time.perf_counter() - started, 2)}
    if "environment" not in result:
        about["environment"] = describe_environment(torch.device("cpu"))
    write_json(order["file"], {"recipe": order["recipe"], "result": about | result})
