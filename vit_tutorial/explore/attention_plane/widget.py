"""Attention in the plane as a widget."""

from __future__ import annotations

from typing import Any

import traitlets

from vit_tutorial.explore.attention_plane.figure import attention_plane_figure
from vit_tutorial.explore.attention_plane.numbers import (
    FARTHEST,
    LEADS,
    MASKS,
    PRESETS,
    REACHES,
    TEMPERATURES,
    AttentionPlaneState,
    attention_plane_limits,
    attention_plane_state,
    preset_named,
)
from vit_tutorial.explore.base import Explorer
from vit_tutorial.explore.pictures import as_array


class Points(traitlets.List):
    """Points as lists of numbers; arrays and tensors are taken too."""

    def validate(self, obj, value):
        """Give the points as lists; raises TraitError, or what reading an array raises, for what is none."""
        return super().validate(obj, as_array(value, self.name).tolist())


class AttentionPlane(Explorer):
    """An explorer: the queries, keys and values of three tokens in the plane, and attention step by step.

    `q`, `k` and `v` are [3, 2] (lists, arrays or tensors; queries and keys up to 8, values up to 12); without them the
    vectors are those of `preset`: "by hand", "all keys equal", "one long query" or "three directions". The traits `q`,
    `k`, `v`, `scaled` (divide by sqrt(2)), `temperature` (0.1 to 5), `mask` ("none", "causal" or "padding"), `query`
    (the one that is followed, from 0) and `chosen` (the vector that the arrow keys move, such as "k1") follow what the
    learner does and can be set from code.
    Raises ValueError if a shape or a choice does not fit.
    """

    q = Points().tag(sync=True)
    k = Points().tag(sync=True)
    v = Points().tag(sync=True)
    query = traitlets.Int(0).tag(sync=True)
    scaled = traitlets.Bool(True).tag(sync=True)
    temperature = traitlets.Float(1.0).tag(sync=True)
    mask = traitlets.Unicode("none").tag(sync=True)
    chosen = traitlets.Unicode("q0").tag(sync=True)

    def __init__(self, q=None, k=None, v=None, preset: str = "by hand", **choices: Any):
        begin = preset_named(preset)._asdict()
        own = {kind: points for kind, points in {"q": q, "k": k, "v": v}.items() if points is not None}
        start = begin | own | choices
        super().__init__(
            {"chosen": f"q{start['query']}"} | start,
            presets=[[name, *preset] for name, preset in PRESETS.items()],
            masks=[[mask, text, LEADS[mask]] for mask, text in MASKS.items()],
            temperatures=list(TEMPERATURES),
            reaches=list(REACHES),
            farthest=FARTHEST,
        )

    def _limits(self, choices):
        return attention_plane_limits()

    def _state(self, **choices: Any) -> AttentionPlaneState:
        return attention_plane_state(**choices)

    def _figure(self, state: AttentionPlaneState):
        return attention_plane_figure(state, self.more)

    def _brief(self) -> str:
        return f"scaled={self.scaled}, temperature={self.temperature:g}, mask={self.mask!r}"
