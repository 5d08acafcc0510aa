"""Steps that an exercise lists: which of them is missing, done twice, or in another place?

A step is a name and a function of what came before it and of the inputs; the first gets None. So the answer without a
step, or with two of them exchanged, can be computed and compared.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from vit_tutorial.exercises.compare import same
from vit_tutorial.exercises.difference.case import Candidate, Case, joined

Step = tuple[str, Callable[..., Any]]

INSTEAD: Sequence[tuple[str, Callable[[Tensor], Tensor]]] = (
    ("e to the power alone", torch.exp),
    ("a sigmoid", torch.sigmoid),
    ("a log-softmax", lambda x: x.log_softmax(-1)),
    ("a division by the sum of the row", lambda x: x / x.sum(-1, keepdim=True)),
    ("a division by the length of the row", lambda x: x / x.norm(dim=-1, keepdim=True)),
    ("ReLU", torch.relu),
    ("tanh", torch.tanh),
    ("a rounded softmax", lambda x: x.softmax(-1).round()),
    ("a softmax over another axis", lambda x: x.softmax(-2)),
    ("a softmax over the first axis", lambda x: x.softmax(0)),
)


def steps_of(steps: Sequence[Step], adapt: Callable | None = None) -> Iterator[Candidate]:
    """Yield sentences on answers that stop early, or leave a step out, or do them in another order.

    `adapt` turns a function of the inputs into one whose outputs are compared.
    """
    gives = partial(_gives, adapt=adapt)
    names = [name for name, _ in steps]
    count = len(steps)
    for i in reversed(range(1, count)):
        missing = joined(names[i:])
        yield (
            f"all is right up to {names[i - 1]}. What comes after is missing: {missing}.",
            gives(steps[:i]),
        )
    for i in range(count):
        yield f"{names[i]} is missing: without it, this is what comes out.", gives([*steps[:i], *steps[i + 1 :]])
    for i in range(1, count):
        yield f"{names[i]} comes twice.", gives([*steps[: i + 1], *steps[i:]])
    for i in range(1, count):
        for j in range(1, count):
            if i != j and j != i - 1:
                others = [*steps[:i], *steps[i + 1 :]]
                moved = [*others[:j], steps[i], *others[j:]]
                place = f"after {names[j - 1 if j <= i else j]}" if j else "first"
                yield f"{names[i]} stands in another place: {place}. It belongs after {names[i - 1]}.", gives(moved)
    for i in range(1, count):
        for words, function in INSTEAD:
            replaced = (names[i], lambda value, *inputs, f=function: f(value))
            yield f"in place of {names[i]} there is {words}.", gives([*steps[:i], replaced, *steps[i + 1 :]])
    for i in range(count):
        for j in range(i + 1, count):
            kept = [step for k, step in enumerate(steps) if k not in (i, j)]
            yield f"two steps are missing: {names[i]}, and {names[j]}.", gives(kept)


def _gives(steps: Sequence[Step], adapt: Callable | None) -> Callable[[Case], bool]:
    def run(*inputs: Any) -> Any:
        value = None
        for _, step in steps:
            value = step(value, *inputs)
        return value

    return lambda case: same(case.got, (run if adapt is None else adapt(run))(*case.inputs.values()))
