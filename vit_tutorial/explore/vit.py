"""A model for the browser, which runs it itself (`vit.js`): its sizes and its numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vit_tutorial.attention import MultiHeadAttention
from vit_tutorial.encoder import LAYER_NORM_EPS, MLP, EncoderBlock
from vit_tutorial.explore.pictures import check_model
from vit_tutorial.patches import PatchEmbedding
from vit_tutorial.positions import PositionEmbedding
from vit_tutorial.tokens import ClassToken
from vit_tutorial.vit import ViT

LAYERS = {  # of a block, in the order of the forward pass
    "norm1": nn.LayerNorm,
    "attn.qkv": nn.Linear,
    "attn.proj": nn.Linear,
    "norm2": nn.LayerNorm,
    "mlp.fc1": nn.Linear,
    "mlp.fc2": nn.Linear,
}
LARGEST = 2_000_000  # numbers of a model that a browser runs while a key is held


def check_vit(model: ViT, who: str) -> None:
    """Raise ValueError with the reason if the browser cannot run the model; `who` runs it, say "the gallery".

    Raises TypeError for what is no ViT.
    """
    check_model(model)
    config = model.config
    if config.norm != "pre":
        raise ValueError(f"the model has norm={config.norm!r}; {who} runs pre-norm models: ViTConfig(norm='pre')")
    if config.representation_size is not None:
        raise ValueError("the model has a tanh layer before its head; build it with representation_size=None")
    parts = {"`patch_embed`": (model.patch_embed, PatchEmbedding)}
    if model.num_prefix_tokens:
        parts["`class_token`"] = (model.class_token, ClassToken)
    if config.position != "none":
        parts["`position`"] = (model.position, PositionEmbedding)
    for i, block in enumerate(model.blocks):
        parts[f"block {i}"] = (block, EncoderBlock)
        parts[f"`attn` of block {i}"] = (getattr(block, "attn", None), MultiHeadAttention)
        parts[f"`mlp` of block {i}"] = (getattr(block, "mlp", None), MLP)
    for place, (part, wanted) in parts.items():
        if type(part) is not wanted:
            raise ValueError(f"{place} is a {type(part).__name__}; {who} runs the course's own {wanted.__name__}")
    layers = {
        "`patch_embed.proj`": (model.patch_embed.proj, nn.Conv2d),
        "`norm`": (model.norm, nn.LayerNorm),
        "`head`": (model.head, nn.Linear),
    }
    for i, block in enumerate(model.blocks):
        layers |= {f"`{name}` of block {i}": (block.get_submodule(name), wanted) for name, wanted in LAYERS.items()}
    for place, (layer, wanted) in layers.items():
        if type(layer).forward is not wanted.forward:  # a parametrization leaves it as it is
            raise ValueError(f"{place} is a {type(layer).__name__}; {who} runs PyTorch's own {wanted.__name__}")
    size = sum(parameter.numel() for parameter in model.blocks.parameters())
    if size > LARGEST:
        raise ValueError(
            f"the blocks hold {size:,} numbers, and a browser runs {LARGEST:,} fast at most; give a smaller model"
        )


def packed_vit(model: ViT) -> dict[str, Any]:
    """A model that `check_vit` accepts as `vitOf` in vit.js takes it: sizes, and all numbers in order.

    The numbers are float16 where that changes none of them, as with weights that were stored so; otherwise float32.
    """
    config, channels = model.config, model.config.in_channels
    normalised = model.card is not None and model.card.mean
    numbers = torch.cat([part.detach().flatten().cpu() for part in _parts(model)]).float()
    half = torch.equal(numbers.half().float(), numbers)
    return {
        "channels": channels,
        "mean": list(model.card.mean) if normalised else [0.0] * channels,
        "std": list(model.card.std) if normalised else [1.0] * channels,
        "patch": config.patch_size,
        "grid": list(model.grid_size),
        "prefix": model.num_prefix_tokens,
        "layers": config.depth,
        "heads": config.num_heads,
        "dim": config.dim,
        "hidden": model.blocks[0].mlp.fc1.out_features,
        "outputs": config.num_classes,
        "pool": config.pool,
        "gelu": config.gelu,
        "eps": LAYER_NORM_EPS,
        "half": half,
        "numbers": (numbers.half() if half else numbers).numpy().tobytes(),
    }


def _parts(model: ViT) -> list[Tensor]:
    """Weights and biases in the order of the forward pass; zeros for a bias, or positions, that the model has not."""

    def pair(layer: nn.Module) -> tuple[Tensor, Tensor]:
        return layer.weight, torch.zeros_like(layer.weight[:, 0]) if layer.bias is None else layer.bias

    table = model.head.weight.new_zeros(model.num_prefix_tokens + model.patch_embed.num_patches, model.config.dim)
    if model.config.position != "none":
        table = model.position.pos_embed
    parts = [*pair(model.patch_embed.proj), *model.class_token.parameters(), table]
    for block in model.blocks:
        for name in LAYERS:
            parts += pair(block.get_submodule(name))
    return [*parts, *pair(model.norm), *pair(model.head)]
