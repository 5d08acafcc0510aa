"""Ask the rooms in turn, from what says most to what says least."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from vit_tutorial.exercises.difference.case import Candidate, Case, Test, holds, told
from vit_tutorial.exercises.difference.counts import several_numbers
from vit_tutorial.exercises.difference.hints import NO_HINTS, Hints
from vit_tutorial.exercises.difference.kinds import kinds
from vit_tutorial.exercises.difference.members import is_list_of_tuples, members
from vit_tutorial.exercises.difference.orders import orders, rearranged
from vit_tutorial.exercises.difference.places import places, some_right, where_wrong
from vit_tutorial.exercises.difference.questions import questions
from vit_tutorial.exercises.difference.shapes import shapes
from vit_tutorial.exercises.difference.steps import steps_of
from vit_tutorial.exercises.difference.values import vague_values, values

Found = tuple[str, Test | None]  # a sentence, and its test, if it is not one that tells the wrong inputs by itself


def explain(
    cases: Sequence[Case],
    hints: Hints = NO_HINTS,
    solve: Callable | None = None,
    secret: bool = False,
    adapt: Callable | None = None,
    several: bool = False,
) -> str:
    """Return the simplest sentence that is true of every case that is wrong, or nothing.

    `solve` is the right answer: with it, more questions can be asked. A secret is not given away in numbers. `adapt`
    turns steps put together into what the outputs are compared with. `several` says that there are other inputs, on
    which all is right.
    """
    wrong, right = [case for case in cases if not case.is_right], [case for case in cases if case.is_right]
    if not wrong:
        return ""
    sentence, test = _found(wrong, right, hints, solve, secret, adapt, several or len(cases) > 1) or ("", None)
    if sentence and test is not None and not holds(test, [*wrong, *right]):
        return f"{where_wrong(wrong, right) or 'on the inputs where it is wrong'}: {sentence}"
    return sentence


def partly_right(cases: Sequence[Case]) -> str:
    """Return a sentence on which inputs, or which numbers, are right; or nothing."""
    wrong, right = [case for case in cases if not case.is_right], [case for case in cases if case.is_right]
    where = where_wrong(wrong, right)
    if where:
        return f"it is wrong {where}, and right on the other inputs."
    return some_right(wrong) if wrong and all(case.fits for case in wrong) else ""


def _found(
    wrong: Sequence[Case],
    right: Sequence[Case],
    hints: Hints,
    solve: Callable | None,
    secret: bool,
    adapt: Callable | None,
    several: bool,
) -> Found | None:
    if found := _first(steps_of(hints.steps, adapt), wrong):
        return found
    if all(is_list_of_tuples(case.expected) and is_list_of_tuples(case.got) for case in wrong):
        return _first(members(), wrong)
    if all(isinstance(case.expected, tuple | list) and isinstance(case.got, tuple | list) for case in wrong):
        return several_numbers(wrong, partial(explain, secret=secret, several=several)), None
    if found := _first(kinds(), wrong):
        return found
    if any(case.a is None or case.b is None for case in wrong):
        return None
    if misfits := [case for case in wrong if case.a.shape != case.b.shape]:
        if solve is not None and not secret and (found := _first(questions(solve, wrong, numbers=True), wrong)):
            return found
        fitting = [case for case in wrong if case.a.shape == case.b.shape]
        found = _first(shapes(misfits, shown=misfits[0] is wrong[0]), misfits)
        return _two_faults(misfits, fitting, right, found) if fitting else found
    rooms = [] if secret else [values(wrong, alone=len(wrong) == 1 and several)]
    alone = len(wrong) == 1 and several and wrong[0].b.numel() == 1
    if solve is not None and wrong[0].inputs and not (secret or alone):
        rooms.append(questions(solve, wrong))
    if hints.moved is not None:
        rooms.append(rearranged(hints.moved, wrong))
    rooms += [orders(wrong), [] if secret else vague_values(wrong), places(wrong)]
    return next(filter(None, (_first(room, wrong) for room in rooms)), None)


def _two_faults(misfits: Sequence[Case], fitting: Sequence[Case], right: Sequence[Case], found: Found) -> Found:
    """Return a sentence on inputs that give another shape, beside others that give wrong numbers in the right shape."""
    example = told(misfits[0])
    such = "" if example in found[0] else f", such as {example}"
    where = where_wrong(misfits, [*fitting, *right]) or f"on {len(misfits)} of the inputs{such}"
    elsewhere = where_wrong(fitting, [*misfits, *right]) or f"on {len(fitting)} other{'s' * (len(fitting) > 1)}"
    return (
        f"{where}: {found[0]} {elsewhere[0].upper()}{elsewhere[1:]} the shape is right, and the numbers are wrong.",
        None,
    )


def _first(candidates: Iterable[Candidate], cases: Sequence[Case]) -> Found | None:
    return next(((sentence, test) for sentence, test in candidates if holds(test, cases)), None)
