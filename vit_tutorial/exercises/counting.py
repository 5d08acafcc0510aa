"""Several mistakes at once: in questions whose answer is several numbers, and in answers made of several steps."""

from collections.abc import Callable, Sequence
from itertools import combinations, product
from typing import Any

from vit_tutorial.exercises.engine import Mistake

Ways = Sequence[tuple[Callable, str]]  # ways to one number: the right one first, each wrong one with its sentence


def solution_of(counts: Sequence[Ways]) -> Callable:
    """Return the function that gives all numbers rightly."""
    return _answer([ways[0][0] for ways in counts])


def mistakes_of(counts: Sequence[Ways]) -> list[Mistake]:
    """Every combination of right and wrong numbers, with a sentence for each that is wrong."""
    mistakes = []
    for chosen in product(*counts):
        sentences = [sentence for _, sentence in chosen if sentence]
        if sentences:
            mistakes.append(Mistake(_answer([way for way, _ in chosen]), " And ".join(sentences)))
    return mistakes


def pairs_of(make: Callable[..., Callable], changes: Sequence[tuple[dict[str, Any], str]]) -> list[Mistake]:
    """Two mistakes at once, for answers that `make(step=…)` makes: every two changes of different steps."""
    return [
        Mistake(make(**one, **other), f"two things: {first} And {second}")
        for (one, first), (other, second) in combinations(changes, 2)
        if not one.keys() & other.keys()
    ]


def _answer(ways: Sequence[Callable]) -> Callable:
    return lambda *sizes: tuple(way(*sizes) for way in ways)
