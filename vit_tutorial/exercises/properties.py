"""What a model has that not only computes rightly, but can learn: gradients come through, nothing stays of a call.

Each function makes a Property. Its arguments are what `adapt` makes of the exercise's solution, and the inputs of one
call of that. The model is the one that is called last, and by no other model.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vit_tutorial.exercises.attempt import listening
from vit_tutorial.exercises.compare import same
from vit_tutorial.exercises.difference import Said
from vit_tutorial.exercises.engine import Property
from vit_tutorial.exercises.surroundings import in_single_precision

FAINT = 1e-6  # of the largest gradient: what is no larger may be rounding
CLEAR = 1e-3  # of the largest gradient: what is larger is no rounding; also how far two of them may differ

WHY = "Is there a no_grad, a detach or a .data on the way?"
NOTHING_LEARNS = (
    "no gradient arrives at your parameters, so they never learn. Is there a no_grad, a detach, a .data or a "
    "requires_grad=False on the way?"
)
NOTHING_BELOW = f"no gradient goes on to what lies below your model, so that never learns. {WHY}"
CUT_OFF = (
    "the gradient that goes on to what lies below is not that of this model: on one of the ways through it, it is cut "
    f"off. {WHY}"
)
KEPT = (
    "called a second time, with another batch, it gives something of the first. What depends on the input is made anew "
    "at each call: keep none of it in self."
)


def learns(solution: Callable, *args: Any) -> Property:
    """A gradient arrives at all parameters at which it does in the solution, whatever they are called."""

    def test(run: Callable) -> bool | Said:
        mine, right = (_last_call(each, args) for each in (run, solution))
        if mine is None or right is None:
            return True
        gradients, wanted = mine.gradients(), right.gradients()
        largest = _largest(wanted.values())
        silent = {name: gradient.abs() <= FAINT * largest for name, gradient in gradients.items()}
        missed = _missed(silent, {name: gradient.abs() > CLEAR * largest for name, gradient in wanted.items()})
        if not missed or all(x.all() for x in silent.values()):
            return not missed
        return _at_none_of(missed, [name for name, x in silent.items() if x.all()], mine.parameters)

    return Property(test, NOTHING_LEARNS)


def passes_on(solution: Callable, *args: Any) -> Property:
    """The gradient that goes on to the input is that of the solution."""

    def test(run: Callable) -> bool | Said:
        mine, right = (_last_call(each, args, passed_on=True) for each in (run, solution))
        if mine is None or right is None:
            return True
        pairs = list(zip(mine.gradients().values(), right.gradients().values(), strict=False))
        if any(wanted.any() and not got.any() for got, wanted in pairs):
            return False
        alike = all(torch.allclose(got, wanted, rtol=0, atol=CLEAR * _largest([wanted])) for got, wanted in pairs)
        return alike or Said(CUT_OFF)

    return Property(test, NOTHING_BELOW)


def forgets(one: tuple, *others: tuple) -> Property:
    """A model that was called with one input gives for each of the others what a new one gives.

    One of the others may be as large as the first, and one of another size: each shows what the other does not.
    """

    def test(run: Callable) -> bool:
        first, *later = (_last_call(run, args) for args in (one, *others))
        return first is None or all(call is None or same(first.model(*call.inputs), call.output) for call in later)

    return Property(test, KEPT)


@dataclass
class _Call:
    """A call of a model: its input, its output, and the tensors by name whose gradients are asked for."""

    model: nn.Module
    inputs: tuple
    parameters: Mapping[str, Tensor]
    output: Any = None

    def gradients(self) -> dict[str, Tensor]:
        """Return the gradient of a mixture of all outputs with respect to each; zeros where none arrives."""
        outputs = self.output if isinstance(self.output, tuple | list) else [self.output]
        out = next(each for each in outputs if isinstance(each, Tensor))
        asked = {name: tensor for name, tensor in self.parameters.items() if tensor.requires_grad}
        found: Sequence[Tensor | None] = [None] * len(asked)
        if out.requires_grad and asked:
            mixture = torch.randn(out.shape, generator=torch.Generator().manual_seed(0))
            found = torch.autograd.grad((out * mixture).sum(), list(asked.values()), allow_unused=True)
        arrived = {name: gradient for name, gradient in zip(asked, found, strict=True) if gradient is not None}
        return {name: arrived.get(name, torch.zeros_like(tensor)) for name, tensor in self.parameters.items()}


def _last_call(run: Callable, args: tuple, passed_on: bool = False) -> _Call | None:
    """Return the last call of a model by `run(*args)`, or None; with the gradients of its input or its parameters."""
    calls: list[_Call] = []
    depth = [0]

    def before(model: nn.Module, given: tuple) -> tuple | None:
        depth[0] += 1
        if depth[0] > 1:
            return None
        if not passed_on:
            calls.append(_Call(model, given, dict(model.named_parameters())))
            return None
        leaves = [x.detach().clone().requires_grad_() if _is_real(x) else x for x in given]
        calls.append(_Call(model, given, {str(i): x for i, x in enumerate(leaves) if _is_real(x)}))
        return tuple(x.clone() if _is_real(x) else x for x in leaves)  # which may be changed in place

    def after(model: nn.Module, given: tuple, output: Any) -> None:
        depth[0] -= 1
        if depth[0] == 0:
            calls[-1].output = output

    with listening(before, after):
        run(*in_single_precision(args))
    return calls[-1] if calls else None


def _is_real(x: Any) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point()


def _missed(silent: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """Return the parameters that lack a gradient, given where there is none and where the solution has some.

    They are compared number by number; where names or shapes differ, these numbers are counted.
    """
    if all(name in silent and silent[name].shape == x.shape for name, x in wanted.items()):
        return [name for name, x in wanted.items() if (silent[name] & x).any()]
    if sum(int((~x).sum()) for x in silent.values()) >= sum(int(x.sum()) for x in wanted.values()):
        return []
    return [name for name, x in silent.items() if x.all()] or [name for name, x in silent.items() if x.any()]


def _largest(gradients: Any) -> float:
    return max((gradient.abs().max().item() for gradient in gradients if gradient.numel()), default=0.0)


def _at_none_of(missed: Sequence[str], silent: Sequence[str], parameters: Mapping[str, Tensor]) -> Said:
    """Return the sentence on some parameters, by the names of their layers where one word says it."""
    layers = {name: name.rpartition(".")[0] or name for name in parameters}
    speaking = {layer for name, layer in layers.items() if name not in silent}

    def named(name: str) -> str:
        layer = f"`{layers[name]}`"
        return layer if layers[name] not in speaking else f"`{name}`" if name in silent else f"a part of {layer}"

    names = list(dict.fromkeys(map(named, missed)))
    they, learn = ("they", "learn") if len(names) > 1 else ("it", "learns")
    which = " and ".join([*names[:2], *([f"{len(names) - 2} others"] if names[2:] else [])])
    frozen = not any(parameters[name].requires_grad for name in missed)
    why = "Leave out requires_grad=False." if frozen else WHY
    return Said(f"no gradient arrives at {which}, so {they} never {learn}. {why}")
