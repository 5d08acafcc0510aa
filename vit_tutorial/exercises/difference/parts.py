"""Layers that were called: which one is left out, called twice, or gets something else than it should?"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import torch
from torch import Tensor

from vit_tutorial.exercises.difference.case import Case, alike, joined


@dataclass(frozen=True)
class Call:
    """One call of a layer: its name in the model, the tensor that it got, what it gave, and what it is."""

    name: str
    given: Tensor
    output: Tensor
    words: str


@dataclass(frozen=True)
class Trace:
    """All calls while a model ran, in order, and what is known of it.

    `came_in` is what the whole got, `known` the names of all its layers. `called` are the names of those that ran, once
    for each time, also of those that got or gave something else than one tensor.
    """

    calls: Sequence[Call]
    came_in: Tensor
    output: Tensor
    known: frozenset[str]
    called: Sequence[str]


def compare_parts(mine: Trace, right: Trace, explain: Callable[[Sequence[Case]], str]) -> str:
    """Return a sentence on the first call that is not as in the right answer, or nothing if there is no telling."""
    right = replace(right, calls=[call for call in right.calls if not torch.equal(call.given, call.output)])
    wanted = [call.name for call in right.calls]  # without those that do nothing, such as dropout in eval
    made = mine.called
    left_out = [name for name in dict.fromkeys(wanted) if name in mine.known and name not in made]
    left_out = [name for name in left_out if name.rpartition(".")[0] not in left_out]
    if not set(wanted) & set(made):
        return _by_order(mine, right, explain)
    if left_out:
        return f"{joined([f'`{name}`' for name in left_out])} {'is' if len(left_out) == 1 else 'are'} never called."
    for name in dict.fromkeys(wanted):
        if made.count(name) > wanted.count(name):
            if _numbers_given(mine, name) <= _numbers_given(right, name):  # image by image, which may be right
                return ""
            return f"`{name}` is called {_times(made.count(name))}, and should be called {_times(wanted.count(name))}."
        if name in mine.known and made.count(name) < wanted.count(name):
            return f"`{name}` is called {_times(made.count(name))}; the solution calls it {_times(wanted.count(name))}."
    return _first_difference(mine, right, explain)


def _numbers_given(trace: Trace, name: str) -> int:
    return sum(call.given.numel() for call in trace.calls if call.name == name)


def _by_order(mine: Trace, right: Trace, explain: Callable[[Sequence[Case]], str]) -> str:
    """Compare layers that have other names, if they are of the same kinds in the same order."""
    renamed = []
    for trace in (mine, right):
        calls, counts = [], Counter()
        for call in trace.calls:
            kind = call.words.split("(")[0]
            if "(" in call.words and "()" not in call.words:
                counts[kind] += 1
                calls.append(replace(call, name=f"{kind} number {counts[kind]}"))
        renamed.append(replace(trace, calls=calls))
    names = [[call.name for call in trace.calls] for trace in renamed]
    return _first_difference(*renamed, explain) if names[0] == names[1] and names[0] else ""


def _first_difference(mine: Trace, right: Trace, explain: Callable[[Sequence[Case]], str]) -> str:
    """Compare call by call, as far as both have a call of that name."""
    left = list(mine.calls)
    before = ""
    for wanted in right.calls:
        found = next((call for call in left if call.name == wanted.name), None)
        if found is None:
            continue
        left.remove(found)
        if not _serves(found.given, wanted.given):
            return _wrongly_fed(found, wanted, mine, right, before, explain)
        if found.given.shape == wanted.given.shape and not alike(found.output, wanted.output):
            if found.words != wanted.words:
                return f"`{wanted.name}` is {found.words}, and should be {wanted.words}."
            if not any(call.name.startswith(f"{wanted.name}.") for call in right.calls):
                return (
                    f"`{wanted.name}` gets what it should, and gives something else: it is made in another way, or at "
                    "another place among the layers."
                )
            continue
        before = wanted.name
    if before and not _serves(mine.output, right.output):
        return _at_the_end(mine, right, explain)
    return ""


def _serves(a: Tensor, b: Tensor) -> bool:
    """Say whether a is b, or some of the rows of b: a layer that works on rows may be given those that are needed."""
    if alike(a, b):
        return True
    if a.ndim < b.ndim and a.shape[-1:] == b.shape[-1:] and a.numel() < b.numel():
        return any(alike(a, b.select(axis, 0)) for axis in range(b.ndim - 1))
    return False


def _wrongly_fed(
    found: Call, wanted: Call, mine: Trace, right: Trace, before: str, explain: Callable[[Sequence[Case]], str]
) -> str:
    gets = _as_sum(found.given, _known(mine, found.name, mine.known))
    should = _as_sum(wanted.given, _known(right, wanted.name, mine.known))
    if gets and should and gets != should:
        return f"`{wanted.name}` gets {gets}. It should get {should}."
    said = explain([Case({}, found.given, wanted.given)])
    if should:
        return f"`{wanted.name}` should get {should}, and gets something else{f': {said}' if said else '.'}"
    since = f"up to what `{before}` gives, all is right. What" if before else "what"
    return f"{since} goes into `{wanted.name}` is wrong{f': {said}' if said else '.'}"


def _at_the_end(mine: Trace, right: Trace, explain: Callable[[Sequence[Case]], str]) -> str:
    gets, should = (_as_sum(trace.output, _known(trace, "", mine.known)) for trace in (mine, right))
    if gets and should and gets != should:
        return f"all layers get what they should. At the end you return {gets}; it should be {should}."
    said = explain([Case({}, mine.output, right.output)])
    return f"all layers get what they should. What you make of it at the end is wrong{f': {said}' if said else '.'}"


def _known(trace: Trace, until: str, names: frozenset[str]) -> dict[str, Tensor]:
    """Return what is there when a layer is called, by words with the names that the learner uses."""
    known = {"what came in": trace.came_in}
    for call in trace.calls:
        if call.name == until:
            break
        if "." not in call.name and call.name in names:
            known[f"what `{call.name}` returned"] = call.output
    return known


def _as_sum(x: Tensor, known: dict[str, Tensor]) -> str:
    """Return words for a tensor that is one of those known, or a sum or difference of them; or nothing."""
    fitting = {name: each for name, each in known.items() if each.shape == x.shape}
    for name, each in fitting.items():
        if alike(x, each):
            return name
    for (one, a), (other, b) in combinations(fitting.items(), 2):
        if alike(x, a + b):
            return f"{one} plus {other}"
        for first, second, words in ((a, b, f"{one} minus {other}"), (b, a, f"{other} minus {one}")):
            if alike(x, first - second):
                return words
    for chosen in combinations(fitting.items(), 3):
        if alike(x, sum(each for _, each in chosen)):
            return " plus ".join(name for name, _ in chosen)
    for name, each in fitting.items():
        if alike(x, 2 * each):
            return f"{name}, twice"
    return "" if x.any() else "nothing but zeros"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
