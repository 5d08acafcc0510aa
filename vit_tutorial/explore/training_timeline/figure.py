"""The still picture of the training timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vit_tutorial.explore.still import ACCENT, FAINT, as_rgb, frame, still
from vit_tutorial.explore.training_timeline.data import TrainingTimelineData
from vit_tutorial.explore.training_timeline.numbers import TrainingTimelineState, accuracy_after, moment_name
from vit_tutorial.explore.words import decimals, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def training_timeline_figure(state: TrainingTimelineState, data: TrainingTimelineData, more: bool = False) -> Figure:
    """Draw a state of the timeline, with the whole course of the training above it; like positions too if `more`."""
    which = data.names.index(state.picture)
    picture = as_rgb(data.pictures[which])
    (rows, columns), left, top, side = data.grid, 0.15, 2.65, 2.5
    figure, axes, say = still(9.4, 5.85)
    say(left, 0.1, moment_name(state.epoch).capitalize(), fontweight="bold")
    draw_curve(axes(0.6, 0.45, 8.6, 1.3), data, state.epoch)

    look = {"extent": (0, columns, rows, 0), "aspect": "auto", "interpolation": "nearest"}

    def map_at(x: float, title: str, note: str, marked: int | None, *layers: tuple[np.ndarray, dict[str, Any]]) -> None:
        say(x, top - 0.3, title, fontweight="bold")
        place = axes(x, top, side, side)
        for values, colours in layers:
            place.imshow(values, **look, **colours)
        if marked is not None:
            frame(place, marked % columns, marked // columns)
        say(x, top + side + 0.08, note, fontsize=9, color=FAINT)

    most, far = state.attention_top, state.alike_top
    map_at(
        left,
        f"Layer {state.layer}: where {state.who.replace(' together', '')}",
        f"dark 0%, yellow {percent(most)}",
        state.chosen,
        (picture.mean(axis=-1), {"cmap": "gray"}),
        (state.attention, {"cmap": "viridis", "vmin": 0, "vmax": most, "alpha": 0.7}),
    )
    beside = left + side + 0.3
    axes(beside, top, 0.9, 0.9).imshow(picture, interpolation="nearest", aspect="auto")
    say(beside + 1.05, top, f"{state.picture}: the model says", 2.4)
    best = int(state.probabilities.argmax())
    told = f"{data.class_names[best]} {percent(state.probabilities[best])}"
    say(beside + 1.05, top + 0.25, told, 2.4, fontsize=16, fontweight="bold")
    if not more:
        return figure
    for line, index in enumerate(data.bars[which]):
        y = top + 1.0 + 0.2 * line
        strong = {"fontweight": "bold"} if index == best else {}
        say(beside, y, data.class_names[index], 1.15, fontsize=9, **strong)
        say(beside + 1.65, y, percent(state.probabilities[index]), fontsize=9, ha="right", **strong)
        bar = axes(beside + 1.75, y + 0.01, 1.25, 0.13)
        bar.set_xlim(0, 1)
        bar.barh(0, state.probabilities[index], color=ACCENT if index == best else FAINT)
    map_at(
        6.55,
        f"Positions like that of patch {state.patch:,}",
        f"blue {decimals(-far)}, white 0, red {decimals(far)} and more",
        state.patch,
        (state.alike, {"cmap": "RdBu_r", "vmin": -far, "vmax": far}),
    )
    say(6.55, top + side + 0.26, f"mean: neighbours {decimals(state.near[0])}, others {decimals(state.near[1])}")
    return figure


def draw_curve(place: Any, data: TrainingTimelineData, epoch: int) -> None:
    """The accuracy over the epochs, with a dot for each kept model, the chosen one large; hollow: not measured."""
    from matplotlib.ticker import PercentFormatter

    guessing = 1 / len(data.class_names)
    place.set_axis_on()
    place.spines[["top", "right"]].set_visible(False)
    place.tick_params(labelsize=9)
    place.set_xlabel("finished epochs", fontsize=9)
    place.xaxis.get_major_locator().set_params(integer=True)
    place.set_ylim(0, 1.1 * max((guessing, *data.accuracy)))
    if data.accuracy:
        place.plot(range(1, len(data.accuracy) + 1), data.accuracy, color=FAINT)
        place.axhline(guessing, color=FAINT, linewidth=0.8, linestyle="--")
        place.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        place.set_ylabel("accuracy", fontsize=9)
    else:
        place.set_yticks([])
        place.spines["left"].set_visible(False)
    place.axvline(epoch, color=ACCENT, linewidth=1)
    for kept in data.epochs:
        level = accuracy_after(data, kept)
        face = "white" if data.accuracy and level is None else ACCENT
        size, height = 9 if kept == epoch else 5, guessing if level is None else level
        place.plot(kept, height, "o", color=ACCENT, markersize=size, markerfacecolor=face)
