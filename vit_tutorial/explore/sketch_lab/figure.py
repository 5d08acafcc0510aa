"""The still picture of the sketch lab."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from vit_tutorial.explore.pictures import shown_classes
from vit_tutorial.explore.sketch_lab.numbers import SketchLabState
from vit_tutorial.explore.still import ACCENT, FAINT, INK, as_rgb, frame, still
from vit_tutorial.explore.words import best_class, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def sketch_lab_figure(state: SketchLabState) -> Figure:
    """Draw a state of the sketch lab."""
    rows, columns = state.grid
    heads = len(state.maps)
    lines = -(-heads // 4) if state.more else 0
    figure, axes, say = still(9.4, 4.35 + (0.45 + 2.3 * lines if lines else 0))
    look = {"extent": (0, columns, rows, 0), "aspect": "auto", "interpolation": "nearest"}
    left, side, right = 0.15, 3.6, 4.1
    say(left, 0.1, "Draw, and the model answers", fontweight="bold")
    axes(left, 0.45, side, side).imshow(as_rgb(state.image), **look)
    say(right, 0.4, best_class(state.probabilities, state.class_names), fontsize=16, fontweight="bold")
    best = state.probabilities.argmax()
    for line, index in enumerate(shown_classes(state.probabilities)):
        y, share = 0.9 + 0.26 * line, state.probabilities[index]
        say(right, y, state.class_names[index], 1.25, fontsize=9, color=ACCENT if index == best else INK)
        bar = axes(right + 1.3, y + 0.01, 2.9, 0.16)
        bar.set_xlim(0, 1)
        bar.barh([0], [share], [1.0], color=ACCENT if index == best else FAINT)
        say(right + 5.1, y, percent(float(share)), fontsize=9, ha="right")
    say(right, 3.55, textwrap.fill(state.advice, 88), fontsize=8, color=FAINT)
    if not state.more:
        return figure
    patch = state.query - state.num_prefix_tokens
    who = f"patch {patch:,}" if patch >= 0 else "the class token"
    say(left, 4.3, f"Layer {state.layer} of 0 to {len(state.lens) - 2}: where {who} looks", fontweight="bold")
    grey = as_rgb(state.image).mean(axis=-1)
    for head, weights in enumerate(state.maps[:, state.query, state.num_prefix_tokens :]):
        x, y = left + 2.3 * (head % 4), 4.65 + 2.3 * (head // 4)
        is_off = [state.layer, head] in state.off
        say(x, y, f"head {head}{', off' if is_off else ''}: up to {percent(float(weights.max()))}", fontsize=9)
        axis = axes(x, y + 0.22, 1.9, 1.9)
        axis.imshow(grey, cmap="gray", vmin=0, vmax=255, **look)
        axis.imshow(weights.reshape(rows, columns), cmap="viridis", vmin=0, alpha=0.4 if is_off else 0.7, **look)
        if patch >= 0:
            frame(axis, patch % columns, patch // columns)
    return figure
