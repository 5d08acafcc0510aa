"""The still picture of the token table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jaxtyping import UInt8

from vit_tutorial.explore.still import ACCENT, FAINT, INK, as_rgb, frame, still
from vit_tutorial.explore.token_table.numbers import TokenTableState, stage_name
from vit_tutorial.explore.words import decimals, percent

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

NUMBERS_SHOWN = 8  # of a row, side by side


def token_table_figure(state: TokenTableState, image: UInt8[np.ndarray, "C H W"], more: bool = False) -> Figure:
    """Draw a state of the token table beside its picture; similarities, readings and numbers too if `more`."""
    rows, columns = state.grid_size
    num_rows, dim = state.table.shape
    first = rows * columns + 1 - num_rows
    where, limit = stage_name(state.stage), state.limit
    figure, axes, say = still(9.4, 7.8 if more else 4.8)
    left, top, tall, wide, side = 0.95, 0.45, 3.9, 5.2, 2.0  # inches

    def heat(axis, values, most: float, across: float, down: float) -> None:
        options = {"cmap": "RdBu_r", "vmin": -most, "vmax": most, "interpolation": "nearest", "aspect": "auto"}
        axis.imshow(values, extent=(0, across, down, 0), **options)

    say(left, 0.15, f"The sequence {where}: [{num_rows}, {dim}]", fontweight="bold")
    table = axes(left, top, wide, tall)
    heat(table, state.table, limit, dim, num_rows)
    frame(table, 0, state.row, width=dim)
    for row in range(num_rows):
        token = row + first
        if token == 0 or ((token - 1) % columns == 0 and (row == 0 or row > 2)):
            middle = top + tall * (row + 0.5) / num_rows
            label = "class token" if token == 0 else f"patch {token - 1:,}"
            say(left - 0.06, middle - 0.06, label, ha="right", fontsize=7, color=FAINT)
    say(left, top + tall + 0.05, f"blue {decimals(-limit, 1)} · white 0 · red {decimals(limit, 1)}", color=FAINT)
    aside = left + wide + 0.3
    shape = (side * columns / max(rows, columns), side * rows / max(rows, columns))
    token = state.row + first
    say(aside, 0.15, "Its patch", fontweight="bold")
    shown = axes(aside, top, *shape)
    shown.imshow(as_rgb(image), interpolation="nearest", extent=(0, columns, rows, 0), aspect="auto")

    def place(axis) -> None:
        axis.set_xlim(0, columns)
        axis.set_ylim(rows, 0)
        if token:
            frame(axis, (token - 1) % columns, (token - 1) // columns)

    place(shown)
    say(aside, top + side + 0.2, f"the head on {state.reads},\n{where}, says", color=FAINT, fontsize=9)
    say(aside, top + side + 0.55, _told(state.here), fontsize=15, fontweight="bold")
    if not more:
        return figure
    below, side = 5.0, 1.7
    shape = (side * columns / max(rows, columns), side * rows / max(rows, columns))
    say(left, below, "Similarity with this row", fontweight="bold")
    alike = axes(left, below + 0.3, *shape)
    heat(alike, state.similarity[1 - first :].reshape(rows, columns), 1, columns, rows)
    place(alike)
    say(left + side + 0.2, below + 0.3, "blue −1 · white 0 · red 1", color=FAINT)
    lines = (
        (f"row {state.row:,}", "the class token" if token == 0 else f"patch {token - 1:,}"),
        (f"the head on {state.reads}, after the last block", _told(state.at_the_end)),
        ("... with every part on", _told(state.all_on)),
    )
    for line, (what, told) in enumerate(lines):
        say(aside - 1.8, below + 0.3 + 0.45 * line, what, color=FAINT, fontsize=9)
        say(aside - 1.8, below + 0.46 + 0.45 * line, told, fontsize=12, fontweight="bold")
    for line, (what, numbers) in enumerate(zip(state.part_names, state.parts, strict=True)):
        y = below + 2.15 + 0.21 * line
        say(left, y, f"{('', '+ ', '= ')[line]}{what}", fontsize=9, color=ACCENT if line == 2 else INK)
        for i, number in enumerate(numbers[:NUMBERS_SHOWN]):
            say(left + 2.4 + 0.7 * i, y, decimals(number), fontsize=9, ha="right")
        say(left + 2.5 + 0.7 * NUMBERS_SHOWN, y, "…", fontsize=9)
    return figure


def _told(answer: tuple[str, float]) -> str:
    return f"{answer[0]} {percent(answer[1])}"
