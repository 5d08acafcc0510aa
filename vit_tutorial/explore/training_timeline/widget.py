"""The training timeline as a widget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import traitlets

from vit_tutorial.explore.base import Explorer
from vit_tutorial.explore.pictures import pack_pictures
from vit_tutorial.explore.still import diverging, viridis
from vit_tutorial.explore.training_timeline.data import training_timeline_data
from vit_tutorial.explore.training_timeline.figure import training_timeline_figure
from vit_tutorial.explore.training_timeline.numbers import (
    TrainingTimelineState,
    training_timeline_limits,
    training_timeline_state,
)
from vit_tutorial.vit import ViT


class TrainingTimeline(Explorer):
    """An explorer: slide through a training, and see what the model says, where it looks, and what its positions know.

    `models` has the model as it stood, by the number of finished epochs (0: before training); all have one config and a
    card, and learned or sin-cos positions. `pictures` is uint8 [P, C, H, W] (0 to 255) of the models' size, `names`
    names them. `accuracy`, if given, is the validation accuracy after epoch 1, 2, ..., a share of 1. The traits `epoch`
    (one of the keys of `models`), `picture` (a name), `layer` (from 0; the last one to begin with) and `token` (who
    looks: a token of the sequence, or None for the class token, or for all patches together where there is none)
    follow what the learner does and can be set from code.
    Raises TypeError if one is no ViT, ValueError if models, pictures, names, accuracy and choices do not fit together.
    """

    epoch = traitlets.Int(0).tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    token = traitlets.Int(None, allow_none=True).tag(sync=True)

    def __init__(
        self, models: Mapping[int, ViT], pictures, names: Sequence[str], accuracy: Sequence[float] = (), **choices: Any
    ):
        data = self._data = training_timeline_data(models, pictures, names, accuracy)
        super().__init__(
            {"layer": data.layers - 1, **choices},
            **pack_pictures(dict(zip(data.names, data.pictures, strict=True))),
            epochs=list(data.epochs),
            accuracy=list(data.accuracy),
            grid=list(data.grid),
            prefix=data.prefix,
            layers=data.layers,
            classes=list(data.class_names),
            bars=data.bars,
            probabilities=data.probabilities.tobytes(),
            attention=data.attention.tobytes(),
            alike=data.alike.tobytes(),
            near=data.near.tobytes(),
            viridis=viridis().tobytes(),
            diverging=diverging().tobytes(),
        )

    def _limits(self, choices):
        return training_timeline_limits(self._data)

    def _state(self, **choices: Any) -> TrainingTimelineState:
        return training_timeline_state(self._data, **choices)

    def _figure(self, state: TrainingTimelineState):
        return training_timeline_figure(state, self._data, self.more)

    def _brief(self) -> str:
        return f"epochs={list(self._data.epochs)}, epoch={self.epoch}, picture={self.picture!r}"
