"""Small experiments for the tests; the worker processes import this file, and what a job here is made of."""

import json
import os
from functools import partial

from vit_tutorial.studies import Experiment, Search, recipe
from vit_tutorial.studies.runner import carry_out

TINY = partial(recipe, training_images=200, epochs=1, warmup_epochs=0, patch_size=14, dim=8, depth=1, num_heads=1)
SMALL = Experiment(
    claim="two learning rates differ",
    variants={f"rate {rate:g}": TINY(learning_rate=rate) for rate in (0.0001, 0.01)},
    seeds=(0, 1),
)


def guess(settings: dict, seed: int) -> dict:
    """Do a job that trains nothing: its score is best at the rate which the settings call right."""
    print("a job may print what it likes")
    if settings["name"] == "broken":
        os._exit(3)
    score = 1 - abs(settings["rate"] - settings["right"]) + seed / 1000
    return {
        "validation_score": score,
        "test_score": score - 0.1,
        "worker": os.getpid(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
    }


TOY = Experiment(
    claim="one guesses better than the other",
    variants={name: {"name": name, "right": right, "rate": None} for name, right in (("low", 0.1), ("high", 0.3))},
    seeds=(0, 1, 2),
    job=guess,
    search=Search(rates=(0.1, 0.2, 0.3), seeds=(7, 8), by="validation_score", setting="rate"),
)


class WorkerHere:
    """Stands for a worker process, and carries out each order at once, in this one."""

    def __init__(self):
        self.stdin = self.stdout = self

    def write(self, line):
        carry_out(json.loads(line))

    def flush(self):
        pass

    def readline(self):
        return "done\n"

    def communicate(self):
        pass
