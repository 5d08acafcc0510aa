"""The lens lab as a widget."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import traitlets

from vit_tutorial.explore.base import Explorer
from vit_tutorial.explore.lens_lab.figure import lens_lab_figure
from vit_tutorial.explore.lens_lab.numbers import EXCHANGES, LensLabState, lens_lab_limits, lens_lab_state
from vit_tutorial.explore.limits import OneOf
from vit_tutorial.explore.pictures import BARS, class_names_of, pack_pictures, pictures_for
from vit_tutorial.explore.vit import check_vit, packed_vit
from vit_tutorial.vit import ViT


class LensLab(Explorer):
    """An explorer: which class each token says after each block; exchange tokens for another picture's, and watch.

    `model` is a pre-norm ViT of the course's own parts. `pictures` is a dict from names to uint8 pictures [C, H, W] or
    [H, W] (0 to 255) of the size that the model takes, or one such picture; each can lend its tokens to each.
    `class_names` defaults to the names on the model's card. The traits `picture` and `other` (names), `block` (blocks
    that are done, 0 to L; at first half of them), `token` (0 is the class token) and `exchange` ("nothing", "this
    token" or "all patches") follow what the learner does and can be set from code.
    Raises TypeError if the model is no ViT, ValueError if it is one that the browser cannot run, or sizes and
    choices do not fit.
    """

    picture = traitlets.Unicode().tag(sync=True)
    other = traitlets.Unicode().tag(sync=True)
    block = traitlets.Int(0).tag(sync=True)
    token = traitlets.Int(0).tag(sync=True)
    exchange = traitlets.Unicode(EXCHANGES[0]).tag(sync=True)

    def __init__(self, model: ViT, pictures, class_names: Sequence[str] | None = None, **choices: Any):
        check_vit(model, "the lens lab")
        self._pictures = pictures_for(model, pictures)
        self._model = copy.deepcopy(model).double().eval()
        self._class_names = class_names_of(model, class_names)
        names = list(self._pictures)
        first = choices.get("picture", names[0])
        rows, columns = model.grid_size
        choices = {
            "other": next((name for name in names if name != first), first),
            "block": model.config.depth // 2,
            "token": 0 if model.num_prefix_tokens else rows // 2 * columns + columns // 2,
        } | choices
        super().__init__(
            choices,
            **pack_pictures(self._pictures),
            vit=packed_vit(model),
            classes=self._class_names,
            exchanges=EXCHANGES,
            bars=BARS,
        )

    def _limits(self, choices):
        yield "picture", OneOf(self._pictures)
        yield "other", OneOf(self._pictures)
        yield from lens_lab_limits(self._model)

    def _state(self, picture: str, other: str, **choices: Any) -> LensLabState:
        shown = (self._pictures[picture], self._pictures[other])
        named = {"class_names": self._class_names, "name": picture, "other_name": other}
        return lens_lab_state(self._model, *shown, **choices, **named)

    def _figure(self, state: LensLabState):
        return lens_lab_figure(state, self.more)

    def _brief(self) -> str:
        other = "" if self.exchange == EXCHANGES[0] else f", exchange={self.exchange!r}, other={self.other!r}"
        return f"{self.picture!r}, block={self.block}, token={self.token}{other}"
