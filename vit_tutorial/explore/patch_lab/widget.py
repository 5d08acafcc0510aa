"""The patch lab as a widget."""

from __future__ import annotations

from typing import Any

import traitlets

from vit_tutorial.explore.base import Explorer
from vit_tutorial.explore.limits import OneOf
from vit_tutorial.explore.patch_lab.figure import patch_lab_figure
from vit_tutorial.explore.patch_lab.numbers import (
    ORDERS,
    REASSEMBLIES,
    PatchLabState,
    patch_lab_limits,
    patch_lab_state,
)
from vit_tutorial.explore.pictures import named_pictures, pack_pictures


class PatchLab(Explorer):
    """An explorer: a picture, its patches, the sequence they make, and the picture put back together.

    `images` is one uint8 picture [3, H, W], [1, H, W] or [H, W] (0 to 255), or a dict from names to such pictures. The
    traits `picture`, `patch_size`, `order`, `seed`, `gap`, `token` and `reassembly` follow what the learner does and
    can be set from code. Raises ValueError if a picture is not uint8, or a choice is not possible.
    """

    picture = traitlets.Unicode().tag(sync=True)
    patch_size = traitlets.Int(16).tag(sync=True)
    order = traitlets.Unicode(ORDERS[0]).tag(sync=True)
    seed = traitlets.Int(0).tag(sync=True)
    gap = traitlets.Int(2).tag(sync=True)
    token = traitlets.Int(0).tag(sync=True)
    reassembly = traitlets.Unicode(REASSEMBLIES[0]).tag(sync=True)

    def __init__(self, images, patch_size: int = 16, **choices: Any):
        self._pictures = named_pictures(images)
        super().__init__({"patch_size": patch_size, **choices}, **pack_pictures(self._pictures))

    def _limits(self, choices):
        yield "picture", OneOf(self._pictures)
        yield from patch_lab_limits(self._pictures[choices["picture"]].shape[1:], choices)

    def _state(self, picture: str, **choices: Any) -> PatchLabState:
        return patch_lab_state(self._pictures[picture], **choices)

    def _figure(self, state: PatchLabState):
        return patch_lab_figure(state, self.more)

    def _brief(self) -> str:
        return f"{self.picture!r}, patch_size={self.patch_size}, order={self.order!r}"
