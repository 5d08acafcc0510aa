"""Attention in the plane: three tokens whose queries, keys and values are points that can be moved."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
import traitlets
from jaxtyping import Bool, Float

from vit_tutorial.attention import scaled_dot_product_attention
from vit_tutorial.explore.common import FAINT, INK, Explorer, browser_code, decimals, fine_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOKENS = 3
KINDS = {"q": "query", "k": "key", "v": "value"}
FARTHEST = {"q": 8.0, "k": 8.0, "v": 12.0}  # the largest number that a vector of a kind may hold
REACHES = (2, 4, 8)  # how far the axes of queries and keys can go
TEMPERATURES = (0.1, 5.0)  # the lowest and the highest
MASKS = {"none": "none", "causal": "causal: no later key", "padding": "token 2 is padding"}
LEADS = {"none": "Query", "causal": "With the causal mask, query", "padding": "With token 2 as padding, query"}
TOKEN_COLOURS = ("#0072b2", "#d55e00", "#007a5a")  # of the still picture, on white
TRIED = [(1, 0.6), (1, -0.6), (0, 1.5), (-1, 0.6), (0, -1.5), (-1, -0.6), (1, 1.7), (1, -1.7), (-1, 1.7), (-1, -1.7)]
TRIED += [(0, 2.7), (0, -2.7)]  # where names are tried: (across, above), away from the axes where positive
SOFT = "#e69f00"  # the ground of a weight of 1


class Preset(NamedTuple):
    """Vectors to begin with, and the query to follow."""

    q: list[list[float]]
    k: list[list[float]]
    v: list[list[float]]
    query: int = 0


_CORNERS = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
_LINE = [[10.0, 0.0], [0.0, 10.0], [5.0, 5.0]]
_TRIANGLE = [[0.0, 0.0], [10.0, 0.0], [5.0, 9.0]]
_STAR = [[2.0, 0.0], [-1.0, 1.7], [-1.0, -1.7]]
PRESETS = {
    "by hand": Preset(_CORNERS, _CORNERS, _LINE),
    "all keys equal": Preset(_CORNERS, [[1.0, 1.0]] * TOKENS, _TRIANGLE),
    "one long query": Preset([*_CORNERS[:2], [6.0, 6.0]], _CORNERS, _TRIANGLE, query=2),
    "three directions": Preset(_STAR, _STAR, _TRIANGLE),
}


def preset_named(name: str) -> Preset:
    """One of PRESETS; raises ValueError if there is no such one."""
    if name not in PRESETS:
        raise ValueError(f"preset {name!r} is unknown; choose from {', '.join(map(repr, PRESETS))}")
    return PRESETS[name]


def as_points(points, kind: str) -> list[list[float]]:
    """Three points in the plane as lists of numbers; `kind` is "q", "k" or "v".

    Raises ValueError if the shape is not [3, 2], or a number is no number or too large for the picture.
    """
    array = torch.as_tensor(points, dtype=torch.float64).detach().cpu().numpy()
    if array.shape != (TOKENS, 2):
        raise ValueError(f"{kind} has shape {list(array.shape)}; give [{TOKENS}, 2]: {TOKENS} vectors of 2 numbers")
    if not (np.abs(array) <= FARTHEST[kind]).all():
        largest = float(np.abs(array).max())
        raise ValueError(f"{kind} holds a number of size {largest:g}; the picture ends at {FARTHEST[kind]:g}")
    return array.tolist()


def allowed(mask: str) -> Bool[np.ndarray, "3 3"]:
    """Where a query (row) may look at a key (column)."""
    if mask not in MASKS:
        raise ValueError(f"mask {mask!r} is unknown; choose from {', '.join(map(repr, MASKS))}")
    seen = np.ones((TOKENS, TOKENS), dtype=bool)
    if mask == "causal":
        seen = np.tril(seen)
    if mask == "padding":
        seen[:, 2] = False
    return seen


@dataclass(frozen=True)
class AttentionPlaneState:
    """What the explorer shows: each step from the vectors to the outputs; rows are queries, columns keys."""

    scores: Float[np.ndarray, "3 3"]  # q . k
    divisor: float  # by which the scores are divided
    scaled: Float[np.ndarray, "3 3"]  # after division and mask; -inf where a query may not look
    weights: Float[np.ndarray, "3 3"]
    outputs: Float[np.ndarray, "3 2"]
    words: str


def attention_plane_state(
    q: Float[np.ndarray, "3 2"],
    k: Float[np.ndarray, "3 2"],
    v: Float[np.ndarray, "3 2"],
    query: int = 0,
    scaled: bool = True,
    temperature: float = 1.0,
    mask: str = "none",
    chosen: str = "q0",
) -> AttentionPlaneState:
    """Compute all that the explorer shows, in double precision.

    Shapes: q, k, v [3, 2], as arrays, tensors or lists. The scores are divided by sqrt(2) if `scaled`, and by the
    temperature. `mask` is "none", "causal" or "padding" (no query may look at token 2). `query` is the one that the
    words follow, `chosen` the vector that the arrow keys move, such as "k1".
    Raises ValueError for another shape, a number too large for the picture, or an unknown choice.
    Source: Vaswani et al. 2017, equation 1.
    """
    points = {"q": as_points(q, "q"), "k": as_points(k, "k"), "v": as_points(v, "v")}
    if query not in range(TOKENS):
        raise ValueError(f"query {query} is not among 0 to {TOKENS - 1}")
    if not TEMPERATURES[0] <= temperature <= TEMPERATURES[1]:
        raise ValueError(f"temperature {temperature:g} is not between {TEMPERATURES[0]:g} and {TEMPERATURES[1]:g}")
    check_chosen(chosen)
    seen = allowed(mask)
    queries, keys, values = (np.array(points[kind]) for kind in KINDS)
    scores = queries[:, None, 0] * keys[None, :, 0] + queries[:, None, 1] * keys[None, :, 1]
    divisor = (math.sqrt(2) if scaled else 1.0) * temperature
    outputs, weights = scaled_dot_product_attention(
        torch.from_numpy(queries) * (1.0 if scaled else math.sqrt(2)) / temperature,
        torch.from_numpy(keys),
        torch.from_numpy(values),
        torch.from_numpy(seen),
    )
    row = {"scores": scores[query], "seen": seen[query], "weights": weights[query].tolist()}
    return AttentionPlaneState(
        scores=scores,
        divisor=divisor,
        scaled=np.where(seen, scores / divisor, -np.inf),
        weights=weights.numpy(),
        outputs=outputs.numpy(),
        words=f"{LEADS[mask]} {query}, {place(points['q'][query])}, {looks(**row, divisor=divisor)} "
        f"Output {query} is {place(outputs[query].tolist())}. "
        f"The arrow keys move {chosen}, {place(points[chosen[0]][int(chosen[1])])}.",
    )


def check_chosen(chosen: str) -> None:
    """Raise ValueError if there is no such vector."""
    names = [f"{kind}{token}" for kind in KINDS for token in range(TOKENS)]
    if chosen not in names:
        raise ValueError(f"chosen {chosen!r} is unknown; choose from {', '.join(names)}")


def place(point: list[float]) -> str:
    """`(1.00, 0.50)`."""
    return f"({decimals(point[0])}, {decimals(point[1])})"


def listed(keys: list[int]) -> str:
    """`key 1`, `keys 0 and 2`, or `all three keys`."""
    if len(keys) == TOKENS:
        return "all three keys"
    return f"key{'s' if len(keys) > 1 else ''} {' and '.join(map(str, keys))}"


def looks(scores: np.ndarray, seen: np.ndarray, weights: list[float], divisor: float) -> str:
    """Where one query looks, and from which scores: two sentences without their subject."""
    shares = [fine_percent(weight) for weight in weights]
    open_keys = [key for key in range(TOKENS) if seen[key]]
    best = max(open_keys, key=lambda key: weights[key])
    top = [key for key in open_keys if shares[key] == shares[best]]
    rest = [key for key in open_keys if key not in top]
    hidden = [key for key in range(TOKENS) if not seen[key]]
    if len(open_keys) == 1:
        text = f"can look only at {listed(top)}, with {shares[best]}"
    elif not rest:
        text = f"looks at {listed(top)} alike, with {shares[best]} each"
    else:
        text = f"looks most at {listed(top)}, with {shares[best]}{' each' if len(top) > 1 else ''}"
        text += f" ({', '.join(f'key {key}: {shares[key]}' for key in rest)})"
    spread = math.exp(-sum(weight * math.log(weight) for weight in weights if weight > 0))
    text += f": as if spread evenly over {decimals(spread)} keys. Scores {', '.join(map(decimals, scores))}"
    text += f"; divided by {decimals(divisor)}: {', '.join(map(decimals, scores / divisor))}" if divisor != 1 else ""
    if hidden:
        text += f"; {listed(hidden)} {'are' if len(hidden) > 1 else 'is'} masked"
    return f"{text}."


def reach_of(q: list[list[float]], k: list[list[float]]) -> int:
    """How far the axes of queries and keys go: the smallest of REACHES that holds every tip."""
    farthest = float(np.abs([q, k]).max())
    return next(reach for reach in REACHES if farthest <= reach)


def ends_of(v: list[list[float]]) -> tuple[float, float]:
    """Where the axes of the values begin and end."""
    return (-2.0, 12.0) if np.min(v) >= -2 else (-12.0, 12.0)


def attention_plane_figure(q, k, v, query: int = 0, **choices: Any) -> Figure:
    """Draw what `attention_plane_state` says as a still picture; the choices are its own."""
    from matplotlib.figure import Figure

    chosen = choices.setdefault("chosen", "q0")
    state = attention_plane_state(q, k, v, query, **choices)
    q, k, v = as_points(q, "q"), as_points(k, "k"), as_points(v, "v")
    figure = Figure(figsize=(9.4, 5.6), layout="constrained")
    rows = figure.subfigures(2, 1, height_ratios=(3.6, 2))
    left, right = rows[0].subplots(1, 2)
    reach = reach_of(q, k)
    draw_axes(left, -reach, reach, "Queries (thin) and keys (broad)")
    for kind, points in (("k", k), ("q", q)):
        broad = kind == "k"
        for token, (x, y) in enumerate(points):
            look = {"width": 7, "headwidth": 16, "headlength": 12, "alpha": 0.35} if broad else {}
            look = look or {"width": 1.6, "headwidth": 8, "headlength": 9}
            colour = {"facecolor": TOKEN_COLOURS[token], "edgecolor": "none"}
            if (x, y) != (0, 0):
                left.annotate("", (x, y), (0, 0), arrowprops={**look, **colour, "shrink": 0})
    draw_axes(right, *ends_of(v), "Values (squares) and outputs (dots)")
    right.fill(*np.transpose(v), facecolor=FAINT, edgecolor=FAINT, alpha=0.15, linewidth=2)
    for token, (x, y) in enumerate(v):
        right.plot(x, y, "s", color=TOKEN_COLOURS[token], markersize=8)
    for token, (x, y) in enumerate(state.outputs):
        right.plot(x, y, "o", color=TOKEN_COLOURS[token], markeredgecolor=INK, markersize=7)
    divided = f"2. Divided by {decimals(state.divisor)}"
    grids = rows[1].subplots(1, 4, width_ratios=(3, 3, 3, 2))
    for axes, title, numbers, columns in zip(
        grids,
        ("1. Scores q · k", divided, "3. Weights: softmax", "4. Outputs"),
        (state.scores, state.scaled, np.where(np.isfinite(state.scaled), state.weights, np.nan), state.outputs),
        (("k0", "k1", "k2"), ("k0", "k1", "k2"), ("k0", "k1", "k2"), ("x", "y")),
        strict=True,
    ):
        draw_grid(axes, title, numbers, columns, query)
    figure.draw_without_rendering()  # only now do the axes have their places
    vectors = [(f"{kind}{i}", point) for kind, points in (("q", q), ("k", k)) for i, point in enumerate(points)]
    write_places(left, [(*one, one[0] == chosen) for one in vectors], arrows=True)
    mixed = [(f"out {i}", point, i == query) for i, point in enumerate(state.outputs.tolist())]
    write_places(right, [*mixed, *((f"v{i}", point, f"v{i}" == chosen) for i, point in enumerate(v))])
    return figure


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
    from matplotlib.patheffects import withStroke
    from matplotlib.textpath import TextPath

    unit = axes.figure.dpi / 100  # all lengths here are hundredths of an inch

    def spot(point: list[float]) -> np.ndarray:
        return axes.transData.transform(point) / unit

    together: dict[str, tuple[list[str], list[float], bool]] = {}
    for name, point, first in entries:
        numbers = ", ".join(f"{float(decimals(number)):g}" for number in point)
        names, where, before = together.get(numbers, ([], point, False))
        together[numbers] = ([name, *names] if first else [*names, name], where, before or first)
    frame = axes.get_window_extent()
    left, low, right, high = (side / unit for side in frame.extents)
    origin = spot([0, 0])
    parts = (0, 0.2, 0.4, 0.6, 0.8, 1) if arrows else (1,)
    taken = [
        np.concatenate([middle - 6, middle + 6])
        for _, point, _ in together.values()
        for middle in (origin + part * (spot(point) - origin) for part in parts)
    ]
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
            if covered < least - 1:
                best, least = (middle, area), covered
        taken.append(best[1])
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
            path_effects=[withStroke(linewidth=3, foreground="white")],
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


class Points(traitlets.TraitType):
    """Three points in the plane; arrays and tensors are taken too."""

    info_text = "three vectors of two numbers"

    def validate(self, obj, value):
        return as_points(value, self.name)


class AttentionPlane(Explorer):
    """An explorer: the queries, keys and values of three tokens in the plane, and attention step by step.

    `q`, `k` and `v` are [3, 2] (lists, arrays or tensors; queries and keys up to 8, values up to 12); without them the
    vectors are those of `preset`: "by hand", "all keys equal", "one long query" or "three directions". The traits `q`,
    `k`, `v`, `scaled` (divide by sqrt(2)), `temperature` (0.1 to 5), `mask` ("none", "causal" or "padding"), `query`
    (the one that is followed, from 0) and `chosen` (the vector that the arrow keys move, such as "k1") follow what the
    learner does and can be set from code.
    Raises ValueError if a shape or a choice does not fit.
    """

    _esm = browser_code("attention_plane.js")
    _presets = traitlets.List().tag(sync=True)
    _masks = traitlets.List().tag(sync=True)
    _temperatures = traitlets.List(traitlets.Float()).tag(sync=True)
    _reaches = traitlets.List(traitlets.Int()).tag(sync=True)
    _farthest = traitlets.Dict().tag(sync=True)
    q = Points().tag(sync=True)
    k = Points().tag(sync=True)
    v = Points().tag(sync=True)
    scaled = traitlets.Bool(True).tag(sync=True)
    temperature = traitlets.Float(1.0).tag(sync=True)
    mask = traitlets.Unicode("none").tag(sync=True)
    query = traitlets.Int(0).tag(sync=True)
    chosen = traitlets.Unicode("q0").tag(sync=True)

    def __init__(self, q=None, k=None, v=None, preset: str = "by hand", **choices: Any):
        begin = preset_named(preset)
        choices.setdefault("query", begin.query)
        choices.setdefault("chosen", f"q{choices['query']}")
        own = {"q": q, "k": k, "v": v}
        points = {kind: getattr(begin, kind) if own[kind] is None else as_points(own[kind], kind) for kind in KINDS}
        attention_plane_state(**points, **choices)
        super().__init__(
            _presets=[[name, *preset] for name, preset in PRESETS.items()],
            _masks=[[mask, text, LEADS[mask]] for mask, text in MASKS.items()],
            _temperatures=list(TEMPERATURES),
            _reaches=list(REACHES),
            _farthest=FARTHEST,
            **points,
            **choices,
        )

    @traitlets.validate("scaled", "temperature", "mask", "query", "chosen")
    def _known_choice(self, proposal):
        attention_plane_state(**PRESETS["by hand"]._asdict() | {proposal["trait"].name: proposal["value"]})
        return proposal["value"]

    def use(self, preset: str) -> None:
        """Take the vectors of a preset, and follow its query."""
        begin = preset_named(preset)
        with self.hold_sync():
            self.q, self.k, self.v, self.query = begin
            self.chosen = f"q{begin.query}"

    def _now(self) -> dict[str, Any]:
        names = (*KINDS, "query", "scaled", "temperature", "mask", "chosen")
        return {name: getattr(self, name) for name in names}

    def state(self) -> AttentionPlaneState:
        """The numbers that the explorer shows now."""
        return attention_plane_state(**self._now())

    def words(self) -> str:
        """What the explorer shows now, in a few sentences; the browser says the same."""
        return self.state().words

    def figure(self) -> Figure:
        """What the explorer shows now, as a still picture."""
        return attention_plane_figure(**self._now())

    def __repr__(self) -> str:
        return f"AttentionPlane(scaled={self.scaled}, temperature={self.temperature:g}, mask={self.mask!r})"
