"""The right numbers in another order: which order is it?"""

from collections.abc import Iterator, Sequence
from itertools import permutations

import torch
from torch import Tensor

from vit_tutorial.exercises.compare import SMALLEST, TOLERANCE
from vit_tutorial.exercises.difference.case import Candidate, Case, alike, real_numbers, varied
from vit_tutorial.exercises.difference.hints import Moved


def orders(cases: Sequence[Case]) -> Iterator[Candidate]:
    """Yield sentences on numbers that are right, but not in their places; every case has equal shapes."""
    if not any(varied(case.b) for case in cases) or not all(_same_numbers(case.a, case.b) for case in cases):
        return
    first = max(cases, key=lambda case: case.b.numel())
    axes = range(min(case.b.ndim for case in cases))
    names = {-1 - i: f"axis {first.letters[-1 - i] or -1 - i}" for i in axes}
    for i, j in ((-1, -2), (-2, -3), (-1, -3), (-3, -4), (-2, -4), (-1, -4)):
        if j in names:
            yield (
                f"{names[j]} and {names[i]} have changed places: it is transposed.",
                lambda case, i=i, j=j: alike(case.a, case.b.transpose(i, j)) if case.b.shape[i] > 1 else None,
            )
    for i in names:
        yield (
            f"it is mirrored along {names[i]}: the last comes first.",
            lambda case, i=i: alike(case.a, case.b.flip(i)) if case.b.shape[i] > 1 else None,
        )
    for shift in (1, -1, 2, -2):
        for i in names:
            yield (
                f"everything has moved {'on' if shift > 0 else 'back'} by {abs(shift)} along {names[i]}.",
                lambda case, i=i, s=shift: alike(case.a, case.b.roll(s, i)) if case.b.shape[i] > 1 else None,
            )
    for name in first.inputs:
        yield (
            f"it is `{name}` reshaped straight, in the order in which the numbers lie in memory: nothing was moved.",
            lambda case, n=name: _reshaped(case, n),
        )
    for i in names:
        for j in names:
            if i > j:
                yield (
                    f"right up to the last reshape: {names[j]} and {names[i]} were exchanged before it, so that it "
                    "mixes them.",
                    lambda case, i=i, j=j: alike(case.a, case.b.transpose(i, j).reshape(case.b.shape)),
                )
    for width in (2, 3):
        yield (
            f"within {names[-1]}, what should come in {width} blocks is interleaved.",
            lambda case, w=width: alike(case.a, _interleaved(case.b, w)) if case.b.shape[-1] > w else None,
        )
        yield (
            f"within {names[-1]}, what should be interleaved comes in {width} blocks.",
            lambda case, w=width: alike(case.a, _blocks(case.b, w)) if case.b.shape[-1] > w else None,
        )
        yield (
            f"within {names[-1]}, the {'halves' if width == 2 else 'thirds'} have changed places.",
            lambda case, w=width: alike(case.a, case.b.roll(case.b.shape[-1] // w, -1)),
        )
    if len(axes) > 1:
        for i in names:
            if len(axes) + i >= 0 and i != -1:
                yield (
                    f"the rows are right, and stand in another order along {names[i]}.",
                    lambda case, i=i: _same_order(case, i),
                )
        yield (
            "every row holds the right numbers, in another order.",
            lambda case: _same_numbers_each(case, 1) if case.b.ndim > 1 else None,
        )
        yield (
            "every image holds the right numbers, but in other places, and some in other rows.",
            lambda case: _same_numbers_each(case, case.b.ndim - 1) if case.b.ndim > 2 else None,
        )
    yield "all the right numbers are there, in another order.", lambda case: _same_numbers(case.a, case.b)


def rearranged(moved: Moved, cases: Sequence[Case]) -> Iterator[Candidate]:
    """Yield the order in which small axes stand, where only their order is wrong."""

    def split(case: Case) -> Tensor:
        return case.b.reshape(*moved.lengths(*case.inputs.values()))

    largest = max(cases, key=lambda case: min(split(case).shape))
    names = moved.names
    for order in permutations(range(len(names))):
        if alike(split(largest).permute(order).flatten(), largest.a.flatten()):
            yield (
                f"before the last reshape your axes stand in the order ({', '.join(names[i] for i in order)}), and "
                f"should be ({', '.join(names)}).",
                lambda case, order=order: alike(split(case).permute(order).flatten(), case.a.flatten()),
            )


def _same_numbers(a: Tensor, b: Tensor) -> bool:
    return bool(torch.isfinite(a).all()) and alike(a.flatten().sort().values, b.flatten().sort().values)


def _same_numbers_each(case: Case, axes: int) -> bool:
    """Say whether each part over the last so many axes holds the right numbers."""
    a, b = (x.flatten(-axes).sort(-1).values for x in (case.a, case.b))
    return alike(a, b)


def _same_order(case: Case, axis: int) -> bool | None:
    """Say whether what lies along an axis is the right things, in another order."""
    if case.b.shape[axis] < 2 or case.b.ndim < 2:
        return None
    a, b = (x.movedim(axis, 0).flatten(1) for x in (case.a, case.b))
    room = TOLERANCE * (b.abs() + b.abs().amax(1, keepdim=True).clamp(min=SMALLEST))  # as in `close`, row by row
    left = torch.ones(len(b), dtype=torch.bool)
    for row in a:  # each is there once
        fitting = (left & ((row - b).abs() <= room).all(1)).nonzero()
        if not len(fitting):
            return False
        left[fitting[0]] = False
    return True


def _reshaped(case: Case, name: str) -> bool | None:
    given = real_numbers(case.inputs[name])
    if given is None or given.numel() != case.b.numel() or given.ndim == 0:
        return None
    return alike(given.reshape(case.b.shape), case.a)


def _interleaved(x: Tensor, parts: int) -> Tensor:
    return x.unflatten(-1, (parts, -1)).transpose(-1, -2).flatten(-2)


def _blocks(x: Tensor, parts: int) -> Tensor:
    return x.unflatten(-1, (-1, parts)).transpose(-1, -2).flatten(-2)
