"""The still picture of attention in the plane."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from vit_tutorial.explore.attention_plane.numbers import REACHES, TOKENS, AttentionPlaneState
from vit_tutorial.explore.still import FAINT, INK
from vit_tutorial.explore.words import decimals, fine_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOKEN_COLOURS = ("#0072b2", "#d55e00", "#007a5a")  # of the still picture, on white
# Where names are tried: (across, above), away from the axes where positive.
TRIED = [(1, 0.6), (1, -0.6), (0, 1.5), (-1, 0.6), (0, -1.5), (-1, -0.6), (1, 1.7), (1, -1.7), (-1, 1.7), (-1, -1.7)]
TRIED += [(0, 2.7), (0, -2.7), (-1.3, 0.6), (1.3, 0), (1, 2.7), (1, -2.7), (-1, 2.7), (-1, -2.7), (0, 3.8), (0, -3.8)]
ON_NAME = 4  # how much worse it is to cover a name than anything else
SOFT = "#e69f00"  # the ground of a weight of 1


def attention_plane_figure(state: AttentionPlaneState, more: bool = False) -> Figure:
    """Draw a state of attention in the plane: the two planes and what the query takes; the tables too if `more`."""
    from matplotlib.figure import Figure

    q, k, v, query, chosen = state.q, state.k, state.v, state.query, state.chosen
    figure = Figure(figsize=(9.4, 6.4 if more else 4.4), layout="constrained")
    rows = figure.subfigures(2, 1, height_ratios=(4, 2)) if more else [figure]
    left, right = rows[0].subplots(1, 2)
    shares = np.where(np.isfinite(state.scaled[query]), [fine_percent(one) for one in state.weights[query]], "0.0%")
    taken = " + ".join(f"{share} of v{key}" for key, share in enumerate(shares))
    rows[0].supxlabel(f"Output {query} = {taken}", x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    reach = reach_of(q, k)
    draw_axes(left, -reach, reach, "Queries (thin) and keys (broad)")
    for kind, points in (("k", k), ("q", q)):
        broad = kind == "k"
        for token, (x, y) in enumerate(points):
            look = {"width": 7, "headwidth": 16, "headlength": 12} if broad else {}
            look = look or {"width": 1.6, "headwidth": 8, "headlength": 9}
            colour = TOKEN_COLOURS[token]  # a pale fill alone would not stand out from the ground
            drawn = {"facecolor": (colour, 0.35) if broad else colour, "edgecolor": colour if broad else "none"}
            if (x, y) != (0, 0):
                left.annotate("", (x, y), (0, 0), arrowprops={**look, **drawn, "shrink": 0})
    draw_axes(right, *ends_of(v), "Values (squares) and outputs (dots)")
    right.fill(*np.transpose(v), facecolor=FAINT, edgecolor=FAINT, alpha=0.15, linewidth=2)
    for token, (x, y) in enumerate(v):
        right.plot(x, y, "s", color=TOKEN_COLOURS[token], markersize=8)
    for token, (x, y) in enumerate(state.outputs):
        right.plot(x, y, "o", color=TOKEN_COLOURS[token], markeredgecolor=INK, markersize=7)
    divided = f"2. Divided by {decimals(state.divisor)}" if state.divisor != 1 else "2. Not divided"
    divided += "" if np.isfinite(state.scaled).all() else ", masked"
    grids = rows[1].subplots(1, 4, width_ratios=(3, 3, 3, 2)) if more else ()
    for axes, title, numbers, columns in zip(
        grids,
        ("1. Scores q · k", divided, "3. Weights: softmax", "4. Outputs"),
        (state.scores, state.scaled, np.where(np.isfinite(state.scaled), state.weights, np.nan), state.outputs),
        (("k0", "k1", "k2"), ("k0", "k1", "k2"), ("k0", "k1", "k2"), ("x", "y")),
        strict=more,
    ):
        draw_grid(axes, title, numbers, columns, query)
    figure.draw_without_rendering()  # only now do the axes have their places
    figure.set_layout_engine("none")  # which they keep
    vectors = [(f"{kind}{i}", point) for kind, points in (("q", q), ("k", k)) for i, point in enumerate(points)]
    write_places(left, [(*one, one[0] == chosen) for one in vectors], arrows=True)
    mixed = [(f"out {i}", point, i == query) for i, point in enumerate(state.outputs.tolist())]
    write_places(right, [*mixed, *((f"v{i}", point, f"v{i}" == chosen) for i, point in enumerate(v))])
    return figure


def reach_of(q: list[list[float]], k: list[list[float]]) -> int:
    """How far the axes of queries and keys go: the smallest of REACHES that holds every tip."""
    farthest = float(np.abs([q, k]).max())
    return next(reach for reach in REACHES if farthest <= reach)


def ends_of(v: list[list[float]]) -> tuple[float, float]:
    """Where the axes of the values begin and end."""
    return (-2.0, 12.0) if np.min(v) >= -2 else (-12.0, 12.0)


def draw_axes(axes: Axes, low: float, high: float, title: str) -> None:
    """Axes that cross in the origin, with room at both sides for names."""
    room = 0.2 * (high - low)
    axes.set_xlim(low - room, high + room)
    axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    axes.set_aspect("equal")
    axes.set_title(title, fontsize=10, loc="left", fontweight="bold", color=INK)
    axes.axhline(0, color=FAINT, linewidth=1, zorder=0)
    axes.axvline(0, color=FAINT, linewidth=1, zorder=0)
    axes.grid(alpha=0.3)
    axes.tick_params(labelsize=8)
    axes.locator_params(nbins=7, steps=(1, 2, 5, 10))
    axes.spines[:].set_visible(False)


def write_places(axes: Axes, entries: list[tuple[str, list[float], bool]], arrows: bool = False) -> None:
    """Write names and numbers beside their points, where there is room; points in one place share a line.

    An entry is a name, a point, and whether it comes first, in bold. Places are tried in the order of the browser's
    picture, and the one that covers least is taken. With `arrows` the way from the origin to a point is kept free too.
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    unit = axes.figure.dpi / 100  # all lengths here are hundredths of an inch

    def spot(point: list[float]) -> np.ndarray:
        return axes.transData.transform(point) / unit

    together: dict[str, tuple[list[str], list[float], bool]] = {}
    for name, point, first in entries:
        numbers = ", ".join(f"{math.floor(number * 100 + 0.5) / 100:g}" for number in point)
        names, where, before = together.get(numbers, ([], point, False))
        together[numbers] = ([name, *names] if first else [*names, name], where, before or first)
    frame = axes.get_window_extent()
    left, low, right, high = (side / unit for side in frame.extents)
    origin = spot([0, 0])
    taken = []
    for _, point, _ in together.values():
        way = spot(point) - origin
        steps = max(1, math.ceil(float(np.hypot(*way)) / 12)) if arrows else 1
        parts = np.arange(0 if arrows else 1, steps + 1) / steps
        taken.extend(np.concatenate([origin + part * way - 6, origin + part * way + 6]) for part in parts)
    for _, point, _ in together.values() if arrows else ():
        way = spot(point) - origin
        head = origin + max(0.0, 1 - 9 / max(float(np.hypot(*way)), 1e-9)) * way
        taken.append(np.concatenate([head - 12, head + 12]))
    named = []
    for numbers, (names, point, first) in sorted(together.items(), key=lambda one: not one[1][2]):
        text, weight = f"{' = '.join(names)} ({numbers})", "bold" if first else "normal"
        wide = TextPath((0, 0), text, size=8, prop=FontProperties(weight=weight)).get_extents().width
        half = wide / 72 * 100 / 2
        room = np.array([half + 2, 7])
        x, y = spot(point)
        side, up = (-1 if x < origin[0] else 1), (1 if y >= origin[1] else -1)
        best, least = None, math.inf
        for across, above in TRIED:
            middle = np.array(
                [
                    np.clip(x + side * across * (half + 14), left + half + 2, right - half - 2),
                    np.clip(y + up * above * 11, low + 8, high - 8),
                ]
            )
            area = np.concatenate([middle - room, middle + room])
            covered = sum(overlap(area, other) for other in taken)
            covered += ON_NAME * sum(overlap(area, other) for other in named)
            if covered < least - 1:
                best, least = (middle, area), covered
        named.append(best[1])
        axes.annotate(
            text,
            point,
            (best[0] - (x, y)) * 0.72,
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=8,
            fontweight=weight,
            color=INK,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        ).set_in_layout(False)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """The area that two rectangles (left, low, right, high) share."""
    wide, tall = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    return max(0.0, wide) * max(0.0, tall)


def draw_grid(axes: Axes, title: str, numbers: np.ndarray, columns: tuple[str, ...], query: int) -> None:
    """A small table whose grounds say how large the numbers are; the row of the query is bold.

    A number that is not finite is that of a masked key.
    """
    from matplotlib.colors import to_rgb

    axes.set_axis_off()
    axes.set_title(title, fontsize=10, loc="left", fontweight="bold", color=INK)
    axes.set_xlim(-0.6, len(columns))
    axes.set_ylim(TOKENS, -0.8)
    finite = numbers[np.isfinite(numbers)]
    most = float(np.abs(finite).max()) or 1.0
    for column, name in enumerate(columns):
        axes.text(column + 0.5, -0.3, name, ha="center", va="center", fontsize=9, color=FAINT)
    for row, line in enumerate(numbers):
        weight = "bold" if row == query else "normal"
        axes.text(-0.3, row + 0.5, f"q{row}", ha="center", va="center", fontsize=9, color=FAINT, fontweight=weight)
        for column, number in enumerate(line):
            weights = "Weights" in title
            if len(columns) == TOKENS and np.isfinite(number):
                colour = SOFT if weights else "#b2182b" if number > 0 else "#2166ac"
                strength = number if weights else abs(number) / most
                axes.fill_between(
                    [column, column + 1], row, row + 1, facecolor=(*to_rgb(colour), 0.5 * strength), linewidth=0
                )
            said = (
                (fine_percent if weights else decimals)(number)
                if np.isfinite(number)
                else "0.0%"
                if weights
                else "-inf"
            )
            axes.text(column + 0.5, row + 0.5, said, ha="center", va="center", fontsize=9, color=INK, fontweight=weight)
