"""What an exercise may tell about itself, so that more can be said about an answer that is wrong."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vit_tutorial.exercises.difference.steps import Step


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Small axes that an exercise moves about, in the order in which they stand in what is expected."""

    names: Sequence[str]
    lengths: Callable[..., Sequence[int]]  # from the inputs


@dataclass(frozen=True, kw_only=True)
class Hints:
    """Names for what goes in and comes out, and the steps on the way. All of it may be left out."""

    inputs: str = ""  # the names of the inputs, as in the lesson; else those of the solution's arguments
    axes: str = ""  # the letters of the last axes of what is expected: "B N D"
    sizes: Callable[..., Mapping[str, float]] | None = None  # from the inputs: numbers that have a name, {"d": 4}
    steps: Sequence[Step] = ()
    moved: Moved | None = None
    part: int | None = None  # the part of several outputs that words are about
    row: str = "token"  # what a row is of what is expected


NO_HINTS = Hints()
