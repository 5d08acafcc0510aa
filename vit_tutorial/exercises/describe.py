"""Words for what goes in and comes out: short, whatever the value is; small tensors as rows."""

import inspect
from collections.abc import Generator, Iterator, Mapping, MappingView
from typing import Any

import numpy as np
from torch import Tensor

SHOWN = 8  # numbers of a tensor, entries of a list, rows and columns of a matrix
LONGEST_WORD = 100  # characters of a text or a whole number
LONGEST_LINE = 80
LONGEST_ERROR = 500
USE_RETURN = "use `return` in place of `yield`"
USE_SQUARE = "round brackets with `for` make one, and square ones a list: use [ … ]"


def describe(value: Any, place: int | None = None) -> str:
    """Return a value in few words, with the number or entry at `place` in brackets: small matrices row by row."""
    try:
        return _words(value, place)
    except Exception:  # a value may be anything, also something that raises when it is looked at
        return f"a {type(value).__name__}"


def describe_all(inputs: Mapping[str, Any], one_line: bool = True) -> str:
    """Return all inputs as "name = words"; unless in one line, with a line for each where one line would be long."""
    words = [f"{name} = {describe(value)}" if name else describe(value) for name, value in inputs.items()]
    if one_line:
        return ", ".join(text.split(":\n")[0] for text in words)
    plain = [text for text in words if "\n" not in text]
    if len(plain) == len(words) and sum(map(len, words)) <= LONGEST_LINE:
        return ", ".join(words)
    return "\n".join(words)


def describe_error(error: BaseException) -> str:
    """Return what an exception says of itself."""
    try:
        return _cut(str(error).strip(), LONGEST_ERROR)
    except Exception:  # as in describe
        return "(its message cannot be read)"


def what_went_wrong(output: Any) -> str:
    """Return a sentence on an output that no exercise expects, or nothing."""
    if inspect.isgenerator(output):
        return f"{'you returned' if in_brackets(output) else 'your function is'} a generator: {_in_its_place(output)}."
    if isinstance(output, Iterator | MappingView | range):
        made = "reversed" if "reverse" in type(output).__name__ else type(output).__name__
        return f"what `{made}` gives is no list yet: put list(…) around it."
    return ""


def _words(value: Any, place: int | None) -> str:
    if isinstance(value, Tensor | np.ndarray):
        return _array(value, place)
    if isinstance(value, tuple | list):
        start = place if place is not None and place >= SHOWN else 0
        parts = [describe(x) for x in value[start : start + SHOWN]]
        if place is not None and len(value) > 1 and start <= place < start + len(parts):
            parts[place - start] = f"[{parts[place - start]}]"
        return "(" + "; ".join(["…"] * (start > 0) + parts + ["…"] * (start + SHOWN < len(value))) + ")"
    if isinstance(value, float):
        return f"{value:.6g}"
    if value is None or isinstance(value, int | str):
        return _cut(repr(value), LONGEST_WORD)
    if inspect.isgenerator(value):
        return f"a generator: {_in_its_place(value)}"
    if inspect.isfunction(value) or isinstance(value, type):
        return f"the {'class' if isinstance(value, type) else 'function'} {value.__name__}"
    return f"a {type(value).__name__}"


def in_brackets(generator: Generator) -> bool:
    """Say whether a generator comes of (… for …), and not of a function with `yield`."""
    return generator.gi_code.co_name == "<genexpr>"


def _in_its_place(generator: Generator) -> str:
    return USE_SQUARE if in_brackets(generator) else USE_RETURN


def _array(value: Tensor | np.ndarray, place: int | None) -> str:
    shape = f"{'a tensor' if isinstance(value, Tensor) else 'an array'} of shape {list(value.shape)}"
    if 0 in value.shape:
        return shape
    if _is_small_matrix(value.shape):
        return f"{shape}:\n{_rows(value, place)}"
    size = value.numel() if isinstance(value, Tensor) else value.size
    start = place if place is not None and place >= SHOWN else 0
    shown = [_number(value, i) for i in range(start, min(start + SHOWN, size))]
    if place is not None and size > 1:
        shown[place - start] = f"[{shown[place - start]}]"
    from_there = f", from number {start + 1} on" if start else ""
    return f"{shape}{from_there}: {', '.join(shown)}{', …' if start + SHOWN < size else ''}"


def _is_small_matrix(shape: tuple[int, ...]) -> bool:
    return len(shape) > 1 and max(shape[-2:]) <= SHOWN and all(length == 1 for length in shape[:-2]) and shape[-2] > 1


def _rows(value: Tensor | np.ndarray, place: int | None) -> str:
    """Return a matrix row by row, its columns below each other, with the number at `place` in brackets."""
    columns = value.shape[-1]
    words = [_number(value, i) for i in range(value.shape[-2] * columns)]
    words = [f"[{text}]" if i == place else f" {text} " for i, text in enumerate(words)]
    width = max(map(len, words))
    rows = (words[i : i + columns] for i in range(0, len(words), columns))
    return "\n".join("".join(f"{text:>{width}}" for text in row).rstrip() for row in rows)


def _number(value: Tensor | np.ndarray, i: int) -> str:
    """Return the i-th number in reading order, without unrolling all of them."""
    x = value[np.unravel_index(i, tuple(value.shape))].item() if value.ndim else value.item()
    return str(x) if isinstance(x, bool) else f"{x:.4g}"


def _cut(words: str, longest: int) -> str:
    return words if len(words) <= longest else f"{words[:longest]}…"
