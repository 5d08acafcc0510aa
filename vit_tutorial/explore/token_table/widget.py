"""The token table as a widget."""

from __future__ import annotations

from typing import Any

import traitlets

from vit_tutorial.explore.base import Explorer
from vit_tutorial.explore.limits import OneOf
from vit_tutorial.explore.pictures import pack_pictures, pictures_for
from vit_tutorial.explore.still import diverging
from vit_tutorial.explore.token_table.figure import token_table_figure
from vit_tutorial.explore.token_table.numbers import (
    READS,
    TokenTableState,
    run_switched,
    stage_name,
    token_table_limits,
    token_table_state,
)
from vit_tutorial.vit import ViT


class TokenTable(Explorer):
    """An explorer: the sequence of one picture, row by row, with patches, class token and positions to switch off.

    `model` is a ViT with a class token. `images` is one uint8 picture [C, H, W] or [H, W] (0 to 255) of the size that
    the model takes, or a dict from names to such pictures. The traits `picture`, `stage` (0: the embedding, k: after
    block k), `patches`, `class_token`, `positions`, `token` (0: the class token, p + 1: patch p), `number` and `reads`
    follow what the learner does and can be set from code.
    Raises TypeError if the model is no ViT, ValueError if a picture does not fit it, the model has no class token,
    or a choice is not possible.
    """

    picture = traitlets.Unicode().tag(sync=True)
    stage = traitlets.Int(0).tag(sync=True)
    patches = traitlets.Bool(True).tag(sync=True)
    class_token = traitlets.Bool(True).tag(sync=True)
    positions = traitlets.Bool(True).tag(sync=True)
    token = traitlets.Int(0).tag(sync=True)
    number = traitlets.Int(0).tag(sync=True)
    reads = traitlets.Unicode(READS[0]).tag(sync=True)

    def __init__(self, model: ViT, images, **choices: Any):
        self._pictures = pictures_for(model, images)
        self._stages = stages = run_switched(model, list(self._pictures.values()))
        super().__init__(
            choices,
            **pack_pictures(self._pictures),
            classes=list(stages.class_names),
            grid=list(stages.grid_size),
            sizes=list(stages.tokens.shape),
            tokens=stages.tokens.tobytes(),
            embeddings=stages.embeddings.tobytes(),
            positions=stages.positions.tobytes(),
            probabilities=stages.probabilities.tobytes(),
            limits=[stages.limit(stage) for stage in range(stages.tokens.shape[2])],
            diverging=diverging().tobytes(),
        )

    def _limits(self, choices):
        yield "picture", OneOf(self._pictures)
        yield from token_table_limits(self._stages)

    def _state(self, picture: str, **choices: Any) -> TokenTableState:
        return token_table_state(self._stages, list(self._pictures).index(picture), name=picture, **choices)

    def _figure(self, state: TokenTableState):
        return token_table_figure(state, self._pictures[self.picture], self.more)

    def _brief(self) -> str:
        shape = "x".join(map(str, self.state().table.shape))
        return f"{self.picture!r}, {stage_name(self.stage)}, {shape}"
