"""The still picture of the lens lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vit_tutorial.explore.lens_lab.numbers import LensLabState, block_name
from vit_tutorial.explore.pictures import shown_classes
from vit_tutorial.explore.still import ACCENT, FAINT, INK, as_rgb, frame, shortened, still
from vit_tutorial.explore.words import best_class, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OTHER = "#d26f00"  # the answer to the other picture
WRITTEN = 10  # columns of patches, up to which each has room for what it says
LEAST, MOST = 7, 8  # points of letters on a patch; what is too long for them is shortened
WIDE = 0.65  # of its height: how much of a line a letter takes


def lens_lab_figure(state: LensLabState, more: bool = False) -> Figure:
    """Draw a state of the lens lab: what each token says; one token block by block and all classes too if `more`."""
    from matplotlib.patheffects import withStroke

    (rows, columns), prefix, names = state.grid, state.num_prefix_tokens, state.class_names
    best = state.lens.argmax(-1)  # [L+1, N]
    patch = state.token - prefix
    who = f"patch {patch:,}" if patch >= 0 else "the class token"
    figure, axes, say = still(9.4, 9.8 if more else 4.9)
    left, right, side = 0.15, 4.4, 4.0

    def colour(index: int) -> str:
        if index == state.answer_untouched.argmax():
            return ACCENT
        return OTHER if state.exchanged and index == state.answer_other.argmax() else FAINT

    say(left, 0.1, f"What each token says {block_name(state.block)}", fontweight="bold")
    if prefix:
        says = best_class(state.lens[state.block, 0], names)
        say(left, 0.4, f"class token: {says}", color=colour(best[state.block, 0]), fontweight="bold")
    shown = axes(left, 0.7, side, side * rows / columns)
    lines = [lines_of(name) for name in names]
    room = 72 * side / columns / WIDE  # a line of so many letters of one point
    fontsize = min(MOST, max(LEAST, room / max(len(line) for name in lines for line in name)))
    look = {"extent": (0, columns, rows, 0), "aspect": "auto", "interpolation": "nearest"}
    shown.imshow(as_rgb(state.image).mean(axis=-1), cmap="gray", vmin=0, vmax=255, **look)
    for cell in range(rows * columns):
        y, x = divmod(cell, columns)
        says = best[state.block, prefix + cell]
        if prefix + cell in state.exchanged:
            high, wide = (size // count for size, count in zip(state.other_image.shape[1:], state.grid, strict=True))
            piece = as_rgb(state.other_image)[y * high : (y + 1) * high, x * wide : (x + 1) * wide].mean(axis=-1)
            shown.imshow(piece, cmap="gray", vmin=0, vmax=255, extent=(x, x + 1, y + 1, y), aspect="auto")
        shown.fill_between((x, x + 1), y, y + 1, color=colour(says), alpha=0.55, linewidth=0.5)
        if columns <= WRITTEN:
            text = "\n".join(shortened(line, int(room / fontsize)) for line in lines[says])
            edge = [withStroke(linewidth=1.6, foreground=INK)]  # so that it is read on a white patch
            shown.text(
                x + 0.5, y + 0.5, text, color="white", fontsize=fontsize, ha="center", va="center", path_effects=edge
            )
    shown.set(xlim=(0, columns), ylim=(rows, 0))
    if patch >= 0:
        frame(shown, patch % columns, patch // columns)

    says = best_class(state.lens[state.block, state.token], names)
    instead = f" instead of {best_class(state.answer_untouched, names)}" if state.exchanged else ""
    say(right, 0.7, f"{who.capitalize()} {block_name(state.block)} says")
    say(right, 0.95, says, fontsize=20, fontweight="bold", color=colour(best[state.block, state.token]))
    say(right, 1.5, f"The model answers {best_class(state.answer, names)}{instead}.")
    if not more:
        return figure
    right, down = left, 5.0
    say(right, down + 0.1, f"{who.capitalize()} after each block: the class that it says", fontweight="bold")
    step = 9.0 / len(best)
    for block, says in enumerate(best[:, state.token]):
        x, share = right + step * block, state.lens[block, state.token, says]
        bar = axes(x + 0.2 * step, down + 0.6, 0.6 * step, 0.8)
        bar.set(xlim=(0, 1), ylim=(0, 1))
        bar.bar([0.5], [share], [1.0], color=colour(says))
        chosen = "bold" if block == state.block else "normal"
        middle = x + step / 2
        say(middle, down + 1.22 - 0.8 * share, percent(share), fontsize=8, ha="center")
        look = {"fontsize": 8, "ha": "center", "fontweight": chosen}
        say(middle, down + 1.45, names[says], 0.95 * step, **look)
        say(middle, down + 1.62, f"{block}" if block else "start", **look)

    say(right + 1.0, down + 2.05, f"{who}, {block_name(state.block)}", fontsize=8, color=FAINT)
    say(right + 3.2, down + 2.05, "the answer" + " (thin: without)" * bool(state.exchanged), fontsize=8, color=FAINT)
    for line, index in enumerate(shown_classes(np.maximum(state.answer_untouched, state.answer_other))):
        y = down + 2.27 + 0.24 * line
        say(right, y, names[index], 0.95, fontsize=8)
        for x, now in ((right + 1.0, state.lens[state.block, state.token]), (right + 3.2, state.answer)):
            say(x, y, percent(now[index]), fontsize=8)
            bar = axes(x + 0.5, y + 0.02, 1.5, 0.12)
            bar.set_xlim(0, 1)
            thin = state.answer_untouched[index] if now is state.answer and state.exchanged else 0
            bar.barh([1, 0.3], [now[index], thin], [1.0, 0.4], color=colour(index))
    return figure


def lines_of(name: str) -> list[str]:
    """The name of a class in two lines if it has two words: Ankle boot, T-shirt/top."""
    return name.replace("/", "/ ").split()
