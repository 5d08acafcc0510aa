"""Whose weights these are, and the same weights under the names of ours and timm's models."""

from torch import Tensor

from vit_tutorial.weights.google import google_to_timm
from vit_tutorial.weights.torchvision_names import torchvision_to_timm


def with_our_names(weights: dict[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """Say whose weights these are, and give them the names that ours and timm's models use."""
    if "conv_proj.weight" in weights:
        return "torchvision", {torchvision_to_timm(key): value for key, value in weights.items()}
    for prefix in ("", "params/", "opt/target/"):
        if f"{prefix}embedding/kernel" in weights:
            of_the_model = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
            return "google", google_to_timm(of_the_model)
    return "timm", weights


def unpacked(content: dict) -> dict:
    """Take the state dict out of what a training program saved, and off its names what a wrapper put before them."""
    for name in ("model", "state_dict", "model_state_dict", "net", "module"):
        if isinstance(content.get(name), dict):
            content = content[name]
    for prefix in ("module.", "_orig_mod.", "model."):
        if content and all(isinstance(key, str) and key.startswith(prefix) for key in content):
            content = {key.removeprefix(prefix): value for key, value in content.items()}
    return dict(content)
