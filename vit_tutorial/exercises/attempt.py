"""Call somebody's code once: on a copy of its input, in time, in plain surroundings.

So neither a hang nor a side effect reaches the lesson.
"""

import contextlib
import copy
import io
import linecache
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, TextIO

import numpy as np
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from vit_tutorial.exercises.compare import unchanged
from vit_tutorial.exercises.difference import Call, Trace
from vit_tutorial.exercises.limit import Budget, OutOfTime, call_within
from vit_tutorial.exercises.surroundings import plain_surroundings
from vit_tutorial.support.wrapped import only_here

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

    def place_in(self, answer: Callable) -> tuple[FrameType, int, str] | None:
        """Return frame, number and text of the last line of the answer's own file where it was, or None."""
        file = _file_of(answer)
        for frame, number in reversed(self.frames):
            if frame.f_code.co_filename == file:
                return frame, number, linecache.getline(file, number).strip()
        return None


def attempt(function: Callable, args: tuple = (), budget: Budget | None = None, seed: int = 0) -> Attempt:
    """Call function(*args) on a copy of args; with a budget, no longer than that lasts.

    With a budget it runs in another thread, and whatever it raises is a fault. Without, the caller trusts the function
    to end, and what is no Exception passes through.
    """
    given, error, output = copy.deepcopy(args), None, None
    with plain_surroundings(seed):
        try:
            if budget is None:
                output = function(*given)
            else:
                output, error = call_within(budget, function, *given)
            output = _frozen(output)
        except OutOfTime as late:
            frames = list(traceback.walk_stack(late.frame))[::-1] if late.frame else ()
            return Attempt(fault=late, frames=frames)
        except Exception as raised:
            error = raised
    if error is not None:
        return Attempt(fault=error, frames=list(traceback.walk_tb(error.__traceback__)))
    return Attempt(output) if unchanged(given, args) else Attempt(fault=ChangedInput())


def trace(function: Callable, args: tuple, budget: Budget | None = None) -> Trace | None:
    """Call function(*args) and return which layers were called with what; None if it fails, or calls no model."""
    heard: list[tuple[nn.Module, list]] = []
    roots: list[nn.Module] = []

    def watched(*given: Any) -> Any:
        roots.extend(part for part in given if isinstance(part, nn.Module))

        def before(module: nn.Module, inputs: tuple) -> None:
            if not roots:
                roots.append(module)
            heard.append((module, [inputs[0].detach().clone() if inputs and _is_tensor(inputs[0]) else None, None]))

        def after(module: nn.Module, inputs: tuple, output: Any) -> None:
            entry = next(entry for seen, entry in reversed(heard) if seen is module and entry[1] is None)
            entry[1] = output.detach().clone() if _is_tensor(output) else False

        with listening(before, after):
            return function(*given)

    tried = attempt(watched, args, budget)
    output = tried.output[0] if isinstance(tried.output, tuple) and tried.output else tried.output
    if tried.fault is not None or not _is_tensor(output) or not roots:
        return None
    names = {id(module): name for module in reversed(roots) for name, module in module.named_modules()}
    came_in = next((given for module, (given, _) in heard if module is roots[0]), None)
    came_in = next((x for x in args if _is_tensor(x)), None) if came_in is None else came_in
    calls = [
        Call(names[id(module)], given, made, repr(module) if not list(module.children()) else type(module).__name__)
        for module, (given, made) in heard
        if names.get(id(module)) and not isinstance(module, nn.Sequential) and _is_tensor(given) and _is_tensor(made)
    ]
    called = [names[id(module)] for module, _ in heard if id(module) in names]
    return None if came_in is None else Trace(calls, came_in, output, frozenset(names.values()), called)


@contextlib.contextmanager
def listening(before: Callable, after: Callable) -> Iterator[None]:
    """Call these, as PyTorch calls hooks, before and after each call of a layer in this thread."""
    handles = [
        hooks.register_module_forward_pre_hook(only_here(before)),
        hooks.register_module_forward_hook(only_here(after)),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


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
        if not self.out.closed:  # Python flushes this once more as it is thrown away, and that may be later
            self.out.flush()


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
