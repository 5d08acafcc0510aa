"""Step `ways`: other ways to compute the step of the large preset, each against the way it goes now, in one run.

First one attention layer alone, forward and backward, with each kernel: that compiles in seconds. The fastest one then
goes into the whole step. Each way is compiled anew and takes the same 20 steps from the same start before it is timed.
It pays if its step is shorter than both measurements of the way it goes now, the first and the last, and its loss after
the 20 is as low.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from gpu.common import data_of, device_of, preset_of, step_of
from gpu.journal import Journal
from gpu.speed import measure, noise
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from vit_tutorial.training.devices import autocast

COMPILING, COMPILING_A_LAYER = 60.0, 15.0  # seconds that a way must have left to be begun on a card
STEPS = 20
BACKENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "memory-efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cuDNN": SDPBackend.CUDNN_ATTENTION,
}


@dataclass(frozen=True)
class Way:
    """How a model is changed while it is compiled and trained, and what torch.compile is told."""

    change: Callable[[nn.Module], contextlib.AbstractContextManager] = lambda model: contextlib.nullcontext()
    options: dict | None = None


@contextlib.contextmanager
def narrow_stream(model: nn.Module) -> Iterator[None]:
    """Keep the residual stream in the format of the matrix products: half the bytes where that has 16 bits."""

    def narrowed(module: nn.Module, given: tuple, tokens: Tensor) -> Tensor:
        kind = tokens.device.type
        return tokens.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else tokens

    hook = model.position.register_forward_hook(narrowed)
    try:
        yield
    finally:
        hook.remove()


@contextlib.contextmanager
def explicit_attention(model: nn.Module) -> Iterator[None]:
    """Compute the table of weights with the course's own formula."""
    for block in model.blocks:
        block.attn.fused = False
    yield


def kernels(device: torch.device) -> dict[str, Way]:
    """Give the ways in which this kind of device can compute attention."""
    able = BACKENDS if device.type == "cuda" else {"flash": SDPBackend.FLASH_ATTENTION}
    fused = {name: Way(lambda model, kernel=kernel: sdpa_kernel(kernel)) for name, kernel in able.items()}
    return {"as it is": Way(), **fused, "explicit": Way(explicit_attention)}


def ways(attention: str, kernel: Way, device: torch.device) -> dict[str, Way]:
    """Give the ways to compute the whole step, the most promising first, with one kernel for attention."""

    @contextlib.contextmanager
    def both(model: nn.Module) -> Iterator[None]:
        with narrow_stream(model), kernel.change(model):
            yield

    return {
        "as it is": Way(),
        "residual stream in 16 bits": Way(narrow_stream),
        f"attention, {attention}": kernel,
        "both": Way(both),
        **({"both, CUDA graphs": Way(both, {"triton.cudagraphs": True})} if device.type == "cuda" else {}),
        "as it is, again": Way(),
        "coordinate descent tuning": Way(options={"coordinate_descent_tuning": True}),  # may compile for minutes
    }


def run(settings: dict, journal: Journal) -> None:
    """Measure one way after the other, as far as the time goes."""
    device, preset = device_of(settings), preset_of(settings)
    data = data_of(settings) if settings["rehearse"] else noise(preset.training.batch_size)

    def attempt(key: str, name: str, compiling: float, work: Callable[[], dict]) -> dict:
        journal.check_time(compiling if device.type == "cuda" else 3.0)
        torch._dynamo.reset()  # what was compiled for another way is not taken for this one
        torch.manual_seed(0)  # of drop path
        try:
            row = work()
        except Exception as problem:
            row = {"error": f"{type(problem).__name__}: {problem}"[:300]}
        journal.add(key, {"name": name} | row)
        return row

    def alone(way: Way) -> dict:
        model = preset.build(data).to(device)
        layer = model.blocks[0].attn
        tokens = torch.randn(preset.training.batch_size, *model.position.pos_embed.shape[1:], device=device)
        changed = [tokens.requires_grad_(), *layer.parameters()]
        with way.change(model):
            program = torch.compile(layer, dynamic=False)

            def step() -> None:
                with autocast(device, preset.training.precision):
                    mixed = program(tokens)
                torch.autograd.grad(mixed, changed, torch.ones_like(mixed))

            return measure(step, device, 0.1 if settings["rehearse"] else 0.8)

    def whole(way: Way) -> dict:
        model = preset.build(data).to(device)
        with way.change(model):
            program = torch.compile(model, dynamic=False, options=way.options)
            step, learner = step_of(model, data, preset.training, program)
            for _ in range(STEPS):
                step()
            return {"loss": learner.loss.item()} | measure(step, device, 0.1 if settings["rehearse"] else 2.4)

    able = kernels(device)
    found = {name: attempt("attention", name, COMPILING_A_LAYER, partial(alone, way)) for name, way in able.items()}
    named = {name: row.get("device_ms", row.get("step_ms", math.inf)) for name, row in found.items()}
    del named["as it is"]
    fastest = min(named, key=named.get)
    for name, way in ways(fastest, able[fastest], device).items():
        attempt("ways", name, COMPILING, partial(whole, way))
