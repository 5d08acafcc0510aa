"""Numbers in words, rounded as the browser rounds them."""

import math
from collections.abc import Sequence


def percent(share: float) -> str:
    """A share between 0 and 1 in percent with one decimal, rounded half up as the browser does: 0.0625 -> `6.3%`."""
    return f"{math.floor(share * 1000 + 0.5) / 10:.1f}%"


def fine_percent(share: float) -> str:
    """A share as `percent` writes it, but a small one keeps two digits: 0.000012 -> `0.0012%`; `<0.001%` below that."""
    if share >= 0.0005:
        return percent(share)
    return "<0.001%" if share < 1e-5 else f"{100 * share:#.2g}%"


def decimals(number: float, digits: int = 2) -> str:
    """A number with some decimals, rounded half up as the browser does: 1234.5 -> `1,234.50`."""
    return f"{math.floor(number * 10**digits + 0.5) / 10**digits:,.{digits}f}"


def one_or_two_decimals(number: float) -> str:
    """A number with one decimal, or with two if it needs them: 0.5 -> `0.5`, 0.25 -> `0.25`."""
    return decimals(number).removesuffix("0")


def best_class(probabilities: Sequence[float], class_names: Sequence[str]) -> str:
    """The most probable class: `Sneaker 92.0%`."""
    best = max(range(len(class_names)), key=lambda i: probabilities[i])
    return f"{class_names[best]} {percent(float(probabilities[best]))}"


def patch_name(patch: int, columns: int) -> str:
    """`patch 9 (row 1, column 1)`, on a grid of so many columns."""
    return f"patch {patch:,} (row {patch // columns}, column {patch % columns})"
