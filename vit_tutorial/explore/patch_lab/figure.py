"""The still picture of the patch lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vit_tutorial.explore.patch_lab.numbers import PatchLabState, with_prefix
from vit_tutorial.explore.still import ACCENT, FAINT, as_rgb, frame, still

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LINES = 4096  # with more tokens than these, no lines are drawn between them
SHOWN = 16  # patches of the sequence


def patch_lab_figure(state: PatchLabState, more: bool = False) -> Figure:
    """Draw a state of the patch lab: the picture, cut, and its sequence; the rest below it if `more`."""
    _, height, width = state.image.shape
    figure, axes, say = still(9.4, 10.6 if more else 5.65)
    left, top, side = 0.15, 0.45, 4.0  # inches from the upper left corner
    shape = (side * width / max(height, width), side * height / max(height, width))

    def picture(x: float, y: float, pixels, place: tuple[int, int]) -> Axes:
        axis = axes(x, y, *shape)
        axis.imshow(as_rgb(pixels), interpolation="nearest", extent=(0, state.columns, state.rows, 0), aspect="auto")
        axis.set_xlim(0, state.columns)
        axis.set_ylim(state.rows, 0)
        frame(axis, place[1], place[0])
        return axis

    say(left, 0.15, "The picture, cut", fontweight="bold")
    cut_lines(picture(left, top, state.image, (state.row, state.column)), state, shape[0] * 72 / state.columns)
    beside = left + side + 0.25
    tokens = f"{state.rows:,} × {state.columns:,} = {state.num_tokens:,} tokens"
    say(beside, top, tokens, fontsize=20, fontweight="bold")
    size = f"{state.patch_size} × {state.patch_size} pixels"
    say(beside, top + 0.45, f"Each is a patch of {size}: {state.numbers_per_token:,} numbers.")
    say(left, 4.65, f"The sequence ({state.order_name})", fontweight="bold")
    shown = min(SHOWN, state.num_tokens)
    first = min(max(0, state.token - shown // 2), state.num_tokens - shown)
    for place in range(first, first + shown):
        patch = state.sequence[place].reshape(state.patch_size, state.patch_size, -1)
        thumb = axes(left + 0.57 * (place - first), 4.92, 0.5, 0.5)
        thumb.imshow(as_rgb(patch.transpose(2, 0, 1)), interpolation="nearest", vmin=0, vmax=255)
        chosen = place == state.token
        look = {"color": ACCENT, "fontweight": "bold"} if chosen else {"color": FAINT}
        say(left + 0.57 * (place - first) + 0.25, 5.44, f"{place:,}", ha="center", fontsize=8, **look)
    if not more:
        return figure
    say(left, 5.8, f"Put back: {state.reassembly}", fontweight="bold")
    picture(left, 6.07, state.reassembled, state.landed)
    lines = (
        ("pairs N × N", f"{state.attention_pairs:,}"),
        ("FLOPs of attention in ViT-B", f"{with_prefix(state.attention_flops)}FLOP"),
        ("memory of its tables, a layer", f"{with_prefix(state.attention_bytes)}B"),
        ("error after putting back", f"{state.difference}"),
    )
    for line, (name, number) in enumerate(lines):
        say(beside + 2.6 * (line % 2), 6.07 + 0.49 * (line // 2), name, color=FAINT, fontsize=9)
        say(beside + 2.6 * (line % 2), 6.23 + 0.49 * (line // 2), number, fontsize=12, fontweight="bold")
    say(beside, 7.2, f"The matrix of patches [{state.num_tokens:,} × {state.numbers_per_token:,}]", fontweight="bold")
    matrix = axes(beside, 7.47, 4.8, 1.6)  # a line is a patch
    lines_down = (0, 1, state.num_tokens, 0)
    matrix.imshow(state.sequence, cmap="gray", vmin=0, vmax=255, extent=lines_down, aspect="auto")
    thick = max(1.0, state.num_tokens / 60)
    frame(matrix, 0, min(state.num_tokens - thick, max(0.0, state.token + 0.5 - thick / 2)), height=thick)
    say(beside, 9.2, f"Row {state.token:,} of the matrix", fontweight="bold")
    for first in range(0, len(state.values), 12):
        last = first + 12 >= len(state.values)
        rest = "  …" if last and state.numbers_per_token > len(state.values) else ""
        say(beside, 9.47 + first / 48, "  ".join(map(str, state.values[first : first + 12])) + rest)
    return figure


def cut_lines(axes: Axes, state: PatchLabState, cell: float) -> None:
    """The gaps between the patches, and where the patches are large enough their places; `cell` in points."""
    from matplotlib.patheffects import withStroke

    if state.num_tokens <= MOST_LINES:
        for line in range(1, state.columns):
            axes.axvline(line, color="white", linewidth=min(state.gap * 0.72, cell / 2))
        for line in range(1, state.rows):
            axes.axhline(line, color="white", linewidth=min(state.gap * 0.72, cell / 2))
    size = min(11.0, cell / (0.62 * len(f"{state.num_tokens - 1:,}") + 0.5))
    if size >= 5:
        look = {"ha": "center", "va": "center", "color": "white", "fontsize": size, "fontweight": "bold"}
        stroke = [withStroke(linewidth=size / 4, foreground="#000000bf")]
        for place, where in enumerate(state.order):
            row, column = divmod(int(where), state.columns)
            axes.text(column + 0.5, row + 0.5, f"{place:,}", path_effects=stroke, **look)
