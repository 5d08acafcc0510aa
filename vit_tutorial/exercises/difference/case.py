"""What the rooms share: one input with what came out, candidates for a sentence, and the test that lets one through."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Number
from typing import Any

import numpy as np
from torch import Tensor

from vit_tutorial.exercises.compare import close, numbers_of, same, shape_of

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
MOST_NUMBERS = 200_000  # larger outputs are not looked at


class Said(str):
    """An output that says itself what went wrong: what turns an answer into a function returns it for a misfit."""


@dataclass(frozen=True)
class Case:
    """One input of an exercise, what came out, and what is expected.

    `sizes` are numbers of this input that have a name, such as D or √d; `axes` the letters of the expected axes, the
    last ones if there are more axes than letters; `row` is what one along axis N is.
    """

    inputs: Mapping[str, Any]
    got: Any
    expected: Any
    sizes: Mapping[str, float] = field(default_factory=dict)
    axes: Sequence[str] = ()
    row: str = "token"

    @cached_property
    def a(self) -> Tensor | None:
        """What came out, in float64; None if it holds no real numbers."""
        return real_numbers(self.got)

    @cached_property
    def b(self) -> Tensor | None:
        """What is expected, in float64; None if it holds no real numbers."""
        return real_numbers(self.expected)

    @cached_property
    def is_right(self) -> bool:
        """Whether the two are the same."""
        return same(self.got, self.expected)

    @cached_property
    def fits(self) -> bool:
        """Whether both hold numbers, in the same shape."""
        return self.a is not None and self.b is not None and self.a.shape == self.b.shape and self.b.numel() > 0

    def axis(self, place: int) -> str:
        """Return the letter of an expected axis, or its number."""
        assert self.b is not None
        letters = self.letters
        return letters[place] if letters[place] else f"{place % self.b.ndim}"

    @cached_property
    def letters(self) -> list[str]:
        """The letters of the expected axes; empty ones in front if there are more axes than letters."""
        count = 0 if self.b is None else self.b.ndim
        letters = list(self.axes)[-count:] if count else []
        return [""] * (count - len(letters)) + letters


Test = Callable[[Case], bool | None]
Candidate = tuple[str, Test]  # a sentence, and whether it is true of a case; None if that cannot be judged


def real_numbers(value: Any) -> Tensor | None:
    """Return numbers of any kind in float64, or None: for words, objects, complex and too many numbers.

    Words that stand for numbers have them as `numbers`.
    """
    value = getattr(value, "numbers", value)
    try:
        if not isinstance(value, Tensor | np.ndarray | Number | list | tuple) or holds_too_many(value):
            return None
        numbers = numbers_of(value)
    except Exception:  # an output may be anything
        return None
    return None if numbers.is_complex() else numbers


def holds_too_many(value: Any) -> bool:
    """Say whether a value holds more numbers than are looked at."""
    return math.prod(shape_of(value)) > MOST_NUMBERS


def holds(test: Test, cases: Iterable[Case]) -> bool:
    """Say whether a test is true of all cases that it can judge, and of one at least."""
    return bool(judged(test, cases))


def judged(test: Test, cases: Iterable[Case]) -> list[Case]:
    """Return the cases that a test can judge, if it is true of all of them."""
    found = []
    for case in cases:
        try:
            verdict = test(case)
        except Exception:  # a candidate may not fit the shapes at hand
            verdict = False
        if verdict is None:
            continue
        if not verdict:
            return []
        found.append(case)
    return found


def alike(a: Tensor, b: Tensor) -> bool:
    """Say whether two tensors have the same shape and numbers, whatever their dtypes are."""
    return a.shape == b.shape and bool(close(numbers_of(a), numbers_of(b)).all())


def varied(x: Tensor) -> bool:
    """Say whether a tensor holds more than one number, so that an equality says something."""
    return x.numel() > 1 and bool((x != x.flatten()[0]).any())


def joined(words: Sequence[str]) -> str:
    """Return "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


def told(case: Case) -> str:
    """Return the inputs of a case in few words: its numbers, and the shapes of its tensors."""
    words = [
        f"`{name}` of shape {list(value.shape)}"
        if isinstance(value, Tensor)
        else f"`{name}` = " + (f'"{value}"' if isinstance(value, str) else f"{value}")
        for name, value in case.inputs.items()
        if isinstance(value, Tensor | Number | str)
    ]
    return joined(words) or "the smallest"


def constant(values: Sequence[float]) -> float | None:
    """Return the one number that all of these are, or None."""
    first = values[0]
    return first if all(abs(value - first) <= 1e-4 * max(1e-9, abs(first)) for value in values) else None
