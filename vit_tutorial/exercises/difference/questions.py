"""The right answer to another question: with two inputs exchanged, or one of them left out or changed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from numbers import Number
from typing import Any

import torch
from torch import Tensor

from vit_tutorial.exercises.compare import same
from vit_tutorial.exercises.difference.behaviour import other_than
from vit_tutorial.exercises.difference.case import ORDINALS, Candidate, Case, Test, judged

FIXED = (1, 2, 3, 4)  # numbers that somebody may write in place of an input
NUMBERS: Sequence[tuple[str, Callable[[Any], Any]]] = (
    *((f"{fixed}", lambda x, fixed=fixed: type(x)(fixed)) for fixed in FIXED),
    ("1 more", lambda x: x + 1),
    ("1 less", lambda x: x - 1),
    ("twice as much", lambda x: x * 2),
    ("half as much", lambda x: _whole(x, x / 2)),
    ("its square", lambda x: x * x),
    ("its root", lambda x: _whole(x, x**0.5)),
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


ENOUGH = 2  # inputs that must agree
ENOUGH_OF_ONE = 3  # where what comes out is a single number, which agrees by chance more easily


def questions(solve: Callable, cases: Sequence[Case], *, numbers: bool = False) -> Iterator[Candidate]:
    """Yield sentences on what comes out of the right answer for other inputs; `cases` are those that are wrong.

    With `numbers`, only those on a number that is replaced.

    A sentence needs more than one input that tells: there the change makes a difference, and so does each number that
    is put in. A number that is replaced must have been two numbers at least: 2 becomes 4 in many ways. If there are
    fewer, nothing is said.
    """
    for sentence, test, replaced in _questions(solve, cases):
        if (replaced or not numbers) and _enough(test, cases, replaced):
            yield sentence, test


def _enough(test: Test, cases: Sequence[Case], replaced: str) -> bool:
    """Say whether a test is true of all cases that it can judge, and of enough."""
    least = ENOUGH_OF_ONE if all(case.b.numel() == 1 for case in cases) else ENOUGH
    true_of = judged(test, cases)
    return len(true_of) >= least and (not replaced or len({case.inputs[replaced] for case in true_of}) > 1)


def _questions(solve: Callable, cases: Sequence[Case]) -> Iterator[tuple[str, Test, str]]:
    """Yield sentences with their tests, and the name of the number that is replaced by another, if one is."""
    names = list(cases[0].inputs)
    for one, other in combinations(names, 2):
        yield (
            f"this is right for `{one}` and `{other}` exchanged.",
            _answers(solve, lambda inputs, a=one, b=other: {**inputs, a: inputs[b], b: inputs[a]}, (one, other)),
            "",
        )
        if isinstance(cases[0].inputs[one], Tensor) and isinstance(cases[0].inputs[other], Tensor):
            for kept, lost in ((one, other), (other, one)):
                yield (
                    f"this is right if `{lost}` were the same as `{kept}`: `{lost}` is not used.",
                    _answers(solve, lambda inputs, a=kept, b=lost: {**inputs, b: inputs[a]}),
                    "",
                )
    for name in names:
        yield f"`{name}` changes nothing: this is right without it.", _changed(solve, name, lambda x: None, object), ""
        for words, change in NUMBERS:
            yield f"this is right for `{name}` replaced by {words}.", _changed(solve, name, change, Number), name
        for words, change in TENSORS:
            yield f"this is right for `{name}` {words}.", _changed(solve, name, change, Tensor), ""
        for i, j in combinations(range(4), 2):
            yield (
                f"this is right for `{name}` with its {ORDINALS[i]} and {ORDINALS[j]} number exchanged.",
                _changed(solve, name, lambda x, i=i, j=j: _exchanged(x, i, j), tuple),
                "",
            )
        opposite = _changed(solve, name, lambda x: ~x, Tensor, (torch.bool,))
        yield f"this is right for the opposite of `{name}`.", opposite, ""


def _whole(x: Any, changed: Any) -> Any:
    """Return a number of the kind of x, or None if that cannot be: half of 3 is no length."""
    if not isinstance(x, int) or isinstance(changed, complex):
        return None if isinstance(changed, complex) else changed
    return int(changed) if changed == int(changed) else None


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


def _answers(solve: Callable, change: Callable, put_in: Sequence[str] = ()) -> Test:
    """Make the test whether an answer is that to changed inputs.

    It gives None where the change changes nothing, or where one of the inputs put in is so small in its new place that
    twice as much of it is the same.
    """

    def test(case: Case) -> bool | None:
        inputs = change(case.inputs)
        if inputs is None:
            return None
        expected = solve(*inputs.values())
        if same(expected, case.expected):
            return None
        if not same(case.got, expected):
            return False
        more = ({**inputs, name: other_than(inputs[name])} for name in put_in if other_than(inputs[name]) is not None)
        return None if any(same(solve(*each.values()), expected) for each in more) else True

    return test
