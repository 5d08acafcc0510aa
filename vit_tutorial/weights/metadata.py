"""What a file of ours says of itself: its config, its card, the parts that are not the course's, and a checksum."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vit_tutorial.encoder import DropPath
from vit_tutorial.inputs import as_pair
from vit_tutorial.positions import PositionEmbedding
from vit_tutorial.support.meta import shapes_only
from vit_tutorial.vit import ViT, ViTConfig
from vit_tutorial.weights.card import YOUNGER, ModelCard
from vit_tutorial.weights.reasons import first_few

FORMAT = "vit_tutorial"
ENTRIES = {"format", "config", "card", "parts", "sha256"}  # parts and sha256 are younger than the others
MOST_POSITIONS = 2**28  # numbers in a table of fixed positions, which no tensor of the file bounds


@dataclass(frozen=True)
class Metadata:
    """What was read from a file of ours."""

    config: ViTConfig
    card: ModelCard
    parts: dict[str, str]  # the modules that ViT(config) does not have like this, and what they are


def describe(model: ViT, card: ModelCard, weights: dict[str, Tensor]) -> dict[str, str]:
    """Write down what a file with these weights says of itself."""
    said = {"format": FORMAT, "config": json.dumps(asdict(model.config)), "card": json.dumps(asdict(card))}
    if parts := unusual_parts(model):
        said["parts"] = json.dumps(parts)
    return said | {"sha256": checksum(said, weights)}


def is_ours(said: dict[str, str]) -> bool:
    """Say whether a file with these metadata was written by `save_model`, even if one entry is damaged."""
    return said.get("format") == FORMAT or {"config", "card"} <= said.keys()


def understand(path: Path, said: dict[str, str]) -> Metadata:
    """Read the metadata of a file of ours; raise ValueError if they are damaged or contradict each other."""
    try:
        if said.get("format") != FORMAT or not said.keys() <= ENTRIES:
            raise ValueError(f"entries {', '.join(sorted(said))} of format {said.get('format')}")
        config = ViTConfig(**_read_json(said["config"]))
        card = _read_json(said["card"])
        names = [field.name for field in fields(ModelCard) if field.name in card or field.name not in YOUNGER]
        card = ModelCard(**{name: card[name] for name in names})
        card.must_fit(config)
        return Metadata(config, card, _read_json(said.get("parts", "{}")))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> ValueError:
    """Make the error for a file of ours whose config or card is none."""
    return ValueError(
        f"{path} has a config or card that cannot be read ({repr(error)[:200]}); save the model again with save_model"
    )


def _read_json(text: str) -> dict[str, Any]:
    """Read what `asdict` gave: JSON has lists where there were tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(text).items()}


def grid_of(config: ViTConfig) -> tuple[int, int]:
    """Give the rows and columns of patches."""
    height, width = as_pair(config.image_size)
    return height // config.patch_size, width // config.patch_size


def must_be_possible(path: Path, config: ViTConfig, weights: dict[str, Tensor]) -> None:
    """Raise ValueError if the config asks for more than the tensors can fill, before anything of that size is built."""
    numbers = max((value.numel() for value in weights.values()), default=0)
    tokens = math.prod(grid_of(config))
    asked = {
        "depth": (config.depth, len(weights)),
        "stem_layers": (sum(config.stem_layers), len(weights)) if config.stem == "hybrid" else (0, 0),
        "dim": (config.dim, numbers),
        "num_heads": (config.num_heads, numbers),
        "mlp_ratio": (config.dim * config.mlp_ratio, numbers),
        "num_classes": (config.num_classes, numbers),
        "in_channels": (config.in_channels, numbers),
        "representation_size": (config.representation_size or 0, numbers),
        "image_size": (tokens * config.dim, numbers if config.position == "learned" else MOST_POSITIONS),
    }
    for name, (size, most) in asked.items():
        if size > most:
            raise ValueError(
                f"{path} has a config or card that cannot be read: {name} is {getattr(config, name)}, far more than "
                f"its {len(weights)} tensors hold; save the model again with save_model"
            )


def must_be_unchanged(path: Path, said: dict[str, str], weights: dict[str, Tensor]) -> None:
    """Raise ValueError if a bit of the file differs from what was written; an old file has no checksum to tell."""
    if "sha256" in said and said["sha256"] != checksum(said, weights):
        raise ValueError(
            f"{path} is damaged: numbers or metadata are not those that save_model wrote, by their sha256; copy it "
            "again, or save the model again"
        )


def checksum(said: dict[str, str], weights: dict[str, Tensor]) -> str:
    """Compute the sha256 of the other metadata and of all tensors: name, dtype, shape and bytes, by name."""
    digest = hashlib.sha256(json.dumps({**said, "sha256": None}, sort_keys=True).encode())
    for name, value in sorted(weights.items()):
        digest.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        digest.update(value.detach().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def unusual_parts(model: ViT, rates: bool = False) -> dict[str, str]:
    """Find the modules that `ViT(model.config)` does not have, or has otherwise, and say what each is.

    Compared are class and settings, as print shows them, the heads, and fixed positions, which no file holds. How much
    is dropped while training counts with `rates` alone: it changes nothing of what a trained model computes.
    """
    with shapes_only():
        usual = dict(ViT(model.config).named_modules())
    parts: dict[str, str] = {}
    for name, module in model.named_modules():
        if any(name.startswith(f"{part}." if part else "") for part in parts):
            continue  # inside of one that was found
        same = name in usual and type(module) is type(usual[name])
        alike = same and _settings(module, rates) == _settings(usual[name], rates)
        if not alike or not _has_usual_table(module, usual[name]):
            settings = _settings(module)
            parts[name] = type(module).__qualname__ + (f"({settings})" if settings else "")
    there = dict(model.named_modules())
    gone = [name for name in usual if name not in there and name.rpartition(".")[0] in there]
    return parts | {name: "not there" for name in gone if name.rpartition(".")[0] not in parts}


def _settings(module: nn.Module, rates: bool = True) -> str:
    if isinstance(module, nn.Dropout | DropPath) and not rates:
        return ""
    heads = getattr(module, "num_heads", None)
    return ", ".join(filter(None, [module.extra_repr(), f"num_heads={heads}" if heads else ""]))


def _has_usual_table(module: nn.Module, usual: nn.Module) -> bool:
    if not isinstance(module, PositionEmbedding) or usual.table is None:
        return True
    return torch.equal(module.pos_embed[0].cpu(), usual.table.to(module.pos_embed.dtype))


def name_parts(parts: dict[str, str]) -> str:
    """Put the unusual parts of a model into words."""
    return first_few([f"{name or 'the model'} is {what[:80]}" for name, what in parts.items()], most=2) or "none"
