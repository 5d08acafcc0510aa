"""The still picture of the probe lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vit_tutorial.explore.probe_lab.data import ProbeLabData
from vit_tutorial.explore.probe_lab.numbers import ProbeLabState, words_of_votes
from vit_tutorial.explore.still import FAINT, INK, as_rgb, still
from vit_tutorial.explore.words import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Told apart by colour-blind eyes, on white and on black: Okabe and Ito 2008, "Color Universal Design".
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#8a8a8a")
SHOWN = 5  # neighbours in a row


def probe_lab_figure(state: ProbeLabState, data: ProbeLabData, more: bool = False) -> Figure:
    """Draw a state of the probe lab: the map and one picture; its neighbours and all stages' answers too if `more`."""
    figure, axes, say = still(9.4, 5.0)
    names, known = data.class_names, data.labelled
    say(0.15, 0.1, f"Features, {state.stage}", fontweight="bold")
    shown = axes(0.15, 0.4, 4.3, 4.3)
    shown.set(xlim=(-1.08, 1.08), ylim=(-1.08, 1.08))
    x, y = state.places.T
    x0, y0 = state.places[known + state.picture]
    for i in state.near:
        shown.plot([x0, x[i]], [y0, y[i]], color=INK, linewidth=0.8, zorder=1)
    colours = [COLOURS[label] for label in data.labels]
    shown.scatter(x[:known], y[:known], s=30, c=colours[:known], marker="s", edgecolors="white", zorder=2)
    wrong, chosen = state.answers != data.labels[known:], known + state.picture
    edges = ["none"] * known + [INK if bad else "none" for bad in wrong]
    for order, some in enumerate((known + np.flatnonzero(~wrong), known + np.flatnonzero(wrong), [chosen]), start=3):
        look = {"c": [colours[i] for i in some], "edgecolors": [edges[i] for i in some]}
        shown.scatter(x[some], y[some], s=28, linewidths=1.2, zorder=order, **look)
    shown.scatter([x0], [y0], s=150, facecolors="none", edgecolors=INK, linewidths=2, zorder=6)
    for i, name in enumerate(names):
        column, row = i % 4, i // 4
        say(0.15 + 1.1 * column, 4.72 + 0.14 * row, "●", fontsize=7, color=COLOURS[i])
        say(0.27 + 1.1 * column, 4.72 + 0.14 * row, name, fontsize=7)
    say(0.15, 4.72 + 0.14 * (-(-len(names) // 4)), "■ labelled, ○ answered wrongly", fontsize=7)

    right = 4.75
    say(right, 0.1, f"Picture {state.picture}: {names[state.label]}", fontweight="bold")
    look = {"cmap": "gray", "vmin": 0, "vmax": 255}
    axes(right, 0.4, 1.2, 1.2).imshow(as_rgb(data.pictures[known + state.picture]), **look)
    verdict = "right" if state.answer == state.label else "wrong"
    say(right + 1.4, 0.5, f"{names[state.answer]}, {verdict}", fontsize=12, fontweight="bold")
    say(right + 1.4, 0.85, words_of_votes(state.votes, names).replace(", ", "\n"), fontsize=9)
    if not more:
        return figure
    say(right, 1.75, "Its nearest labelled pictures, the nearest first", fontweight="bold")
    for i, number in enumerate(state.near[:SHOWN]):
        left = right + 0.9 * i
        axes(left, 2.05, 0.8, 0.8).imshow(as_rgb(data.pictures[number]), **look)
        say(left, 2.88, names[data.labels[number]], fontsize=7, color=FAINT)
    say(right, 3.2, f"Right answers of {data.asked}", fontweight="bold")
    step = 1.5 / len(data.stages)
    for i, (stage, accuracy) in enumerate(zip(data.stages, state.accuracies, strict=True)):
        chosen = "bold" if stage == state.stage else "normal"
        top = 3.47 + step * i
        say(right, top, f"{stage}  {percent(accuracy)}", fontsize=7, fontweight=chosen)
        bar = axes(right + 1.9, top, 2.5, 0.6 * step)
        bar.set_xlim(0, 1)
        bar.barh([0], [accuracy], color=INK if stage == state.stage else FAINT)
    return figure
