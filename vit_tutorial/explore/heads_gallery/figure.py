"""The still picture of the heads gallery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vit_tutorial.explore.heads_gallery.numbers import HeadsGalleryState, off_words
from vit_tutorial.explore.pictures import shown_classes
from vit_tutorial.explore.still import ACCENT, FAINT, INK, as_rgb, frame, still
from vit_tutorial.explore.words import best_class, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def heads_gallery_figure(state: HeadsGalleryState, more: bool = False) -> Figure:
    """Draw a state of the heads gallery: the maps of one layer and the answer; all classes too if `more`."""
    (rows, columns), patch, heads = state.grid, state.query - state.num_prefix_tokens, len(state.maps)
    across = min(heads, 4)
    lines = -(-heads // across)
    figure, axes, say = still(9.4, 1.4 + 2.0 * lines + (2.2 if more else 0))
    left, side = 0.15, 1.6
    look = {"extent": (0, columns, rows, 0), "aspect": "auto", "interpolation": "nearest"}

    def framed(axis) -> None:
        if patch >= 0:
            frame(axis, patch % columns, patch // columns)

    who = f"patch {patch:,}" if patch >= 0 else "the class token"
    say(left, 0.1, f"Layer {state.layer} of 0 to {state.num_layers - 1}: where {who} looks", fontweight="bold")
    say(left, 0.4, "the picture", fontsize=9)
    shown = axes(left, 0.65, side, side)
    shown.imshow(as_rgb(state.image), **look)
    framed(shown)
    grey = as_rgb(state.image).mean(axis=-1)
    for head, weights in enumerate(state.maps[:, state.query, state.num_prefix_tokens :]):
        x, y = left + (side + 0.25) * (1 + head % across), 0.4 + 2.0 * (head // across)
        is_off = [state.layer, head] in state.off
        say(x, y, f"head {head}{', off' if is_off else ''}: up to {percent(weights.max())}", fontsize=9)
        axis = axes(x, y + 0.25, side, side)
        axis.imshow(grey, cmap="gray", **look)
        axis.imshow(weights.reshape(rows, columns), cmap="viridis", vmin=0, alpha=0.4 if is_off else 0.7, **look)
        framed(axis)
        if is_off:
            for colour, line in (("black", 5), ("white", 2.5)):
                axis.plot(0.91 * columns, 0.09 * rows, "x", color=colour, markersize=11, markeredgewidth=line)
    top = 0.75 + 2.0 * lines
    say(left, top, best_class(state.probabilities, state.class_names), 4.5, fontsize=16, fontweight="bold")
    say(left + 4.6, top + 0.08, f"with all heads on: {best_class(state.all_on, state.class_names)}")
    if not more:
        return figure
    top += 0.5
    say(left, top, f"Switched off: {off_words(state.off, heads)}", fontweight="bold")
    for line, index in enumerate(shown_classes(state.all_on)):
        x, y = left + 4.6 * (line % 2), top + 0.3 + 0.35 * (line // 2)
        say(x, y, state.class_names[index], 1.35, fontsize=9, color=ACCENT if index == state.label else INK)
        say(x + 1.85, y, percent(state.probabilities[index]), fontsize=9, ha="right")
        bar = axes(x + 2.0, y, 1.8, 0.18)
        bar.set_xlim(0, 1)
        bar.barh([1, 0], [state.probabilities[index], state.all_on[index]], [1.0, 0.4], color=[ACCENT, FAINT])
    say(left, top + 2.1, "Blue: now. Grey: with all heads on.", fontsize=9, color=FAINT)
    return figure
