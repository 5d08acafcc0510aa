"""Names for numbers: which of the sizes of an exercise is it, in every case? "√d", "2·D", "N + 1"."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from numbers import Number
from typing import Any

from vit_tutorial.exercises.difference.case import Case, constant

POWERS = {1.0: "{}", 0.5: "√{}", 2.0: "{}²", -1.0: "1/{}", -0.5: "1/√{}", 1.5: "{}·√{}"}
FACTORS = (1, 2, 3, 4, 5, 6, 8, 9, 12, 16, 1 / 2, 1 / 3, 1 / 4, 3 / 2, 2 / 3, 3 / 4)
FEW = 2  # single numbers: some formula fits them by chance
KNOWN = {
    math.pi: "π",
    2 * math.pi: "2·π",
    math.pi / 2: "π/2",
    1 / math.pi: "1/π",
    180 / math.pi: "180/π",
    math.pi / 180: "π/180",
    math.e: "e",
    math.log(2): "ln 2",
    math.log(10): "ln 10",
    math.log2(math.e): "1/ln 2",
    math.log10(math.e): "1/ln 10",
    math.sqrt(2): "√2",
    1 / math.sqrt(2): "1/√2",
    math.sqrt(3): "√3",
    1 / math.sqrt(3): "1/√3",
    math.sqrt(math.pi): "√π",
}

PAIRS = {
    "{}·{}": lambda x, y: x * y,
    "{}/{}": lambda x, y: x / y,
    "√({}·{})": lambda x, y: math.sqrt(x * y),
    "√({}/{})": lambda x, y: math.sqrt(x / y),
    "{}²·{}": lambda x, y: x * x * y,
    "{}²·{}²": lambda x, y: x * x * y * y,
    "({}/{})²": lambda x, y: (x / y) ** 2,
    "({} + {})": lambda x, y: x + y,
    "({} − {})": lambda x, y: x - y,
}
SYMMETRIC = ("{}·{}", "√({}·{})", "{}²·{}²", "({} + {})")


def sizes_of(inputs: Mapping[str, Any]) -> dict[str, float]:
    """Return the inputs that are numbers, by name."""
    return {name: float(x) for name, x in inputs.items() if isinstance(x, Number) and not isinstance(x, bool | complex)}


def name_of(values: Sequence[float], cases: Sequence[Case]) -> str:
    """Return words for a number that has these values in these cases, the simplest that fit all; or nothing."""
    same = constant(values)
    several = len({tuple(case.sizes.values()) for case in cases}) > 1
    if same is not None and (several or len(cases) == 1):
        return number(same) or (next(_formulas(values, cases), "") if not several else "")
    if len(cases) == FEW and all(case.b is not None and case.b.numel() == 1 for case in cases):
        return ""
    return next(_formulas(values, cases), "")


def number(value: float) -> str:
    """Return a whole number, a simple fraction or a known constant in words, or nothing."""
    if abs(value - round(value)) < 1e-6 * max(1, abs(value)):
        return f"{round(value):,}"
    for size, name in KNOWN.items():
        if abs(value - size) < 1e-5 * size:
            return name
    for below in range(2, 13):
        if abs(value * below - round(value * below)) < 1e-6 * max(1, abs(value)):
            return f"{round(value * below)}/{below}"
    digits = f"{value:.3g}"
    return digits if abs(float(digits) - value) < 1e-6 * abs(value) else ""


def _formulas(values: Sequence[float], cases: Sequence[Case]) -> Iterator[str]:
    """Yield the formulas in the sizes of the cases that give these values."""
    names = [name for name in cases[0].sizes if all(case.sizes.get(name, 0) > 0 for case in cases)]
    sizes = {name: [case.sizes[name] for case in cases] for name in names}
    sizes = {name: row for name, row in sizes.items() if (row[0] > 1 if len(cases) == 1 else constant(row) is None)}
    terms = [
        (text.format(name, name), [x**power for x in row])
        for name, row in sizes.items()
        for power, text in POWERS.items()
    ]
    yield from _scaled(terms, values)
    for name, row in sizes.items():
        rest = constant([v - x for v, x in zip(values, row, strict=True)])
        if rest is not None and number(abs(rest)):
            yield f"{name} {'+' if rest > 0 else '−'} {number(abs(rest))}"
    pairs = [
        (text.format(one, other), [value(x, y) for x, y in zip(row, column, strict=True)])
        for (one, row), (other, column) in permutations(sizes.items(), 2)
        for text, value in PAIRS.items()
        if one < other or text not in SYMMETRIC
    ]
    yield from _scaled(pairs, values)
    triples = [
        (f"{text}·{name}", [x * y for x, y in zip(row, column, strict=True)])
        for text, row in pairs
        for name, column in sizes.items()
        if "/" not in text and name not in text
    ]
    yield from _scaled(triples, values)


def _scaled(terms: Sequence[tuple[str, list[float]]], values: Sequence[float]) -> Iterator[str]:
    """Yield "2·D" where the values are twice those of the term D."""
    for factor in FACTORS:
        for text, row in terms:
            if all(abs(v - factor * x) <= 1e-5 * max(abs(v), 1e-9) for v, x in zip(values, row, strict=True)):
                yield _times(factor, text)


def _times(factor: float, text: str) -> str:
    if factor == 1:
        return text[1:-1] if text.startswith("(") and text.endswith(")") and text.count("(") == 1 else text
    if text.startswith("1/"):
        return f"{number(factor)}{text[1:]}" if factor == int(factor) else f"{number(factor)}·{text}"
    return f"{text}/{round(1 / factor)}" if factor < 1 and (1 / factor).is_integer() else f"{number(factor)}·{text}"
