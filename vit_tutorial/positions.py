"""Positions: attention cannot tell where a patch was, so each token is told.

    tokens [B, N, D]  +  pos_embed [1, N, D]  ->  [B, N, D]

Sources: Dosovitskiy et al. 2021, section 3.1, E_pos of equation 1, and appendix D.4; Vaswani et al. 2017, section
3.5, for sine and cosine; Beyer et al. 2022, "Better plain ViT baselines for ImageNet-1k", for their 2-D form.
"""

from collections.abc import Callable

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vit_tutorial.inputs import as_pair, check_kind, whole_number


class PositionEmbedding(nn.Module):
    """Add one vector per position, the same for every image, to the tokens.

    Shapes: [B, N, D] -> [B, N, D]. `pos_embed` is [1, N, D]: learned, or the fixed `table` [N, D] where one is given.
    No state dict holds a fixed table, so the module fills it in again where a move leaves it without its numbers.
    Raises ValueError if N or D is below 1, or the sequence does not have N tokens of D numbers.
    Source: section 3.1 of the paper, E_pos of equation 1.
    """

    def __init__(self, num_tokens: int, dim: int, table: Float[Tensor, "N D"] | None = None):
        super().__init__()
        for name, size in (("num_tokens", num_tokens), ("dim", dim)):
            whole_number(name, size, 1)
        if table is None:
            self.table = None
            self.pos_embed = nn.Parameter(torch.empty(1, num_tokens, dim))
            nn.init.trunc_normal_(self.pos_embed, std=0.02)
        else:
            if check_kind("table", table, Tensor).shape != (num_tokens, dim):
                raise ValueError(f"the table must be [{num_tokens}, {dim}]; got shape {list(table.shape)}")
            self.table = table.detach().clone()  # an attribute of its own: moving the module leaves it whole
            self.register_buffer("pos_embed", torch.empty(1, num_tokens, dim, dtype=table.dtype), persistent=False)
            self.pos_embed.copy_(self.table)

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        check_kind("tokens", tokens, Tensor)
        if tokens.ndim != 3 or tokens.shape[1:] != self.pos_embed.shape[1:]:
            _, num_tokens, dim = self.pos_embed.shape
            raise ValueError(
                f"there are positions for tokens [B, {num_tokens}, {dim}], but the tokens are {list(tokens.shape)}; "
                "for another image size use interpolate_positions"
            )
        return tokens + self.pos_embed

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        """Move or convert as `to`, `half` and `to_empty` ask, of which the last one brings no numbers along."""
        fixed = self.table is not None and (self.pos_embed.is_meta or self.has_its_table())
        super()._apply(fn, recurse)
        if fixed:
            self.pos_embed.copy_(self.table)
        return self

    def _load_from_state_dict(self, state_dict: dict, prefix: str, local_metadata: dict, *rest) -> None:
        """Fill the table in when a model without numbers takes those of a state dict, `assign=True`."""
        if self.table is not None and self.pos_embed.is_meta and local_metadata.get("assign_to_params_buffers"):
            self.pos_embed = self.table[None].clone()
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

    def has_its_table(self) -> bool:
        """Say whether the positions are fixed, and still those that were given."""
        return self.table is not None and torch.equal(self.pos_embed[0], self.table.to(self.pos_embed))

    def extra_repr(self) -> str:
        _, num_tokens, dim = self.pos_embed.shape
        return f"{num_tokens}, {dim}" + (", fixed" if self.table is not None else "")


def sincos_1d(num_positions: int, dim: int) -> Float[Tensor, "N D"]:
    """Make fixed positions on a line: waves of D/2 wavelengths, from 2 pi to nearly 10,000 * 2 pi positions.

    Shapes: -> [N, D], with sin in the even columns and cos in the odd ones.
    Raises ValueError if N is below 1, or D is odd or below 2.
    Source: Vaswani et al. 2017, section 3.5.
    """
    whole_number("num_positions", num_positions, 1)
    if whole_number("dim", dim, 2) % 2:
        raise ValueError(f"dim is {dim}, but sine and cosine come in pairs; use {dim - 1} or {dim + 1}")
    position = torch.arange(num_positions, dtype=torch.float64)[:, None]  # [N, 1]
    frequency = 10_000 ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)  # [D/2]
    angle = position * frequency  # [N, D/2]
    return rearrange(torch.stack([angle.sin(), angle.cos()]), "two n d -> n (d two)").float()


def sincos_2d(grid_size: int | tuple[int, int], dim: int) -> Float[Tensor, "N D"]:
    """Make fixed positions on a grid: half of the numbers encode the column, half the row.

    Shapes: grid (rows, columns) -> [rows*columns, D]: sin(column), cos(column), sin(row), cos(row), D/4 numbers each.
    Raises ValueError if D is not a multiple of 4, or is 4 (which leaves one frequency and no range of them),
    or for a grid without places.
    Source: Beyer et al. 2022, section 2 and its published code.
    """
    if whole_number("dim", dim) % 4 or dim < 8:
        raise ValueError(f"dim is {dim}, but sin and cos of row and column take a multiple of 4 from 8 on")
    rows, columns = as_pair(grid_size)
    row, column = torch.meshgrid(
        torch.arange(rows, dtype=torch.float64), torch.arange(columns, dtype=torch.float64), indexing="ij"
    )
    frequency = 10_000 ** -torch.linspace(0, 1, dim // 4, dtype=torch.float64)  # [D/4]
    x, y = (place.flatten()[:, None] * frequency for place in (column, row))  # [N, D/4] each
    return torch.cat([x.sin(), x.cos(), y.sin(), y.cos()], dim=1).float()


def interpolate_positions(
    pos_embed: Float[Tensor, "1 M D"],
    old_grid: int | tuple[int, int],
    new_grid: int | tuple[int, int],
    num_prefix_tokens: int = 1,
    *,
    mode: str = "bicubic",
    align_corners: bool = False,
    antialias: bool = True,
) -> Float[Tensor, "1 M2 D"]:
    """Stretch learned positions to another grid, as one resizes a picture of D channels; the identity at equal grids.

    Shapes: [1, prefix + rows*columns, D] -> [1, prefix + new rows * new columns, D]. Prefix tokens (the class token)
    have no place on the grid and are kept as they are. The defaults are timm's; torchvision's is bicubic with
    align_corners=True and antialias=False, Google's is bilinear with the same.
    Raises ValueError if `pos_embed` does not hold the positions of `old_grid`, for a grid without places, or for a mode
    other than "bicubic" and "bilinear".
    Source: section 3.2 of the paper.
    """
    old, new = as_pair(old_grid), as_pair(new_grid)
    whole_number("num_prefix_tokens", num_prefix_tokens, 0)
    if mode not in ("bicubic", "bilinear"):
        raise ValueError(f"mode is {mode!r}; it must be 'bicubic' or 'bilinear'")
    check_kind("pos_embed", pos_embed, Tensor)
    if pos_embed.ndim != 3 or pos_embed.shape[1] != num_prefix_tokens + old[0] * old[1]:
        raise ValueError(
            f"pos_embed has shape {list(pos_embed.shape)}, but {num_prefix_tokens} prefix tokens and a grid of "
            f"{old[0]}x{old[1]} make [1, {num_prefix_tokens + old[0] * old[1]}, D]; check the arguments"
        )
    if old == new:
        return pos_embed.clone()  # like every other answer, a tensor of its own
    prefix, grid = pos_embed.split([num_prefix_tokens, old[0] * old[1]], dim=1)
    grid = rearrange(grid, "one (h w) d -> one d h w", h=old[0])
    grid = grid.to(torch.promote_types(grid.dtype, torch.float32))  # half precision cannot be resized on a CPU
    grid = F.interpolate(grid, size=new, mode=mode, align_corners=align_corners, antialias=antialias)
    return torch.cat([prefix, rearrange(grid, "one d h w -> one (h w) d").to(prefix.dtype)], dim=1)
