"""The right answer to another question: with two inputs exchanged, or one of them left out or changed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from numbers import Number
from typing import Any

import torch
from torch import Tensor

from vit_tutorial.exercises.compare import same
from vit_tutorial.exercises.difference.case import ORDINALS, Candidate, Case

NUMBERS: Sequence[tuple[str, Callable[[Any], Any]]] = (
    ("1", lambda x: type(x)(1)),
    ("1 more", lambda x: x + 1),
    ("1 less", lambda x: x - 1),
    ("twice as much", lambda x: x * 2),
    ("half as much", lambda x: x // 2 if isinstance(x, int) else x / 2),
    ("its square", lambda x: x * x),
    ("its root", lambda x: x**0.5),
)
TENSORS: Sequence[tuple[str, Callable[[Tensor], Tensor]]] = (
    ("mirrored along its last axis", lambda x: x.flip(-1)),
    ("taken backwards, its last row first", lambda x: x.flip(-2)),
    ("transposed", lambda x: x.transpose(-1, -2)),
    ("with axes 0 and 1 exchanged", lambda x: x.transpose(0, 1)),
    ("twice as large", lambda x: x * 2),
    ("half as large", lambda x: x / 2),
    ("with its sign turned", lambda x: -x),
    ("full of zeros", torch.zeros_like),
    ("full of ones", torch.ones_like),
    ("without its first row", lambda x: x[..., 1:, :]),
    ("without its last row", lambda x: x[..., :-1, :]),
)


def questions(solve: Callable, cases: Sequence[Case]) -> Iterator[Candidate]:
    """Yield sentences on what comes out of the right answer for other inputs."""
    names = list(cases[0].inputs)
    for one, other in combinations(names, 2):
        yield (
            f"this is right for `{one}` and `{other}` exchanged.",
            _answers(solve, lambda inputs, a=one, b=other: {**inputs, a: inputs[b], b: inputs[a]}),
        )
        if isinstance(cases[0].inputs[one], Tensor) and isinstance(cases[0].inputs[other], Tensor):
            for kept, lost in ((one, other), (other, one)):
                yield (
                    f"this is right if `{lost}` were the same as `{kept}`: `{lost}` is not used.",
                    _answers(solve, lambda inputs, a=kept, b=lost: {**inputs, b: inputs[a]}),
                )
    for name in names:
        yield f"`{name}` changes nothing: this is right without it.", _changed(solve, name, lambda x: None, object)
        for words, change in NUMBERS:
            yield f"this is right for `{name}` replaced by {words}.", _changed(solve, name, change, Number)
        for words, change in TENSORS:
            yield f"this is right for `{name}` {words}.", _changed(solve, name, change, Tensor)
        for i, j in combinations(range(4), 2):
            yield (
                f"this is right for `{name}` with its {ORDINALS[i]} and {ORDINALS[j]} number exchanged.",
                _changed(solve, name, lambda x, i=i, j=j: _exchanged(x, i, j), tuple),
            )
        yield f"this is right for the opposite of `{name}`.", _changed(solve, name, lambda x: ~x, Tensor, (torch.bool,))


def _exchanged(value: tuple, i: int, j: int) -> tuple | None:
    """Return a tuple with two of its entries exchanged, or None if it has not so many."""
    if j >= len(value):
        return None
    changed = list(value)
    changed[i], changed[j] = changed[j], changed[i]
    return tuple(changed)


def _changed(solve: Callable, name: str, change: Callable, kind: type, dtypes: tuple = ()) -> Callable:
    def other(inputs: Mapping[str, Any]) -> Mapping[str, Any] | None:
        value = inputs[name]
        if value is None or not isinstance(value, kind) or isinstance(value, bool):
            return None
        if isinstance(value, Tensor) and (value.dtype == torch.bool) != (torch.bool in dtypes) and kind is Tensor:
            return None
        changed = change(value)
        return None if changed is None and kind is not object else {**inputs, name: changed}

    return _answers(solve, other)


def _answers(solve: Callable, change: Callable) -> Callable[[Case], bool | None]:
    """Make the test whether an answer is that to changed inputs; None where the change changes nothing."""

    def test(case: Case) -> bool | None:
        inputs = change(case.inputs)
        if inputs is None:
            return None
        expected = solve(*inputs.values())
        if same(expected, case.expected):
            return None
        return same(case.got, expected)

    return test
