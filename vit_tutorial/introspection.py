"""Looking inside a model: what each head attends to, layer by layer, and how large its parts are.

Sources: Dosovitskiy et al. 2021, section 4.5 and figures 7 and 11; Abnar and Zuidema 2020, "Quantifying Attention Flow
in Transformers".
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vit_tutorial.attention import MultiHeadAttention
from vit_tutorial.vit import ViT


def count_parameters(module: nn.Module) -> int:
    """Count the numbers that training may change."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


@torch.no_grad()
def attention_maps(model: ViT, images: Float[Tensor, "B C H W"]) -> list[Float[Tensor, "B h N N"]]:
    """Run the model once and collect the attention weights of every layer, in order.

    Shapes: images [B, C, H, W] -> one [B, h, N, N] per block; row i says where token i looks, and sums to 1. Token 0 is
    the class token if the model has one. The model runs in eval mode and is put back as it was.
    Raises TypeError if a block has no `attn` that can return its weights.
    Source: section 4.5 of the paper.
    """
    for i, block in enumerate(model.blocks):
        if not isinstance(getattr(block, "attn", None), MultiHeadAttention):
            raise TypeError(
                f"block {i} has no MultiHeadAttention as `attn`, so there are no weights to read; "
                "derive your attention from vit_tutorial.attention.MultiHeadAttention"
            )
    maps: list[Tensor] = []

    def ask_for_weights(attention, args, kwargs):
        return args, kwargs | {"return_weights": True}

    def keep_weights(attention, args, output):
        out, weights = output
        maps.append(weights)
        return out

    hooks = []
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        for block in model.blocks:
            hooks.append(block.attn.register_forward_pre_hook(ask_for_weights, with_kwargs=True))
            hooks.append(block.attn.register_forward_hook(keep_weights))
        model(images)
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training
    return maps


def attention_rollout(maps: list[Float[Tensor, "B h N N"]]) -> Float[Tensor, "B N N"]:
    """Follow attention through all layers: how much of each input token reaches each output token.

    Shapes: L maps [B, h, N, N] -> [B, N, N]; rows sum to 1. Heads are averaged, and the residual connection counts as
    half of each layer.
    Raises ValueError if there are no maps.
    Source: Abnar and Zuidema 2020, section 3.
    """
    _check_maps(maps)
    identity = torch.eye(maps[0].shape[-1], dtype=maps[0].dtype, device=maps[0].device)
    rollout = identity.expand(len(maps[0]), -1, -1)
    for weights in maps:
        layer = (weights.mean(dim=1) + identity) / 2  # [B, h, N, N] -> [B, N, N]
        rollout = layer @ rollout
    return rollout


def attention_distance(
    maps: list[Float[Tensor, "B h N N"]],
    patch_size: int,
    grid_size: tuple[int, int] | None = None,
    num_prefix_tokens: int = 1,
) -> Float[Tensor, "L h"]:
    """Measure how far, in pixels, each head of each layer looks on average.

    Shapes: L maps [B, h, N, N] -> [L, h]. Only attention from patch to patch counts, and each patch's share is made to
    sum to 1. Without `grid_size` (rows, columns) the grid is taken to be square.
    Raises ValueError if there are no maps or the tokens do not fill the grid.
    Source: section 4.5 of the paper and figure 7, right.
    """
    _check_maps(maps)
    num_patches = maps[0].shape[-1] - num_prefix_tokens
    rows, columns = grid_size or (math.isqrt(num_patches),) * 2
    if rows * columns != num_patches:
        raise ValueError(
            f"{maps[0].shape[-1]} tokens less {num_prefix_tokens} prefix tokens do not fill a {rows}x{columns} grid; "
            "pass grid_size=(rows, columns) and num_prefix_tokens"
        )
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    place = torch.stack([row.flatten(), column.flatten()], dim=1).to(maps[0]) * patch_size  # [N, 2], pixels
    distance = torch.cdist(place, place)  # [N, N]
    distances = []
    for weights in maps:
        between = weights[:, :, num_prefix_tokens:, num_prefix_tokens:]
        between = between / between.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(between.dtype).tiny)
        distances.append((between * distance).sum(dim=-1).mean(dim=(0, 2)))  # [B, h, N, N] -> [h]
    return torch.stack(distances)


def _check_maps(maps: list[Tensor]) -> None:
    if not maps:
        raise ValueError("there are 0 attention maps; pass the list that attention_maps(model, images) gives")
