"""Our own files: a model, its config and its card in one `.safetensors` file."""

import os
from pathlib import Path

import torch
from safetensors.torch import save

from vit_tutorial.inputs import check_kind
from vit_tutorial.support.files import in_one_order, write_file
from vit_tutorial.support.meta import shapes_only
from vit_tutorial.support.paths import at_home
from vit_tutorial.support.wrapped import unwrapped
from vit_tutorial.vit import ViT
from vit_tutorial.weights.card import ModelCard
from vit_tutorial.weights.files import existing_file, read_safetensors
from vit_tutorial.weights.loading import is_finite, must_fit, put
from vit_tutorial.weights.metadata import (
    describe,
    is_ours,
    must_be_possible,
    must_be_unchanged,
    name_parts,
    understand,
    unreadable,
)


def save_model(
    model: ViT, path: str | os.PathLike, card: ModelCard | None = None, dtype: torch.dtype | None = None
) -> Path:
    """Write the model to one `.safetensors` file, all or nothing; an existing file survives a failed write.

    `card` defaults to the model's own. `dtype` (say torch.float16) stores the weights smaller. Returns the path. The
    same model gives the same bytes, with a checksum among them.
    Raises TypeError for a model that is no ViT, and ValueError if the card does not fit the model, `dtype` is no type
    of real numbers, or a weight is not finite in it.
    """
    path, model = at_home(path), unwrapped(model)
    check_kind("model", model, ViT, "; another network keeps its numbers with torch.save(model.state_dict(), path)")
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise ValueError(f"dtype is {dtype}; nothing was written: weights are real numbers, such as torch.float16")
    card = check_kind("card", card or model.card or ModelCard(), ModelCard)
    card.must_fit(model.config)
    weights: dict[str, torch.Tensor] = {}
    for key, value in model.state_dict().items():
        if not isinstance(value, torch.Tensor) or value.is_quantized:
            raise ValueError(
                f"{key} is no tensor of real numbers; nothing was written: save the model it was made from"
            )
        if value.is_meta:
            raise ValueError(f"{key} is on the device meta and has no numbers; nothing was written")
        value = value.detach().to("cpu", dtype if value.is_floating_point() else None).contiguous()
        if not is_finite(value):
            raise ValueError(
                f"{key} holds NaN or infinity as {value.dtype}; nothing was written: load_model would refuse it"
            )
        shared = any(value.data_ptr() == other.data_ptr() for other in weights.values())  # by layers that are tied
        weights[key] = value.clone() if shared else value
    write_file(path, in_one_order(save(weights, describe(model, card, weights))))
    return path


def load_model(path: str | os.PathLike) -> ViT:
    """Build the model that `save_model` wrote: same config, same weights (as float32), in eval mode, with its `card`.

    Names, shapes and sizes are looked at before anything is built. Raises FileNotFoundError if there is no such file,
    ValueError if it is damaged, was not written by `save_model`, or belongs to a model with parts of its own.
    """
    path = existing_file(path)
    weights, said = read_safetensors(path)
    if not is_ours(said):
        raise ValueError(
            f"{path} holds weights but no vit_tutorial config; build the model with ViT(config) and use load_weights"
        )
    about = understand(path, said)
    if about.parts:
        raise ValueError(
            f"{path} is of a model with parts of its own ({name_parts(about.parts)}), which no file holds; build it as "
            "it was, ViT(config, attention=…) or the like, and load_weights(model, path)"
        )
    must_be_possible(path, about.config, weights)
    try:
        with shapes_only():
            model = ViT(about.config).float()
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise unreadable(path, error) from error
    must_fit(weights, model.state_dict())
    must_be_unchanged(path, said, weights)
    model.to_empty(device=torch.empty(0).device)  # where new tensors are
    put(model, weights)
    model.card = about.card
    return model.eval()
