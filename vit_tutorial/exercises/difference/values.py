"""In equal shapes: is every number right up to something that has a name? A factor, a sign, a step, an input."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from vit_tutorial.exercises.difference.case import Candidate, Case, alike, constant, real_numbers, varied
from vit_tutorial.exercises.difference.quantities import name_of

FUNCTIONS: Sequence[tuple[Callable[[Tensor], Tensor], str]] = (
    (torch.square, "the square"),
    (torch.sqrt, "the square root"),
    (torch.exp, "e to the power"),
    (torch.log, "the natural logarithm"),
    (torch.log2, "the logarithm to base 2"),
    (torch.log10, "the logarithm to base 10"),
    (torch.log1p, "the logarithm of 1 plus"),
    (torch.reciprocal, "the reciprocal, 1 divided by it,"),
    (torch.abs, "the absolute value"),
    (lambda x: 1 - x, "1 minus it,"),
    (torch.relu, "ReLU"),
    (F.gelu, "GELU"),
    (torch.sigmoid, "the sigmoid"),
    (torch.tanh, "tanh"),
    (torch.sin, "the sine"),
    (torch.cos, "the cosine"),
    (torch.round, "the rounded value"),
    (torch.floor, "the value rounded down"),
    (torch.ceil, "the value rounded up"),
)


def values(cases: Sequence[Case], alone: bool = False) -> Iterator[Candidate]:
    """Yield sentences on numbers that are all wrong in one way; every case has equal shapes.

    `alone` says that this is one input of several, the others being right: one number then says nothing of a formula.
    """
    yield from _not_numbers()
    yield from _one_number(cases)
    if alone and cases[0].b.numel() == 1:
        yield "it is rounded down to a whole number.", lambda case: alike(case.a, case.b.floor())
        return
    yield from _inputs(cases)
    yield "the sign is wrong: every number is the negative of the right one.", lambda case: alike(case.a, -case.b)
    yield from _factor(cases)
    yield from _shift(cases)
    yield from _functions(cases)
    yield from _normalised(cases)
    yield from _by_input(cases)


def vague_values(cases: Sequence[Case]) -> Iterator[Candidate]:
    """Yield sentences that say less: right row by row, on a line, nearly right."""
    yield from _along_axes(cases)
    yield from _line()
    yield from _rounded()


def _not_numbers() -> Iterator[Candidate]:
    why = (
        "0/0, 0 times infinity, infinity minus infinity, a root or a logarithm of something negative, or a softmax "
        "over a row that has +inf in it, or nothing but -inf"
    )
    yield (
        f"your numbers are NaN, no numbers at all: that comes of {why}.",
        lambda case: bool(case.a.isnan().all()) and not bool(case.b.isnan().any()),
    )
    yield (
        f"some of your numbers are NaN, no numbers: that comes of {why}.",
        lambda case: bool(case.a.isnan().any()) and not bool(case.b.isnan().any()),
    )
    yield (
        "some of your numbers are infinite: that comes of a division by 0, a logarithm of 0 or e to a large power, or "
        "they were set so.",
        lambda case: bool(case.a.isinf().any()) and not bool(case.b.isinf().any()),
    )


def _one_number(cases: Sequence[Case]) -> Iterator[Candidate]:
    if all(case.b.numel() == 1 for case in cases):
        yield from _one_answer(cases)
    if not any(varied(case.b) for case in cases):
        return
    for value, word in ((0, "False"), (1, "True")):
        said = f"every entry is {word}." if _are_yes_no(cases) else f"every number is {value}."
        yield said, lambda case, x=value: bool((case.a == x).all()) if varied(case.b) else None
    yield (
        "all your numbers are the same, and different ones are expected.",
        lambda case: alike(case.a, case.a.flatten()[0].expand_as(case.a)) if varied(case.b) else None,
    )


def _one_answer(cases: Sequence[Case]) -> Iterator[Candidate]:
    """Sentences on a single number that does not change, or a wrong yes or no."""
    if _are_yes_no(cases):
        for value, word, other in ((1, "True", "False"), (0, "False", "True")):
            yield f"it says {word} where {other} is right.", lambda case, x=value: bool((case.a == x).all())
        yield "it says True where False is right, and False where True is.", lambda case: bool(case.a == 1 - case.b)
    elif len({case.b.item() for case in cases}) > 1 and len({case.a.item() for case in cases}) == 1:
        yield "it is the same number on each of these inputs, and different ones are expected.", lambda case: True


def _are_yes_no(cases: Sequence[Case]) -> bool:
    return all(
        isinstance(x, bool) or getattr(x, "dtype", None) == torch.bool for c in cases for x in (c.got, c.expected)
    )


def _inputs(cases: Sequence[Case]) -> Iterator[Candidate]:
    for name in cases[0].inputs:
        yield f"it is `{name}` as it came in.", lambda case, n=name: _is(case.a, case, n)
        yield f"it is `{name}` with the sign turned.", lambda case, n=name: _is(-case.a, case, n)


def _is(x: Tensor, case: Case, name: str) -> bool | None:
    given = real_numbers(case.inputs[name])
    return None if given is None or given.shape != x.shape else alike(x, given)


def _ratio(case: Case) -> float | None:
    """Return the one factor between the two, or None."""
    there = case.b.abs() > 1e-6 * case.b.abs().max()
    if not there.any() or not torch.isfinite(case.a).all():
        return None
    largest = case.b.abs().argmax()
    ratio = (case.a.flatten()[largest] / case.b.flatten()[largest]).item()
    return ratio if ratio and alike(case.a, ratio * case.b) else None


def _has_ratio(case: Case) -> bool:
    return not case.is_right and _ratio(case) is not None if case.b.any() else not case.a.any()


def _factor(cases: Sequence[Case]) -> Iterator[Candidate]:
    ratios = [_ratio(case) for case in cases if case.b.any()]
    if not ratios or None in ratios:
        return
    those = [case for case in cases if case.b.any()]
    signs = {ratio > 0 for ratio in ratios}
    sizes = [abs(ratio) for ratio in ratios]
    sign = "" if signs == {True} else ", and the sign is wrong" if signs == {False} else None
    if sign is None:
        return
    what = "every number is" if any(case.b.numel() > 1 for case in those) else "it is"
    test = _has_ratio
    same = constant(sizes)
    if same is not None and abs(same - 2) < 1e-4:
        yield f"{what} twice as large as it should be{sign}.", test
    elif same is not None and abs(same - 0.5) < 1e-4:
        yield f"{what} half as large as it should be{sign}.", test
    elif large := (name_of(sizes, those) if min(sizes) > 1 or max(sizes) > 1 else ""):
        yield f"{what} too large by the factor {large}{sign}.", test
    elif small := name_of([1 / size for size in sizes], those):
        yield f"{what} too small by the factor {small}{sign}: it should be {small} times as large.", test
    elif same is not None:
        yield f"{what} {same:.4g} times as large as it should be{sign}, on each of these inputs.", test
    elif any(case.b.numel() > 2 for case in those):
        yield f"the numbers are right up to a factor, another one for each input{sign}.", test


def _offset(case: Case) -> float | None:
    differences = case.a - case.b
    offset = differences.flatten()[0].item()
    return offset if torch.isfinite(differences).all() and alike(case.a, case.b + offset) else None


def _has_offset(case: Case) -> bool:
    return not case.is_right and _offset(case) is not None


def _shift(cases: Sequence[Case]) -> Iterator[Candidate]:
    offsets = [_offset(case) for case in cases]
    if None in offsets or not any(offsets):
        return
    test = _has_offset
    several = any(case.b.numel() > 1 for case in cases)
    what = "every number is" if several else "it is"
    signs = {offset > 0 for offset in offsets}
    if len(signs) == 1:
        size = name_of([abs(offset) for offset in offsets], cases)
        way = "large" if signs == {True} else "small"
        if size:
            yield f"{what} too {way} by {size}.", test
        elif several:
            done = "added to" if signs == {True} else "subtracted from"
            yield f"the numbers are right but for something that is {done} all of them.", test
    elif several:
        yield "the numbers are right but for something that is added to all of them.", test


def _functions(cases: Sequence[Case]) -> Iterator[Candidate]:
    for digits in range(1, 5):
        yield (
            f"right, but rounded to {digits} digit{'s' * (digits > 1)} behind the point.",
            lambda case, d=digits: bool(((case.a - case.b.round(decimals=d)).abs() < 1e-7).all()),
        )
    yield (
        "all is cut off behind the point: is there a .long(), an .int() or a dtype=int?",
        lambda case: alike(case.a, case.b.trunc()),
    )
    if len({x for case in cases for x in case.b.flatten()[:20].tolist()}) < 3:
        return  # too few numbers to tell one function from another
    for function, name in FUNCTIONS:
        yield f"it is {name} of what is expected.", lambda case, f=function: _relates(f, case.b, case.a)
    for function, name in FUNCTIONS:
        yield (
            f"a step is missing: take {name} of it.",
            lambda case, f=function: _relates(f, case.a, case.b),
        )


def _relates(function: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> bool:
    """Say whether y is function(x), of which every number is finite."""
    made = function(x)
    return bool(torch.isfinite(made).all()) and alike(made, y)


def _normalised(cases: Sequence[Case]) -> Iterator[Candidate]:
    """Sentences on weights that should sum to 1 along an axis, and do not, or along another."""
    for axis in (-1, -2, -3):
        if not all(case.b.ndim >= -axis and _sums_to_one(case.b, axis) for case in cases):
            continue
        wanted = f"along axis {cases[0].letters[axis] or axis}"
        for other in (-1, -2, -3, -4):
            letter = cases[0].letters[other] if cases[0].b.ndim >= -other else ""
            yield (
                f"your weights sum to 1 along axis {letter or other}. They should {wanted}.",
                lambda case, i=other, j=axis: _sums_to_one(case.a, i) and not _sums_to_one(case.a, j),
            )
        yield (
            f"all your weights together sum to 1. They should {wanted}.",
            lambda case, j=axis: alike(case.a.sum(), torch.ones(()).double()) and not _sums_to_one(case.a, j),
        )
        yield (
            f"your numbers do not sum to 1 {wanted}, and should.",
            lambda case, j=axis: not _sums_to_one(case.a, j),
        )
    for axis in (-1, -2, -3):
        yield (
            f"it is a softmax along axis {axis} of what is expected.",
            lambda case, i=axis: alike(case.a, case.b.softmax(i)) if case.b.shape[i] > 1 else None,
        )
        yield (
            f"it is a log-softmax along axis {axis} of what is expected.",
            lambda case, i=axis: alike(case.a, case.b.log_softmax(i)) if case.b.shape[i] > 1 else None,
        )
        yield (
            f"it is what is expected, divided by its length along axis {axis}.",
            lambda case, i=axis: alike(case.a, F.normalize(case.b, dim=i)) if case.b.shape[i] > 1 else None,
        )
        yield (
            f"it is a running sum along axis {axis} of what is expected.",
            lambda case, i=axis: alike(case.a, case.b.cumsum(i)) if case.b.shape[i] > 1 else None,
        )


def _sums_to_one(x: Tensor, axis: int) -> bool:
    sums = x.sum(axis)
    return x.shape[axis] > 1 and bool((x >= -1e-9).all()) and alike(sums, torch.ones_like(sums))


def _by_input(cases: Sequence[Case]) -> Iterator[Candidate]:
    """Sentences on an input that was added, subtracted or multiplied once too often or too little."""
    for name in cases[0].inputs:
        if all(_tensor(case, name) is None for case in cases):
            continue
        for sentence, change in (
            (f"`{name}` is added to it, once too often.", lambda b, x: b + x),
            (f"`{name}` is missing in the sum: add it.", lambda b, x: b - x),
            (f"`{name}` is added twice too often.", lambda b, x: b + 2 * x),
            (f"`{name}` is subtracted where it should be added.", lambda b, x: b - 2 * x),
            (f"it is multiplied by `{name}`, once too often.", lambda b, x: b * x),
            (f"it is divided by `{name}`, and should not be.", lambda b, x: b / x),
        ):
            yield sentence, lambda case, n=name, f=change: _changed(case, n, f)


def _tensor(case: Case, name: str) -> Tensor | None:
    value = case.inputs[name]
    return real_numbers(value) if isinstance(value, Tensor) and value.is_floating_point() else None


def _changed(case: Case, name: str, change: Callable[[Tensor, Tensor], Tensor]) -> bool | None:
    x = _tensor(case, name)
    if x is None or len(x.unique()) < 3:
        return None
    return alike(case.a, change(case.b, x))


def _along_axes(cases: Sequence[Case]) -> Iterator[Candidate]:
    """Sentences on numbers that are right up to a factor or an offset of their own in each row or column."""
    deepest = min(case.b.ndim for case in cases)
    if deepest < 2:
        return
    for axis in range(-1, -deepest - 1, -1):
        name = f"axis {cases[0].letters[axis] or axis}"
        yield (
            f"along {name} your numbers are right up to a factor, another one for each place on the other axes. "
            "Look at what you divide by, or do not: is it asked for, and does it run over the right axis?",
            lambda case, i=axis: _parallel(case.a, case.b, i) if case.b.shape[i] > 1 else None,
        )
        yield (
            f"along {name} your numbers are right but for something added, another amount for each place on the "
            "other axes.",
            lambda case, i=axis: _level((case.a - case.b), i, case.b) if case.b.shape[i] > 1 else None,
        )


def _parallel(a: Tensor, b: Tensor, axis: int) -> bool:
    factor = (a * b).sum(axis, keepdim=True) / (b * b).sum(axis, keepdim=True).clamp(min=1e-12)
    return (
        not _is_even(b, axis)
        and bool(a.abs().max() > 1e-6)
        and bool((factor.abs() > 1e-6).all())
        and alike(a, factor * b)
    )


def _is_even(x: Tensor, axis: int) -> bool:
    """Say whether numbers grow evenly along an axis, so that shifted or stretched ones differ evenly too."""
    steps = x.diff(dim=axis)
    return bool((steps - steps.select(axis, 0).unsqueeze(axis)).abs().max() < 1e-9)


def _level(differences: Tensor, axis: int, b: Tensor) -> bool:
    return not _is_even(b, axis) and alike(b + differences, b + differences.mean(axis, keepdim=True).expand_as(b))


def _line() -> Iterator[Candidate]:
    yield (
        "your numbers lie on a straight line over the right ones: something is both multiplied and added.",
        lambda case: _is_line(case) if case.b.numel() > 3 and varied(case.b) else None,
    )


def _is_line(case: Case) -> bool:
    x, y = case.b.flatten(), case.a.flatten()
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    return abs(slope) > 1e-6 and len(x.unique()) > 2 and alike(y, y.mean() + slope * (x - x.mean()))


def _rounded() -> Iterator[Candidate]:
    for digits, words in ((4, "10,000"), (3, "1,000"), (2, "100")):
        yield (
            f"nearly right: no number is off by more than 1 part in {words} of the largest. Is something rounded on "
            "the way, is it float16, or is a small number such as ε another one?",
            lambda case, most=10.0**-digits: bool((case.a - case.b).abs().max() <= most * case.b.abs().max()),
        )
