"""How a check works: try the answer on many inputs, compare it with the right one, and name the mistake.

Every likely mistake is itself a small wrong answer. When the learner's outputs differ from the right ones and
equal those of a wrong answer on every input, that mistake is what happened. What equal outputs cannot show, such as
"the class token has a gradient", is a property: a test of the answer itself, with its own sentence.

The parts of a check have files of their own: `attempt` calls the learner's code, `compare` says whether two outputs
are equal, `describe` has words for them, `verdict` is what a learner reads, `store` keeps what was passed.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vit_tutorial.exercises import store
from vit_tutorial.exercises.attempt import Attempt, ChangedInput, ShortOutput, attempt
from vit_tutorial.exercises.compare import first_difference, same
from vit_tutorial.exercises.describe import describe, describe_all, describe_error, what_went_wrong
from vit_tutorial.exercises.limit import OutOfTime
from vit_tutorial.exercises.stub import has_dots, is_stub_class
from vit_tutorial.exercises.verdict import Verdict

SECONDS = 1.5  # for all that one check runs of the learner's code
SEARCH_SECONDS = 1.5  # for trying the mistakes; those that do not fit usually differ on the first input


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


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One exercise: the right answer, inputs from the smallest up, and the mistakes it knows.

    Calling it with the learner's answer gives a Verdict, in a few seconds, whatever the answer does. Only
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
        with contextlib.redirect_stdout(ShortOutput(sys.stdout)):
            verdict = self._judge(answer)
        if verdict.passed and not _in_solution_cell():
            verdict = replace(verdict, note=store.keep(self.name))
        return verdict

    def _judge(self, answer: Callable) -> Verdict:
        wants_class = isinstance(self.solution, type)
        if not callable(answer) or (wants_class and not isinstance(answer, type)):
            said = f"pass the {'class' if wants_class else 'function'} itself, without brackets"
            return self._wrong(f"{said}; got {describe(answer)}.", diagnosis=f"{said}.")
        if isinstance(answer, type) and is_stub_class(answer):
            return self._unwritten("its forward is empty")
        until = time.monotonic() + SECONDS
        attempts = self._try(answer, until)
        expected = [self._expected(args) for args, _ in zip(self.inputs, attempts, strict=False)]
        wrong = [
            i for i, tried in enumerate(attempts) if tried.fault is not None or not same(tried.output, expected[i])
        ]
        if wrong:
            return self._fault(answer, attempts, expected, wrong)
        return self._test_properties(answer, attempts, until)

    def _adapted(self, answer: Callable) -> Callable:
        return answer if self.adapt is None else lambda *args: self.adapt(answer)(*args)

    def _expected(self, args: tuple) -> Any:
        """Return what the solution gives; if it fails, the exercise is wrong, and no answer to it can be judged."""
        tried = attempt(self._adapted(self.solution), args)
        if tried.fault is not None:
            raise tried.fault
        return tried.output

    def _try(self, answer: Callable, until: float) -> list[Attempt]:
        """Return what the answer gives for each input, up to the first where going on makes no sense."""
        attempts = []
        for args in self.inputs:
            attempts.append(attempt(self._adapted(answer), args, until))
            if isinstance(attempts[-1].fault, OutOfTime | ChangedInput) or attempts[-1].is_nothing:
                break
        return attempts

    # ------------------------------------------------------------------------------------------ what a learner reads

    def _fault(self, answer: Callable, attempts: list[Attempt], expected: list, wrong: list[int]) -> Verdict:
        """Return the verdict on the smallest input that went wrong."""
        first = attempts[wrong[0]]
        given = f"with {describe_all(self.inputs[wrong[0]])}"
        match first.fault:
            case OutOfTime():
                return self._late(answer, first, given)
            case ChangedInput():
                return self._wrong_in_words("it changed its input in place. Work on a copy, or on new tensors.")
            case NotImplementedError():
                return self._unwritten("it raised NotImplementedError")
            case BaseException():
                return self._raised(answer, attempts, first, given)
        if first.is_nothing:
            if wrong[0] == 0 and has_dots(answer):
                return self._unwritten(f"it returned {first.output}")
            return self._wrong_in_words(f"it returned {first.output} {given}. Is a `return` missing?")
        return self._different(attempts, expected, wrong)

    def _different(self, attempts: list[Attempt], expected: list, wrong: list[int]) -> Verdict:
        args, output, right = self.inputs[wrong[0]], attempts[wrong[0]].output, expected[wrong[0]]
        place = first_difference(output, right)
        lines = [_row("input", describe_all(args, one_line=False))]
        if not self.secret:
            lines.append(_row("expected", describe(right, place)))
        lines.append(_row("got", describe(output, place)))
        count = f" on {len(wrong)} of {len(attempts)} inputs. The smallest" if len(attempts) > 1 else ""
        mistake = self._find_mistake(attempts)
        return self._wrong(f"wrong{count}:", lines, mistake, diagnosis=mistake or what_went_wrong(output))

    def _raised(self, answer: Callable, attempts: list[Attempt], first: Attempt, given: str) -> Verdict:
        said = f"your code raised {type(first.fault).__name__} {given}: {describe_error(first.fault)}"
        mistake = self._find_mistake(attempts)
        return self._wrong(said, _place(answer, first), mistake, diagnosis=mistake)

    def _late(self, answer: Callable, late: Attempt, given: str) -> Verdict:
        why = "is there a loop that never ends?"
        said = f"your code was stopped after {SECONDS:g} s {given}: {why}"
        return self._wrong(said, _place(answer, late), diagnosis=f"your code was stopped after {SECONDS:g} s: {why}")

    def _unwritten(self, why: str) -> Verdict:
        said = f"not written yet ({why}). Replace the three dots."
        return Verdict("unwritten", f"{self.name}: {said}", diagnosis=said)

    def _wrong_in_words(self, said: str) -> Verdict:
        return self._wrong(said, diagnosis=said)

    def _wrong(self, said: str, lines: Sequence[str] = (), mistake: str = "", *, diagnosis: str) -> Verdict:
        words = [f"This looks like: {mistake}"] if mistake else []
        return Verdict("wrong", f"{self.name}: {said}", lines, words, diagnosis=diagnosis)

    # ------------------------------------------------------------------------------------------ what is behind it

    def _find_mistake(self, attempts: list[Attempt]) -> str:
        """Return the sentence of the mistake that gives the same on every input, exceptions included; or nothing."""
        if all(tried.fault is not None for tried in attempts):
            return ""
        until = time.monotonic() + SEARCH_SECONDS
        for mistake in self.mistakes:
            if time.monotonic() > until:
                break
            if all(self._fits(mistake, args, tried) for args, tried in zip(self.inputs, attempts, strict=False)):
                return mistake.sentence
        return ""

    def _fits(self, mistake: Mistake, args: tuple, tried: Attempt) -> bool:
        guess = attempt(self._adapted(mistake.answer), args)
        return type(guess.fault) is type(tried.fault) and same(tried.output, guess.output)

    def _test_properties(self, answer: Callable, attempts: list[Attempt], until: float) -> Verdict:
        right = f"right on all {len(attempts)} inputs tried" if len(attempts) > 1 else "right"
        for wanted in self.properties:
            tried = attempt(lambda wanted=wanted: bool(wanted.test(self._adapted(answer))), (), until)
            if isinstance(tried.fault, OutOfTime):
                return self._late(answer, tried, "on the way to a last test")
            if tried.fault is not None or not tried.output:
                error = tried.fault
                lines = [] if error is None else [f"It raised {type(error).__name__}: {describe_error(error)}"]
                return self._wrong(f"{right}, and yet: {wanted.sentence}", lines, diagnosis=wanted.sentence)
        return Verdict("right", f"{self.name}: {right}. {self.done}")


def _row(label: str, words: str) -> str:
    """Return "label    words", with further lines of the words below the first."""
    return f"{label:<8} " + words.replace("\n", "\n" + " " * 9)


def _place(answer: Callable, tried: Attempt) -> list[str]:
    place = tried.place_in(answer)
    return [f"in {place}"] if place else []


def _in_solution_cell() -> bool:
    """Say whether the solution's own cell is running: JupyterLab sends a cell's tags along with its code."""
    try:
        return "solution" in sys.modules["IPython"].get_ipython().get_parent()["metadata"]["tags"]
    except (KeyError, AttributeError, TypeError):
        return False
