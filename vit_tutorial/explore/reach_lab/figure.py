"""The still picture of the reach lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vit_tutorial.explore.reach_lab.numbers import ReachLabState, levels_of
from vit_tutorial.explore.still import FAINT, as_rgb, frame, still, viridis
from vit_tutorial.explore.words import decimals, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHADE = 0.45  # what is left of the light where a place cannot see
GREY = 128  # of the pixels on which the colours of the key lie


def painted(state: ReachLabState, stage: int) -> np.ndarray:
    """The picture in grey, dark where the place cannot see, and coloured where it did: [H, W, 3], 0 to 1."""
    grey = as_rgb(state.image).mean(axis=-1, keepdims=True).repeat(3, axis=-1) / 255
    top, left, bottom, right = state.boxes[stage]
    seen = np.zeros(grey.shape[:2], dtype=bool)
    seen[top:bottom, left:right] = True
    level = levels_of(state.fields[stage])
    alpha = (level / 255)[..., None]
    return np.where(seen[..., None], grey, SHADE * grey) * (1 - alpha) + viridis()[level] / 255 * alpha


def over_grey() -> np.ndarray:
    """The 256 colours as they lie on a grey pixel: the weaker it is answered, the more of the grey is left; 0 to 1."""
    share = np.arange(256)[:, None] / 255
    return (GREY + share * (viridis().astype(float) - GREY)) / 255


def reach_lab_figure(state: ReachLabState, more: bool = False) -> Figure:
    """Draw a state of the reach lab: what the chosen stage sees; all stages of both models too if `more`."""
    figure, axes, say = still(9.6, 8.7 if more else 4.6)
    patch = state.patch
    height, width = state.image.shape[1:]
    row, column = divmod(state.place, state.grid[1])

    def draw(stage: int, x: float, y: float, side: float) -> None:
        shown = axes(x, y, side, side * height / width)
        shown.imshow(painted(state, stage), extent=(0, width, height, 0), aspect="auto", interpolation="nearest")
        shown.set(xlim=(0, width), ylim=(height, 0))
        frame(shown, column * patch, row * patch, patch, patch)
        top, left, bottom, right = state.boxes[stage]
        across, down = [left, right, right, left, left], [top, top, bottom, bottom, top]
        for colour, dashes in (("black", "-"), ("white", "--")):  # seen on every ground
            shown.plot(across, down, color=colour, linestyle=dashes, linewidth=1)

    chosen = state.stages[state.stage]
    say(0.15, 0.1, f"What {chosen.of} {chosen.name} sees", fontweight="bold")
    draw(state.stage, 0.15, 0.4, 4.0)
    top, left, bottom, right = state.boxes[state.stage]
    share = (bottom - top) * (right - left) / (height * width)
    say(4.4, 0.4, f"{chosen.of} {chosen.name} can see here")
    say(4.4, 0.65, f"{bottom - top} × {right - left} pixels", fontsize=20, fontweight="bold")
    far = f"On average it looks {decimals(state.distances[state.stage], 1)} pixels far."
    say(4.4, 1.2, f"{percent(share)} of the picture. {far}")
    seen = "Dashed frame: what the place can see; dark: what it cannot."
    say(4.4, 1.6, f"{seen}\nColour: how strongly it answers to a pixel. Solid frame: the patch.", color=FAINT)
    key = axes(4.4, 2.1, 2.4, 0.12)
    key.imshow(over_grey()[None], aspect="auto")
    say(4.4, 2.26, "nothing", color=FAINT, fontsize=9)
    say(6.8, 2.26, "most", color=FAINT, fontsize=9, ha="right")
    if not more:
        return figure
    counts: dict[str, int] = {}
    for i, stage in enumerate(state.stages):
        nth = counts[stage.of] = counts.get(stage.of, -1) + 1
        across = sum(other.of == stage.of for other in state.stages)
        step = min(1.5, 9.3 / across)
        x, y = 0.15 + step * nth, 4.75 if stage.of == "CNN" else 6.75
        say(x, y, f"{stage.of} {stage.name}", fontsize=8, fontweight="bold" if i == state.stage else "normal")
        say(x, y + 0.16, f"{decimals(state.distances[i], 1)} pixels far", fontsize=8, color=FAINT)
        draw(i, x, y + 0.36, step - 0.15)
    return figure
