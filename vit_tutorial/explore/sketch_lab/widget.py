"""The sketch lab as a widget."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import traitlets

from vit_tutorial.explore.base import Explorer
from vit_tutorial.explore.pictures import BARS, class_names_of, pack_pictures, pictures_for
from vit_tutorial.explore.sketch_lab.figure import sketch_lab_figure
from vit_tutorial.explore.sketch_lab.numbers import (
    EMPTY,
    NEAR,
    RARE,
    WIDEST,
    SketchLabState,
    check_grey,
    size_of,
    sketch_lab_limits,
    sketch_lab_state,
    usual_outline,
)
from vit_tutorial.explore.still import viridis
from vit_tutorial.explore.vit import check_vit, packed_vit
from vit_tutorial.vit import ViT


class SketchLab(Explorer):
    """An explorer: draw, and the browser runs the model while one draws; it shows what is answered, and how.

    `model` is a pre-norm ViT of the course's own parts that takes grey pictures. `images` is a dict from names to
    uint8 pictures [1, H, W] or [H, W] (0 to 255) of the size that the model takes, to start from. `class_names`
    defaults to the names on the model's card. `learned_from` are the training pictures, uint8 [n, 1, H, W]: with them
    the lab says how a drawing differs from all but two in a hundred of them.
    The traits `drawing` (`nothing`, a name, or pixels as `drawing_of` writes them), `cursor` (the pixel under the
    brush), `brush` (its width in pixels), `grey` (what it paints, 0 to 255), `more` (whether the inside is shown),
    `layer`, `query` (a token) and `off` (pairs [layer, head]) follow what the learner does and can be set from code;
    `state().image` holds the pixels.
    Raises TypeError if the model is no ViT, ValueError if it is one that the browser cannot run, or sizes and
    choices do not fit.
    """

    drawing = traitlets.Unicode(EMPTY).tag(sync=True)
    cursor = traitlets.Int().tag(sync=True)
    brush = traitlets.Int(2).tag(sync=True)
    grey = traitlets.Int(255).tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    query = traitlets.Int(0).tag(sync=True)
    off = traitlets.List().tag(sync=True)

    def __init__(
        self,
        model: ViT,
        images: Mapping[str, Any] | None = None,
        class_names: Sequence[str] | None = None,
        learned_from=None,
        **choices: Any,
    ):
        check_vit(model, "the sketch lab")
        check_grey(model)
        none = images is None or (isinstance(images, Mapping | list | tuple) and not images)
        self._pictures = {} if none else pictures_for(model, images)
        if EMPTY in self._pictures:
            raise ValueError(f"a picture is called {EMPTY!r}, as the empty canvas is; give it another name")
        self._model = copy.deepcopy(model).double().eval()
        self._class_names = class_names_of(model, class_names)
        self._usual = None if learned_from is None else usual_outline(learned_from)
        rows, columns = size_of(model)
        super().__init__(
            {"cursor": rows // 2 * columns + columns // 2} | choices,
            **pack_pictures(self._pictures),
            vit=packed_vit(model),
            classes=self._class_names,
            usual=self._usual and asdict(self._usual) | {"near": NEAR, "of_100": round(100 * (1 - RARE))},
            empty=EMPTY,
            widest=WIDEST,
            bars=BARS,
            viridis=viridis().tobytes(),
        )

    def _limits(self, choices):
        yield from sketch_lab_limits(self._model, self._pictures)

    def _state(self, **choices: Any) -> SketchLabState:
        named = {"pictures": self._pictures, "class_names": self._class_names, "usual": self._usual}
        return sketch_lab_state(self._model, **choices, more=self.more, **named)

    def _figure(self, state: SketchLabState):
        return sketch_lab_figure(state)

    def _brief(self) -> str:
        return repr(self.drawing) if self.drawing in {EMPTY, *self._pictures} else "a drawing"
