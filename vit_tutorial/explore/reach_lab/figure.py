"""The still picture of the reach lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vit_tutorial.explore.reach_lab.numbers import ReachLabState, levels_of
from vit_tutorial.explore.still import FAINT, as_rgb, frame, still, viridis
from vit_tutorial.explore.words import decimals

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHADE = 0.45  # what is left of the light where a place cannot see


def painted(state: ReachLabState, stage: int) -> np.ndarray:
    """The picture in grey, dark where the place cannot see, and coloured where it did: [H, W, 3], 0 to 1."""
    grey = as_rgb(state.image).mean(axis=-1, keepdims=True).repeat(3, axis=-1) / 255
    top, left, bottom, right = state.boxes[stage]
    seen = np.zeros(grey.shape[:2], dtype=bool)
    seen[top:bottom, left:right] = True
    level = levels_of(state.fields[stage])
    alpha = (level / 255)[..., None]
    return np.where(seen[..., None], grey, SHADE * grey) * (1 - alpha) + viridis()[level] / 255 * alpha


def reach_lab_figure(state: ReachLabState) -> Figure:
    """Draw a state of the reach lab."""
    figure, axes, say = still(9.6, 4.0)
    patch = state.patch
    height, width = state.image.shape[1:]
    row, column = divmod(state.place, state.grid[1])

    def draw(stage: int, x: float, y: float, side: float) -> None:
        shown = axes(x, y, side, side * height / width)
        shown.imshow(painted(state, stage), extent=(0, width, height, 0), aspect="auto", interpolation="nearest")
        shown.set(xlim=(0, width), ylim=(height, 0))
        frame(shown, column * patch, row * patch, patch, patch)
        top, left, bottom, right = state.boxes[stage]
        shown.plot(
            [left, right, right, left, left], [top, top, bottom, bottom, top], color="white", linestyle=":", linewidth=1
        )

    chosen = state.stages[state.stage]
    say(0.15, 0.1, f"{chosen.of} {chosen.name}", fontweight="bold")
    draw(state.stage, 0.15, 0.4, 3.2)
    counts: dict[str, int] = {}
    for i, stage in enumerate(state.stages):
        nth = counts[stage.of] = counts.get(stage.of, -1) + 1
        across = sum(other.of == stage.of for other in state.stages)
        step = min(1.5, 5.9 / across)
        x, y = 3.6 + step * nth, 0.1 if stage.of == "CNN" else 2.1
        say(x, y, f"{stage.of} {stage.name}", fontsize=8, fontweight="bold" if i == state.stage else "normal")
        say(x, y + 0.16, f"{decimals(state.distances[i], 1)} pixels far", fontsize=8, color=FAINT)
        draw(i, x, y + 0.36, step - 0.15)
    return figure
