"""Step `ways`: other ways to compute the step of the large preset, each against the way it goes now, in one run.

Each way is compiled anew and takes the same 20 steps from the same start before it is timed. It pays if its step is
shorter than both measurements of the way it goes now, the first and the last, and its loss after the 20 is as low.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from gpu.common import data_of, device_of, preset_of, step_of
from gpu.journal import Journal
from gpu.speed import measure, noise
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

COMPILING = 60.0  # seconds that a way must have left to be begun on a card
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


def ways(device: torch.device) -> dict[str, Way]:
    """Give the ways that this kind of device can go, the most promising first."""
    kernels = BACKENDS if device.type == "cuda" else {"flash": SDPBackend.FLASH_ATTENTION}
    return {
        "as it is": Way(),
        "residual stream in 16 bits": Way(narrow_stream),
        **{
            f"attention, {name}": Way(lambda model, kernel=kernel: sdpa_kernel(kernel))
            for name, kernel in kernels.items()
        },
        "attention, explicit": Way(explicit_attention),
        "as it is, again": Way(),
        "coordinate descent tuning": Way(options={"coordinate_descent_tuning": True}),  # may compile for minutes
    }


def run(settings: dict, journal: Journal) -> None:
    """Measure one way after the other, as far as the time goes."""
    device, preset = device_of(settings), preset_of(settings)
    data = data_of(settings) if settings["rehearse"] else noise(preset.training.batch_size)
    for name, way in ways(device).items():
        journal.check_time(COMPILING if device.type == "cuda" else 3.0)
        try:
            torch._dynamo.reset()  # what was compiled for another way is not taken for this one
            torch.manual_seed(0)  # of drop path
            model = preset.build(data).to(device)
            with way.change(model):
                program = torch.compile(model, dynamic=False, options=way.options)
                step, learner = step_of(model, data, preset.training, program)
                for _ in range(STEPS):
                    step()
                loss = learner.loss.item()
                row = measure(step, device, 0.1 if settings["rehearse"] else 2.4)
            journal.add("ways", {"name": name, "loss": loss} | row)
        except Exception as problem:
            journal.add("ways", {"name": name, "error": f"{type(problem).__name__}: {problem}"[:300]})
