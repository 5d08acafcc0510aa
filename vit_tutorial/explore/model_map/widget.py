"""The model map as a widget."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets

from vit_tutorial.explore.base import Explorer
from vit_tutorial.explore.model_map.figure import model_map_figure
from vit_tutorial.explore.model_map.geometry import ARC, HIGH, INNER_GAP, WIDE, bar_length, layout
from vit_tutorial.explore.model_map.numbers import (
    Box,
    ModelMapState,
    heading_of,
    label_of,
    map_boxes,
    model_map_limits,
    model_map_state,
    sentence_of,
    share_of,
)
from vit_tutorial.explore.pictures import as_picture, pack_pictures
from vit_tutorial.explore.still import diverging
from vit_tutorial.support.wrapped import unwrapped
from vit_tutorial.vit import ViT

# The fields of a box that travel as they are.
SENT = ("key", "block", "kind", "does", "code", "where", "limit", "says", "class_token")


class ModelMap(Explorer):
    """An explorer: figure 1 of the paper as a map of a model, run on a picture; each box can be opened.

    Of each box it shows the code that runs there (read from the very classes of which the model is made), the shapes in
    and out, its parameters, and a picture of what leaves it. `model` is a ViT; `image` is a uint8 picture [C, H, W] or
    [H, W] (0 to 255) of the size that the model takes. The traits `box` (such as "attn") and `block` (counted from 1)
    follow what the learner does and can be set from code.
    Raises TypeError if the model is no ViT, ValueError if the picture does not fit or a choice is unknown.
    """

    box = traitlets.Unicode("image").tag(sync=True)
    block = traitlets.Int(1).tag(sync=True)

    def __init__(self, model: ViT, image, **choices: Any):
        model = unwrapped(model)
        if not isinstance(model, ViT):
            raise TypeError(f"the map is drawn of a ViT, not of a {type(model).__name__}; for others use shape_ledger")
        picture = as_picture(image)
        self._patch_size = model.config.patch_size
        self._boxes = map_boxes(model, picture)
        walk = model_map_state(self._boxes).walk
        places, arcs = layout([each.key for each in walk])
        tables = [levels_of(each) for each in self._boxes]
        depth = model.config.depth
        super().__init__(
            choices,
            **pack_pictures({"picture": picture}),
            boxes=[told(each, places, depth, table) for each, table in zip(self._boxes, tables, strict=True)],
            places=places,
            arcs=arcs,
            sizes={"wide": WIDE, "high": HIGH, "arc": ARC, "gap": INNER_GAP, "depth": depth, "patch": self._patch_size},
            tables=b"".join(table.tobytes() for table in tables),
            diverging=diverging().tobytes(),
        )

    def _limits(self, choices):
        return model_map_limits(self._boxes, choices)

    def _state(self, **choices: Any) -> ModelMapState:
        return model_map_state(self._boxes, **choices)

    def _figure(self, state: ModelMapState):
        return model_map_figure(state, self._patch_size, self.more)

    def _brief(self) -> str:
        return f"box={self.box!r}, block={self.block}"


def levels_of(box: Box) -> np.ndarray:
    """The numbers of a table as 0 to 255 of a palette, empty for other pictures."""
    levels = np.round((box.picture / box.limit + 1) * 127.5) if box.kind == "table" else np.zeros((0, 0))
    return np.clip(levels, 0, 255).astype(np.uint8)


def told(box: Box, places: dict[str, list[float]], depth: int, table: np.ndarray) -> dict[str, Any]:
    """A box as the view takes it."""
    bars = zip(box.labels, box.picture[0], strict=True) if box.kind == "bars" else ()
    return {name: getattr(box, name) for name in SENT} | {
        "heading": heading_of(box),
        "label": label_of(box, depth),
        "given": box.input_shape,
        "made": box.output_shape,
        "held": f"{box.parameters:,}",
        "part": share_of(box),
        "size": list(table.shape),
        "bar": bar_length(box.share, places[box.key][2]),
        "bars": [list(pair) for pair in bars],
        "sentence": sentence_of(box),
    }
