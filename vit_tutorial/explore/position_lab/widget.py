"""The position lab as a widget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import traitlets

from vit_tutorial.explore.base import Explorer
from vit_tutorial.explore.pictures import pack_pictures
from vit_tutorial.explore.position_lab.figure import position_lab_figure
from vit_tutorial.explore.position_lab.numbers import (
    COLOURS,
    KINDS,
    NEAR_AND_FAR,
    SHOWS,
    PositionLabState,
    order_name,
    position_lab_data,
    position_lab_limits,
    position_lab_state,
)
from vit_tutorial.explore.still import viridis
from vit_tutorial.vit import ViT


class PositionLab(Explorer):
    """An explorer: which positions are alike, what stretching does to them, and what shuffled patches change.

    `model` is a ViT with learned positions, a class token and a card (as `load_model` gives it), for square pictures.
    `pictures` is a dict from names to uint8 pictures [C, H, W] (0 to 255) of the model's size. The traits `grid` (side
    of the grid, from the model's own to twice that), `position`, `show`, `number`, `colours`, `picture` and `order`
    (0: not shuffled) follow what the learner does and can be set from code.
    Raises TypeError if the model is no ViT, ValueError if model, pictures and choices do not fit together.
    """

    grid = traitlets.Int(7).tag(sync=True)
    position = traitlets.Int(0).tag(sync=True)
    show = traitlets.Unicode(SHOWS[0]).tag(sync=True)
    number = traitlets.Int(0).tag(sync=True)
    colours = traitlets.Unicode(COLOURS[0]).tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)
    order = traitlets.Int(0).tag(sync=True)

    def __init__(self, model: ViT, pictures: Mapping[str, Any], **choices: Any):
        data = self._data = position_lab_data(model, pictures)
        grid = choices.setdefault("grid", data.old)
        choices.setdefault("position", grid // 2 * grid + grid // 2)
        super().__init__(
            choices,
            **pack_pictures(dict(zip(data.names, data.pictures, strict=True))),
            kinds=list(KINDS),
            near_and_far=list(NEAR_AND_FAR),
            tables=data.tables.tobytes(),
            dim=data.tables.shape[2],
            old=data.old,
            patch=data.patch_size,
            stretches=b"".join(matrix.tobytes() for matrix in data.stretches.values()),
            orders=data.orders.tobytes(),
            attention=data.attention.tobytes(),
            probabilities=data.probabilities.tobytes(),
            classes=list(data.class_names),
            viridis=viridis().tobytes(),
        )

    def _limits(self, choices):
        return position_lab_limits(self._data, choices)

    def _state(self, **choices: Any) -> PositionLabState:
        return position_lab_state(self._data, **choices)

    def _figure(self, state: PositionLabState):
        return position_lab_figure(state, self.more)

    def _brief(self) -> str:
        return f"grid={self.grid}x{self.grid}, position={self.position}, order={order_name(self.order)!r}"
