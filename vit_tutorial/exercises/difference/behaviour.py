"""What an answer does when it is asked again: the same twice, another input, one image alone."""

from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any

import torch
from torch import Tensor

from vit_tutorial.exercises.compare import same, unchanged
from vit_tutorial.exercises.difference.case import Case, real_numbers

Ask = Callable[..., Any]  # calls an answer with changed inputs, and gives None if it raises


def behaviour(cases: Sequence[Case], answer: Ask, solve: Ask) -> str:
    """Return a sentence on an answer that is random, ignores an input, or mixes images; or nothing.

    `answer` and `solve` take the inputs, and a seed by that name.
    """
    wrong, right = [case for case in cases if not case.is_right], [case for case in cases if case.is_right]
    case = max(wrong, key=_size)
    once, again, as_once = (answer(*case.inputs.values(), seed=seed) for seed in (1, 2, 1))
    if once is not None and not same(as_once, once):
        return (
            "the same input gives another output each time, also with the same random numbers. Is something kept from "
            "call to call, such as a list that is a default value, or never written, as in torch.empty?"
        )
    if once is not None and not same(again, once):
        return (
            "the same input gives another output each time: something in it is random, such as numbers drawn anew, "
            "dropout, or a layer made at each call."
        )
    for name in case.inputs:
        seen = [_ignores(each, name, answer, solve) for each in (*wrong, *right)]
        if True in seen and False not in seen and not _counts(cases, name, answer):
            return f"`{name}` changes nothing in what you return, and it should."
    return _mixed(case, answer, solve)


def _counts(cases: Sequence[Case], name: str, answer: Ask) -> bool:
    """Say whether a number from another case changes what comes out: near one value, an input may count for nothing."""
    values = [case.inputs[name] for case in cases]
    if not all(isinstance(value, Number) for value in values):
        return False
    given = [(case, answer(*{**case.inputs, name: value}.values())) for case in cases for value in values]
    return any(output is not None and not same(output, case.got) for case, output in given)


def _size(case: Case) -> int:
    return 0 if case.b is None else min(case.b.numel(), 10_000)


def _ignores(case: Case, name: str, answer: Ask, solve: Ask) -> bool | None:
    """Say whether an input changes nothing in what came out; None if it changes nothing in what is expected."""
    value = other_than(case.inputs[name])
    if value is None:
        return None
    changed = {**case.inputs, name: value}
    wanted, given = solve(*changed.values()), answer(*changed.values())
    return None if wanted is None or same(wanted, case.expected) else unchanged(given, case.got)


def other_than(value: Any) -> Any:
    """Return an input that differs from this one, of the same kind; None if there is none at hand."""
    if isinstance(value, Tensor) and value.is_floating_point():
        ramp = torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype)  # a norm undoes what is the same everywhere
        return value * ramp.reshape(value.shape) + 0.25
    if isinstance(value, Tensor) and value.dtype == torch.bool:
        return torch.ones_like(value)
    if isinstance(value, Number) and not isinstance(value, bool | complex):
        return value * 2
    return None


def _mixed(case: Case, answer: Ask, solve: Ask) -> str:
    """Return a sentence if what comes out for one image depends on the others, and should not."""
    batches = {name: x for name, x in case.inputs.items() if isinstance(x, Tensor) and x.ndim > 2 and len(x) > 1}
    if not batches or case.a is None or case.b is None or case.a.ndim == 0:
        return ""
    length = {len(x) for x in batches.values()}
    if len(length) != 1 or len(case.b) != length.pop():
        return ""
    alone = {**case.inputs, **{name: x[:1] for name, x in batches.items()}}
    wanted, given = solve(*alone.values()), real_numbers(answer(*alone.values()))
    if not same(wanted, case.b[:1]) or given is None or given.shape != case.a[:1].shape or same(given, case.a[:1]):
        return ""
    return "what comes out for one image depends on the other images of the batch, and should not."
