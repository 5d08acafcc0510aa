"""Another shape than expected: which axis is missing, extra, exchanged, too long?"""

from collections.abc import Iterator, Sequence
from itertools import permutations

from torch import Tensor

from vit_tutorial.exercises.difference.case import Candidate, Case, alike, constant, joined, real_numbers, told
from vit_tutorial.exercises.difference.quantities import FEW, name_of

WITH_NUMBERS = " Otherwise the numbers are right."


def shapes(cases: Sequence[Case], shown: bool) -> Iterator[Candidate]:
    """Yield sentences on shapes; no case has equal ones. `shown` says that the learner sees the first of them."""
    gaps = {case.a.ndim - case.b.ndim for case in cases}
    gap = gaps.pop() if len(gaps) == 1 else None
    if gap is not None and gap > 0:
        yield from _too_many(gap)
    if gap is not None and gap < 0:
        yield from _too_few(cases, -gap)
    for name in cases[0].inputs:
        yield f"it is `{name}` as it came in.", lambda case, n=name: _is_input(case, n)
    if gap == 0:
        yield from _exchanged(cases)
        yield from _lengths(cases)
    yield (
        "it holds the right numbers, in the right order, in another shape: a last reshape is missing or another one.",
        lambda case: alike(case.a.flatten(), case.b.flatten()),
    )
    yield (
        "it holds the right numbers in another shape and in another order.",
        lambda case: (
            case.a.numel() == case.b.numel() and alike(case.a.flatten().sort().values, case.b.flatten().sort().values)
        ),
    )
    yield from _counted(cases, gap, shown)


def _is_input(case: Case, name: str) -> bool | None:
    given = real_numbers(case.inputs[name])
    return None if given is None or given.ndim == 0 else alike(case.a, given)


def _too_many(gap: int) -> Iterator[Candidate]:
    yield (
        "there is an axis of length 1 too many: squeeze it, or take [0] of it. Otherwise the numbers are right.",
        lambda case: alike(case.a.squeeze(), case.b.squeeze()) and 1 in case.a.shape,
    )
    for axis in (-1, -2, -3, -4, -5):
        for how, words in (("sum", "Sum"), ("mean", "Take the mean"), ("amax", "Take the largest")):
            yield (
                f"axis {axis} is left over. {words} along it.",
                lambda case, i=axis, h=how: alike(getattr(case.a, h)(i), case.b) if case.a.ndim >= -i else False,
            )
        for place, words in ((0, "first"), (-1, "last")):
            yield (
                f"axis {axis} is left over: the {words} along it is what is expected.",
                lambda case, i=axis, p=place: alike(case.a.select(i, p), case.b) if case.a.ndim >= -i else False,
            )
    for start in range(4):
        yield (
            f"axes {start} and {start + 1} of yours are still two, and should be one: glue them together."
            + WITH_NUMBERS,
            lambda case, i=start: alike(case.a.flatten(i, i + gap), case.b),
        )


def _too_few(cases: Sequence[Case], gap: int) -> Iterator[Candidate]:
    depth = min(case.b.ndim for case in cases)
    yield (
        "an axis of length 1 is missing: keep it. Otherwise the numbers are right.",
        lambda case: alike(case.a.squeeze(), case.b.squeeze()) and 1 in case.b.shape,
    )
    for axis in range(depth):
        name = f"axis {cases[0].axis(axis)}"
        if gap == 1:
            for how, words in (
                ("sum", f"{name} is summed over. It should stay."),
                ("mean", f"{name} is averaged over. It should stay."),
                ("amax", f"only the largest along {name} is there."),
            ):
                yield (
                    words,
                    lambda case, i=axis, h=how: (
                        alike(case.a, getattr(case.b, h)(i))
                        if case.b.shape[i] > 1 and len(case.b.unique()) > 2
                        else None
                    ),
                )
            yield (
                f"{name} is missing: only the first along it is there.",
                lambda case, i=axis: alike(case.a, case.b.select(i, 0)),
            )
            yield (
                f"{name} is missing: only the last along it is there.",
                lambda case, i=axis: alike(case.a, case.b.select(i, -1)),
            )
        if axis + gap < depth:
            yield (
                f"{_names(cases[0], axis, gap)} are glued into one. Keep them apart." + WITH_NUMBERS,
                lambda case, i=axis: alike(case.a, case.b.flatten(i, i + gap)),
            )
    for axis in range(depth):
        if gap == 1:
            yield (
                f"axis {cases[0].axis(axis)} is missing.",
                lambda case, i=axis: (
                    tuple(case.a.shape) == (*case.b.shape[:i], *case.b.shape[i + 1 :]) and _only(case, i)
                ),
            )
        if axis + gap < depth:
            yield (
                f"{_names(cases[0], axis, gap)} are glued into one axis. Keep them apart.",
                lambda case, i=axis: case.a.shape == case.b.flatten(i, i + gap).shape,
            )


def _only(case: Case, axis: int) -> bool | None:
    """Say whether an axis is the only one that can be missing; None if its neighbours are as long."""
    alternatives = {i for i in range(case.b.ndim) if tuple(case.a.shape) == (*case.b.shape[:i], *case.b.shape[i + 1 :])}
    return True if alternatives == {axis} else None


def _names(case: Case, axis: int, gap: int) -> str:
    return f"axes {joined([case.axis(i) for i in range(axis, axis + gap + 1)])}"


def _exchanged(cases: Sequence[Case]) -> Iterator[Candidate]:
    depth = min(case.b.ndim for case in cases)
    if depth > 5 or any(case.b.ndim != depth for case in cases):
        return
    orders = sorted(permutations(range(depth)), key=lambda order: sum(i != j for i, j in enumerate(order)))[1:]
    for numbers_too in (True, False):
        for order in orders:
            moved = [i for i, j in enumerate(order) if i != j]
            if len(moved) == 2:
                what = f"axes {cases[0].axis(moved[0])} and {cases[0].axis(moved[1])} have changed places"
            else:
                what = f"your axes stand in the order ({', '.join(cases[0].axis(i) for i in order)})"
            if numbers_too:
                yield (
                    f"{what}.{WITH_NUMBERS}",
                    lambda case, order=order: alike(case.a, case.b.permute(order)),
                )
            else:
                yield (
                    f"{what}.",
                    lambda case, order=order: case.a.shape == case.b.permute(order).shape and _distinct(case),
                )


def _distinct(case: Case) -> bool | None:
    """Say whether the expected lengths tell the axes apart; None if not, so that nothing follows of an order."""
    return True if len(set(case.b.shape)) == case.b.ndim else None


def _lengths(cases: Sequence[Case]) -> Iterator[Candidate]:
    """Sentences on the one axis that is too long or too short."""
    depth = min(case.b.ndim for case in cases)
    for axis in range(-1, -depth - 1, -1):
        if all(_others_equal(case, axis) for case in cases):
            yield from _cut(f"axis {cases[0].axis(axis)}", axis)
            yield from _length_alone(cases, f"axis {cases[0].axis(axis)}", axis)


def _cut(name: str, axis: int) -> Iterator[Candidate]:
    """Sentences on an axis that is cut, or has something too much, and is right otherwise."""

    def more(case: Case) -> int:
        return case.a.shape[axis] - case.b.shape[axis]

    def head(x: Tensor, count: int) -> Tensor:
        return x.narrow(axis, 0, count)

    def tail(x: Tensor, count: int) -> Tensor:
        return x.narrow(axis, x.shape[axis] - count, count)

    for words, part in (("first", tail), ("last", head)):
        yield (
            f"{name} is too long: the {words} is too many.{WITH_NUMBERS}",
            lambda case, part=part: more(case) == 1 and alike(part(case.a, case.b.shape[axis]), case.b),
        )
        yield (
            f"{name} is too short: the {words} is missing.{WITH_NUMBERS}",
            lambda case, part=part: more(case) == -1 and alike(part(case.b, case.a.shape[axis]), case.a),
        )
    yield (
        f"{name} is too short: from some place on, all is missing.{WITH_NUMBERS}",
        lambda case: more(case) < 0 and alike(head(case.b, case.a.shape[axis]), case.a),
    )
    yield (
        f"{name} is too long: behind what is expected there is more.",
        lambda case: more(case) > 0 and alike(head(case.a, case.b.shape[axis]), case.b),
    )
    for how, words in (("sum", "summed"), ("mean", "averaged")):
        yield (
            f"{name} has length 1: it is {words} over, and should stay.",
            lambda case, h=how: alike(case.a, getattr(case.b, h)(axis, keepdim=True)),
        )


def _length_alone(cases: Sequence[Case], name: str, axis: int) -> Iterator[Candidate]:
    """Sentences on the length of an axis, whatever the numbers are."""
    have, want = ([float(x.shape[axis]) for x in side] for side in ([c.a for c in cases], [c.b for c in cases]))
    factor = constant([h / w for h, w in zip(have, want, strict=True)])
    more = constant([h - w for h, w in zip(have, want, strict=True)])
    expected = f"{_length(want, cases)} is expected"

    def test(case: Case) -> bool:
        return _others_equal(case, axis)

    if set(have) == {1.0}:
        yield f"{name} has length 1: {expected}.", test
    if len(cases) > 1 and len(set(want)) == 1 and len(set(have)) == 1:
        yield f"{name} is {have[0]:g} long, and should be {want[0]:g}.", test
    elif more is not None:
        yield f"{name} is too {'long' if more > 0 else 'short'} by {abs(round(more))}: {expected}.", test
    if length := _name_of_length(have, cases):
        yield f"{name} has length {length}: {expected}.", test
    if factor is not None and factor > 1 and factor.is_integer():
        yield f"{name} is {int(factor)} times as long as it should be: {expected}.", test
    if factor is not None and (1 / factor).is_integer():
        yield f"{name} is {int(1 / factor)} times too short: {expected}.", test


def _length(values: Sequence[float], cases: Sequence[Case]) -> str:
    """Return a name for a length, or the length of the smallest case."""
    return _name_of_length(values, cases) or f"{values[0]:g} on the smallest of these inputs"


def _name_of_length(values: Sequence[float], cases: Sequence[Case]) -> str:
    """Return a name for a length, or nothing: some formula fits two lengths by chance, so that only a size is told."""
    name = name_of(values, cases)
    return name if len(cases) != FEW or name in cases[0].sizes or constant(values) is not None else ""


def _others_equal(case: Case, axis: int) -> bool:
    return case.a.shape[axis] != case.b.shape[axis] and all(
        x == y for i, (x, y) in enumerate(zip(case.a.shape, case.b.shape, strict=True)) if i != axis % case.b.ndim
    )


def _counted(cases: Sequence[Case], gap: int | None, shown: bool) -> Iterator[Candidate]:
    """Sentences on shapes that are true of any mismatch; one case is told in numbers."""
    first = cases[0]
    letters = f", [{', '.join(first.letters)}]" if all(first.letters) and first.letters else ""
    on = "" if len(cases) == 1 and shown else "on this input " if shown else f"with {told(first)}, "
    always = lambda case: case.a.shape != case.b.shape  # noqa: E731
    if gap:
        many = "more" if gap > 0 else "fewer"
        extra = f"{abs(gap)} ax{'is' if abs(gap) == 1 else 'es'} {many} than expected"
        yield f"your output has {extra}: shape {_list(first.a)}, and {_list(first.b)} is wanted{letters}.", always
    if gap == 0:
        wrong = [i for i in range(first.b.ndim) if first.a.shape[i] != first.b.shape[i]]
        sizes = " and ".join(
            f"axis {first.axis(i)} is {first.a.shape[i]} long instead of {first.b.shape[i]}" for i in wrong
        )
        yield f"the shape is wrong: {on}{sizes}.", always
    yield (
        f"the shape is wrong: {on}{'it is ' if on else ''}{_list(first.a)}, and {_list(first.b)} is wanted{letters}.",
        always,
    )


def _list(x: Tensor) -> str:
    return str(list(x.shape))
