"""Positions of one grid of patches for a model of another."""

import math
import warnings

from torch import Tensor

from vit_tutorial.positions import interpolate_positions
from vit_tutorial.vit import ViT

# How the libraries stretch positions to another grid; "timm" is also what our own files are taken for.
_STRETCH = {
    "timm": {},
    "torchvision": {"mode": "bicubic", "align_corners": True, "antialias": False},
    "google": {"mode": "bilinear", "align_corners": True, "antialias": False},
    "hugging face": {"mode": "bicubic", "align_corners": False, "antialias": False},
}


def fit_positions(model: ViT, pos_embed: Tensor, library: str, grid: tuple[int, int] | None) -> Tensor:
    """Give positions [1, M, D] for the model's grid, stretched as the library does it.

    `grid` (rows, columns) says how they lie. Where nobody knows, as many positions as the model has are taken to lie as
    they do there, and others as a square; a warning says so where the model's grid is not square and both could be.
    What cannot be fitted comes back as it is. Raises ValueError if these are not the positions of `grid`.
    """
    prefix, own = model.num_prefix_tokens, tuple(model.grid_size)
    if pos_embed.ndim != 3:
        return pos_embed
    count = pos_embed.shape[1] - prefix
    if grid is None:
        side = math.isqrt(max(count, 0))
        square = side > 0 and side * side == count
        if count != math.prod(own) and not square:
            return pos_embed
        grid = own if count == math.prod(own) else (side, side)
        if square and own[0] != own[1]:
            warnings.warn(
                f"the weights do not say how their {count} positions lie; they are taken for a grid of "
                f"{grid[0]}x{grid[1]}: pass grid_size=(rows, columns) to load_weights to say so, or another",
                stacklevel=3,
            )
    elif math.prod(grid) != count:
        raise ValueError(
            f"the weights have {pos_embed.shape[1]} positions, and a grid of {grid[0]}x{grid[1]} patches with {prefix} "
            f"class tokens takes {math.prod(grid) + prefix}; pass the grid_size=(rows, columns) that they have"
        )
    return interpolate_positions(pos_embed, grid, own, prefix, **_STRETCH[library])
