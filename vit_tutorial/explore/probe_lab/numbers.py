"""The numbers of the probe lab: what the neighbours of a picture answer at a stage, and how often they are right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from vit_tutorial.explore.limits import Between, Limit, OneOf, settle
from vit_tutorial.explore.probe_lab.data import ProbeLabData
from vit_tutorial.explore.words import percent


def probe_lab_limits(data: ProbeLabData) -> Iterator[tuple[str, Limit]]:
    """What the choices may be for these features."""
    yield "stage", OneOf(data.stages)
    yield "picture", Between(0, data.asked - 1)
    yield "neighbours", Between(1, data.near.shape[2])


@dataclass(frozen=True)
class ProbeLabState:
    """What the probe lab shows of one picture at one stage: its place, its neighbours, and what they answer."""

    stage: str
    picture: int  # among those that are asked
    places: Float[np.ndarray, "n 2"]  # of all pictures: first the labelled ones, then those that are asked
    near: list[int]  # labelled pictures, the nearest first
    votes: list[int]  # of each class
    answer: int
    label: int
    answers: Int[np.ndarray, " asked"]  # of all pictures that are asked
    accuracies: tuple[float, ...]  # of each stage, with as many neighbours
    share: float  # how much of the spread of the features the map holds
    words: str


def probe_lab_state(data: ProbeLabData, stage: str, picture: int = 0, neighbours: int = 1) -> ProbeLabState:
    """Let the nearest labelled pictures vote; of classes with equal votes, the one whose picture is nearest wins.

    Raises ValueError if a choice is not among those of `probe_lab_limits`.
    """
    settle(probe_lab_limits(data), {"stage": stage, "picture": picture, "neighbours": neighbours})
    which, names, truth = data.stages.index(stage), data.class_names, data.labels[data.labelled :]
    answers = answers_of(data, neighbours)  # [S, asked]
    accuracies = tuple((answers == truth).mean(axis=1).tolist())
    near = data.near[which, picture, :neighbours].tolist()
    votes = np.bincount(data.labels[near], minlength=len(names)).tolist()
    answer, label = int(answers[which, picture]), int(truth[picture])
    who = f"Its {neighbours} nearest labelled pictures say" if neighbours > 1 else "The nearest labelled picture says"
    right = "right" if answer == label else "wrong"
    words = (
        f"{stage}: picture {picture}, {names[label]}. {who} {words_of_votes(votes, names)}: {names[answer]}, {right}. "
        f"So {percent(accuracies[which])} of {data.asked} pictures are answered rightly. "
        f"The map holds {percent(data.shares[which])} of the spread of the features."
    )
    return ProbeLabState(
        stage=stage,
        picture=picture,
        places=data.places[which],
        near=near,
        votes=votes,
        answer=answer,
        label=label,
        answers=answers[which],
        accuracies=accuracies,
        share=data.shares[which],
        words=words,
    )


def answers_of(data: ProbeLabData, neighbours: int) -> Int[np.ndarray, "S asked"]:
    """What so many neighbours answer, for every picture that is asked, at every stage."""
    said = data.labels[data.near[:, :, :neighbours]]  # [S, asked, k]
    votes = np.stack([(said == label).sum(axis=2) for label in range(len(data.class_names))], axis=2)
    of_each = np.take_along_axis(votes, said, axis=2)  # votes for the class of each neighbour
    first = of_each.argmax(axis=2)  # the nearest neighbour whose class has most
    return np.take_along_axis(said, first[:, :, None], axis=2)[:, :, 0]


def words_of_votes(votes: list[int], names: tuple[str, ...]) -> str:
    """The votes, most first: `Sneaker 3 times, Ankle boot 2 times`."""
    heard = sorted((i for i, count in enumerate(votes) if count), key=lambda i: -votes[i])
    return ", ".join(f"{names[i]} {votes[i]} time{'s' * (votes[i] > 1)}" for i in heard)
