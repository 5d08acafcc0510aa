"""Inputs: what the parts of the model ask of the numbers, settings and tensors that they are given.

What does not fit is refused here, in a sentence that names the numbers and the way out. Nothing in here computes:
whoever reads how a ViT works may pass it over.
"""

import math
import operator
from collections.abc import Sequence
from numbers import Real
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

import torch
from torch import Tensor, nn


def whole_number(name: str, value: object, least: int | None = None) -> int:
    """Read a whole number, NumPy's and PyTorch's too.

    Raises ValueError with its name for another value, True and False among them, and for one below `least`.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise ValueError(f"{name} is {value!r}; it must be one whole number")
    if least is not None and number < least:
        raise ValueError(f"{name} is {number}; it must be {least} or more")
    return number


def as_pair(size: int | Sequence[int]) -> tuple[int, int]:
    """Read a size of an image or a grid: one number stands for both sides, two are (height, width).

    Raises ValueError for anything else, and for a side below 1.
    """
    sides = tuple(size) if isinstance(size, Sequence) and not isinstance(size, str) else (size, size)
    if len(sides) != 2:
        raise ValueError(f"the size is {size!r}; give one whole number, or two as (height, width)")
    return whole_number("a side of the size", sides[0], 1), whole_number("a side of the size", sides[1], 1)


def check_rate(name: str, rate: float) -> float:
    """Give the share that is dropped; raise ValueError with its name if it is not at least 0 and below 1."""
    try:
        possible = 0 <= rate < 1
    except TypeError:  # of what is no number
        possible = False
    if not possible:
        raise ValueError(f"{name} is {rate!r}; it must be at least 0 and below 1")
    return rate


def check_setting(name: str, value: Any, kind: Any, least: int | None = None) -> Any:
    """Give the value of a setting as its annotation has it: a list, which is all that JSON has, becomes a tuple.

    Raises ValueError with the name and the value if it is of another kind, or a whole number below `least`.
    """
    kinds = get_args(kind) if get_origin(kind) is UnionType else (kind,)
    if value is None and NoneType in kinds:
        return None
    if get_origin(kind) is Literal and value not in get_args(kind):
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, get_args(kind)))}")
    if kind is bool and not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}; it must be True or False")
    if float in kinds:
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            raise ValueError(f"{name} is {value!r}; it must be a number, and finite")
        return value if isinstance(value, float | int) else float(value)  # JSON has no numbers of NumPy
    if isinstance(value, list | tuple) and tuple in map(get_origin, kinds):
        return tuple(whole_number(f"a part of {name}", part, least) for part in value)
    if get_origin(kind) is tuple:
        raise ValueError(f"{name} is {value!r}; it must be a tuple of whole numbers")
    return whole_number(name, value, least) if int in kinds else value


def check_kind(name: str, value: object, kind: type, advice: str = "") -> Any:
    """Give the value back if it is of this class; raise TypeError with its name if it is of another one."""
    if not isinstance(value, kind):
        built = f", so take {kind.__name__}(**{name})" if isinstance(value, dict) else ""
        raise TypeError(f"{name} must be a {kind.__name__}; got {type(value).__name__}{built}{advice}")
    return value


def check_rank(images: Tensor) -> None:
    """Raise TypeError unless images are a tensor, and ValueError unless they are [B, C, H, W] with B of 1 or more."""
    if not isinstance(images, Tensor):
        raise TypeError(
            f"images are a {type(images).__module__}.{type(images).__qualname__}; pass a tensor [B, C, H, W], such as "
            "torch.as_tensor(numpy.array(images)), turned with permute where the channels come last"
        )
    if images.ndim != 4:
        hint = "; add the batch axis with images[None]" if images.ndim == 3 else ""
        raise ValueError(
            f"images must have rank 4 [B, C, H, W]; got rank {images.ndim}, shape {list(images.shape)}{hint}"
        )
    if images.numel() == 0:
        raise ValueError(f"the batch is empty: shape {list(images.shape)}; pass at least one image")


def check_channels(images: Tensor, in_channels: int) -> None:
    """Raise ValueError unless images are [B, in_channels, H, W], and TypeError if they are no tensor."""
    check_rank(images)
    channels = images.shape[1]
    if channels != in_channels == images.shape[-1]:
        raise ValueError(
            f"images have shape {list(images.shape)}, with their {in_channels} channels last; "
            "a model takes [B, C, H, W]: turn them with images.permute(0, 3, 1, 2)"
        )
    if channels != in_channels:
        raise ValueError(
            f"images have {channels} channels but in_channels is {in_channels}; "
            f"convert them, or build the model with in_channels={channels}"
        )


def check_pixels(images: Tensor, layer: nn.Module) -> None:
    """Raise TypeError unless the layer computes with such numbers, and ValueError if these lie on another device.

    ValueError too where a CPU finds NaN or infinity.
    """
    if not images.is_floating_point():
        raise TypeError(
            f"images are {images.dtype}, but a model computes with real numbers; "
            "convert with images.float() / 255 and normalise"
        )
    weight = next(layer.parameters(), images)
    if not go_together(images, weight.dtype):
        raise TypeError(
            f"images are {images.dtype} and the weights {weight.dtype}; convert them with images.to({weight.dtype}), "
            f"or the model with model.to({images.dtype})"
        )
    if images.device != weight.device and "meta" not in (images.device.type, weight.device.type):
        raise ValueError(
            f"images are on {images.device} and the weights on {weight.device}; move them with "
            f"images.to({str(weight.device)!r}), or the model with model.to({str(images.device)!r})"
        )
    # On an accelerator this look at the values would make every step wait for the device.
    # The sum is quick, but it may overflow.
    if images.device.type == "cpu" and is_seen(~images.sum().isfinite()) and is_seen(~images.isfinite().all()):
        bad = int((~images.isfinite()).sum())
        raise ValueError(
            f"images hold NaN or infinity in {bad} of {images.numel()} values; look for a division by zero, "
            "or use images.nan_to_num()"
        )


def check_tokens(module: nn.Module, tokens: Tensor, dim: int, axes: str = "...") -> None:
    """Raise ValueError unless tokens are [axes, dim], and TypeError unless a module can compute with their numbers.

    Of types only float64, on either side, and whole numbers are compared, which never go with another.
    """
    check_kind("tokens", tokens, Tensor)
    if tokens.shape[-1:] != (dim,) or (axes == "B, N" and tokens.ndim != 3):
        raise ValueError(f"tokens must be [{axes}, {dim}]; got shape {list(tokens.shape)}")
    dtype = next(module.parameters(), tokens).dtype
    if tokens.dtype != dtype and (torch.float64 in (tokens.dtype, dtype) or not tokens.is_floating_point()):
        raise TypeError(f"tokens are {tokens.dtype} and the weights {dtype}; convert them with tokens.to({dtype})")


def go_together(one: Tensor, dtype: torch.dtype) -> bool:
    """Say whether PyTorch computes with real numbers of both types: only autocast does, and not with float64."""
    if one.dtype == dtype:
        return True
    device = one.device.type
    converts = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    return converts and torch.float64 not in (one.dtype, dtype)


def is_seen(truth: Tensor) -> bool:
    """Say whether a truth value is True and can be looked at: not while PyTorch compiles, nor inside torch.vmap."""
    if torch.compiler.is_compiling():
        return False
    try:
        return bool(truth)
    except RuntimeError:
        return False
