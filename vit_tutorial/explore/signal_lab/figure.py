"""The still picture of the signal lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vit_tutorial.explore.signal_lab.numbers import CEILING, CHARTS, GROUND, QUANTITIES, SignalLabState, axis_ends
from vit_tutorial.explore.still import ACCENT, FAINT, INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOOKS = {  # colour and marker
    "stream": (INK, "o"),
    "attention branch": (ACCENT, "s"),
    "MLP branch": ("#d55e00", "^"),
    "gradient": (INK, "o"),
    "likeness": (INK, "o"),
}


def signal_lab_figure(state: SignalLabState, more: bool = False) -> Figure:
    """Draw a state of the signal lab: the size of its numbers; gradient and likeness too if `more`.

    A hollow triangle stands for a number off the scale.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.4, 3.4), layout="constrained")
    figure.suptitle(str(state.setting), x=0.01, ha="left", fontsize=10, fontweight="bold", color=INK)
    drawn = [(rows, line) for rows, line in ((state.held, "--"), (state.signals, "-")) if rows is not None]
    charts = list(CHARTS.items()) if more else list(CHARTS.items())[:1]
    grid = figure.subplots(1, len(charts), squeeze=False)
    for axes, (title, names) in zip(grid[0], charts, strict=True):
        for name in names:
            colour, marker = LOOKS[name]
            column = QUANTITIES.index(name)
            for rows, line in drawn:
                least, most = (0, 1) if name == "likeness" else (GROUND, CEILING)
                numbers, blocks = rows[:, column], np.arange(1, len(rows) + 1)
                values = np.nan_to_num(np.clip(numbers, least, most), nan=most)
                below, above = numbers < least, ~(numbers <= most) & ~(numbers < least)
                for off, triangle in ((below, "v"), (above, "^")):
                    axes.plot(blocks[off], values[off], triangle, color=colour, markerfacecolor="white", zorder=3)
                look = {"marker": marker, "markersize": 4, "label": name} if line == "-" else {"alpha": 0.6}
                axes.plot(blocks, values, color=colour, linestyle=line, linewidth=1.5, **look)
        if names == ("likeness",):
            axes.set_ylim(-0.05, 1.05)
        else:
            columns = [QUANTITIES.index(name) for name in names]
            low, high = axis_ends([rows[:, columns].ravel() for rows, _ in drawn])
            axes.set_yscale("log")
            axes.set_ylim(10.0**low, 10.0**high)
        axes.axvline(state.block, color=FAINT, linewidth=1)
        axes.set_title(title, fontsize=10, loc="left", color=INK)
        axes.set_xlabel("block", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if len(names) > 1:
            if state.held is not None:
                axes.plot([], [], "--", color=INK, alpha=0.6, label="held")
            axes.legend(frameon=False, fontsize=8)
    return figure
