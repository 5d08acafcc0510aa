"""How a check works: try the answer on many inputs, compare it with the right one, and say what is wrong.

Every likely mistake is itself a small wrong answer. When the learner's outputs differ from the right ones and
equal those of a wrong answer on every input, that mistake is what happened. What equal outputs cannot show, such as
"the class token has a gradient", is a property: a test of the answer itself, with its own sentence. For mistakes that
nobody listed, `difference` has words.

The parts of a check have files of their own: `attempt` calls the learner's code, `limit` stops it, `surroundings` are
those in which it runs, `compare` says whether two outputs are equal, `describe` has words for values, `verdict` is what
a learner reads, `solved` says whose answer it is, `store` keeps what was passed.
"""

import contextlib
import inspect
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Number
from typing import Any

import numpy as np
from torch import nn

from vit_tutorial.exercises import store
from vit_tutorial.exercises.attempt import Attempt, ChangedInput, ShortOutput, attempt, trace
from vit_tutorial.exercises.compare import first_difference, same
from vit_tutorial.exercises.describe import describe, describe_all, describe_error, what_went_wrong
from vit_tutorial.exercises.difference import (
    NO_HINTS,
    Case,
    Hints,
    Said,
    behaviour,
    compare_parts,
    explain,
    meaning,
    meaning_in,
    partly_right,
    shapes_nearby,
    sizes_of,
    where_wrong,
)
from vit_tutorial.exercises.limit import Budget, OutOfTime, call_within
from vit_tutorial.exercises.solved import is_own
from vit_tutorial.exercises.stub import (
    dots_stand_in,
    has_caret,
    has_dots,
    is_stub_class,
    misspelled_init,
    names_forward,
    other_methods,
)
from vit_tutorial.exercises.surroundings import in_single_precision, plain_surroundings
from vit_tutorial.exercises.verdict import Verdict

_is_running = ContextVar("_is_running", default=False)  # whether a check is, of which this is a part
_one_at_a_time = threading.Lock()  # all checks share sys.stdout and PyTorch's settings

SECONDS = 10  # of computing, for all that one check runs of the learner's code
WAIT = 60  # seconds that may pass meanwhile, however little it computes: it sleeps, or the machine is busy
LOOKING = 20  # seconds of computing besides, for looking at what came out: an object may hang whoever looks at it
SEARCH_SECONDS = 1  # of computing, for trying the mistakes; those that do not fit usually differ on the first input


class CheckInside(Exception):
    """A check that stands inside of an answer, which calls the check, which calls the answer, without an end."""

    def __init__(self):
        super().__init__("a check stands inside of your code: move it out, to the left margin")


class Unsolved(Exception):
    """The solution itself fails: the exercise is wrong, and no answer to it can be judged."""


@dataclass(frozen=True)
class Mistake:
    """A likely mistake: the wrong answer that makes it, or a list of several, and the sentence that puts one right."""

    answer: Callable | list[Callable]
    sentence: str

    @property
    def answers(self) -> list[Callable]:
        """All wrong answers that make it."""
        return self.answer if isinstance(self.answer, list) else [self.answer]


@dataclass(frozen=True)
class Property:
    """What a right answer has: `test(answer)` is true of it, and the sentence puts a learner right whose has not.

    Of a wrong answer the test may also return a sentence that says more, as Said. `properties` has some for models.
    """

    test: Callable[[Callable], bool | Said]
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One exercise: the right answer, inputs from the smallest up, and the mistakes it knows.

    Calling it with the learner's answer gives a Verdict, in a few seconds, whatever the answer does. Only the learner's
    own stop, a KeyboardInterrupt from outside, passes through. An answer of the learner's own that passes is kept as
    progress. Raises Unsolved if the solution itself fails.
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
    pairs: Sequence[Mistake] = ()  # two mistakes at once, tried after all of `mistakes`
    hints: Hints = NO_HINTS  # names and steps, for words on mistakes that nobody listed

    def __repr__(self) -> str:
        needed = f"about {self.minutes} minute{'s' * (self.minutes != 1)}"
        return f"{self.name}: difficulty {self.difficulty} of 5, {needed}. Call it with your answer."

    def __call__(self, answer: Callable) -> Verdict:
        with _alone(), contextlib.redirect_stdout(ShortOutput(sys.stdout)), plain_surroundings():
            verdict = self._judge_apart(answer)
        if is_own(answer) and verdict.passed:
            verdict = replace(verdict, note=store.keep(self.name))
        return verdict

    def _judge_apart(self, answer: Callable) -> Verdict:
        """Judge in another thread: an object of the learner's own may raise or hang when it is looked at, too."""
        budget = Budget(SECONDS + LOOKING, 3 * WAIT)
        try:
            verdict, error = call_within(budget, self._judge, answer)
        except OutOfTime:
            return self._wrong_in_words("looking at what your code gave does not come to an end.")
        if isinstance(error, Unsolved):
            raise error
        if error is not None:
            said = f"looking at your answer, or at what it gave, raises {type(error).__name__}"
            return self._wrong_in_words(f"{said}: {describe_error(error)}")
        return verdict

    def _judge(self, answer: Callable) -> Verdict:
        wants_class = isinstance(self.solution, type)
        if not callable(answer) or (wants_class and not isinstance(answer, type)):
            said = f"pass the {'class' if wants_class else 'function'} itself, without brackets"
            return self._wrong(f"{said}; got {describe(answer)}.", diagnosis=f"{said}.")
        if isinstance(answer, type) and is_stub_class(answer):
            if not issubclass(answer, nn.Module) and hasattr(answer, "forward"):
                return self._wrong_in_words("your class is no nn.Module: class …(nn.Module).")
            if others := other_methods(answer):
                return self._wrong_in_words(
                    f"your class has no `forward`, only `{others[0]}`. Is it misspelled, or not indented like __init__?"
                )
            return self._unwritten("its forward is empty")
        if isinstance(answer, type) and (name := misspelled_init(answer)):
            return self._wrong_in_words(f"your class has `{name}` in place of `__init__`. Is it misspelled?")
        budget = Budget(SECONDS, WAIT)
        attempts = self._try(answer, budget)
        expected = [self._expected(i) for i in range(len(attempts))]
        wrong = [
            i for i, tried in enumerate(attempts) if tried.fault is not None or not same(tried.output, expected[i])
        ]
        if wrong:
            return self._fault(answer, attempts, expected, wrong)
        return self._test_properties(answer, attempts, budget)

    def _adapted(self, answer: Callable) -> Callable:
        """Return the function that is called on the inputs; what it gets comes in float32."""
        return lambda *args: (answer if self.adapt is None else self.adapt(answer))(*in_single_precision(args))

    def _expected(self, i: int) -> Any:
        """Return what the solution gives for input i, computed once; raises Unsolved if it fails."""
        if i not in self._outputs:
            tried = attempt(self._adapted(self.solution), self._inputs[i])
            if tried.fault is not None:
                raise Unsolved(f"{self.name}: the solution fails") from tried.fault
            self._outputs[i] = tried.output
        return self._outputs[i]

    @cached_property
    def _outputs(self) -> dict[int, Any]:
        return {}

    def _try(self, answer: Callable, budget: Budget) -> list[Attempt]:
        """Return what the answer gives for each input, up to the first where going on makes no sense."""
        attempts = []
        for args in self._inputs:
            tried = attempt(self._adapted(answer), args, budget)
            if isinstance(self.solution, type):
                tried = replace(tried, output=_for_the_next_part(tried.output))
            attempts.append(tried)
            if isinstance(tried.fault, OutOfTime | ChangedInput) or tried.is_nothing:
                break
        return attempts

    @cached_property
    def _inputs(self) -> list[tuple]:
        """The inputs in float32, in which a learner works: whatever an answer makes fits them."""
        return [in_single_precision(args) for args in self.inputs]

    @cached_property
    def _names(self) -> list[str]:
        """The names of the inputs, as in the lesson."""
        if self.hints.inputs:
            return self.hints.inputs.split()
        function = self.solution if self.adapt is None else self.adapt(self.solution)
        parameters = inspect.signature(function).parameters.values()
        named = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
        return named if len(named) >= len(self.inputs[0]) else [f"input {i + 1}" for i in range(len(self.inputs[0]))]

    def _named(self, args: tuple) -> dict[str, Any]:
        return dict(zip(self._names, args, strict=False))

    def _case(self, args: tuple, got: Any, expected: Any) -> Case:
        inputs = self._named(args)
        named = {} if self.hints.sizes is None else self.hints.sizes(*args)
        if (part := self.hints.part) is not None and isinstance(got, tuple):
            got, expected = got[part], expected[part]
        return Case(inputs, got, expected, {**sizes_of(inputs), **named}, self.hints.axes.split(), self.hints.row)

    # ------------------------------------------------------------------------------------------ what a learner reads

    def _fault(self, answer: Callable, attempts: list[Attempt], expected: list, wrong: list[int]) -> Verdict:
        """Return the verdict on the smallest input that went wrong."""
        first = attempts[wrong[0]]
        given = f"with {describe_all(self._named(self._inputs[wrong[0]]))}"
        match first.fault:
            case OutOfTime():
                return self._late(answer, first, given)
            case CheckInside():
                return self._wrong_in_words(f"{first.fault}.")
            case ChangedInput():
                return self._wrong_in_words("it changed its input in place. Work on a copy, or on new tensors.")
            case NotImplementedError() if not str(first.fault) or "NotImplementedError" in _line_of(answer, first):
                return self._unwritten("it raised NotImplementedError")
            case BaseException():
                return self._raised(answer, attempts, expected, wrong)
        if first.is_nothing:
            if wrong[0] == 0 and has_dots(answer):
                return self._unwritten(f"it returned {first.output}")
            if dots_stand_in(answer):
                return self._wrong_in_words(f"three dots still stand in your code: {given} it returned {first.output}.")
            return self._wrong_in_words(f"it returned {first.output} {given}. Is a `return` missing?")
        return self._different(answer, attempts, expected, wrong)

    def _different(self, answer: Callable, attempts: list[Attempt], expected: list, wrong: list[int]) -> Verdict:
        args, output, right = self._inputs[wrong[0]], attempts[wrong[0]].output, expected[wrong[0]]
        place = first_difference(output, right)
        lines = [_row("input", describe_all(self._named(args), one_line=False))]
        if not self.secret:
            lines.append(_row("expected", describe(right, place)))
        lines.append(_row("got", describe(output, None if self.secret else place)))
        count = f" on {len(wrong)} of {len(attempts)} inputs. The smallest" if len(attempts) > 1 else ""
        mistake = self._find_mistake(attempts, wrong)
        faults = [tried.fault for tried in attempts if tried.fault is not None]
        if mistake:
            words = ""
        elif len(faults) > len(attempts) / 2:  # one or two numbers say less than what went wrong elsewhere
            said, kinds = meaning(faults[0]) or describe_error(faults[0]), {type(fault).__name__ for fault in faults}
            what = kinds.pop() if len(kinds) == 1 else f"an exception, such as {type(faults[0]).__name__}"
            words = f"on most inputs it raises {what}: {said}"
        else:
            words = what_went_wrong(output) or self._in_words(answer, attempts, expected)
        return self._wrong(f"wrong{count}:", lines, mistake, words)

    def _raised(self, answer: Callable, attempts: list[Attempt], expected: list, wrong: list[int]) -> Verdict:
        first = attempts[wrong[0]]
        mistake = self._find_mistake(attempts, wrong)
        lines, words = [], "" if mistake else meaning(first.fault)
        if place := first.place_in(answer):
            frame, number, text = place
            words = words and meaning_in(first.fault, frame, text)
            lines.append(_row("in", f"line {number}: {text}" if text else f"line {number}"))
            if near := shapes_nearby(frame, text):
                lines.append(_row("where", near))
        if words and len(wrong) < len(attempts):
            failed, rest = (
                [
                    self._case(self._inputs[i], tried.output, expected[i])
                    for i, tried in enumerate(attempts)
                    if (type(tried.fault) is type(first.fault)) == alike
                ]
                for alike in (True, False)
            )
            where = where_wrong(failed, rest)
            words = f"{where}: {words}" if where else words
        below = [_row("input", describe_all(self._named(self._inputs[wrong[0]]), one_line=False))]
        said = f"your code raised {type(first.fault).__name__}: {describe_error(first.fault)}"
        return self._wrong(said, lines, mistake, words, below)

    def _late(self, answer: Callable, late: Attempt, given: str) -> Verdict:
        if late.fault.waited:
            time_used, why = f"{WAIT:g} s", "does it wait for something, or is the machine very busy?"
        else:
            time_used, why = f"{SECONDS:g} s of computing", "is there a loop that never ends?"
        place = late.place_in(answer)
        lines = [_row("in", f"line {place[1]}: {place[2]}" if place[2] else f"line {place[1]}")] if place else []
        said = f"your code was stopped after {time_used}"
        return self._wrong(f"{said} {given}: {why}", lines, diagnosis=f"{said}: {why}")

    def _unwritten(self, why: str) -> Verdict:
        said = f"not written yet ({why}). Replace the three dots."
        return Verdict("unwritten", f"{self.name}: {said}", diagnosis=said)

    def _wrong_in_words(self, said: str) -> Verdict:
        return self._wrong(said, diagnosis=said)

    def _wrong(
        self,
        said: str,
        lines: Sequence[str] = (),
        mistake: str = "",
        words: str = "",
        below: Sequence[str] = (),
        *,
        diagnosis: str = "",
    ) -> Verdict:
        """Make a verdict: a listed mistake is what it looks like; words are true of what was seen."""
        told = [f"This looks like: {mistake}"] if mistake else [f"In words: {words}"] if words else []
        diagnosis = diagnosis or mistake or words
        return Verdict("wrong", f"{self.name}: {said}", lines, told, below, diagnosis=diagnosis)

    # ------------------------------------------------------------------------------------------ what is behind it

    def _find_mistake(self, attempts: list[Attempt], wrong: list[int]) -> str:
        """Return the sentence of the mistake that gives the same on every input, exceptions included; or nothing.

        Where nothing but exceptions tells a mistake, they must say the same. Several things and one tensor may be the
        same numbers: a mistake that returns them as the answer does comes first.
        """
        if all(tried.fault is not None for tried in attempts):
            return ""
        until = time.thread_time() + SEARCH_SECONDS
        word_by_word = all(attempts[i].fault is not None for i in wrong)
        found = ""
        known = (*self.mistakes, *self.pairs)
        for wrong_answer, sentence in ((each, mistake.sentence) for mistake in known for each in mistake.answers):
            if time.thread_time() > until:
                break
            if all(self._fits(wrong_answer, i, tried, word_by_word) for i, tried in enumerate(attempts)):
                if self._returns_alike(wrong_answer, attempts):
                    return sentence
                found = found or sentence
        return found

    def _returns_alike(self, wrong_answer: Callable, attempts: list[Attempt]) -> bool:
        """Say whether a known wrong answer returns one thing where the learner's does, and several where that does."""
        pairs = ((self._guess(wrong_answer, i).output, tried.output) for i, tried in enumerate(attempts))
        return all(isinstance(guess, tuple | list) == isinstance(got, tuple | list) for guess, got in pairs)

    def _fits(self, wrong_answer: Callable, i: int, tried: Attempt, word_by_word: bool) -> bool:
        guess = self._guess(wrong_answer, i)
        if word_by_word and tried.fault is not None and str(guess.fault) != str(tried.fault):
            return False
        return type(guess.fault) is type(tried.fault) and same(tried.output, guess.output)

    def _guess(self, wrong_answer: Callable, i: int) -> Attempt:
        """Return what a known wrong answer gives for input i; that is always the same, and computed once."""
        key = (id(wrong_answer), i)
        if key not in self._guesses:
            guess = attempt(self._adapted(wrong_answer), self._inputs[i])
            fault = None if guess.fault is None else guess.fault.with_traceback(None)  # which would keep frames alive
            self._guesses[key] = Attempt(guess.output, fault)
        return self._guesses[key]

    @cached_property
    def _guesses(self) -> dict[tuple[int, int], Attempt]:
        return {}

    def _in_words(self, answer: Callable, attempts: list[Attempt], expected: list) -> str:
        """Return what can be said of a mistake that is not listed, or nothing."""
        cases = [
            self._case(args, tried.output, right)
            for args, tried, right in zip(self._inputs, attempts, expected, strict=False)
            if tried.fault is None
        ]
        wrong = next((case for case in cases if not case.is_right), None)
        if wrong is None:  # what differs is another part of the output than the one that words are about
            return ""
        if isinstance(wrong.got, Said):
            return str(wrong.got)
        if self.adapt is not None and wrong.a is None and isinstance(wrong.got, str):
            return ""  # words of the adapter's own, by which mistakes are known
        if all(isinstance(x, Number) for x in self.inputs[0]) and has_caret(answer):
            return "your code has ^, which is no power in Python: it compares bits. A power is **."
        said = explain(
            cases, self.hints, self._solve, self.secret, None if isinstance(self.solution, type) else self.adapt
        )
        if said or self.secret:
            return said
        budget = Budget(SEARCH_SECONDS, WAIT)

        def ask(*args: Any, seed: int = 0) -> Any:
            return attempt(self._adapted(answer), args, budget, seed).output

        return self._compare_layers(answer, cases, budget) or behaviour(cases, ask, self._solve) or partly_right(cases)

    def _solve(self, *args: Any) -> Any:
        """Return the right answer for any inputs, or None where there is none."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of inputs that no learner gave
            return attempt(self._adapted(self.solution), args).output

    def _compare_layers(self, answer: Callable, cases: list[Case], budget: Budget) -> str:
        """Return a sentence, true of all inputs, on the first layer that is not called as it should be; or nothing."""
        has_layers = isinstance(answer, type) or any(isinstance(x, nn.Module) for x in self.inputs[0])
        if not has_layers or names_forward(answer):
            return ""
        said = set()
        for case in cases:
            if case.is_right:
                continue
            args = tuple(case.inputs.values())
            mine, right = (trace(self._adapted(each), args, budget) for each in (answer, self.solution))
            said.add(compare_parts(mine, right, explain) if mine and right else "")
        return said.pop() if len(said) == 1 else ""

    # ------------------------------------------------------------------------------------------ what does not show

    def _test_properties(self, answer: Callable, attempts: list[Attempt], budget: Budget) -> Verdict:
        right = f"right on all {len(attempts)} inputs tried" if len(attempts) > 1 else "right"
        for wanted in self.properties:
            tried = attempt(lambda wanted=wanted: _yes_or_said(wanted.test(self._adapted(answer))), (), budget)
            if isinstance(tried.fault, OutOfTime):
                return self._late(answer, tried, "on the way to a last test")
            if tried.output is not True:
                error, sentence = tried.fault, tried.output or wanted.sentence
                lines = [] if error is None else [f"It raised {type(error).__name__}: {describe_error(error)}"]
                words = "" if error is None else meaning(error)
                return self._wrong(f"{right}, and yet: {sentence}", lines, words=words, diagnosis=sentence)
        return Verdict("right", f"{self.name}: {right}. {self.done}")


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Wait until no other check runs; raises CheckInside if this one stands inside of an answer that is checked."""
    if _is_running.get():
        raise CheckInside
    with _one_at_a_time:
        token = _is_running.set(True)
        try:
            yield
        finally:
            _is_running.reset(token)


def _for_the_next_part(output: Any) -> Any:
    """Return what a layer gave, or what is wrong with it for the part of a model that comes next."""
    if isinstance(output, list):
        return Said("your forward returns a list, and the next part of a model takes one tensor: torch.stack(…).")
    if isinstance(output, np.ndarray):
        return Said("your forward returns a NumPy array, through which no gradient comes. Stay with PyTorch's tensors.")
    return output


def _row(label: str, words: str) -> str:
    """Return "label    words", with further lines of the words below the first."""
    return f"{label:<8} " + words.replace("\n", "\n" + " " * 9)


def _yes_or_said(found: Any) -> bool | Said:
    return found if isinstance(found, Said) else bool(found)


def _line_of(answer: Callable, tried: Attempt) -> str:
    place = tried.place_in(answer)
    return place[2] if place else ""
