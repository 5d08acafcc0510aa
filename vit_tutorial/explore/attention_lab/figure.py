"""The still picture of the attention lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from vit_tutorial.explore.attention_lab.numbers import AttentionLabState, prefix_name
from vit_tutorial.explore.still import ACCENT, FAINT, as_rgb, frame, still
from vit_tutorial.explore.words import decimals, fine_percent, one_or_two_decimals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RING = 0.34  # radius of the mark on a key, in patches


def attention_lab_figure(
    state: AttentionLabState,
    image: UInt8[np.ndarray, "C H W"],
    overlay: float = 40,
    says: str = "",
    more: bool = False,
) -> Figure:
    """Draw a state of the attention lab over its picture, with so many percent of colour; the maps too if `more`.

    `says` is a line on what the model predicts.
    """
    rows, columns = state.grid
    prefix = state.num_prefix_tokens
    place = state.place.replace("all heads", "heads")
    figure, axes, say = still(9.4, 8.2 if more else 4.75)
    left, top, side = 0.15, 0.45, 4.0
    extent = (0, columns, rows, 0)

    def picture(x: float, y: float, size: float, title: str, drawn: np.ndarray, **colours) -> Axes:
        say(x, y - 0.3, title, fontweight="bold")
        axis = axes(x, y, size * columns / max(rows, columns), size * rows / max(rows, columns))
        axis.imshow(drawn, interpolation="nearest", extent=extent, aspect="auto", **colours)
        axis.set_xlim(0, columns)
        axis.set_ylim(rows, 0)
        if state.query >= prefix:
            row, column = divmod(state.query - prefix, columns)
            frame(axis, column, row)
        if state.key is not None and state.key >= prefix:
            ring(axis, *divmod(state.key - prefix, columns))
        return axis

    pixels = as_rgb(image)
    grey = {"cmap": "gray", "vmin": 0, "vmax": 255}
    drawn = picture(left, top, side, f"Where it looks: {place}", pixels.mean(-1) if overlay else pixels, **grey)
    share = state.weights / (state.weights.max() or 1)
    look = {"extent": extent, "aspect": "auto", "interpolation": "nearest", "cmap": "viridis", "vmin": 0, "vmax": 1}
    drawn.imshow(share, alpha=overlay / 100 * (0.25 + 0.75 * share), **look)
    beside = left + side + 0.25
    say(beside, top, fine_percent(state.top[0][1]), fontsize=20, fontweight="bold")
    who = prefix_name(state.query) if state.query < prefix else f"patch {state.query - prefix:,}"
    say(beside, top + 0.45, f"of what {who} takes comes from patch {state.top[0][0]:,}.")
    marked = f"Marked key, {state.reading}" if state.reading else ""
    say(beside, top + 0.75, "\n".join(filter(None, (says, marked))), fontweight="bold")
    if not more:
        return figure
    top, side = 5.2, 2.2
    if state.scores is not None:
        most = float(np.abs(state.scores).max()) or 1
        picture(left, top, side, "Its scores", state.scores, cmap="RdBu_r", vmin=-most, vmax=most)
        for line, (name, number) in enumerate(zip(("largest", "smallest", "mean"), state.score_range, strict=True)):
            say(left, top + side + 0.1 + 0.2 * line, f"{name} {decimals(number)}", fontsize=9)
    weights = left + side + 0.25
    picture(weights, top, side, "Its weights", state.weights, cmap="viridis", vmin=0, vmax=state.weights.max() or 1)
    aside = weights + side + 0.25
    numbers = [("who looks", who), ("entropy (0: one takes all)", f"{decimals(state.entropy)} nats")]
    if state.class_weight is not None:
        numbers.append(("on the class token", fine_percent(state.class_weight)))
    for line, (name, number) in enumerate(numbers):
        say(aside, top + 0.5 * line, name, color=FAINT, fontsize=9)
        say(aside, top + 0.5 * line + 0.17, number, fontsize=12, fontweight="bold")
    say(aside, top + 1.5, "of the patches, most at" if prefix else "looks most at", color=FAINT, fontsize=9)
    for line, (patch, weight) in enumerate(state.top):
        say(aside, top + 1.7 + 0.2 * line, f"patch {patch:,}", fontsize=9)
        say(aside + 1.5, top + 1.7 + 0.2 * line, fine_percent(weight), fontsize=9, ha="right", color=ACCENT)
    warm = "" if state.temperature == 1 else f", at temperature {one_or_two_decimals(state.temperature)}"
    say(
        weights,
        top + 2.7,
        f"{state.num_layers} layers of {state.num_heads} heads; the brightest colour is "
        f"{fine_percent(state.top[0][1])}{warm}."
        f"{'' if state.scores is None else ' Scores: red is positive, blue negative.'}",
        color=FAINT,
    )
    return figure


def ring(axes: Axes, row: int, column: int) -> None:
    """A ring around a patch that is seen on every background."""
    from matplotlib.patches import Circle

    for colour, line in (("black", 3), ("white", 1.4)):
        axes.add_patch(Circle((column + 0.5, row + 0.5), RING, fill=False, edgecolor=colour, linewidth=line))
