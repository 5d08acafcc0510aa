"""How a check works: try the answer on many inputs, compare it with the right one, and name the mistake.

Every likely mistake is itself a small wrong answer. When the learner's outputs differ from the right ones and
equal those of a wrong answer on every input, that mistake is what happened.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

TOLERANCE = 1e-5


@dataclass(frozen=True)
class Mistake:
    """A likely mistake: the wrong answer that makes it, and the sentence that puts the learner right."""

    answer: Callable
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """What a check found. It prints itself; `passed` says yes or no."""

    passed: bool
    message: str

    def __repr__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Exercise:
    """One exercise: its name, the right answer, inputs from the smallest up, and the mistakes it knows.

    Calling it with the learner's answer gives a Verdict and never raises.
    """

    name: str
    solution: Callable
    inputs: Sequence[tuple]
    mistakes: Sequence[Mistake]
    done: str  # what has been shown once the answer passes

    def __call__(self, answer: Callable) -> Verdict:
        if not callable(answer):
            return Verdict(
                False, f"✗ {self.name}: pass the function itself, without brackets; got {_describe(answer)}."
            )
        outputs = []
        for args in self.inputs:
            given = copy.deepcopy(args)
            try:
                output = answer(*given)
            except Exception as error:
                where = f"with {_describe_all(args)}"
                return Verdict(False, f"✗ {self.name}: your code raised {type(error).__name__} {where}: {error}")
            if output is None or output is Ellipsis:
                return Verdict(False, f"… {self.name}: not written yet (it returned {output}). Replace the three dots.")
            if not all(_same(a, b) for a, b in zip(given, args, strict=True) if isinstance(a, Tensor)):
                return Verdict(
                    False, f"✗ {self.name}: it changed its input in place. Work on a copy, or on new tensors."
                )
            outputs.append(output)
        expected = [self.solution(*copy.deepcopy(args)) for args in self.inputs]
        wrong = [i for i in range(len(outputs)) if not _same(outputs[i], expected[i])]
        if not wrong:
            return Verdict(True, f"✓ {self.name}: right on all {len(outputs)} inputs tried. {self.done}")
        first = wrong[0]
        lines = [
            f"✗ {self.name}: wrong on {len(wrong)} of {len(outputs)} inputs. The smallest:",
            f"  input    {_describe_all(self.inputs[first])}",
            f"  expected {_describe(expected[first])}",
            f"  got      {_describe(outputs[first])}",
        ]
        diagnosis = self._diagnose(outputs)
        if diagnosis:
            lines.append(f"  This looks like: {diagnosis}")
        return Verdict(False, "\n".join(lines))

    def _diagnose(self, outputs: list) -> str | None:
        for mistake in self.mistakes:
            guesses = [mistake.answer(*copy.deepcopy(args)) for args in self.inputs]
            if all(_same(output, guess) for output, guess in zip(outputs, guesses, strict=True)):
                return mistake.sentence
        return None


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    try:
        a, b = (torch.as_tensor(x, dtype=torch.float64) for x in (a, b))
    except (TypeError, ValueError, RuntimeError):
        return False
    return a.shape == b.shape and torch.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)


def _describe(value: Any) -> str:
    if isinstance(value, Tensor):
        shape = f"a tensor of shape {list(value.shape)}"
        if value.numel() == 0:
            return shape
        flat = value.detach().flatten().tolist()
        numbers = ", ".join(f"{x:.4g}" for x in flat[:8])
        return f"{shape}: {numbers}{', …' if len(flat) > 8 else ''}"
    if isinstance(value, tuple | list):
        return "(" + "; ".join(_describe(x) for x in value) + ")"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, torch.nn.Module):
        return f"a {type(value).__name__}"
    return repr(value) if isinstance(value, int | str) else f"a {type(value).__name__}"


def _describe_all(args: tuple) -> str:
    return "; ".join(_describe(arg) for arg in args)
