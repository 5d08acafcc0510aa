"""Weights of any layout into a model of ours: all of them or none."""

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vit_tutorial.positions import interpolate_positions
from vit_tutorial.vit import ViT
from vit_tutorial.weights.files import read
from vit_tutorial.weights.names import unpacked, with_our_names
from vit_tutorial.weights.reasons import likely_reason, unfit


def load_weights(model: ViT, source: dict[str, Any] | str | os.PathLike, *, skip_head: bool = False) -> ViT:
    """Copy weights into the model from a state dict or a file of ours, timm, torchvision or Google, and return it.

    A file is a `.safetensors`, what torch.save wrote if that is tensors only, or an `.npz` of vit_jax or big_vision;
    its first bytes tell which. Positions of another square grid are interpolated as the library they come from does it.
    `skip_head=True` leaves the model's own head alone, for other classes. Google trained its models with gelu="tanh".
    All or nothing: raises FileNotFoundError, TypeError for a source of another kind, or ValueError naming the first
    keys or shapes that do not fit, and leaves the model as it was.
    """
    if not isinstance(source, dict | str | os.PathLike):
        advice = "pass its state_dict()" if hasattr(source, "state_dict") else "pass a state dict or a path"
        raise TypeError(f"the source of the weights is a {type(source).__name__}; {advice}")
    weights = unpacked(source) if isinstance(source, dict) else read(Path(source).expanduser())
    library, weights = with_our_names({key: _as_numbers(key, value) for key, value in weights.items()})
    own = model.state_dict()
    if skip_head:
        weights, own = (
            {k: v for k, v in d.items() if not k.startswith(("head.", "pre_logits."))} for d in (weights, own)
        )
    if "pos_embed" in weights and "pos_embed" in own:
        weights["pos_embed"] = _fit_positions(model, weights["pos_embed"], library)
    missing = [f"missing {key}" for key in own if key not in weights]
    unknown = [f"unknown {key}" for key in weights if key not in own]
    misshapen = [
        f"{key} is {list(weights[key].shape)} and should be {list(own[key].shape)}" for key in unfit(weights, own)
    ]
    if missing or unknown or misshapen:
        raise ValueError(
            f"the weights do not fit the model ({_first_few(missing, unknown, misshapen)}); nothing was loaded: "
            f"{likely_reason(weights, own)}"
        )
    model.load_state_dict(weights, strict=not skip_head)
    return model


def _as_numbers(key: str, value: object) -> Tensor:
    """Give the value as a tensor whose numbers can be copied, or raise ValueError, before anything is loaded."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return torch.from_numpy(value)
    if not isinstance(value, Tensor):
        what = f"a {type(value).__name__}"
    elif value.is_meta:
        what = "a tensor on the device meta, which has a shape and no numbers"
    elif value.layout != torch.strided or value.is_quantized:
        what = f"a {'quantized' if value.is_quantized else 'sparse'} tensor"
    elif value.is_complex():
        what = f"a tensor of {value.dtype}"
    else:
        return value
    raise ValueError(f"{key} is {what}; nothing was loaded: pass dense tensors of numbers, as state_dict() gives them")


def _first_few(*kinds: list[str], most: int = 4) -> str:
    """Name the first problems, some of each kind, and say how many more there are."""
    taken, total = [0] * len(kinds), sum(map(len, kinds))
    while sum(taken) < min(most, total):
        for i, kind in enumerate(kinds):
            taken[i] += taken[i] < len(kind) and sum(taken) < most
    shown = "; ".join(problem for kind, count in zip(kinds, taken, strict=True) for problem in kind[:count])
    return shown + (f", and {total - most} more" if total > most else "")


# How the libraries stretch positions to another grid; "timm" is also what our own files are taken for.
_STRETCH = {
    "timm": {},
    "torchvision": {"mode": "bicubic", "align_corners": True, "antialias": False},
    "google": {"mode": "bilinear", "align_corners": True, "antialias": False},
}


def _fit_positions(model: ViT, pos_embed: Tensor, library: str) -> Tensor:
    prefix, grid = model.num_prefix_tokens, model.grid_size
    side = math.isqrt(max(pos_embed.shape[1] - prefix, 0)) if pos_embed.ndim == 3 else 0
    fits = pos_embed.ndim == 3 and pos_embed.shape[1] == prefix + math.prod(grid)
    if fits or side == 0 or prefix + side * side != pos_embed.shape[1]:
        return pos_embed  # nothing to do, or nothing that can be done
    return interpolate_positions(pos_embed, side, grid, prefix, **_STRETCH[library])
