"""Patch lab: cut a picture into patches, lay them out as a sequence, and put them back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets
from jaxtyping import Int, UInt8

from vit_tutorial.explore.common import (
    ACCENT,
    FAINT,
    Explorer,
    as_picture,
    as_rgb,
    browser_code,
    decimals,
    named_pictures,
    still,
)
from vit_tutorial.vit import SIZES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ORDERS = ("row by row", "column by column", "shuffled")
REASSEMBLIES = ("each in its own place", "row by row")
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
    if order != "row by row":
        raise ValueError(f"order {order!r} is unknown; choose from {', '.join(map(repr, ORDERS))}")
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


@dataclass(frozen=True)
class PatchLabState:
    """What the patch lab shows: the numbers, the sequence, and the picture put back together."""

    rows: int
    columns: int
    num_tokens: int  # N
    numbers_per_token: int  # P * P * C
    attention_pairs: int  # N * N
    attention_flops: int  # of the N x N part, in all layers of ViT-B
    attention_bytes: int  # of the N x N weights, in one layer of ViT-B
    order: Int[np.ndarray, " N"]  # the cell that stands at each place of the sequence
    sequence: UInt8[np.ndarray, "N P*P*C"]  # the matrix: one patch a row, in this order
    reassembled: UInt8[np.ndarray, "C H W"]
    difference: int  # the largest absolute difference between `reassembled` and the picture, 0 to 255
    token: int  # the chosen place in the sequence
    row: int  # where that patch lies in the picture
    column: int
    values: tuple[int, ...]  # the first numbers of that patch
    words: str


def patch_lab_state(
    image: UInt8[np.ndarray, "C H W"],
    patch_size: int,
    order: str = "row by row",
    seed: int = 0,
    token: int = 0,
    reassembly: str = "each in its own place",
) -> PatchLabState:
    """Compute all that the patch lab shows for one picture, uint8 [C, H, W], with patches of `patch_size` pixels.

    `token` is the chosen place in the sequence, counted from 0. `reassembly` "each in its own place" undoes the order;
    "row by row" lays the sequence down as it comes.
    Raises ValueError if the patch size does not divide the picture, or a choice is unknown.
    """
    picture = as_picture(image)
    channels, height, width = picture.shape
    if patch_size not in (sizes := patch_sizes(height, width)):
        raise ValueError(f"patch_size {patch_size} does not divide {height}x{width}; choose from {sizes}")
    if reassembly not in REASSEMBLIES:
        raise ValueError(f"reassembly {reassembly!r} is unknown; choose from {', '.join(map(repr, REASSEMBLIES))}")
    rows, columns = height // patch_size, width // patch_size
    places = sequence_order(rows, columns, order, seed)
    grid = picture.reshape(channels, rows, patch_size, columns, patch_size).transpose(1, 3, 2, 4, 0)
    sequence = grid.reshape(rows * columns, -1)[places]
    back = np.empty_like(sequence)
    back[places if reassembly == "each in its own place" else np.arange(len(places))] = sequence
    laid = back.reshape(rows, columns, patch_size, patch_size, channels)
    reassembled = laid.transpose(4, 0, 2, 1, 3).reshape(picture.shape)
    difference = int(np.abs(reassembled.astype(int) - picture).max())
    token = min(max(token, 0), len(places) - 1)
    row, column = divmod(int(places[token]), columns)
    values = tuple(int(value) for value in sequence[token][: PIXELS_SHOWN * channels])
    flops, table_bytes = attention_cost(len(places))
    each = sequence.shape[1]
    words = (
        f"Patch size {patch_size}: {rows} rows and {columns} columns give {len(places):,} tokens of "
        f"{each:,} number{'s' if each > 1 else ''}; in ViT-B the N·N part of attention takes "
        f"{with_prefix(flops)}FLOP, and its tables {with_prefix(table_bytes)}B a layer. Order: {order}. "
        f"Token {token} is the patch in row {row}, column {column}; "
        f"its first numbers are {', '.join(map(str, values[:3]))}. "
        f"Put back ({reassembly}): the largest difference to the picture is {difference}."
    )
    return PatchLabState(
        rows=rows,
        columns=columns,
        num_tokens=len(places),
        numbers_per_token=sequence.shape[1],
        attention_pairs=len(places) ** 2,
        attention_flops=flops,
        attention_bytes=table_bytes,
        order=places,
        sequence=sequence,
        reassembled=reassembled,
        difference=difference,
        token=token,
        row=row,
        column=column,
        values=values,
        words=words,
    )


def patch_lab_figure(image: UInt8[np.ndarray, "C H W"], patch_size: int, gap: int = 2, **choices: Any) -> Figure:
    """Draw what `patch_lab_state(image, patch_size, **choices)` says as a still picture; `gap` in screen pixels."""
    from matplotlib.patches import Rectangle

    picture = as_picture(image)
    state = patch_lab_state(picture, patch_size, **choices)
    channels, height, width = picture.shape
    figure, axes, say = still(9.4, 6.9)
    left, top, side = 0.15, 0.45, 3.36  # inches from the upper left corner
    shape = (side * width / max(height, width), side * height / max(height, width))
    say(left, 0.15, "The picture, cut", fontweight="bold")
    cut = axes(left, top, *shape)
    extent = (0, state.columns, state.rows, 0)
    cut.imshow(as_rgb(picture), interpolation="nearest", extent=extent, aspect="auto")
    cell = shape[0] * 72 / state.columns  # points
    if state.num_tokens <= 4096:
        for line in range(1, state.columns):
            cut.axvline(line, color="white", linewidth=min(gap * 0.72, cell / 2))
        for line in range(1, state.rows):
            cut.axhline(line, color="white", linewidth=min(gap * 0.72, cell / 2))
    digits = len(str(state.num_tokens - 1))
    size = min(11.0, cell / (0.62 * digits + 0.5))
    if size >= 5:
        from matplotlib.patheffects import withStroke

        for place, where in enumerate(state.order):
            row, column = divmod(int(where), state.columns)
            cut.text(
                *(column + 0.5, row + 0.5, str(place)),
                **{"ha": "center", "va": "center", "color": "white", "fontsize": size, "fontweight": "bold"},
                path_effects=[withStroke(linewidth=size / 4, foreground="#000000bf")],
            )
    back = axes(left + side + 0.25, top, *shape)
    say(left + side + 0.25, 0.15, f"Put back: {choices.get('reassembly', REASSEMBLIES[0])}", fontweight="bold")
    back.imshow(as_rgb(state.reassembled), interpolation="nearest", extent=extent, aspect="auto")
    for place in (cut, back):
        place.set_xlim(0, state.columns)
        place.set_ylim(state.rows, 0)
    landed = int(state.order[state.token]) if choices.get("reassembly") != "row by row" else state.token
    for place, (row, column) in ((cut, (state.row, state.column)), (back, divmod(landed, state.columns))):
        for colour, line in (("black", 3.5), ("white", 1.8)):
            place.add_patch(
                Rectangle((column, row), 1, 1, fill=False, edgecolor=colour, linewidth=line, zorder=5, clip_on=False)
            )
    aside, lines = (
        left + 2 * side + 0.5,
        (
            ("grid", f"{state.rows} × {state.columns}"),
            ("tokens N", f"{state.num_tokens:,}"),
            ("numbers per token", f"{state.numbers_per_token:,}"),
            ("pairs N × N", f"{state.attention_pairs:,}"),
            ("FLOPs of attention in ViT-B", f"{with_prefix(state.attention_flops)}FLOP"),
            ("memory of its tables, a layer", f"{with_prefix(state.attention_bytes)}B"),
            ("error after putting back", f"{state.difference}"),
        ),
    )
    for place, (name, number) in enumerate(lines):
        say(aside, top + 0.49 * place, name, color=FAINT, fontsize=9)
        say(aside, top + 0.16 + 0.49 * place, number, fontsize=12, fontweight="bold")
    say(left, 4.0, f"The sequence ({choices.get('order', ORDERS[0])})", fontweight="bold")
    shown = min(16, state.num_tokens)
    first = min(max(0, state.token - shown // 2), state.num_tokens - shown)
    for place in range(first, first + shown):
        patch = state.sequence[place].reshape(patch_size, patch_size, channels)
        thumb = axes(left + 0.57 * (place - first), 4.27, 0.5, 0.5)
        thumb.imshow(as_rgb(patch.transpose(2, 0, 1)), interpolation="nearest", vmin=0, vmax=255)
        say(
            *(left + 0.57 * (place - first) + 0.25, 4.8, str(place)),
            **{"ha": "center", "fontsize": 8, "color": ACCENT if place == state.token else FAINT},
            fontweight="bold" if place == state.token else "normal",
        )
    say(left, 5.15, f"The matrix of patches [{state.num_tokens:,} × {state.numbers_per_token:,}]", fontweight="bold")
    matrix = axes(left, 5.42, side, 1.3)
    extent = (0, 1, state.num_tokens, 0)  # a line is a patch
    matrix.imshow(state.sequence, cmap="gray", vmin=0, vmax=255, extent=extent, aspect="auto")
    thick = max(1.0, state.num_tokens / 60)
    start = min(state.num_tokens - thick, max(0.0, state.token + 0.5 - thick / 2))
    for colour, line in (("black", 3.5), ("white", 1.8)):
        matrix.add_patch(Rectangle((0, start), 1, thick, fill=False, edgecolor=colour, linewidth=line, clip_on=False))
    say(left + side + 0.25, 5.15, f"Row {state.token} of the matrix", fontweight="bold")
    for first in range(0, len(state.values), 12):
        last = first + 12 >= len(state.values)
        more = "  …" if last and state.numbers_per_token > len(state.values) else ""
        say(left + side + 0.25, 5.42 + first / 48, "  ".join(map(str, state.values[first : first + 12])) + more)
    return figure


class PatchLab(Explorer):
    """An explorer: a picture, its patches, the sequence they make, and the picture put back together.

    `images` is one uint8 picture [3, H, W], [1, H, W] or [H, W] (0 to 255), or a dict from names to such pictures. The
    traits `picture`, `patch_size`, `order`, `seed`, `gap`, `token` and `reassembly` follow what the learner does and
    can be set from code. Raises ValueError if a picture is not uint8, or the patch size does not divide the first one.
    """

    _esm = browser_code("patch_lab.js")
    _names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _shapes = traitlets.List().tag(sync=True)
    _pixels = traitlets.Bytes().tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)
    patch_size = traitlets.Int(16).tag(sync=True)
    order = traitlets.Enum(ORDERS, ORDERS[0]).tag(sync=True)
    seed = traitlets.Int(0, min=0, max=9999).tag(sync=True)
    gap = traitlets.Int(2, min=0, max=8).tag(sync=True)
    token = traitlets.Int(0, min=0).tag(sync=True)
    reassembly = traitlets.Enum(REASSEMBLIES, REASSEMBLIES[0]).tag(sync=True)

    def __init__(self, images, patch_size: int = 16, **choices: Any):
        self._pictures = named_pictures(images, choices)
        chosen = self._pictures[choices["picture"]]
        sizes = patch_sizes(*chosen.shape[1:])
        if patch_size not in sizes:
            raise ValueError(
                f"patch_size {patch_size} does not divide {chosen.shape[1]}x{chosen.shape[2]}; choose from {sizes}"
            )
        super().__init__(
            _names=list(self._pictures),
            _shapes=[list(picture.shape) for picture in self._pictures.values()],
            _pixels=b"".join(picture.tobytes() for picture in self._pictures.values()),
            patch_size=patch_size,
            **choices,
        )

    def _choices(self) -> dict[str, Any]:
        return {"order": self.order, "seed": self.seed, "token": self.token, "reassembly": self.reassembly}

    def state(self) -> PatchLabState:
        """The numbers that the explorer shows now."""
        return patch_lab_state(self._pictures[self.picture], self.patch_size, **self._choices())

    def words(self) -> str:
        """What the explorer shows now, in a few sentences; the browser says the same."""
        return self.state().words

    def figure(self) -> Figure:
        """What the explorer shows now, as a still picture."""
        return patch_lab_figure(self._pictures[self.picture], self.patch_size, self.gap, **self._choices())

    def __repr__(self) -> str:
        return f"PatchLab({self.picture!r}, patch_size={self.patch_size}, order={self.order!r})"
