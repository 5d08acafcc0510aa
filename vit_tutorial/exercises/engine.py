"""How a check works: try the answer on many inputs, compare it with the right one, and name the mistake.

Every likely mistake is itself a small wrong answer. When the learner's outputs differ from the right ones and
equal those of a wrong answer on every input, that mistake is what happened. What equal outputs cannot show, such as
"the class token has a gradient", is a property: a test of the answer itself, with its own sentence.

The learner's code runs in a thread with a time limit, with random numbers and a default dtype of its own, so that
neither a hang nor a side effect reaches the lesson.
"""

import ast
import contextlib
import copy
import dis
import html
import inspect
import io
import sys
import textwrap
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TextIO

import numpy as np
import torch
from torch import Tensor, nn

from vit_tutorial.exercises import progress
from vit_tutorial.exercises.limit import OutOfTime, call_within, place_in

TOLERANCE = 1e-5
SECONDS = 1.5  # for all that one check runs of the learner's code
MOST_PRINTED = 4000  # characters that the learner's code may print in one check
MOST_NUMBERS = 10_000_000  # larger outputs are not copied
SHOWN = 8  # numbers of a tensor, entries of a list


@dataclass(frozen=True)
class Mistake:
    """A likely mistake: the wrong answer that makes it, and the sentence that puts the learner right."""

    answer: Callable
    sentence: str


@dataclass(frozen=True)
class Property:
    """What a right answer has: `test(answer)` is true of it, and the sentence puts a learner right whose has not."""

    test: Callable[[Callable], bool]
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """What a check found. It prints itself; `passed` says yes or no, `diagnosis` is the sentence on what went wrong."""

    passed: bool
    message: str
    diagnosis: str = ""

    def __repr__(self) -> str:
        return self.message

    def _repr_html_(self) -> str:
        """Return the same words for JupyterLab: in the theme's own colours, with a bar that only repeats the sign."""
        head, *rest = (html.escape(line, quote=False) for line in self.message.split("\n"))
        colour = "#2e8b57" if self.passed else "#8c8c8c" if head.startswith("…") else "#d1495b"
        numbers = "\n".join(line for line in rest if line.startswith("  ") and not line.startswith("  This"))
        words = [line.strip() for line in rest if line.strip() and line not in numbers.split("\n")]
        parts = [f'<div style="font-weight: 600">{head}</div>']
        if numbers:
            style = "margin: 6px 0; padding: 0; white-space: pre-wrap; background: none; color: inherit"
            parts.append(f'<pre style="{style}">{numbers}</pre>')
        parts += [f"<div>{line}</div>" for line in words]
        return f'<div style="border-left: 5px solid {colour}; padding: 4px 12px">{"".join(parts)}</div>'


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One exercise: the right answer, inputs from the smallest up, and the mistakes it knows.

    Calling it with the learner's answer gives a Verdict, in less than two seconds, whatever the answer does. Only
    KeyboardInterrupt, the learner's own stop, passes through. An answer that passes is kept as progress.
    """

    name: str
    lesson: str  # the notebook's name, such as "01_patches"
    difficulty: int  # 1 to 5
    minutes: int  # about how long a learner needs
    solution: Callable  # a function, or a class if `adapt` turns one into a function
    inputs: Sequence[tuple]
    mistakes: Sequence[Mistake]
    done: str  # what has been shown once the answer passes
    properties: Sequence[Property] = ()
    adapt: Callable[[Callable], Callable] | None = None  # makes the function that is called on the inputs
    secret: bool = False  # what is expected is not shown: the learner is to work it out

    def __repr__(self) -> str:
        needed = f"about {self.minutes} minute{'s' * (self.minutes != 1)}"
        return f"{self.name}: difficulty {self.difficulty} of 5, {needed}. Call it with your answer."

    def __call__(self, answer: Callable) -> Verdict:
        with contextlib.redirect_stdout(_ShortOutput(sys.stdout)):
            verdict = self._judge(answer)
        if verdict.passed and not _in_solution_cell() and (trouble := progress.keep(self.name)):
            verdict = replace(verdict, message=f"{verdict.message}\n{trouble}")
        return verdict

    def _judge(self, answer: Callable) -> Verdict:
        kind = "class" if isinstance(self.solution, type) else "function"
        if not callable(answer) or (kind == "class" and not isinstance(answer, type)):
            given = _describe(answer)
            return Verdict(False, f"✗ {self.name}: pass the {kind} itself, without brackets; got {given}.")
        if isinstance(answer, type) and _is_stub_class(answer):
            return self._unwritten("its forward is empty")
        until = time.monotonic() + SECONDS
        results, expected = self._try(answer, until), []
        for args in self.inputs:
            with _own_surroundings():
                expected.append(self._adapted(self.solution)(*copy.deepcopy(args)))
        wrong = [i for i, result in enumerate(results) if result.fault or not _same(result.output, expected[i])]
        if wrong:
            return self._fault(answer, results, expected, wrong)
        return self._test_properties(answer, results, until)

    def _adapted(self, answer: Callable) -> Callable:
        return answer if self.adapt is None else lambda *args: self.adapt(answer)(*args)

    def _run(self, until: float, answer: Callable, args: tuple) -> "_Result":
        return _run(until, lambda *given: _frozen(self._adapted(answer)(*given)), args)

    def _try(self, answer: Callable, until: float) -> list["_Result"]:
        """Return what the answer gives for each input, up to the first where going on makes no sense."""
        results = []
        for args in self.inputs:
            results.append(self._run(until, answer, args))
            if results[-1].fault in ("late", "changed") or results[-1].is_nothing:
                break
        return results

    def _fault(self, answer: Callable, results: list["_Result"], expected: list, wrong: list[int]) -> Verdict:
        """Return the verdict on the smallest input that went wrong."""
        first = wrong[0]
        result, given = results[first], f"with {_describe_all(self.inputs[first])}"
        if result.fault == "late":
            return self._late(answer, result, given)
        if result.fault == "changed":
            said = "it changed its input in place. Work on a copy, or on new tensors."
            return Verdict(False, f"✗ {self.name}: {said}", said)
        if isinstance(result.fault, NotImplementedError):
            return self._unwritten("it raised NotImplementedError")
        if result.is_nothing:
            if first == 0 and _has_dots(answer):
                return self._unwritten(f"it returned {result.output}")
            return Verdict(False, f"✗ {self.name}: it returned {result.output} {given}. Is a `return` missing?")
        diagnosis = self._diagnose(results)
        looks = f"  This looks like: {diagnosis}" if diagnosis else ""
        if result.fault is not None:
            said = f"your code raised {type(result.fault).__name__} {given}: {_said(result.fault)}"
            return Verdict(False, _lines(f"✗ {self.name}: {said}", _where(answer, result), looks), diagnosis)
        start = _first_difference(result.output, expected[first])
        several = len(results) if len(results) > 1 else 0
        lines = [
            f"✗ {self.name}: wrong" + (f" on {len(wrong)} of {several} inputs. The smallest:" if several else ":"),
            f"  input    {_describe_all(self.inputs[first], wide=False)}",
            "" if self.secret else f"  expected {_describe(expected[first], start)}",
            f"  got      {_describe(result.output, start)}",
            looks,
        ]
        return Verdict(False, _lines(*lines), diagnosis)

    def _unwritten(self, why: str) -> Verdict:
        return Verdict(False, f"… {self.name}: not written yet ({why}). Replace the three dots.")

    def _late(self, answer: Callable, result: "_Result", given: str) -> Verdict:
        said = f"your code was stopped after {SECONDS:g} s {given}: is there a loop that never ends?"
        return Verdict(False, _lines(f"✗ {self.name}: {said}", _where(answer, result)))

    def _diagnose(self, results: list["_Result"]) -> str:
        """Return the sentence of the mistake that gives the same on every input, exceptions included."""
        if all(result.fault for result in results):
            return ""
        until = time.monotonic() + SECONDS
        for mistake in self.mistakes:
            for args, result in zip(self.inputs, results, strict=False):
                guess = self._run(until, mistake.answer, args)
                if type(guess.fault) is not type(result.fault) or not _same(result.output, guess.output):
                    break
            else:
                return mistake.sentence
        return ""

    def _test_properties(self, answer: Callable, results: list["_Result"], until: float) -> Verdict:
        for wanted in self.properties:
            result = _run(until, lambda wanted=wanted: bool(wanted.test(self._adapted(answer))))
            if result.fault == "late":
                return self._late(answer, result, "on the way to a last test")
            if result.fault is not None or not result.output:
                said = f"{_right(results)}, and yet: {wanted.sentence}"
                raised = f"  It raised {type(result.fault).__name__}: {_said(result.fault)}" if result.fault else ""
                return Verdict(False, _lines(f"✗ {self.name}: {said}", raised), wanted.sentence)
        return Verdict(True, f"✓ {self.name}: {_right(results)}. {self.done}")


def _right(results: list["_Result"]) -> str:
    return f"right on all {len(results)} inputs tried" if len(results) > 1 else "right"


# ------------------------------------------------------------------------------------------ running somebody's code


@dataclass(frozen=True)
class _Result:
    """What one call gave: an output, or a fault: "late", "changed" (its input), or the exception that it raised."""

    output: Any = None
    fault: str | BaseException | None = None
    frames: Sequence[tuple] = ()  # where it was when it stopped: (frame, line number), the innermost last

    @property
    def is_nothing(self) -> bool:
        return self.fault is None and (self.output is None or self.output is Ellipsis)


class _ShortOutput(io.TextIOBase):
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


def _run(until: float, function: Callable, args: tuple = ()) -> _Result:
    """Call function(*args) on a copy of args, no longer than until that time of the monotonic clock."""
    given = copy.deepcopy(args)
    with _own_surroundings():
        try:
            output, error = call_within(until - time.monotonic(), function, *given)
        except OutOfTime as late:
            return _Result(fault="late", frames=list(traceback.walk_stack(late.frame))[::-1])
    if error is not None:
        return _Result(fault=error, frames=list(traceback.walk_tb(error.__traceback__)))
    return _Result(output) if _unchanged(given, args) else _Result(fault="changed")


@contextlib.contextmanager
def _own_surroundings() -> Iterator[None]:
    """Start from the same random numbers each time, and leave the lesson's as they were, with its default dtype."""
    dtype = torch.get_default_dtype()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with torch.random.fork_rng(devices):
            torch.manual_seed(0)
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


def _in_solution_cell() -> bool:
    """Say whether the solution's own cell is running: JupyterLab sends a cell's tags along with its code."""
    try:
        return "solution" in sys.modules["IPython"].get_ipython().get_parent()["metadata"]["tags"]
    except (KeyError, AttributeError, TypeError):
        return False


# ------------------------------------------------------------------------------------------------------ what is a stub


def _is_empty(function: Any) -> bool:
    """Say whether a function does nothing: three dots, `pass` or a docstring."""
    if not hasattr(function, "__code__"):
        return False
    idle = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE", "COPY_FREE_VARS"}
    steps = list(dis.get_instructions(function.__code__))
    return all(step.opname in idle and ("CONST" not in step.opname or step.argval in (None, ...)) for step in steps)


def _is_stub_class(answer: type) -> bool:
    """Say whether a class has no forward yet (a class that is no nn.Module: no __call__), or an empty one."""
    forward = answer.forward if issubclass(answer, nn.Module) else vars(answer).get("__call__")
    return forward in (None, nn.Module.forward) or _is_empty(forward)


def _has_dots(answer: Callable) -> bool:
    """Say whether the three dots still stand in the text of a function or a class's forward; without a text, yes."""
    if isinstance(answer, type):
        answer = answer.forward if issubclass(answer, nn.Module) else answer.__call__
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(answer)))
    except (OSError, TypeError, SyntaxError):
        return True
    dots = (isinstance(node, ast.Constant) and node.value is ... for node in ast.walk(tree))
    return _is_empty(answer) or not isinstance(tree.body[0], ast.FunctionDef) or any(dots)


# ---------------------------------------------------------------------------------------------------------- comparing


def _same(a: Any, b: Any) -> bool:
    """Say whether two outputs hold the same numbers in the same shape, however they are wrapped."""
    try:
        if isinstance(a, tuple | list) and isinstance(b, tuple | list):
            return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
        if isinstance(b, str | dict | None):
            return type(a) is type(b) and a == b
        if _shape(a) != _shape(b):
            return False
        a, b = _numbers(a), _numbers(b)
        return a.shape == b.shape and torch.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    except Exception:  # an output may be anything, also something that raises when it is looked at
        return False


def _numbers(value: Any) -> Tensor:
    value = torch.as_tensor(value).detach().cpu()
    return value.to(torch.complex128 if value.is_complex() else torch.float64)


def _shape(value: Any) -> tuple[int, ...]:
    """Return the shape of nested lists as that of a tensor, without going through all of their numbers."""
    if isinstance(value, tuple | list):
        return (len(value), *(_shape(value[0]) if value else ()))
    return tuple(getattr(value, "shape", ()))


def _unchanged(a: Any, b: Any) -> bool:
    """Say whether an argument is to the last bit what it was: tensors, arrays, models, and lists of these."""
    if isinstance(a, nn.Module):
        return _unchanged(a.state_dict(), b.state_dict())
    if isinstance(a, dict):
        return list(a) == list(b) and all(_unchanged(a[key], b[key]) for key in b)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(_unchanged(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, Tensor | np.ndarray):
        x, y = (np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value) for value in (a, b))
        return x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()
    return type(a) is type(b) and (a == b or a != a or callable(a))


def _first_difference(a: Any, b: Any) -> int:
    """Return which number of two outputs differs first, or 0 if that is among those that are shown anyway."""
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        pairs = enumerate(zip(a, b, strict=False))
        first = next((i for i, (x, y) in pairs if not _same(x, y)), min(len(a), len(b)))
        return first if first >= SHOWN else 0
    if not isinstance(b, Tensor) or _shape(a) != _shape(b):
        return 0
    try:
        a, b = _numbers(a).flatten(), _numbers(b).flatten()
        first = int((~torch.isclose(a, b, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)).nonzero()[0])
    except Exception:  # as in _same
        return 0
    return first if first >= SHOWN else 0


# --------------------------------------------------------------------------------------------------------- describing


def _describe(value: Any, start: int = 0) -> str:
    """Return a value in few words, a tensor's numbers from `start` on."""
    try:
        return _words(value, start)
    except Exception:  # as in _same
        return f"a {type(value).__name__}"


def _words(value: Any, start: int) -> str:
    if isinstance(value, Tensor | np.ndarray):
        kind = "a tensor" if isinstance(value, Tensor) else "an array"
        shape = f"{kind} of shape {list(value.shape)}"
        if 0 in value.shape:
            return shape
        shown = [_element(value, i) for i in range(start, min(start + SHOWN, _size(value)))]
        numbers = ", ".join(str(x) if isinstance(x, bool) else f"{x:.4g}" for x in shown)
        place = f", from number {start + 1} on" if start else ""
        return f"{shape}{place}: {numbers}{', …' if start + SHOWN < _size(value) else ''}"
    if isinstance(value, tuple | list):
        parts = [_describe(x) for x in value[start : start + SHOWN]]
        return "(" + "; ".join(["…"] * (start > 0) + parts + ["…"] * (start + SHOWN < len(value))) + ")"
    if isinstance(value, float):
        return f"{value:.6g}"
    if value is None or isinstance(value, int | str):
        words = repr(value)
        return words if len(words) <= 100 else f"{words[:100]}…"
    if inspect.isgenerator(value):
        return "a generator: use `return` in place of `yield`"
    if inspect.isfunction(value) or isinstance(value, type):
        return f"the {'class' if isinstance(value, type) else 'function'} {value.__name__}"
    return f"a {type(value).__name__}"


def _size(value: Tensor | np.ndarray) -> int:
    return value.numel() if isinstance(value, Tensor) else value.size


def _element(value: Tensor | np.ndarray, i: int) -> Any:
    """Return the i-th number in reading order, without unrolling all of them."""
    return value[np.unravel_index(i, tuple(value.shape))].item() if value.ndim else value.item()


def _describe_all(args: tuple, wide: bool = True) -> str:
    """Return all arguments in one line; unless that may be wide, a line for each where one line would be long."""
    words = [_describe(arg) for arg in args]
    return "; ".join(words) if wide or sum(map(len, words)) <= 80 else ";\n           ".join(words)


def _said(error: BaseException) -> str:
    try:
        words = str(error).strip()
    except Exception:  # as in _same
        return "(its message cannot be read)"
    return words if len(words) <= 500 else f"{words[:500]}…"


def _where(answer: Callable, result: _Result) -> str:
    """Return the line of the learner's own code where it stopped."""
    functions = [answer, *(vars(answer).values() if isinstance(answer, type) else ())]
    files = [function.__code__.co_filename for function in functions if hasattr(function, "__code__")]
    place = place_in(files[0], result.frames) if files else ""
    return f"  in {place}" if place else ""


def _lines(*lines: str) -> str:
    return "\n".join(line for line in lines if line)
