"""The still picture of the position lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vit_tutorial.explore.position_lab.numbers import KINDS, NEAR_AND_FAR, PositionLabState
from vit_tutorial.explore.still import FAINT, as_rgb, frame, still
from vit_tutorial.explore.words import decimals

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def position_lab_figure(state: PositionLabState) -> Figure:
    """Draw a state of the position lab."""
    figure, axes, say = still(9.4, 6.2)
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
        say(x, 2.9, f"dark {decimals(low)}, yellow {decimals(high)}", color=FAINT, fontsize=9)
        for line, (name, number) in enumerate(zip(NEAR_AND_FAR, state.near[i], strict=True)):
            say(x, 3.1 + 0.17 * line, name, color=FAINT, fontsize=9)
            say(x + 2.1, 3.1 + 0.17 * line, decimals(number), fontsize=9, ha="right", fontweight="bold")
    say(left, 3.75, f"Where the class token looks in the last layer; patches: {state.order}", fontweight="bold")
    say(left, 4.03, "given to the model")
    axes(left, 4.5, 1.4, 1.4).imshow(as_rgb(state.given), interpolation="nearest")
    for mode, name in enumerate(("without positions", "with positions")):
        start = left + 1.75 + 3.75 * mode
        say(start, 4.03, name)
        for column, (maps, what) in enumerate(((state.lying, "as the patches lie"), (state.home, "taken home"))):
            x = start + 1.6 * column
            say(x, 4.26, what, color=FAINT, fontsize=9)
            axes(x, 4.5, 1.4, 1.4).imshow(maps[mode], cmap="viridis", vmin=0, interpolation="nearest")
        straight, now = state.says[mode]
        say(start, 5.95, f"in order: {straight}; as given: {now}", fontsize=9)
    return figure
