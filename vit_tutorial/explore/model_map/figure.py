"""The still picture of the model map."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from vit_tutorial.explore.model_map.geometry import ARC, HIGH, INNER_GAP, INSIDE, WIDE, bar_length, layout
from vit_tutorial.explore.model_map.numbers import Box, ModelMapState, heading_of, label_of, share_of
from vit_tutorial.explore.still import ACCENT, FAINT, INK, as_rgb, shortened, still

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CODE_LINES = 12
NAME = 16  # letters of a class, beside its bar


def model_map_figure(state: ModelMapState, patch_size: int, more: bool = False) -> Figure:
    """Draw a state of the model map, and what leaves the box if `more`; `patch_size` in pixels of the picture."""
    chosen = state.box
    places, arcs = layout([each.key for each in state.walk])
    figure, axes, say = still(9.4, 6.3 if more else 3.1)
    drawing = axes(0.14, 0.1, WIDE / 100, HIGH / 100)
    drawing.set_xlim(0, WIDE)
    drawing.set_ylim(HIGH, 0)
    draw_map(drawing, state, places, arcs)
    say(0.14, 2.55, heading_of(chosen), fontweight="bold")
    say(4.4, 2.55, chosen.does, fontsize=8.5, wrap=True)
    if not more:
        return figure
    held = f"{chosen.parameters:,} ({share_of(chosen)} of the model)" if chosen.parameters else "none"
    for line, (what, told) in enumerate(
        {"in": chosen.input_shape, "out": chosen.output_shape, "parameters": held}.items()
    ):
        say(4.4, 3.13 + 0.42 * line, what, color=FAINT, fontsize=9)
        say(4.4, 3.28 + 0.42 * line, told, fontsize=12)
    draw_picture(axes(0.34, 2.85, 3.8, 1.5), chosen, patch_size)
    lines = chosen.code.splitlines()
    lines = lines if len(lines) <= CODE_LINES else [*lines[: CODE_LINES - 1], "…"]
    say(0.14, 4.5, chosen.where, color=FAINT, fontsize=8)
    say(0.14, 4.68, "\n".join(lines), family="monospace", fontsize=6.6, linespacing=1.3)
    return figure


def draw_map(drawing: Axes, state: ModelMapState, places: dict[str, list[float]], arcs: list[list[float]]) -> None:
    """Draw the boxes, the lines between them, and how much of the parameters each holds."""
    from matplotlib.patches import Rectangle

    line = {"color": INK, "linewidth": 1}
    rows = [[each for each in state.walk if (each.key in INSIDE["pre"]) == inner] for inner in (False, True)]
    for row in rows:
        for left, right in itertools.pairwise(row):
            (x, y, w, h), (to, *_) = places[left.key], places[right.key]
            drawing.annotate("", (to, y + h / 2), (x + w, y + h / 2), arrowprops={"arrowstyle": "->", **line})
    if rows[1]:
        x, y, w, h = places["block"]
        first, last = places[rows[1][0].key], places[rows[1][-1].key]
        left, right = first[0] - INNER_GAP, last[0] + last[2] + INNER_GAP
        top, bottom = ARC - 16, HIGH - 4
        zoomed = ([x, left, left, right, right, x + w], [y + h + 16, top, bottom, bottom, top, y + h + 16])
        drawing.plot(*zoomed, color=FAINT, linewidth=0.8)
        drawing.plot([left, right], [top, top], color=FAINT, linewidth=0.8)
        middle = first[1] + first[3] / 2
        drawing.plot([left, first[0]], [middle, middle], **line)
        drawing.plot([last[0] + last[2], right], [middle, middle], **line)
        for start, end in arcs:
            drawing.plot([start, start, end], [middle, ARC, ARC], **line)
            drawing.annotate("", (end, first[1]), (end, ARC), arrowprops={"arrowstyle": "->", **line})
    for each in state.walk:
        x, y, w, h = places[each.key]
        if each.key == "block":
            for step in (6, 3):
                drawing.add_patch(Rectangle((x + step, y - step), w, h, facecolor="white", edgecolor=FAINT, lw=0.8))
        here = each is state.box
        look = {"facecolor": "#e3eefa", "edgecolor": ACCENT, "linewidth": 2.2} if here else {"facecolor": "white"}
        drawing.add_patch(Rectangle((x, y), w, h, **{"edgecolor": INK, "linewidth": 1, **look}))
        drawing.add_patch(Rectangle((x, y + h - 5), bar_length(each.share, w), 5, facecolor=ACCENT, linewidth=0))
        title = label_of(each, state.depth)
        drawing.text(x + w / 2, y + h / 2 - 2, "\n".join(title), ha="center", va="center", fontsize=7.5, color=INK)
        drawing.text(x + w / 2, y + h + 9, each.output_shape, ha="center", va="center", fontsize=6.2, color=FAINT)


def draw_picture(axis: Axes, box: Box, patch_size: int) -> None:
    """Draw what leaves a box."""
    if box.kind == "bars":
        axis.set_axis_on()
        places = range(len(box.labels))
        axis.barh(places, box.picture[0], color=ACCENT)
        axis.set_yticks(places, [shortened(name, NAME) for name in box.labels])
        axis.invert_yaxis()
        axis.tick_params(labelsize=6.5, length=0)
        axis.spines[["top", "right", "bottom"]].set_visible(False)
        axis.set_position((0.14, *axis.get_position().bounds[1:2], 0.3, axis.get_position().height))
    elif box.kind == "table":
        options = {"cmap": "RdBu_r", "vmin": -box.limit, "vmax": box.limit, "interpolation": "nearest"}
        axis.imshow(box.picture, aspect="equal" if box.key == "feature_map" else "auto", **options)
        if box.class_token:
            axis.set_axis_on()
            axis.set_xticks([])
            axis.set_yticks([0], ["cls"])
            axis.tick_params(labelsize=6.5, length=0, pad=1)
            axis.spines[:].set_visible(False)
    else:
        pixels = as_rgb(box.picture)
        axis.imshow(spread(pixels, patch_size) if box.kind == "patches" else pixels, interpolation="nearest")


def spread(pixels: UInt8[np.ndarray, "H W 3"], patch_size: int) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with white lines between its patches."""
    gap = max(1, patch_size // 6)
    rows, columns = pixels.shape[0] // patch_size, pixels.shape[1] // patch_size
    step = patch_size + gap
    out = np.full((rows * step - gap, columns * step - gap, 3), 255, dtype=np.uint8)
    for row in range(rows):
        for column in range(columns):
            patch = pixels[row * patch_size :, column * patch_size :][:patch_size, :patch_size]
            out[row * step :, column * step :][:patch_size, :patch_size] = patch
    return out
