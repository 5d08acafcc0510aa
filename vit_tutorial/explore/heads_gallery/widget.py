"""The heads gallery as a widget."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets

from vit_tutorial.explore.base import Explorer
from vit_tutorial.explore.heads_gallery.figure import heads_gallery_figure
from vit_tutorial.explore.heads_gallery.numbers import (
    HeadsGalleryState,
    check_label,
    heads_gallery_limits,
    heads_gallery_state,
)
from vit_tutorial.explore.limits import OneOf
from vit_tutorial.explore.pictures import BARS, as_array, class_names_of, pack_pictures, pictures_for
from vit_tutorial.explore.still import viridis
from vit_tutorial.explore.vit import check_vit, packed_vit
from vit_tutorial.vit import ViT


class HeadsGallery(Explorer):
    """An explorer: all heads of a layer at once; switch some off, and the browser runs the model without them.

    `model` is a pre-norm ViT of the course's own parts. `images` is one uint8 picture [C, H, W] or [H, W] (0 to 255) of
    the size that the model takes, or a dict from names to such pictures; `labels` are their class indices in the same
    order, None where there is none. `class_names` defaults to the names on the model's card. The traits `picture`,
    `layer`, `query` (a token) and `off` (pairs [layer, head]) follow what the learner does and can be set from code.
    Raises TypeError if the model is no ViT, ValueError if it is one that the browser cannot run, or sizes and
    choices do not fit.
    """

    picture = traitlets.Unicode().tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    query = traitlets.Int(0).tag(sync=True)
    off = traitlets.List().tag(sync=True)

    def __init__(
        self,
        model: ViT,
        images,
        class_names: Sequence[str] | None = None,
        labels: Sequence[int] | int | None = None,
        **choices: Any,
    ):
        check_vit(model, "the gallery")
        self._pictures = pictures_for(model, images)
        self._model = copy.deepcopy(model).double().eval()
        if labels is None:
            labels = [None] * len(self._pictures)
        elif not isinstance(labels, list | tuple):
            labels = np.atleast_1d(as_array(labels, "labels")).tolist()
        if len(labels) != len(self._pictures):
            raise ValueError(f"{len(labels)} labels do not fit {len(self._pictures)} pictures")
        self._class_names = class_names_of(model, class_names)
        truth = [check_label(label, self._class_names) for label in labels]
        self._labels = dict(zip(self._pictures, truth, strict=True))
        super().__init__(
            choices,
            **pack_pictures(self._pictures),
            vit=packed_vit(model),
            classes=self._class_names,
            labels=truth,
            bars=BARS,
            viridis=viridis().tobytes(),
        )

    def _limits(self, choices):
        yield "picture", OneOf(self._pictures)
        yield from heads_gallery_limits(self._model)

    def _state(self, picture: str, **choices: Any) -> HeadsGalleryState:
        named = {"class_names": self._class_names, "label": self._labels[picture], "name": picture}
        return heads_gallery_state(self._model, self._pictures[picture], **choices, **named)

    def _figure(self, state: HeadsGalleryState):
        return heads_gallery_figure(state, self.more)

    def _brief(self) -> str:
        return f"{self.picture!r}, layer={self.layer}, off={[tuple(pair) for pair in self.off]}"
