"""The numbers of the patch lab: a picture cut into patches, their sequence, and the picture put back together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from vit_tutorial.explore.limits import Between, Limit, OneOf, settle
from vit_tutorial.explore.pictures import as_picture
from vit_tutorial.explore.words import decimals
from vit_tutorial.vit import SIZES

ORDERS = ("row by row", "column by column", "shuffled")
REASSEMBLIES = ("each in its own place", "row by row")
SEEDS = 10_000
WIDEST_GAP = 8  # in screen pixels
DIM, DEPTH, HEADS = SIZES["B"]  # the costs shown are those of ViT-B
PIXELS_SHOWN = 8  # of a patch, as the beginning of its row of the matrix


def patch_sizes(height: int, width: int) -> list[int]:
    """All patch sizes that divide both sides, in pixels, smallest first."""
    return [size for size in range(1, min(height, width) + 1) if height % size == 0 and width % size == 0]


def sequence_order(rows: int, columns: int, order: str, seed: int = 0) -> Int[np.ndarray, " N"]:
    """For each place in the sequence, which cell of the grid stands there; cells are counted row by row from 0.

    `order` is "row by row", "column by column" or "shuffled"; the shuffle depends on `seed` alone and is the same in
    the browser (Fisher-Yates with a linear congruential generator).
    """
    OneOf(ORDERS).check("order", order)
    cells = np.arange(rows * columns)
    if order == "column by column":
        return cells.reshape(rows, columns).T.reshape(-1)
    if order == "shuffled":
        state = seed % 2**32
        for last in range(len(cells) - 1, 0, -1):
            state = (1664525 * state + 1013904223) % 2**32
            other = state * (last + 1) // 2**32
            cells[last], cells[other] = cells[other], cells[last]
    return cells


def attention_cost(num_tokens: int) -> tuple[int, int]:
    """What the N x N part of attention costs ViT-B for one image of N tokens: (FLOPs, bytes).

    FLOPs: the two matrix products Q K^T and A V of all heads in all 12 layers, a multiplication and an addition counted
    as two: 4 * N * N * D a layer. Bytes: the N x N weights of the 12 heads of one layer as float32.
    """
    return 4 * num_tokens**2 * DIM * DEPTH, 4 * num_tokens**2 * HEADS


def with_prefix(number: float) -> str:
    """Three digits and a prefix, ready for a unit: 1416167424 -> `1.42 G`."""
    step = 0
    while number >= 999.5 and step < 5:
        number, step = number / 1000, step + 1
    digits = 0 if step == 0 or number >= 99.95 else 1 if number >= 9.995 else 2
    return f"{decimals(number, digits)} {['', 'k', 'M', 'G', 'T', 'P'][step]}"


def patch_lab_limits(size: tuple[int, int], choices: dict[str, Any]) -> Iterator[tuple[str, Limit]]:
    """What the choices may be for a picture of this height and width; `token` depends on `patch_size`."""
    height, width = size
    yield "patch_size", OneOf(patch_sizes(height, width), f", the sizes that divide {height}x{width}")
    yield "order", OneOf(ORDERS)
    yield "seed", Between(0, SEEDS - 1)
    yield "gap", Between(0, WIDEST_GAP)
    yield "token", Between(0, height * width // choices["patch_size"] ** 2 - 1)
    yield "reassembly", OneOf(REASSEMBLIES)


@dataclass(frozen=True)
class PatchLabState:
    """What the patch lab shows: the numbers, the sequence, and the picture put back together."""

    image: UInt8[np.ndarray, "C H W"]
    patch_size: int
    rows: int
    columns: int
    num_tokens: int  # N
    numbers_per_token: int  # P * P * C
    attention_pairs: int  # N * N
    attention_flops: int  # of the N x N part, in all layers of ViT-B
    attention_bytes: int  # of the N x N weights, in one layer of ViT-B
    order_name: str
    order: Int[np.ndarray, " N"]  # the cell that stands at each place of the sequence
    sequence: UInt8[np.ndarray, "N P*P*C"]  # the matrix: one patch a row, in this order
    reassembly: str
    reassembled: UInt8[np.ndarray, "C H W"]
    difference: int  # the largest absolute difference between `reassembled` and the picture, 0 to 255
    gap: int  # between the patches, in screen pixels
    token: int  # the chosen place in the sequence
    row: int  # where that patch lies in the picture
    column: int
    landed: tuple[int, int]  # row and column where it lies in `reassembled`
    values: tuple[int, ...]  # the first numbers of that patch
    words: str


def patch_lab_state(
    image: UInt8[np.ndarray, "C H W"],
    patch_size: int,
    order: str = ORDERS[0],
    seed: int = 0,
    token: int = 0,
    reassembly: str = REASSEMBLIES[0],
    gap: int = 2,
) -> PatchLabState:
    """Compute all that the patch lab shows for one picture, uint8 [C, H, W], with patches of `patch_size` pixels.

    `token` is the chosen place in the sequence, counted from 0. `reassembly` "each in its own place" undoes the order;
    "row by row" lays the sequence down as it comes.
    Raises ValueError if a choice is not among those of `patch_lab_limits`.
    """
    picture = as_picture(image)
    channels, height, width = picture.shape
    choices = {"patch_size": patch_size, "order": order, "seed": seed, "gap": gap, "token": token}
    choices["reassembly"] = reassembly
    settle(patch_lab_limits((height, width), choices), choices)
    rows, columns = height // patch_size, width // patch_size
    places = sequence_order(rows, columns, order, seed)
    grid = picture.reshape(channels, rows, patch_size, columns, patch_size).transpose(1, 3, 2, 4, 0)
    sequence = grid.reshape(rows * columns, -1)[places]
    own_places = reassembly == REASSEMBLIES[0]
    back = np.empty_like(sequence)
    back[places if own_places else np.arange(len(places))] = sequence
    laid = back.reshape(rows, columns, patch_size, patch_size, channels)
    reassembled = laid.transpose(4, 0, 2, 1, 3).reshape(picture.shape)
    difference = int(np.abs(reassembled.astype(int) - picture).max())
    row, column = divmod(int(places[token]), columns)
    values = tuple(int(value) for value in sequence[token][: PIXELS_SHOWN * channels])
    flops, table_bytes = attention_cost(len(places))
    each = sequence.shape[1]
    words = (
        f"Patch size {patch_size}: {rows:,} rows and {columns:,} columns give {len(places):,} patches of "
        f"{each:,} number{'s' if each > 1 else ''}; in ViT-B the N·N part of attention takes "
        f"{with_prefix(flops)}FLOP, and its tables {with_prefix(table_bytes)}B a layer. Order: {order}. "
        f"Token {token:,} is the patch in row {row:,}, column {column:,}; "
        f"its first numbers are {', '.join(map(str, values[:3]))}. "
        f"Put back ({reassembly}): the largest difference to the picture is {difference}."
    )
    return PatchLabState(
        image=picture,
        patch_size=patch_size,
        rows=rows,
        columns=columns,
        num_tokens=len(places),
        numbers_per_token=each,
        attention_pairs=len(places) ** 2,
        attention_flops=flops,
        attention_bytes=table_bytes,
        order_name=order,
        order=places,
        sequence=sequence,
        reassembly=reassembly,
        reassembled=reassembled,
        difference=difference,
        gap=gap,
        token=token,
        row=row,
        column=column,
        landed=(row, column) if own_places else divmod(token, columns),
        values=values,
        words=words,
    )
