"""What the checks of several lessons build: tensors whose numbers tell mix-ups apart, and modules that hold them."""

import zlib
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.lazy import LazyModuleMixin

from vit_tutorial.attention import MultiHeadAttention
from vit_tutorial.exercises.difference import Said
from vit_tutorial.exercises.engine import Mistake
from vit_tutorial.support.seeds import seeded
from vit_tutorial.vit import ViT, ViTConfig

# ------------------------------------------------------------------------------------------ tensors


def numbered(*shape: int) -> Tensor:
    """Return 0, 1, 2 and so on in reading order."""
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float32).reshape(shape)


def scattered(*shape: int) -> Tensor:
    """Return whole numbers from -11 to 11 in no order, in float64, so that no two ways to mix them up give the same."""
    numbers = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return ((numbers * 7919 % 23) - 11).reshape(shape)


def uneven(*shape: int) -> Tensor:
    """Return numbers from -2.2 to 2.2 in no order, in float64."""
    return scattered(*shape) / 5


def fitted(values: Tensor, shape: torch.Size, padding: float = 0.0) -> Tensor:
    """Return the values cut or padded to a shape with as many axes, so that a layer of the wrong size gets some too."""
    values = values[tuple(slice(size) for size in shape)]
    missing = [size - have for size, have in zip(shape, values.shape, strict=True)]
    return F.pad(values, [side for size in reversed(missing) for side in (0, size)], value=padding)


def number_of_patches(image_size: int, patch_size: int) -> int:
    """Return N for a square image."""
    return (image_size // patch_size) ** 2


# ------------------------------------------------------------------------------------------ modules


def changed(answer: type, **parts: Any) -> type:
    """Return a class that differs from another in some methods or values."""
    return type("Answer", (answer,), parts)


NOTHING_HELD = Said(
    "your class holds nothing to learn after __init__. Make it there, once, as self.…: what is made in forward is made "
    "anew at each call."
)


class NoModule:
    """The wrong answer of whoever forgets nn.Module."""

    def __init__(self, *sizes: int):
        pass


FORGOT_MODULE = Mistake(
    NoModule, "your class is no nn.Module, so a model does not see what it holds: class …(nn.Module)."
)


def misfit_of(module: object) -> str | None:
    """Say what is wrong with what should be a module with layers or tensors of its own, or return None."""
    if not isinstance(module, nn.Module):
        return "a class that is no nn.Module"
    if lazy := [type(part).__name__ for part in module.modules() if _is_lazy(part)]:
        return Said(
            f"nn.{lazy[0]} has no numbers before it is called for the first time, and an optimizer wants them earlier. "
            f"You know the sizes: nn.{lazy[0].removeprefix('Lazy')}(…, …)."
        )
    if not held_by(module):
        hidden = [name for name, value in vars(module).items() if _holds_learned(value) and not name.startswith("_")]
        if hidden:
            return Said(
                f"`self.{hidden[0]}` is a Python list or dictionary. A model does not see what stands in one, so it "
                "never trains. Use nn.ParameterList or nn.ModuleList, or give each thing a name of its own."
            )
        return NOTHING_HELD
    return None


def _is_lazy(part: nn.Module) -> bool:
    return isinstance(part, LazyModuleMixin) and part.has_uninitialized_params()


def _holds_learned(value: object) -> bool:
    inside = list(value.values()) if isinstance(value, dict) else value
    return isinstance(inside, list | tuple) and any(isinstance(part, Tensor | nn.Module) for part in inside)


def held_by(module: nn.Module) -> list[Tensor]:
    """Return all tensors that a module keeps: parameters, buffers, and those that PyTorch knows nothing of."""
    plain = [value for value in vars(module).values() if isinstance(value, Tensor)]
    return [*module.parameters(), *module.buffers(), *plain]


@torch.no_grad()
def fill(named: Iterable[tuple[str, Tensor]], spread: float) -> None:
    """Give each tensor random numbers that depend on its name and shape alone: around 1 for the scale of a norm."""
    for name, tensor in named:
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        numbers = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        tensor.copy_(spread * numbers + (1.0 if "norm" in name and name.endswith("weight") else 0.0))


def small_vit(seed: int, batch: int = 2, attention: Callable[..., nn.Module] = MultiHeadAttention, **options):
    """Return a small ViT in float64 in which no part does nothing, and images for it; always the same numbers.

    `options` are fields of ViTConfig that are not those of the smallest model.
    """
    with seeded(seed):
        shape = {"image_size": 8, "patch_size": 4, "num_classes": 3, "dim": 8, "depth": 2, "num_heads": 2}
        model = ViT(ViTConfig(**(shape | options)), attention=attention).double().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.3)
        images = torch.rand(batch, model.config.in_channels, *[model.config.image_size] * 2, dtype=torch.float64)
    return model, images
