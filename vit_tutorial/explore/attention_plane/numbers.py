"""The numbers of attention in the plane: scores, weights and outputs of three tokens, step by step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float

from vit_tutorial.attention import scaled_dot_product_attention
from vit_tutorial.explore.limits import Accepted, Between, Limit, OneOf, settle
from vit_tutorial.explore.words import decimals, fine_percent

TOKENS = 3
KINDS = ("q", "k", "v")
FARTHEST = {"q": 8.0, "k": 8.0, "v": 12.0}  # the largest number that a vector of a kind may hold
REACHES = (2, 4, 8)  # how far the axes of queries and keys can go
TEMPERATURES = (0.1, 5.0)  # the lowest and the highest
MASKS = {"none": "none", "causal": "causal: no later key", "padding": "token 2 is padding"}
LEADS = {"none": "Query", "causal": "With the causal mask, query", "padding": "With token 2 as padding, query"}


class Preset(NamedTuple):
    """Vectors to begin with, and the query to follow."""

    q: list[list[float]]
    k: list[list[float]]
    v: list[list[float]]
    query: int = 0


_CORNERS = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
_TRIANGLE = [[0.0, 0.0], [10.0, 0.0], [5.0, 9.0]]
_STAR = [[2.0, 0.0], [-1.0, 1.7], [-1.0, -1.7]]
PRESETS = {
    "by hand": Preset(  # what three tokens of two numbers become in lesson 4
        [[-2.0, 0.0], [0.0, 2.0], [2.0, 0.0]],
        [[-1.0, 1.0], [2.0, 2.0], [1.0, -1.0]],
        [[0.0, -1.0], [8.0, 2.0], [0.0, 1.0]],
        query=2,
    ),
    "all keys equal": Preset(_CORNERS, [[1.0, 1.0]] * TOKENS, _TRIANGLE),
    "one long query": Preset([*_CORNERS[:2], [6.0, 6.0]], _CORNERS, _TRIANGLE, query=2),
    "three directions": Preset(_STAR, _STAR, _TRIANGLE),
}


def preset_named(name: str) -> Preset:
    """One of PRESETS; raises ValueError if there is no such one."""
    return PRESETS[OneOf(PRESETS).check("preset", name)]


def as_points(points, kind: str) -> list[list[float]]:
    """Three points in the plane as lists of numbers; `kind` is "q", "k" or "v".

    Raises ValueError if the shape is not [3, 2], or a number is no number or too large for the picture.
    """
    try:
        array = torch.as_tensor(points, dtype=torch.float64).detach().cpu().numpy()
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{kind} is {points!r}; give [{TOKENS}, 2]: {TOKENS} vectors of 2 numbers") from None
    if array.shape != (TOKENS, 2):
        raise ValueError(f"{kind} has shape {list(array.shape)}; give [{TOKENS}, 2]: {TOKENS} vectors of 2 numbers")
    if not (np.abs(array) <= FARTHEST[kind]).all():
        largest = float(np.abs(array).max())
        raise ValueError(f"{kind} holds a number of size {largest:g}; the picture ends at {FARTHEST[kind]:g}")
    return array.tolist()


def attention_plane_limits() -> Iterator[tuple[str, Limit]]:
    """What the choices may be; none depends on another."""
    for kind in KINDS:
        yield kind, Accepted(partial(as_points, kind=kind), getattr(PRESETS["by hand"], kind))
    yield "query", Between(0, TOKENS - 1)
    yield "temperature", Between(*TEMPERATURES)
    yield "mask", OneOf(MASKS)
    yield "chosen", OneOf([f"{kind}{token}" for kind in KINDS for token in range(TOKENS)])


def allowed(mask: str) -> Bool[np.ndarray, "3 3"]:
    """Where a query (row) may look at a key (column)."""
    seen = np.ones((TOKENS, TOKENS), dtype=bool)
    if mask == "causal":
        seen = np.tril(seen)
    if mask == "padding":
        seen[:, 2] = False
    return seen


@dataclass(frozen=True)
class AttentionPlaneState:
    """What the explorer shows: each step from the vectors to the outputs; rows are queries, columns keys."""

    q: list[list[float]]
    k: list[list[float]]
    v: list[list[float]]
    query: int  # the one that the words follow
    chosen: str  # the vector that the arrow keys move, such as "k1"
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
    Raises ValueError if a choice is not among those of `attention_plane_limits`.
    Source: Vaswani et al. 2017, equation 1.
    """
    choices = {"q": q, "k": k, "v": v, "query": query, "temperature": temperature, "mask": mask, "chosen": chosen}
    settle(attention_plane_limits(), choices)
    seen = allowed(mask)
    points = {kind: choices[kind] for kind in KINDS}
    queries, keys, values = map(np.array, points.values())
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
        **points,
        query=query,
        chosen=chosen,
        scores=scores,
        divisor=divisor,
        scaled=np.where(seen, scores / divisor, -np.inf),
        weights=weights.numpy(),
        outputs=outputs.numpy(),
        words=f"{LEADS[mask]} {query}, {place(points['q'][query])}, {looks(**row, divisor=divisor)} "
        f"Output {query} is {place(outputs[query].tolist())}. "
        f"The arrow keys move {chosen}, {place(points[chosen[0]][int(chosen[1])])}.",
    )


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
