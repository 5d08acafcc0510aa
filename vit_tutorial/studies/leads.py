"""Reading the records of lesson 9: the cells of the fair comparison, who leads there or at a cost, and the curves."""

import re
from dataclasses import replace
from itertools import pairwise
from math import log
from statistics import fmean

import torch
from jaxtyping import Float
from torch import Tensor

from vit_tutorial.evidence import Scores
from vit_tutorial.studies.record import Study
from vit_tutorial.studies.unfair import EPOCHS
from vit_tutorial.studies.versus import name_of


def cells(study: Study) -> list[tuple[int, int]]:
    """Give the numbers of pictures and the budgets of a record, in its order; it may hold a part of the table only."""
    found = (re.fullmatch(r"CNN, ([\d,]+) images, x(\d+)", name) for name in study.variants)
    return [(int(match[1].replace(",", "")), int(match[2])) for match in found if match]


def budgets_of(study: Study) -> list[int]:
    """Give the budgets of a record, the smallest first."""
    return sorted({budget for _, budget in cells(study)})


def lead(study: Study, one: str, other: str, images: int, budget: int) -> Scores:
    """Give by how much one model's test accuracy is above another's, seed by seed: both learned from the same pictures.

    Two leads can be compared in turn: is it larger with fewer pictures, or with a smaller budget?
    """
    a, b = (study.scores(name_of(model, images, budget)) for model in (one, other))
    return replace(a - b, name=f"lead at {images:,} images, x{budget}")


def at_cost(study: Study, model: str, images: int, key: str, cost: float) -> Scores:
    """Give a model's test accuracy at a cost that lies between those of two budgets, seed by seed.

    It is read from a straight line over the logarithm of the cost; no training of that cost was made. `key` is
    "images_seen", "training_flops" or "processor_seconds", and a budget costs the mean of its seeds. Raises ValueError
    if the cost lies outside those that were measured.
    """
    names = [name_of(model, found, budget) for found, budget in cells(study) if found == images]
    costs = {name: fmean(study.values(key)[name]) for name in names}
    for low, high in pairwise(sorted(names, key=costs.get)):
        if costs[low] <= cost <= costs[high]:
            share = log(cost / costs[low]) / log(costs[high] / costs[low])
            a, b = study.scores(low), study.scores(high)
            by_seed = {seed: (1 - share) * a.by_seed[seed] + share * b.by_seed[seed] for seed in a.by_seed}
            return Scores(f"{model}, {images:,} images, {key} {cost:g}", by_seed, unit="points", made_of=(a, b))
    raise ValueError(f"{key} is {cost:g}; {model} was measured at {', '.join(f'{one:g}' for one in costs.values())}")


def curves_of(study: Study, model: str, rate: float, epochs: int = EPOCHS, max_shift: int = 1) -> Float[Tensor, "S E"]:
    """Give the test accuracy after every epoch, a row for each seed, of a training of the record `unfair`.

    Raises ValueError if the record has no such training.
    """
    wanted = {"learning_rate": rate, "epochs": epochs, "max_shift": max_shift}
    for name, curves in study.values("test_curve").items():
        if name.split(",")[0] == model and wanted.items() <= study.training(name).items():
            return torch.tensor(curves)
    raise ValueError(f"no {model} was trained with {wanted}; the trainings are {', '.join(study.variants)}")
