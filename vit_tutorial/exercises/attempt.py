"""Call somebody's code once: on a copy of its input, in time, with random numbers and a default dtype of its own.

So neither a hang nor a side effect reaches the lesson.
"""

import contextlib
import copy
import io
import linecache
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, TextIO

import numpy as np
import torch
from torch import Tensor

from vit_tutorial.exercises.compare import unchanged
from vit_tutorial.exercises.limit import OutOfTime, call_within

MOST_PRINTED = 4000  # characters that the learner's code may print in one check
MOST_NUMBERS = 10_000_000  # larger outputs are not copied


class ChangedInput(Exception):
    """The call gave an output, but its input is not what it was."""


@dataclass(frozen=True)
class Attempt:
    """What one call gave: an output, or a fault, which is OutOfTime, ChangedInput or the exception that it raised."""

    output: Any = None
    fault: BaseException | None = None
    frames: Sequence[tuple[FrameType, int]] = ()  # where it was when it stopped, with line numbers; the innermost last

    @property
    def is_nothing(self) -> bool:
        """Whether it came back with None or with three dots."""
        return self.fault is None and (self.output is None or self.output is Ellipsis)

    def place_in(self, answer: Callable) -> str:
        """Return "line 3: x = y" for the last line of the answer's own file where it was, or nothing."""
        file = _file_of(answer)
        for frame, number in reversed(self.frames):
            if frame.f_code.co_filename == file:
                text = linecache.getline(file, number).strip()
                return f"line {number}: {text}" if text else f"line {number}"
        return ""


def attempt(function: Callable, args: tuple = (), until: float | None = None) -> Attempt:
    """Call function(*args) on a copy of args; with `until`, no longer than to that time of the monotonic clock.

    With `until` it runs in another thread, and whatever it raises is a fault. Without, the caller trusts the function
    to end, and what is no Exception passes through.
    """
    given, error = copy.deepcopy(args), None
    with _own_surroundings():
        try:
            if until is None:
                output = _frozen(function(*given))
            else:
                output, error = call_within(until - time.monotonic(), lambda: _frozen(function(*given)))
        except OutOfTime as late:
            return Attempt(fault=late, frames=list(traceback.walk_stack(late.frame))[::-1])
        except Exception as raised:
            error = raised
    if error is not None:
        return Attempt(fault=error, frames=list(traceback.walk_tb(error.__traceback__)))
    return Attempt(output) if unchanged(given, args) else Attempt(fault=ChangedInput())


class ShortOutput(io.TextIOBase):
    """Passes on what is printed, up to MOST_PRINTED characters: a `print` in an endless loop would bury the page."""

    def __init__(self, out: TextIO):
        self.out = out
        self.left = MOST_PRINTED

    def write(self, text: str) -> int:
        if self.left > 0:
            self.out.write(text[: self.left])
            self.left -= len(text)
            if self.left <= 0:
                self.out.write("\n… (your code prints more; the rest is left out)\n")
        return len(text)

    def flush(self) -> None:
        self.out.flush()


@contextlib.contextmanager
def _own_surroundings() -> Iterator[None]:
    """Start from the same random numbers each time, and leave the lesson's as they were, with its default dtype."""
    dtype = torch.get_default_dtype()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with torch.random.fork_rng(devices):
            # Not torch.manual_seed: for each kind of device that is not in use it formats the stack, which takes longer
            # than most answers.
            torch.default_generator.manual_seed(0)
            if devices:
                torch.cuda.manual_seed_all(0)
            yield
    finally:
        torch.set_default_dtype(dtype)


def _frozen(output: Any) -> Any:
    """Return an output that what the answer does later cannot change."""
    if isinstance(output, Tensor):
        return output.detach().clone() if output.numel() <= MOST_NUMBERS else output.detach()
    if isinstance(output, np.ndarray):
        return output.copy() if output.size <= MOST_NUMBERS else output
    if type(output) in (tuple, list):
        return type(output)(_frozen(part) for part in output)
    return output


def _file_of(answer: Callable) -> str | None:
    functions = [answer, *(vars(answer).values() if isinstance(answer, type) else ())]
    return next((function.__code__.co_filename for function in functions if hasattr(function, "__code__")), None)
