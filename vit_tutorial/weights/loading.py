"""Weights of any layout into a model of ours: all of them or none."""

import os
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vit_tutorial.inputs import as_pair, check_kind
from vit_tutorial.support.wrapped import unwrapped
from vit_tutorial.vit import ViT
from vit_tutorial.weights.files import existing_file, read
from vit_tutorial.weights.grid import fit_positions
from vit_tutorial.weights.metadata import (
    Metadata,
    grid_of,
    is_ours,
    must_be_unchanged,
    name_parts,
    understand,
    unusual_parts,
)
from vit_tutorial.weights.names import unpacked, with_our_names
from vit_tutorial.weights.reasons import first_few, likely_reason, unfit


class Misfit(ValueError):
    """Weights have other names or shapes than the model; the message has the first, and what is likely wrong."""


def load_weights(
    model: ViT,
    source: dict[str, Any] | str | os.PathLike,
    *,
    skip_head: bool = False,
    grid_size: int | tuple[int, int] | None = None,
) -> ViT:
    """Copy weights into the model from a state dict or a file of ours, timm, torchvision, Hugging Face or Google.

    A file is a `.safetensors`, what torch.save wrote if that is tensors only, or an `.npz` of vit_jax or big_vision;
    its first bytes tell which. Positions of another grid are interpolated as the library they come from does it. A file
    of ours knows its grid; others are taken to be square unless `grid_size` (rows, columns; one number for a square)
    says how theirs lie. Layer scale is folded into the linear layers, exactly. `skip_head=True` leaves the model's own
    head alone, for other classes. A state dict does not say how many heads a model has, where it pools and which GELU
    it takes (Google trained with gelu="tanh"): the config has to. Nor does it say that timm's rope_ape models also turn
    queries and keys by their positions: their tensors fit a model here, which computes something else. A hybrid
    computes as timm's, whose small constants in the norms differ from Google's: logits of Google's own hybrids agree to
    about 1e-4.
    All or nothing: raises FileNotFoundError, TypeError for a source of another kind or a model that is no ViT, or
    ValueError naming the first keys or shapes that do not fit, or numbers that are not finite, and leaves the model as
    it was. Returns the model.
    """
    if not isinstance(source, dict | str | os.PathLike):
        advice = "pass its state_dict()" if hasattr(source, "state_dict") else "pass a state dict or a path"
        raise TypeError(f"the source of the weights is a {type(source).__name__}; {advice}")
    own_model, about = check_kind("model", unwrapped(model), ViT), None
    if isinstance(source, dict):
        weights = source
    else:
        path = existing_file(source)
        weights, said = read(path)
        if is_ours(said):
            about = understand(path, said)
            must_be_unchanged(path, said, weights)
    library, weights = with_our_names({key: _as_tensor(key, value) for key, value in unpacked(weights).items()})
    own = own_model.state_dict()
    if skip_head:
        weights, own = (
            {k: v for k, v in d.items() if not k.startswith(("head.", "pre_logits."))} for d in (weights, own)
        )
    if "pos_embed" in weights and "pos_embed" in own:
        known = about and grid_of(about.config)
        grid = known if grid_size is None else as_pair(grid_size)
        weights["pos_embed"] = fit_positions(own_model, weights["pos_embed"], library, grid)
    must_fit(weights, own)
    if about:
        _must_compute_alike(about, own_model)
    put(own_model, weights, strict=not skip_head)
    return model


def put(model: ViT, weights: dict[str, Tensor], strict: bool = True) -> None:
    """Copy weights that fit into the model; raise ValueError before that if one is no finite real number."""
    if empty := next((name for name, parameter in model.named_parameters() if parameter.is_meta), None):
        raise ValueError(
            f"the model has shapes and no numbers ({empty} is on the device meta); give it memory first: "
            "load_weights(model.to_empty(device='cpu'), …)"
        )
    own = model.state_dict()
    for key, value in weights.items():
        if not value.is_floating_point():
            raise ValueError(f"{key} is a tensor of {value.dtype}; nothing was loaded: weights are real numbers")
        if not is_finite(value):
            bad = int((~value.float().isfinite()).sum())
            raise ValueError(
                f"{key} holds NaN or infinity in {bad} of {value.numel()} numbers; nothing was loaded: the weights are "
                "damaged, or their training came to nothing"
            )
        if value.dtype != own[key].dtype and not is_finite(value.to(own[key].dtype)):
            raise ValueError(
                f"{key} holds {value.abs().max().item():.3g}, more than {own[key].dtype} can hold; nothing was loaded: "
                "give the model another type first, such as model.float()"
            )
    model.load_state_dict(weights, strict=strict)


def is_finite(value: Tensor) -> bool:
    """Say whether no number is infinite or NaN; of floats of 8 bits too, for which PyTorch does not know it."""
    return bool((value if value.element_size() > 1 else value.float()).isfinite().all())


def must_fit(weights: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    """Raise Misfit that names the first keys and shapes in which the weights differ from the model's own."""
    missing = [f"missing {key}" for key in own if key not in weights]
    unknown = [f"unknown {key}" for key in weights if key not in own]
    misshapen = [
        f"{key} is {list(weights[key].shape)} and should be {list(own[key].shape)}" for key in unfit(weights, own)
    ]
    if missing or unknown or misshapen:
        raise Misfit(
            f"the weights do not fit the model ({first_few(missing, unknown, misshapen)}); nothing was loaded: "
            f"{likely_reason(weights, own)}"
        )


def _must_compute_alike(about: Metadata, model: ViT) -> None:
    """Raise ValueError if the model would make something else of these weights, which no name and shape tells."""
    differences = [
        f"{name} is {theirs!r} for the weights and {ours!r} for the model"
        for name in ("num_heads", "gelu", "position")
        if (theirs := getattr(about.config, name)) != (ours := getattr(model.config, name))
    ]
    parts = unusual_parts(model)
    if about.parts.keys() != parts.keys():
        differences.append(f"parts of their own: {name_parts(about.parts)} for the weights, {name_parts(parts)} here")
    if differences:
        raise ValueError(
            f"the model would not compute what the file's does ({'; '.join(differences)}); nothing was loaded: build "
            "it alike, or pass the tensors alone, safetensors.torch.load_file(path)"
        )


def _as_tensor(key: str, value: object) -> Tensor:
    """Give the value as a tensor whose numbers can be copied, or raise ValueError, before anything is loaded."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
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
