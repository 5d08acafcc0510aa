"""The still picture of the position lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vit_tutorial.explore.position_lab.numbers import KINDS, NEAR_AND_FAR, PositionLabState, below_map
from vit_tutorial.explore.still import FAINT, as_rgb, frame, still
from vit_tutorial.explore.words import decimals

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def position_lab_figure(state: PositionLabState, more: bool = False) -> Figure:
    """Draw a state of the position lab: the four maps; what neighbours and shuffled patches show too if `more`."""
    figure, axes, say = still(9.4, 6.55 if more else 3.3)
    left = 0.15
    say(left, 0.1, state.title, fontweight="bold")
    for i, kind in enumerate(KINDS):
        x, low, high = left + 2.3 * i, *state.ends[i]
        say(x, 0.42, kind)
        map_axes = axes(x, 0.68, 2.15, 2.15)
        map_axes.imshow(state.maps[i], cmap="viridis", vmin=low, vmax=high, interpolation="nearest")
        if state.position is not None:
            row, column = divmod(state.position, state.grid)
            frame(map_axes, column - 0.5, row - 0.5)
        for line, text in enumerate(below_map(state.maps[i], state.ends[i])):
            say(x, 2.9 + 0.16 * line, text, color=FAINT, fontsize=9)
        for line, (name, number) in enumerate(zip(NEAR_AND_FAR, state.near[i], strict=True) if more else ()):
            say(x, 3.4 + 0.17 * line, name, color=FAINT, fontsize=9)
            say(x + 2.1, 3.4 + 0.17 * line, decimals(number), fontsize=9, ha="right", fontweight="bold")
    if not more:
        return figure
    say(left, 4.1, f"Where the class token looks in the last layer; patches: {state.order}", fontweight="bold")
    say(left, 4.38, "given to the model")
    axes(left, 4.85, 1.4, 1.4).imshow(as_rgb(state.given), interpolation="nearest")
    for mode, name in enumerate(("without positions", "with positions")):
        start = left + 1.75 + 4.1 * mode
        say(start, 4.38, name)
        for column, (maps, what) in enumerate(((state.lying, "as the patches lie"), (state.home, "taken home"))):
            x = start + 1.6 * column
            say(x, 4.61, what, color=FAINT, fontsize=9)
            axes(x, 4.85, 1.4, 1.4).imshow(maps[mode], cmap="viridis", vmin=0, interpolation="nearest")
        straight, now = state.says[mode]
        say(start, 6.3, f"in order: {straight}; as given: {now}", fontsize=9)
    return figure
