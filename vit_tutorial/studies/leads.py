"""Reading the record of the fair comparison of lesson 9: which cells it has, and who is ahead in one, by how much."""

import re

from vit_tutorial.evidence import Scores
from vit_tutorial.studies.record import Study
from vit_tutorial.studies.versus import name_of


def cells(study: Study) -> list[tuple[int, int]]:
    """Give the numbers of pictures and the budgets of a record, in its order; it may hold a part of the table only."""
    found = (re.fullmatch(r"CNN, ([\d,]+) images, x(\d+)", name) for name in study.variants)
    return [(int(match[1].replace(",", "")), int(match[2])) for match in found if match]


def lead(study: Study, one: str, other: str, images: int, budget: int) -> Scores:
    """Give by how much one model's test accuracy is above another's, seed by seed: both learned from the same pictures.

    Two leads can be compared in turn: is it larger with fewer pictures, or with a smaller budget?
    """
    a, b = (study.scores(name_of(model, images, budget)) for model in (one, other))
    by_seed = {seed: a.by_seed[seed] - b.by_seed[seed] for seed in a.by_seed}
    return Scores(f"lead at {images:,} images, x{budget}", by_seed, unit="points")
