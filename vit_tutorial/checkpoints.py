"""Weights in and out: our models as one safe file, and the weights of the libraries into our models.

A `.safetensors` file holds numbers and text only, so loading one runs no code. Everything needed to use the model again
(its config, class names, input mean and std, and the record of its training) travels in the file's metadata.
"""

import json
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from vit_tutorial.files import write_file
from vit_tutorial.vit import ViT, ViTConfig


@dataclass(frozen=True)
class ModelCard:
    """What one must know to use a model: classes, mean and std of its input (in 0..1 units), and its record."""

    class_names: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    record: str = ""  # the name of the file in data/results/ that tells how it was trained

    def normalize(self, images: Tensor) -> Tensor:
        """Turn pixels [B, C, H, W] of 0 to 255 into what the model was trained on: (pixels / 255 - mean) / std."""
        mean, std = (torch.tensor(values, device=images.device).view(1, -1, 1, 1) for values in (self.mean, self.std))
        return (images.float() / 255 - mean) / std


def save_model(
    model: ViT, path: str | os.PathLike, card: ModelCard | None = None, dtype: torch.dtype | None = None
) -> Path:
    """Write the model to one `.safetensors` file, all or nothing; an existing file survives a failed write.

    `card` defaults to the model's own. `dtype` (say torch.float16) stores the weights smaller. Returns the path.
    """
    path = Path(path)
    card = card or model.card or ModelCard()
    weights = {
        k: v.detach().to("cpu", dtype if v.is_floating_point() else None).contiguous()
        for k, v in model.state_dict().items()
    }
    metadata = {"format": "vit_tutorial", "config": json.dumps(asdict(model.config)), "card": json.dumps(asdict(card))}
    write_file(path, save(weights, metadata))
    return path


def load_model(path: str | os.PathLike) -> ViT:
    """Build the model that `save_model` wrote: same config, same weights (as float32), in eval mode, with its `card`.

    Raises FileNotFoundError if there is no such file, ValueError if it is damaged or was not written by `save_model`.
    """
    weights, metadata = _read_safetensors(Path(path))
    if metadata.get("format") != "vit_tutorial":
        raise ValueError(
            f"{path} holds weights but no vit_tutorial config; build the model with ViT(config) and use load_weights"
        )
    try:
        model = ViT(ViTConfig(**json.loads(metadata["config"])))
        card = json.loads(metadata["card"])
        card = {f.name: tuple(v) if isinstance(v := card[f.name], list) else v for f in fields(ModelCard)}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} has a config or card that cannot be read ({error!r}); save the model again with save_model"
        ) from error
    load_weights(model, weights).card = ModelCard(**card)
    return model.eval()


def load_weights(model: ViT, source: dict[str, Tensor] | str | os.PathLike) -> ViT:
    """Copy weights into the model from a state dict or a `.safetensors` file of ours, timm or torchvision.

    Returns the model. All or nothing: raises ValueError naming the first keys or shapes that do not fit, and leaves the
    model as it was.
    """
    weights = dict(source) if isinstance(source, dict) else _read_safetensors(Path(source))[0]
    if "conv_proj.weight" in weights:
        weights = {_torchvision_to_timm(key): value for key, value in weights.items()}
    own = model.state_dict()
    problems = [f"missing {key}" for key in own if key not in weights]
    problems += [f"unknown {key}" for key in weights if key not in own]
    problems += [
        f"{key} is {list(weights[key].shape)} and should be {list(own[key].shape)}"
        for key in own
        if key in weights and weights[key].shape != own[key].shape
    ]
    if problems:
        more = f", and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise ValueError(
            f"the weights do not fit the model ({'; '.join(problems[:4])}{more}); nothing was loaded: compare its "
            "config (dim, depth, patch_size, image_size, num_classes) with that of the weights"
        )
    model.load_state_dict(weights)
    return model


# torchvision's vit_* call the same tensors by other names; the numbers need no change
_TORCHVISION = [
    (r"^class_token$", "cls_token"),
    (r"^conv_proj\.", "patch_embed.proj."),
    (r"^encoder\.pos_embedding$", "pos_embed"),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.", r"blocks.\1."),
    (r"^encoder\.ln\.", "norm."),
    (r"^heads\.head\.", "head."),
    (r"^heads\.pre_logits\.", "pre_logits.fc."),
    (r"\.ln_1\.", ".norm1."),
    (r"\.ln_2\.", ".norm2."),
    (r"\.self_attention\.in_proj_(weight|bias)$", r".attn.qkv.\1"),
    (r"\.self_attention\.out_proj\.", ".attn.proj."),
    (r"\.mlp\.(0|linear_1)\.", ".mlp.fc1."),
    (r"\.mlp\.(3|linear_2)\.", ".mlp.fc2."),
]


def _torchvision_to_timm(key: str) -> str:
    for pattern, name in _TORCHVISION:
        key = re.sub(pattern, name, key)
    return key


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; check the path, or train the model first")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        return load_file(path), metadata
    except SafetensorError as error:
        raise ValueError(
            f"{path} ({path.stat().st_size} bytes) is not a whole .safetensors file: {error}; copy or train it again"
        ) from None
