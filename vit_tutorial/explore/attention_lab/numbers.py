"""The numbers of the attention lab: where one token looks, in one layer and head."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vit_tutorial.explore.limits import Between, Limit, OneOf, settle
from vit_tutorial.explore.pictures import as_array, as_names
from vit_tutorial.explore.words import decimals, fine_percent, one_or_two_decimals, patch_name, percent
from vit_tutorial.inputs import as_pair, whole_number

TOP = 5
ALIKE = 0.01  # maps may come in half precision
TEMPERATURES = (0.1, 5.0)  # the lowest and the highest


def stacked(layers, name: str) -> np.ndarray:
    """One [h, N, N] or [1, h, N, N] a layer as one array [L, h, N, N]; raises ValueError if the layers do not fit."""
    if not isinstance(layers, Iterable):
        raise ValueError(f"{name} is {layers!r}; give one [h, N, N] a layer")
    arrays = [as_array(layer, name) for layer in layers]
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
    """Rows and columns of the grid of patches; raises ValueError for what is no size of one."""
    try:
        return as_pair(grid_size.tolist() if hasattr(grid_size, "tolist") else grid_size)
    except ValueError as error:
        raise ValueError(f"grid_size {grid_size!r} is no grid of patches: {error}") from None


def attention_lab_limits(shape: tuple[int, ...], has_scores: bool) -> Iterator[tuple[str, Limit]]:
    """What the choices may be for maps of this shape [L, h, N, N]; a temperature needs scores that it can divide."""
    num_layers, num_heads, num_tokens, _ = shape
    yield "layer", Between(0, num_layers - 1)
    yield "head", Between(-1, num_heads - 1, "; -1 is the mean of all heads")
    yield "query", Between(0, num_tokens - 1)
    yield "key", Between(0, num_tokens - 1, "; None marks no key", none=True)
    need = "; a temperature divides the scores; give scores=attention_scores(model, images) too"
    yield "temperature", Between(*TEMPERATURES) if has_scores else OneOf([1.0], need)


@dataclass(frozen=True)
class AttentionLabState:
    """What the attention lab shows for one query: the weights, and the numbers that sum them up."""

    grid: tuple[int, int]  # rows and columns of patches
    num_prefix_tokens: int
    num_layers: int
    num_heads: int
    layer: int
    head: int  # -1: the mean of all heads
    place: str  # `layer 2, mean of all heads`
    temperature: float
    query: int  # the token that looks: num_prefix_tokens + patch, or 0 for the class token
    weights: Float[np.ndarray, "rows columns"]  # on the patches
    class_weight: float | None  # on the class token; None without one
    entropy: float  # in nats, over all tokens
    spread: float  # exp(entropy): over how many tokens such an entropy would be spread evenly
    top: tuple[tuple[int, float], ...]  # the patches with the largest weights: (patch, weight)
    scores: Float[np.ndarray, "rows columns"] | None  # of the patches; None if the lab was given none
    class_score: float | None  # of the class token; None without one, or without scores
    score_range: tuple[float, float, float] | None  # the largest score of all tokens, the smallest, and the mean
    key: int | None  # the token that is read out; None for none
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
    Raises ValueError if a choice is not among those of `attention_lab_limits`.
    """
    rows, columns = as_grid(grid_size)
    num_layers, num_heads, num_tokens, _ = maps.shape
    choices = {"layer": layer, "head": head, "query": query, "key": key, "temperature": temperature}
    settle(attention_lab_limits(maps.shape, scores is not None), choices)
    given = maps if temperature == 1 else softmax(scores[:, :, query, None], temperature)
    row = row_of(given, layer, head, query if temperature == 1 else 0)
    patches = row[num_prefix_tokens:]
    class_weight = float(row[0]) if num_prefix_tokens else None
    entropy = -sum(float(weight) * float(np.log(weight)) for weight in row if weight > 0)
    order = np.argsort(-patches, kind="stable")[:TOP]
    top = tuple((int(patch), float(patches[patch])) for patch in order)

    def token_name(token: int) -> str:
        patch = token - num_prefix_tokens
        return patch_name(patch, columns) if patch >= 0 else prefix_name(token)

    place = f"layer {layer}, {f'head {head}' if head >= 0 else 'mean of all heads'}"
    warm = "" if temperature == 1 else f", temperature {one_or_two_decimals(temperature)}"
    on_class = "" if class_weight is None else f"; {fine_percent(class_weight)} goes to the class token"
    words = (
        f"{place.capitalize()}{warm}: {token_name(query)} looks{', of the patches,' if num_prefix_tokens else ''} "
        "most at "
        f"{token_name(num_prefix_tokens + top[0][0])}, with {fine_percent(top[0][1])}{on_class}. "
        f"Entropy {decimals(entropy)} nats, as if spread evenly "
        f"over {decimals(np.exp(entropy), 1)} of {num_tokens:,} tokens."
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
        grid=(rows, columns),
        num_prefix_tokens=num_prefix_tokens,
        num_layers=num_layers,
        num_heads=num_heads,
        layer=layer,
        head=head,
        place=place,
        temperature=temperature,
        query=query,
        weights=patches.reshape(rows, columns),
        class_weight=class_weight,
        entropy=entropy,
        spread=float(np.exp(entropy)),
        top=top,
        scores=None if own is None else own[num_prefix_tokens:].reshape(rows, columns),
        class_score=class_score,
        score_range=score_range,
        key=key,
        reading=reading,
        words=words,
    )


def row_of(numbers: Float[np.ndarray, "L h N N"], layer: int, head: int, query: int) -> Float[np.ndarray, " N"]:
    """The row of one query in double precision; head -1 is the mean of all heads."""
    num_heads = numbers.shape[1]
    row = np.zeros(numbers.shape[3])
    for one in range(num_heads) if head < 0 else (head,):
        row += numbers[layer, one, query].astype(np.float64)
    return row / num_heads if head < 0 else row


def prediction_words(prediction, class_names: Sequence[str] | None) -> str:
    """`The model says: Sneaker 92.0%, Sandal 5.1%, Bag 1.2%`, or an empty text without a prediction.

    `prediction` is a class index or the probabilities of all classes, summing to 1.
    Raises ValueError if there are not as many names as classes, the probabilities do not sum to 1, or there is no class
    of that index.
    """
    if prediction is None:
        return ""
    numbers, names = as_array(prediction, "prediction"), None if class_names is None else as_names(class_names)

    def name(index: int) -> str:
        return f"class {index}" if names is None else names[index]

    if numbers.ndim == 0:
        index = whole_number("prediction", numbers.item(), 0)
        if names is not None and index >= len(names):
            raise ValueError(f"prediction {index} is not among the {len(names)} classes, which count from 0")
        return f"The model says: {name(index)}"
    numbers = numbers.astype(np.float64).reshape(-1)
    if names is not None and len(names) != len(numbers):
        raise ValueError(f"{len(names)} class names do not fit {len(numbers)} probabilities")
    if not abs(numbers.sum() - 1) < 0.01:
        raise ValueError(f"prediction sums to {numbers.sum():.3g}, not 1; give probabilities: logits.softmax(-1)")
    best = np.argsort(-numbers, kind="stable")[:3]
    return "The model says: " + ", ".join(f"{name(int(index))} {percent(numbers[index])}" for index in best)
