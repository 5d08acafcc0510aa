"""Words for what goes in and comes out: short, whatever the value is."""

import inspect
from typing import Any

import numpy as np
from torch import Tensor

SHOWN = 8  # numbers of a tensor, entries of a list
LONGEST_WORD = 100  # characters of a text or a whole number
LONGEST_ERROR = 500
USE_RETURN = "use `return` in place of `yield`"


def describe(value: Any, place: int = 0) -> str:
    """Return a value in few words: its first numbers or entries, or those from `place` on if it is not among them."""
    try:
        return _words(value, place if place >= SHOWN else 0)
    except Exception:  # a value may be anything, also something that raises when it is looked at
        return f"a {type(value).__name__}"


def describe_all(args: tuple, one_line: bool = True) -> str:
    """Return all arguments in words; unless in one line, with a line for each where one line would be long."""
    words = [describe(arg) for arg in args]
    return "; ".join(words) if one_line or sum(map(len, words)) <= 80 else ";\n".join(words)


def describe_error(error: BaseException) -> str:
    """Return what an exception says of itself."""
    try:
        return _cut(str(error).strip(), LONGEST_ERROR)
    except Exception:  # as in describe
        return "(its message cannot be read)"


def what_went_wrong(output: Any) -> str:
    """Return a sentence on an output that no exercise expects, or nothing."""
    return f"your function is a generator: {USE_RETURN}." if inspect.isgenerator(output) else ""


def _words(value: Any, start: int) -> str:
    if isinstance(value, Tensor | np.ndarray):
        return _array(value, start)
    if isinstance(value, tuple | list):
        parts = [describe(x) for x in value[start : start + SHOWN]]
        return "(" + "; ".join(["…"] * (start > 0) + parts + ["…"] * (start + SHOWN < len(value))) + ")"
    if isinstance(value, float):
        return f"{value:.6g}"
    if value is None or isinstance(value, int | str):
        return _cut(repr(value), LONGEST_WORD)
    if inspect.isgenerator(value):
        return f"a generator: {USE_RETURN}"
    if inspect.isfunction(value) or isinstance(value, type):
        return f"the {'class' if isinstance(value, type) else 'function'} {value.__name__}"
    return f"a {type(value).__name__}"


def _array(value: Tensor | np.ndarray, start: int) -> str:
    shape = f"{'a tensor' if isinstance(value, Tensor) else 'an array'} of shape {list(value.shape)}"
    if 0 in value.shape:
        return shape
    size = value.numel() if isinstance(value, Tensor) else value.size
    shown = [_number(value, i) for i in range(start, min(start + SHOWN, size))]
    numbers = ", ".join(str(x) if isinstance(x, bool) else f"{x:.4g}" for x in shown)
    place = f", from number {start + 1} on" if start else ""
    return f"{shape}{place}: {numbers}{', …' if start + SHOWN < size else ''}"


def _number(value: Tensor | np.ndarray, i: int) -> Any:
    """Return the i-th number in reading order, without unrolling all of them."""
    return value[np.unravel_index(i, tuple(value.shape))].item() if value.ndim else value.item()


def _cut(words: str, longest: int) -> str:
    return words if len(words) <= longest else f"{words[:longest]}…"
