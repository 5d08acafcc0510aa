"""Where is it right? In some places of the output, or on some of the inputs."""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, permutations
from typing import Any

import torch
from torch import Tensor

from vit_tutorial.exercises.compare import close
from vit_tutorial.exercises.difference.case import Candidate, Case

NOUNS = {
    "B": "image",
    "N": "{row}",
    "h": "head",
    "C": "channel",
    "H": "row of pixels",
    "W": "column of pixels",
    "D": "number of each {row}",
    "d": "number of each row",
    "K": "class",
}


OF_IMAGES = ("H", "W", "height", "width", "image_size")  # lengths in pixels
ENOUGH = 2  # inputs that go wrong, and others, to tell a size by
OF_COLOURS = ("C", "channels", "in_channels")
# What is right along an axis of three parts, such as 3D, in which queries, keys and values follow each other.
_THIRDS: Sequence[tuple[str, Callable[[int, int], bool]]] = tuple(
    (words, lambda i, n, thirds=thirds: 3 * i // n in thirds)
    for words, thirds in (
        ("the first third along {} is wrong, and the rest is right.", (1, 2)),
        ("the second third along {} is wrong, and the rest is right.", (0, 2)),
        ("the last third along {} is wrong, and the rest is right.", (0, 1)),
        ("the first third along {} is right, and the rest is wrong.", (0,)),
        ("the second third along {} is right, and the rest is wrong.", (1,)),
        ("the last third along {} is right, and the rest is wrong.", (2,)),
    )
)


def places(cases: Sequence[Case]) -> Iterator[Candidate]:
    """Yield sentences on outputs that are right in some places; every case has equal shapes."""
    depth = min(case.b.ndim for case in cases)
    if depth > 1 and all(case.b.shape[-1] == case.b.shape[-2] for case in cases):
        for words, where, each in (
            ("only the diagonal is wrong.", lambda i, j: i != j, True),
            ("the diagonal alone is right.", lambda i, j: i == j, True),
            ("below the diagonal and on it, all is right; above it, it is wrong.", lambda i, j: j <= i, False),
            ("above the diagonal and on it, all is right; below it, it is wrong.", lambda i, j: j >= i, False),
        ):
            yield words, lambda case, f=where, e=each: _right_where(case, f, e)
    patterns: Sequence[tuple[str, Callable[[int, int], bool]]] = (
        ("the first {} alone is right.", lambda i, n: i == 0),
        ("all is right but for the first {}.", lambda i, n: i != 0),
        ("all is right but for the last {}.", lambda i, n: i != n - 1),
        ("the last {} alone is right.", lambda i, n: i == n - 1),
        ("the first and the last {} alone are right.", lambda i, n: i in (0, n - 1)),
        ("the first half is right, counted along {s}.", lambda i, n: n > 3 and i < n // 2),
        ("the second half is right, counted along {s}.", lambda i, n: n > 3 and i >= n // 2),
        ("every second {} is right: 0, 2, 4 …", lambda i, n: n > 3 and i % 2 == 0),
        ("every second {} is right: 1, 3, 5 …", lambda i, n: n > 3 and i % 2 == 1),
    )
    for axis in range(-depth, 0):
        noun = _noun(cases[0], axis)
        for words, right in patterns:
            yield words.format(noun, s=_plural(noun)), lambda case, i=axis, f=right: _right_along(case, i, f)
        for words, right in _THIRDS if cases[0].letters[axis].startswith("3") else ():
            yield words.format(f"axis {cases[0].axis(axis)}"), lambda case, i=axis, f=right: _right_along(case, i, f)
    if all(_is_yes_no(case.b) and _is_yes_no(case.a) for case in cases):
        yield (
            "no True is missing, and some places that should be False are True.",
            lambda case: bool((case.a >= case.b).all()),
        )
        yield (
            "some places that should be True are False; none is True that should not.",
            lambda case: bool((case.a <= case.b).all()),
        )


def some_right(cases: Sequence[Case]) -> str:
    """Return a sentence on the share that is right, with the first place that is not; nothing if none is right."""
    first = cases[0]
    marks = [close(case.a, case.b) for case in cases]
    if not all(mark.any() for mark in marks) or first.b.numel() < 4:
        return ""
    place = (~marks[0]).nonzero()[0].tolist()
    named = ", ".join(f"{first.letters[i]} {index}".strip() for i, index in enumerate(place))
    right, count = int(marks[0].sum()), first.b.numel()
    return f"it is right in part: on this input {right} of {count} numbers are. The first wrong one is at [{named}]."


def where_wrong(wrong: Sequence[Case], right: Sequence[Case]) -> str:
    """Return what tells the inputs that go wrong from the others, such as "where there is a `mask`"; or nothing.

    A condition on sizes needs two inputs of each kind, and nothing else may tell them apart as well, no other size and
    no length of an axis: else it may hold by chance.
    """
    if not right:
        return ""
    kinds = (words for words, test in _on_kinds(wrong[0]) if _parts(test, wrong, right))
    if words := next(kinds, ""):
        return words
    if min(len(wrong), len(right)) < ENOUGH:
        return ""
    found = [(names, words) for names, words, test in _on_sizes(wrong[0]) if _parts(test, wrong, right)]
    if not found or any(_parts(test, wrong, right) for test in _on_axes([*wrong, *right])):
        return ""
    return found[0][1] if all(found[0][0] <= names for names, _ in found) else ""


def _parts(test: Callable[[Case], Any], wrong: Sequence[Case], right: Sequence[Case]) -> bool:
    """Say whether a test is true of all that go wrong, and of none of the others."""
    try:
        return all(test(case) for case in wrong) and not any(test(case) for case in right)
    except (KeyError, IndexError, TypeError, AttributeError):
        return False


def _on_kinds(sample: Case) -> Iterator[tuple[str, Callable[[Case], Any]]]:
    """Yield what kind of input there may be: words, and whether a case has it."""
    for name, value in sample.inputs.items():
        yield f"where there is a `{name}`", lambda case, n=name: case.inputs[n] is not None
        yield f"without `{name}`", lambda case, n=name: case.inputs[n] is None
        if isinstance(value, str):
            yield f'where `{name}` is "{value}"', lambda case, n=name, v=value: case.inputs[n] == v
        if isinstance(value, Tensor):
            yield (
                f"where `{name}` has {value.ndim} ax{'e' if value.ndim > 1 else 'i'}s",
                lambda case, n=name, count=value.ndim: case.inputs[n].ndim == count,
            )
            yield (
                f"where `{name}` has {value.ndim} axes or more",
                lambda case, n=name, count=value.ndim: case.inputs[n].ndim >= count,
            )


def _on_sizes(sample: Case) -> Iterator[tuple[frozenset[str], str, Callable[[Case], Any]]]:
    """Yield what sizes an input may have: their names, words, and whether a case has them."""
    names = list(sample.sizes)
    for name in names:
        for words, test in (
            ("is more than 1", lambda size: size > 1),
            ("is 1", lambda size: size == 1),
            ("is not 0", lambda size: size != 0),
            ("is 0", lambda size: size == 0),
            ("is negative", lambda size: size < 0),
        ):
            yield frozenset({name}), f"where {name} {words}", lambda case, n=name, f=test: f(case.sizes[n])
    for words, test in (
        ("differ", lambda one, other: one != other),
        ("are equal", lambda one, other: one == other),
        ("is larger than", lambda one, other: one > other),
        ("is no smaller than", lambda one, other: one >= other),
    ):
        pairs = combinations(names, 2) if words in ("differ", "are equal") else permutations(names, 2)
        for one, other in pairs:
            if not _by_chance(one, other):
                said = f"{one} and {other} {words}" if words in ("differ", "are equal") else f"{one} {words} {other}"
                yield (
                    frozenset({one, other}),
                    f"where {said}",
                    lambda case, a=one, b=other, f=test: f(case.sizes[a], case.sizes[b]),
                )


def _on_axes(cases: Sequence[Case]) -> Iterator[Callable[[Case], Any]]:
    """Yield tests on the lengths of axes that have no name, such as how many images there are: is it one?"""
    for name, value in cases[0].inputs.items():
        for axis in range(value.ndim if isinstance(value, Tensor) else 0):
            if not _has_name(name, axis, cases):
                yield lambda case, n=name, i=axis: case.inputs[n].shape[i] > 1
                yield lambda case, n=name, i=axis: case.inputs[n].shape[i] == 1


def _has_name(name: str, axis: int, cases: Sequence[Case]) -> bool:
    """Say whether the length of an axis of an input is one of the sizes."""
    try:
        return any(all(case.inputs[name].shape[axis] == case.sizes[size] for case in cases) for size in cases[0].sizes)
    except (KeyError, IndexError, AttributeError):
        return False


def _by_chance(one: str, other: str) -> bool:
    """Say whether it means nothing how two sizes compare: as many pixels as patches, more patches than colours."""
    return any((one in kind) != (other in kind) for kind in (OF_IMAGES, OF_COLOURS))


def _noun(case: Case, axis: int) -> str:
    return NOUNS.get(case.letters[axis], f"place along axis {case.axis(axis)}").format(row=case.row)


def _plural(noun: str) -> str:
    """Return several of them: "tokens", "classes", "rows of pixels"."""
    first, *rest = noun.split(" ", 1)
    return " ".join([f"{first}{'es' if first.endswith('s') else 's'}", *rest])


def _right_along(case: Case, axis: int, right: Callable[[int, int], bool]) -> bool | None:
    """Say whether exactly these places along an axis are right all through, and the others all wrong in part."""
    length = case.b.shape[axis]
    if length < 2:
        return None
    marks = close(case.a, case.b).movedim(axis, 0).reshape(length, -1).all(1).tolist()
    wanted = [right(i, length) for i in range(length)]
    if all(wanted) or not any(wanted):
        return None
    return marks == wanted


def _right_where(case: Case, where: Callable[[Tensor, Tensor], Tensor], each: bool) -> bool | None:
    """Say whether these places of each matrix are right, and the others not: each of them, or some."""
    size = case.b.shape[-1]
    wanted = where(torch.arange(size)[:, None], torch.arange(size))
    if wanted.all() or not wanted.any():
        return None
    marks = close(case.a, case.b).reshape(-1, size, size).all(0)
    return bool(marks[wanted].all()) and not bool(marks[~wanted].any() if each else marks[~wanted].all())


def _is_yes_no(x: Tensor) -> bool:
    return bool(((x == 0) | (x == 1)).all())
