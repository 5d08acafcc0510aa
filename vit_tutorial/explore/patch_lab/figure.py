"""The still picture of the patch lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vit_tutorial.explore.patch_lab.numbers import PatchLabState, with_prefix
from vit_tutorial.explore.still import ACCENT, FAINT, as_rgb, frame, still

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_LINES = 4096  # with more tokens than these, no lines are drawn between them
SHOWN = 16  # patches of the sequence


def patch_lab_figure(state: PatchLabState) -> Figure:
    """Draw a state of the patch lab."""
    channels, height, width = state.image.shape
    figure, axes, say = still(9.4, 6.9)
    left, top, side = 0.15, 0.45, 3.36  # inches from the upper left corner
    shape = (side * width / max(height, width), side * height / max(height, width))
    extent = (0, state.columns, state.rows, 0)
    pictures = (
        ("The picture, cut", state.image, (state.row, state.column)),
        (f"Put back: {state.reassembly}", state.reassembled, state.landed),
    )
    for number, (title, pixels, (row, column)) in enumerate(pictures):
        x = left + number * (side + 0.25)
        say(x, 0.15, title, fontweight="bold")
        place = axes(x, top, *shape)
        place.imshow(as_rgb(pixels), interpolation="nearest", extent=extent, aspect="auto")
        if number == 0:
            cut_lines(place, state, shape[0] * 72 / state.columns)
        place.set_xlim(0, state.columns)
        place.set_ylim(state.rows, 0)
        frame(place, column, row)
    lines = (
        ("grid", f"{state.rows} × {state.columns}"),
        ("tokens N", f"{state.num_tokens:,}"),
        ("numbers per token", f"{state.numbers_per_token:,}"),
        ("pairs N × N", f"{state.attention_pairs:,}"),
        ("FLOPs of attention in ViT-B", f"{with_prefix(state.attention_flops)}FLOP"),
        ("memory of its tables, a layer", f"{with_prefix(state.attention_bytes)}B"),
        ("error after putting back", f"{state.difference}"),
    )
    for place, (name, number) in enumerate(lines):
        say(left + 2 * side + 0.5, top + 0.49 * place, name, color=FAINT, fontsize=9)
        say(left + 2 * side + 0.5, top + 0.16 + 0.49 * place, number, fontsize=12, fontweight="bold")
    say(left, 4.0, f"The sequence ({state.order_name})", fontweight="bold")
    shown = min(SHOWN, state.num_tokens)
    first = min(max(0, state.token - shown // 2), state.num_tokens - shown)
    for place in range(first, first + shown):
        patch = state.sequence[place].reshape(state.patch_size, state.patch_size, channels)
        thumb = axes(left + 0.57 * (place - first), 4.27, 0.5, 0.5)
        thumb.imshow(as_rgb(patch.transpose(2, 0, 1)), interpolation="nearest", vmin=0, vmax=255)
        chosen = place == state.token
        look = {"color": ACCENT, "fontweight": "bold"} if chosen else {"color": FAINT}
        say(left + 0.57 * (place - first) + 0.25, 4.8, str(place), ha="center", fontsize=8, **look)
    say(left, 5.15, f"The matrix of patches [{state.num_tokens:,} × {state.numbers_per_token:,}]", fontweight="bold")
    matrix = axes(left, 5.42, side, 1.3)  # a line is a patch
    lines_down = (0, 1, state.num_tokens, 0)
    matrix.imshow(state.sequence, cmap="gray", vmin=0, vmax=255, extent=lines_down, aspect="auto")
    thick = max(1.0, state.num_tokens / 60)
    frame(matrix, 0, min(state.num_tokens - thick, max(0.0, state.token + 0.5 - thick / 2)), height=thick)
    say(left + side + 0.25, 5.15, f"Row {state.token} of the matrix", fontweight="bold")
    for first in range(0, len(state.values), 12):
        last = first + 12 >= len(state.values)
        more = "  …" if last and state.numbers_per_token > len(state.values) else ""
        say(left + side + 0.25, 5.42 + first / 48, "  ".join(map(str, state.values[first : first + 12])) + more)
    return figure


def cut_lines(axes, state: PatchLabState, cell: float) -> None:
    """The gaps between the patches, and where the patches are large enough their places; `cell` in points."""
    from matplotlib.patheffects import withStroke

    if state.num_tokens <= MOST_LINES:
        for line in range(1, state.columns):
            axes.axvline(line, color="white", linewidth=min(state.gap * 0.72, cell / 2))
        for line in range(1, state.rows):
            axes.axhline(line, color="white", linewidth=min(state.gap * 0.72, cell / 2))
    size = min(11.0, cell / (0.62 * len(str(state.num_tokens - 1)) + 0.5))
    if size >= 5:
        look = {"ha": "center", "va": "center", "color": "white", "fontsize": size, "fontweight": "bold"}
        stroke = [withStroke(linewidth=size / 4, foreground="#000000bf")]
        for place, where in enumerate(state.order):
            row, column = divmod(int(where), state.columns)
            axes.text(column + 0.5, row + 0.5, str(place), path_effects=stroke, **look)
