"""What several layouts need: names by patterns, the three matrices of attention as one, a place for a class token."""

import math
import re
from collections.abc import Callable

import torch
from torch import Tensor


def rename(key: str, patterns: list[tuple[str, str | Callable[[re.Match], str]]]) -> str:
    """Replace every pattern that is found, in order."""
    for pattern, name in patterns:
        key = re.sub(pattern, name, key)
    return key


def join_queries(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Put attn.query, attn.key and attn.value, each [D, D] or [D], on top of each other as attn.qkv."""
    joined = dict(weights)
    for query in [name for name in weights if ".attn.query." in name]:
        parts = [query.replace(".query.", f".{part}.") for part in ("query", "key", "value")]
        if all(part in joined for part in parts):
            joined[query.replace(".query.", ".qkv.")] = torch.cat([joined.pop(part) for part in parts])
    return joined


def place_class_token(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give a class token that has no position one of zeros: then the positions alone are as many as a square has."""
    pos_embed = weights.get("pos_embed")
    if pos_embed is None or pos_embed.ndim != 3 or "cls_token" not in weights:
        return weights
    if math.isqrt(pos_embed.shape[1]) ** 2 != pos_embed.shape[1]:
        return weights
    nowhere = pos_embed.new_zeros(1, 1, pos_embed.shape[2])
    return weights | {"pos_embed": torch.cat([nowhere, pos_embed], dim=1)}
