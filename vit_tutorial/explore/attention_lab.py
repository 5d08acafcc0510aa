"""Attention lab: pick a patch and see where it looks, layer by layer and head by head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets
from jaxtyping import Float, UInt8

from vit_tutorial.explore.common import (
    ACCENT,
    FAINT,
    Explorer,
    as_array,
    as_picture,
    as_rgb,
    browser_code,
    decimals,
    diverging,
    fine_percent,
    percent,
    still,
    viridis,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOP = 5
ALIKE = 0.01  # maps may come in half precision
TEMPERATURES = (0.1, 5.0)  # the lowest and the highest
RING = 0.34  # radius of the mark on a key, in patches


def stacked(layers, name: str) -> np.ndarray:
    """One [h, N, N] or [1, h, N, N] a layer as one array [L, h, N, N]; raises ValueError if the layers do not fit."""
    arrays = [as_array(layer) for layer in layers]
    arrays = [array[0] if array.ndim == 4 and len(array) == 1 else array for array in arrays]
    if not arrays or any(array.ndim != 3 or array.shape != arrays[0].shape for array in arrays):
        shapes = ", ".join(str(list(array.shape)) for array in arrays) or "none"
        raise ValueError(f"{name} must be one [h, N, N] a layer, all of one shape, for one picture; got {shapes}")
    return np.stack(arrays)


def as_maps(maps, grid: tuple[int, int], num_prefix_tokens: int) -> Float[np.ndarray, "L h N N"]:
    """Attention maps, one [h, N, N] or [1, h, N, N] a layer, as one float16 array [L, h, N, N].

    Raises ValueError if the layers differ in shape, N is not the grid plus the prefix tokens, or rows do not sum to 1.
    """
    weights = stacked(maps, "maps")
    tokens = grid[0] * grid[1] + num_prefix_tokens
    if weights.shape[2:] != (tokens, tokens):
        raise ValueError(
            f"maps are {weights.shape[2]} x {weights.shape[3]}, but a {grid[0]} x {grid[1]} grid with "
            f"{num_prefix_tokens} prefix tokens has {tokens}; check grid_size and num_prefix_tokens"
        )
    off = float(np.abs(weights.astype(np.float64).sum(-1) - 1).max())
    if not off < ALIKE:
        raise ValueError(f"rows of a map must sum to 1, one is off by {off:.3g}; give the weights after the softmax")
    return weights.astype(np.float16)


def as_scores(scores, maps: Float[np.ndarray, "L h N N"]) -> Float[np.ndarray, "L h N N"]:
    """The scores behind the maps, one [h, N, N] or [1, h, N, N] a layer, as one float32 array [L, h, N, N].

    Raises ValueError if the shapes are not those of the maps, or softmax of the scores does not give the maps.
    """
    array = stacked(scores, "scores").astype(np.float32)
    if array.shape != maps.shape:
        raise ValueError(f"scores are {list(array.shape)}, the maps {list(maps.shape)}; give both of the same picture")
    off = float(np.abs(softmax(array) - maps).max())
    if not off < ALIKE:
        raise ValueError(
            f"softmax of the scores is off the maps by up to {off:.3g}; give the scores after the scaling and before "
            "the softmax, of the same picture: attention_scores(model, images)"
        )
    return array


def softmax(scores: Float[np.ndarray, "*rows N"], temperature: float = 1.0) -> Float[np.ndarray, "*rows N"]:
    """The weights that scores give at a temperature, in double precision."""
    divided = scores.astype(np.float64) / temperature
    raised = np.exp(divided - divided.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def prefix_name(token: int) -> str:
    """What a token before the patches is called."""
    return "the class token" if token == 0 else f"token {token}"


def as_grid(grid_size: int | tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the grid of patches."""
    rows, columns = (grid_size, grid_size) if isinstance(grid_size, int) else grid_size
    return int(rows), int(columns)


@dataclass(frozen=True)
class AttentionLabState:
    """What the attention lab shows for one query: the weights, and the numbers that sum them up."""

    query: int  # the token that looks: num_prefix_tokens + patch, or 0 for the class token
    weights: Float[np.ndarray, "rows columns"]  # on the patches
    class_weight: float | None  # on the class token; None without one
    other_weight: float  # on prefix tokens other than the class token
    entropy: float  # in nats, over all tokens
    spread: float  # exp(entropy): over how many tokens such an entropy would be spread evenly
    top: tuple[tuple[int, float], ...]  # the patches with the largest weights: (patch, weight)
    scores: Float[np.ndarray, "rows columns"] | None  # of the patches; None if the lab was given none
    class_score: float | None  # of the class token; None without one, or without scores
    score_range: tuple[float, float, float] | None  # the largest score of all tokens, the smallest, and the mean
    key: int | None  # the token that is read out; None for none
    key_weight: float | None  # what the query gives to it
    key_score: float | None  # None without scores too
    reading: str  # `patch 18 (row 2, column 4): score -0.81, weight 0.4%`, or empty
    words: str


def attention_lab_state(
    maps: Float[np.ndarray, "L h N N"],
    grid_size: int | tuple[int, int],
    layer: int,
    head: int,
    query: int,
    num_prefix_tokens: int = 1,
    scores: Float[np.ndarray, "L h N N"] | None = None,
    temperature: float = 1.0,
    key: int | None = None,
) -> AttentionLabState:
    """Compute all that the attention lab shows: where token `query` looks in one layer and head.

    `maps` is [L, h, N, N], rows summing to 1. `layer` and `head` are counted from 0; head -1 is the mean of all heads.
    `query` is a token counted from 0: with a class token that is 0, and patch p is token p + num_prefix_tokens.
    `scores` [L, h, N, N] are those before the softmax; with them the weights can be had at another temperature.
    `key` is a token whose score and weight are read out, counted like `query`.
    Raises ValueError if layer, head, query, key or temperature is out of range, or a temperature comes without scores.
    """
    rows, columns = as_grid(grid_size)
    num_layers, num_heads, num_tokens, _ = maps.shape
    if not 0 <= layer < num_layers:
        raise ValueError(f"layer {layer} is not among 0 to {num_layers - 1}")
    if not -1 <= head < num_heads:
        raise ValueError(f"head {head} is not among 0 to {num_heads - 1}, nor -1 for their mean")
    if not 0 <= query < num_tokens:
        raise ValueError(f"query {query} is not among the tokens 0 to {num_tokens - 1}")
    check_key(key, num_tokens)
    check_temperature(temperature, scores is not None)
    given = maps if temperature == 1 else softmax(scores[:, :, query, None], temperature)
    row = row_of(given, layer, head, query if temperature == 1 else 0)
    patches = row[num_prefix_tokens:]
    class_weight = float(row[0]) if num_prefix_tokens else None
    entropy = -sum(float(weight) * float(np.log(weight)) for weight in row if weight > 0)
    order = np.argsort(-patches, kind="stable")[:TOP]
    top = tuple((int(patch), float(patches[patch])) for patch in order)

    def name(patch: int) -> str:
        return f"patch {patch} (row {patch // columns}, column {patch % columns})"

    place = f"Layer {layer}, {f'head {head}' if head >= 0 else 'mean of all heads'}"
    place += "" if temperature == 1 else f", temperature {decimals(temperature, 1)}"

    def token_name(token: int) -> str:
        return name(token - num_prefix_tokens) if token >= num_prefix_tokens else prefix_name(token)

    on_class = "" if class_weight is None else f"; {fine_percent(class_weight)} goes to the class token"
    words = (
        f"{place}: {token_name(query)} looks{', of the patches,' if num_prefix_tokens else ''} most at "
        f"{name(top[0][0])}, with {fine_percent(top[0][1])}{on_class}. "
        f"Entropy {decimals(entropy)} nats, as if spread evenly "
        f"over {decimals(np.exp(entropy), 1)} of {num_tokens} tokens."
    )
    own = None if scores is None else row_of(scores, layer, head, query)
    score_range = None if own is None else (float(own.max()), float(own.min()), float(sum(own) / num_tokens))
    class_score = None if own is None or not num_prefix_tokens else float(own[0])
    if score_range is not None:
        largest, smallest, mean = map(decimals, score_range)
        words += f" Scores from {smallest} to {largest}, mean {mean}"
        words += "." if class_score is None else f"; {decimals(class_score)} for the class token."
    reading = ""
    if key is not None:
        score = "" if own is None else f"score {decimals(own[key])}, "
        reading = f"{token_name(key)}: {score}weight {fine_percent(row[key])}"
        words += f" Marked key, {reading}."
    return AttentionLabState(
        query=query,
        weights=patches.reshape(rows, columns),
        class_weight=class_weight,
        other_weight=float(sum(row[1:num_prefix_tokens])),
        entropy=entropy,
        spread=float(np.exp(entropy)),
        top=top,
        scores=None if own is None else own[num_prefix_tokens:].reshape(rows, columns),
        class_score=class_score,
        score_range=score_range,
        key=key,
        key_weight=None if key is None else float(row[key]),
        key_score=None if key is None or own is None else float(own[key]),
        reading=reading,
        words=words,
    )


def check_key(key: int | None, num_tokens: int) -> None:
    """Raise ValueError if there is no such token."""
    if key is not None and not 0 <= key < num_tokens:
        raise ValueError(f"key {key} is not among the tokens 0 to {num_tokens - 1}; None marks no key")


def check_temperature(temperature: float, has_scores: bool) -> None:
    """Raise ValueError if the temperature is out of range, or there are no scores that it could divide."""
    if not TEMPERATURES[0] <= temperature <= TEMPERATURES[1]:
        raise ValueError(f"temperature {temperature:g} is not between {TEMPERATURES[0]:g} and {TEMPERATURES[1]:g}")
    if temperature != 1 and not has_scores:
        raise ValueError("a temperature divides the scores; give scores=attention_scores(model, images) too")


def row_of(numbers: Float[np.ndarray, "L h N N"], layer: int, head: int, query: int) -> Float[np.ndarray, " N"]:
    """The row of one query in double precision; head -1 is the mean of all heads."""
    num_heads = numbers.shape[1]
    row = np.zeros(numbers.shape[3])
    for one in range(num_heads) if head < 0 else (head,):
        row += numbers[layer, one, query].astype(np.float64)
    return row / num_heads if head < 0 else row


def attention_lab_figure(
    image: UInt8[np.ndarray, "C H W"],
    maps: Float[np.ndarray, "L h N N"],
    grid_size: int | tuple[int, int],
    layer: int,
    head: int,
    query: int,
    num_prefix_tokens: int = 1,
    scores: Float[np.ndarray, "L h N N"] | None = None,
    temperature: float = 1.0,
    key: int | None = None,
    says: str = "",
) -> Figure:
    """Draw what `attention_lab_state` says as a still picture; `says` is a line on what the model predicts."""
    from matplotlib.patches import Circle, Rectangle

    picture = as_picture(image)
    rows, columns = as_grid(grid_size)
    state = attention_lab_state(maps, (rows, columns), layer, head, query, num_prefix_tokens, scores, temperature, key)
    num_layers, num_heads = maps.shape[:2]
    figure, axes, say = still(9.4, 4.6)
    left, top, side = 0.15, 0.45, 3.36 if scores is None else 2.2
    room = side + 0.25
    shape = (side * columns / max(rows, columns), side * rows / max(rows, columns))
    extent = (0, columns, rows, 0)
    place = f"layer {layer}, {f'head {head}' if head >= 0 else 'mean of heads'}"
    say(left, 0.15, "The picture and the query", fontweight="bold")
    shown = axes(left, top, *shape)
    shown.imshow(as_rgb(picture), interpolation="nearest", extent=extent, aspect="auto")
    drawn = [shown]
    if state.scores is not None:
        say(left + room, 0.15, f"Its scores: {place}", fontweight="bold")
        most = float(np.abs(state.scores).max()) or 1
        drawn.append(axes(left + room, top, *shape))
        drawn[1].imshow(state.scores, cmap="RdBu_r", vmin=-most, vmax=most, extent=extent, aspect="auto")
        for line, (name, number) in enumerate(zip(("largest", "smallest", "mean"), state.score_range, strict=True)):
            say(left + room, top + shape[1] + 0.1 + 0.2 * line, f"{name} {decimals(number)}", fontsize=9)
    say(
        left + len(drawn) * room,
        0.15,
        f"Where it looks{'' if state.scores is not None else f': {place}'}",
        fontweight="bold",
    )
    drawn.append(axes(left + len(drawn) * room, top, *shape))
    drawn[-1].imshow(state.weights, cmap="viridis", vmin=0, vmax=state.weights.max() or 1, extent=extent, aspect="auto")
    for axis in drawn:
        axis.set_xlim(0, columns)
        axis.set_ylim(rows, 0)
        if query >= num_prefix_tokens:
            row, column = divmod(query - num_prefix_tokens, columns)
            for colour, line in (("black", 3.5), ("white", 1.8)):
                axis.add_patch(
                    Rectangle((column, row), 1, 1, fill=False, edgecolor=colour, linewidth=line, clip_on=False)
                )
        if key is not None and key >= num_prefix_tokens:
            row, column = divmod(key - num_prefix_tokens, columns)
            for colour, line in (("black", 3), ("white", 1.4)):
                axis.add_patch(Circle((column + 0.5, row + 0.5), RING, fill=False, edgecolor=colour, linewidth=line))
    aside = left + len(drawn) * room
    who = prefix_name(query) if query < num_prefix_tokens else f"patch {query - num_prefix_tokens}"
    say(aside, top, "who looks", color=FAINT, fontsize=9)
    say(aside, top + 0.17, who, fontsize=12, fontweight="bold")
    say(aside, top + 0.5, "entropy (0: one takes all)", color=FAINT, fontsize=9)
    say(aside, top + 0.67, f"{decimals(state.entropy)} nats", fontsize=12, fontweight="bold")
    if state.class_weight is not None:
        say(aside, top + 1.0, "on the class token", color=FAINT, fontsize=9)
        say(aside, top + 1.17, fine_percent(state.class_weight), fontsize=12, fontweight="bold")
    most = "of the patches, most at" if num_prefix_tokens else "looks most at"
    say(aside, top + 1.5, most, color=FAINT, fontsize=9)
    for line, (patch, weight) in enumerate(state.top):
        say(aside, top + 1.7 + 0.2 * line, f"patch {patch}", fontsize=9)
        say(aside + 1.5, top + 1.7 + 0.2 * line, fine_percent(weight), fontsize=9, ha="right", color=ACCENT)
    marked = f"Marked key, {state.reading}" if state.reading else ""
    say(left, 4.0, ".  ".join(filter(None, (says, marked))), fontweight="bold")
    say(
        left,
        4.25,
        f"{num_layers} layers of {num_heads} heads; the brightest colour is {fine_percent(state.top[0][1])}"
        f"{'' if temperature == 1 else f', at temperature {decimals(temperature, 1)}'}."
        f"{'' if scores is None else ' Scores: red is positive, blue negative.'}",
        color=FAINT,
    )
    return figure


class AttentionLab(Explorer):
    """An explorer: a picture and where each of its patches looks, for every layer and head.

    `image` is one uint8 picture [3, H, W], [1, H, W] or [H, W] (0 to 255). `maps` is one [h, N, N] (or [1, h, N, N])
    a layer, rows summing to 1, as `attention_maps` gives them. `grid_size` is the patches along a side, or (rows,
    columns); `num_prefix_tokens` those before the patches (1: the class token). `prediction` is a class index, or the
    probabilities of all classes; `class_names` gives them names. With `scores`, shaped as the maps and as
    `attention_scores` gives them, the lab shows the scores beside the weights, and the softmax at any temperature. The
    traits `layer`, `head` (-1: the mean), `query` (a token), `key` (the token whose score and weight are read out, or
    None), `overlay` (0 to 100) and `temperature` (0.1 to 5) follow what the learner does and can be set from code.
    Raises ValueError if sizes do not fit together, a row of a map does not sum to 1, or softmax of the scores is not
    the maps.
    """

    _esm = browser_code("attention_lab.js")
    _shape = traitlets.List().tag(sync=True)
    _pixels = traitlets.Bytes().tag(sync=True)
    _maps = traitlets.Bytes().tag(sync=True)
    _maps_shape = traitlets.List().tag(sync=True)
    _scores = traitlets.Bytes().tag(sync=True)
    _temperatures = traitlets.List(traitlets.Float()).tag(sync=True)
    _signs = traitlets.Bytes().tag(sync=True)
    _grid = traitlets.List().tag(sync=True)
    _prefix = traitlets.Int(1).tag(sync=True)
    _colours = traitlets.Bytes().tag(sync=True)
    _says = traitlets.Unicode().tag(sync=True)
    layer = traitlets.Int(0, min=0).tag(sync=True)
    head = traitlets.Int(-1, min=-1).tag(sync=True)
    query = traitlets.Int(0, min=0).tag(sync=True)
    key = traitlets.Int(None, min=0, allow_none=True).tag(sync=True)
    overlay = traitlets.Int(80, min=0, max=100).tag(sync=True)
    temperature = traitlets.Float(1.0).tag(sync=True)

    def __init__(
        self,
        image,
        maps: Sequence,
        grid_size: int | tuple[int, int],
        num_prefix_tokens: int = 1,
        class_names: Sequence[str] | None = None,
        prediction=None,
        scores: Sequence | None = None,
        **choices: Any,
    ):
        self._image = as_picture(image)
        rows, columns = as_grid(grid_size)
        if self._image.shape[1] % rows or self._image.shape[2] % columns:
            raise ValueError(
                f"a {rows} x {columns} grid does not fit a picture of {self._image.shape[1]} x {self._image.shape[2]} "
                "pixels; give the picture that the model saw"
            )
        self._weights = as_maps(maps, (rows, columns), num_prefix_tokens)
        self._before = None if scores is None else as_scores(scores, self._weights)
        choices.setdefault("layer", len(self._weights) - 1)
        choices.setdefault("head", -1 if scores is None else 0)
        choices.setdefault("query", 0 if num_prefix_tokens else (rows // 2) * columns + columns // 2)
        chosen = (choices["layer"], choices["head"], choices["query"])
        also = (choices.get("temperature", 1.0), choices.get("key"))
        attention_lab_state(self._weights, (rows, columns), *chosen, num_prefix_tokens, self._before, *also)
        super().__init__(
            _shape=list(self._image.shape),
            _pixels=self._image.tobytes(),
            _maps=self._weights.tobytes(),
            _maps_shape=list(self._weights.shape),
            _scores=b"" if self._before is None else self._before.tobytes(),
            _temperatures=list(TEMPERATURES),
            _signs=diverging().tobytes(),
            _grid=[rows, columns],
            _prefix=num_prefix_tokens,
            _colours=viridis().tobytes(),
            _says=prediction_words(prediction, class_names),
            **choices,
        )

    @traitlets.validate("key")
    def _possible_key(self, proposal) -> int | None:
        check_key(proposal["value"], self._weights.shape[-1])
        return proposal["value"]

    @traitlets.validate("temperature")
    def _possible_temperature(self, proposal) -> float:
        check_temperature(proposal["value"], self._before is not None)
        return proposal["value"]

    def _choices(self) -> tuple:
        place = (self.layer, self.head, self.query)
        return self._weights, tuple(self._grid), *place, self._prefix, self._before, self.temperature, self.key

    def state(self) -> AttentionLabState:
        """The numbers that the explorer shows now."""
        return attention_lab_state(*self._choices())

    def words(self) -> str:
        """What the explorer shows now, in a few sentences; the browser says the same."""
        return self.state().words

    def figure(self) -> Figure:
        """What the explorer shows now, as a still picture."""
        return attention_lab_figure(self._image, *self._choices(), self._says)

    def __repr__(self) -> str:
        num_layers, num_heads = self._weights.shape[:2]
        return f"AttentionLab(layers={num_layers}, heads={num_heads}, grid={self._grid[0]}x{self._grid[1]})"


def prediction_words(prediction, class_names: Sequence[str] | None) -> str:
    """`The model says: Sneaker 92.0%, Sandal 5.1%, Bag 1.2%`, or an empty text without a prediction.

    `prediction` is a class index or the probabilities of all classes, summing to 1.
    Raises ValueError if there are not as many names as classes, or the probabilities do not sum to 1.
    """
    if prediction is None:
        return ""
    numbers = as_array(prediction)

    def name(index: int) -> str:
        return str(class_names[index]) if class_names is not None else f"class {index}"

    if numbers.ndim == 0:
        return f"The model says: {name(int(numbers))}"
    numbers = numbers.astype(np.float64).reshape(-1)
    if class_names is not None and len(class_names) != len(numbers):
        raise ValueError(f"{len(class_names)} class names do not fit {len(numbers)} probabilities")
    if not abs(numbers.sum() - 1) < 0.01:
        raise ValueError(f"prediction sums to {numbers.sum():.3g}, not 1; give probabilities: logits.softmax(-1)")
    best = np.argsort(-numbers, kind="stable")[:3]
    return "The model says: " + ", ".join(f"{name(int(index))} {percent(numbers[index])}" for index in best)
