"""Our own files: a model, its config and its card in one `.safetensors` file."""

import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from vit_tutorial.support.files import write_file
from vit_tutorial.vit import ViT, ViTConfig
from vit_tutorial.weights.card import ModelCard
from vit_tutorial.weights.files import read_safetensors
from vit_tutorial.weights.loading import load_weights


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
    weights, metadata = read_safetensors(Path(path))
    if metadata.get("format") != "vit_tutorial":
        raise ValueError(
            f"{path} holds weights but no vit_tutorial config; build the model with ViT(config) and use load_weights"
        )
    try:
        model = ViT(ViTConfig(**_read_json(metadata["config"])))
        card = _read_json(metadata["card"])
        card = ModelCard(**{field.name: card[field.name] for field in fields(ModelCard)})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} has a config or card that cannot be read ({error!r}); save the model again with save_model"
        ) from error
    load_weights(model, weights).card = card
    return model.eval()


def _read_json(text: str) -> dict[str, Any]:
    """Read what `asdict` gave: JSON has lists where there were tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(text).items()}
