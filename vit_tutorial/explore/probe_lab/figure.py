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
    from matplotlib.patheffects import withStroke

    names, known = data.class_names, data.labelled
    legend = 4.75 + 0.17 * np.arange(-(-len(names) // 4) + 1)  # its lines
    figure, axes, say = still(9.4, legend[-1] + 0.2)
    edges = [edge_of(colour) for colour in COLOURS]
    say(0.15, 0.1, f"Features, {state.stage}", 4.5, fontweight="bold")
    shown = axes(0.15, 0.4, 4.3, 4.3)
    shown.set(xlim=(-1.08, 1.08), ylim=(-1.08, 1.08))
    x, y = state.places.T
    x0, y0 = state.places[known + state.picture]
    for i in state.near:
        shown.plot([x0, x[i]], [y0, y[i]], color=INK, linewidth=0.8, zorder=1)
    look = {"c": [COLOURS[label] for label in data.labels], "edgecolors": [edges[label] for label in data.labels]}
    wrong, chosen = state.answers != data.labels[known:], known + state.picture
    kinds = (range(known), known + np.flatnonzero(~wrong), known + np.flatnonzero(wrong), [chosen])
    for order, some in enumerate(kinds, start=2):
        drawn = {name: [colours[i] for i in some] for name, colours in look.items()}
        shown.scatter(x[some], y[some], s=28, marker="os"[order == 2], linewidths=0.9, zorder=order, **drawn)
    some = known + np.flatnonzero(wrong)
    shown.scatter(x[some], y[some], s=75, facecolors="none", edgecolors=INK, linewidths=1.2, zorder=6)
    shown.scatter([x0], [y0], s=150, facecolors="none", edgecolors=INK, linewidths=2, zorder=6)
    for i, name in enumerate(names):
        column, row = i % 4, i // 4
        outlined = [withStroke(linewidth=1.5, foreground=edges[i])]
        say(0.15 + 1.1 * column, legend[row], "●", fontsize=8, color=COLOURS[i], path_effects=outlined)
        say(0.29 + 1.1 * column, legend[row], name, 0.93, fontsize=8)
    say(0.15, legend[-1], "■ labelled, ○ answered wrongly", fontsize=8)

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
        say(left, 2.88, names[data.labels[number]], 0.85, fontsize=8, color=FAINT)
    say(right, 3.2, f"Right answers of {data.asked}", fontweight="bold")
    step = 1.5 / len(data.stages)
    for i, (stage, accuracy) in enumerate(zip(data.stages, state.accuracies, strict=True)):
        chosen = "bold" if stage == state.stage else "normal"
        top = 3.47 + step * i
        say(right, top, stage, 1.75, fontsize=8, fontweight=chosen)
        say(right + 2.2, top, percent(accuracy), fontsize=8, fontweight=chosen, ha="right")
        bar = axes(right + 2.3, top, 2.1, 0.6 * step)
        bar.set_xlim(0, 1)
        bar.barh([0], [accuracy], color=INK if stage == state.stage else FAINT)
    return figure


def edge_of(colour: str) -> tuple[float, ...]:
    """The outline of a dot: its colour and that of letters in equal parts, so that it stands out from the ground."""
    from matplotlib.colors import to_rgb

    return tuple((one + ink) / 2 for one, ink in zip(to_rgb(colour), to_rgb(INK), strict=True))
