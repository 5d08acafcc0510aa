"""Whose weights these are, and the same weights under the names of ours and timm's models."""

import re
from typing import Any

from torch import Tensor

from vit_tutorial.weights.google import google_to_timm
from vit_tutorial.weights.hugging_face import hugging_face_to_timm, is_hugging_face
from vit_tutorial.weights.timm_names import fold_extras
from vit_tutorial.weights.torchvision_names import torchvision_to_timm

_INSIDE = re.compile(r"(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")  # what PyTorch puts anywhere
_AROUND = ("module.", "model.", "net.", "network.")  # in front of every name, one of them or several


def with_our_names(weights: dict[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """Say whose weights these are, and give them the names that ours and timm's models use."""
    if "conv_proj.weight" in weights:
        return "torchvision", torchvision_to_timm(weights)
    if is_hugging_face(weights):
        return "hugging face", fold_extras(hugging_face_to_timm(weights))
    for prefix in ("", "params/", "opt/target/"):
        if f"{prefix}embedding/kernel" in weights:
            of_the_model = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
            return "google", google_to_timm(of_the_model)
    return "timm", fold_extras(weights)


def unpacked(content: dict) -> dict[str, Any]:
    """Take the state dict out of what a training program saved, and off its names what a wrapper put before them.

    Raises ValueError for names that are no text.
    """
    for name in ("model", "state_dict", "model_state_dict", "net", "module"):
        if isinstance(content.get(name), dict):
            content = content[name]
    if odd := [key for key in content if not isinstance(key, str)]:
        raise ValueError(f"{odd[0]!r} is no name of a tensor; nothing was loaded: pass what state_dict() gives")
    if any(key.startswith("module.") for key in content):
        content = {key: value for key, value in content.items() if key != "n_averaged"}  # AveragedModel's counter
    content = {_INSIDE.sub("", key): value for key, value in content.items()}
    while content and (prefix := next((p for p in _AROUND if all(key.startswith(p) for key in content)), "")):
        content = {key.removeprefix(prefix): value for key, value in content.items()}
    return content
