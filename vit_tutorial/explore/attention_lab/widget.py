"""The attention lab as a widget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import traitlets

from vit_tutorial.explore.attention_lab.figure import attention_lab_figure
from vit_tutorial.explore.attention_lab.numbers import (
    TEMPERATURES,
    AttentionLabState,
    as_grid,
    as_maps,
    as_scores,
    attention_lab_limits,
    attention_lab_state,
    prediction_words,
)
from vit_tutorial.explore.base import Explorer
from vit_tutorial.explore.limits import Between
from vit_tutorial.explore.pictures import as_picture, pack_pictures
from vit_tutorial.explore.still import diverging, viridis
from vit_tutorial.inputs import whole_number


class AttentionLab(Explorer):
    """An explorer: a picture and where each of its patches looks, for every layer and head.

    `image` is one uint8 picture [3, H, W], [1, H, W] or [H, W] (0 to 255). `maps` is one [h, N, N] (or [1, h, N, N])
    a layer, rows summing to 1, as `attention_maps` gives them. `grid_size` is the patches along a side, or (rows,
    columns); `num_prefix_tokens` those before the patches (1: the class token). `prediction` is a class index, or the
    probabilities of all classes; `class_names` gives them names. With `scores`, shaped as the maps and as
    `attention_scores` gives them, the lab shows the scores beside the weights, and the softmax at any temperature. The
    traits `layer`, `head` (-1: the mean), `query` (a token), `key` (the token whose score and weight are read out, or
    None), `overlay` (0 to 100) and `temperature` (0.1 to 5) follow what the learner does and can be set from code.
    Raises ValueError if sizes do not fit together, a row of a map does not sum to 1, or softmax of the scores is not
    the maps.
    """

    layer = traitlets.Int(0).tag(sync=True)
    head = traitlets.Int(-1).tag(sync=True)
    query = traitlets.Int(0).tag(sync=True)
    key = traitlets.Int(None, allow_none=True).tag(sync=True)
    overlay = traitlets.Int(40).tag(sync=True)
    temperature = traitlets.Float(1.0).tag(sync=True)

    def __init__(
        self,
        image,
        maps: Sequence,
        grid_size: int | tuple[int, int],
        num_prefix_tokens: int = 1,
        class_names: Sequence[str] | None = None,
        prediction=None,
        scores: Sequence | None = None,
        **choices: Any,
    ):
        self._image = as_picture(image)
        height, width = self._image.shape[1:]
        rows, columns = self._grid = as_grid(grid_size)
        self._prefix = whole_number("num_prefix_tokens", num_prefix_tokens, 0)
        if height % rows or width % columns:
            raise ValueError(
                f"a {rows} x {columns} grid does not fit a picture of {height} x {width} pixels; give the picture that "
                "the model saw"
            )
        self._maps = as_maps(maps, self._grid, num_prefix_tokens)
        self._scores = None if scores is None else as_scores(scores, self._maps)
        self._says = prediction_words(prediction, class_names)
        middle = rows // 2 * columns + columns // 2
        start = {"layer": len(self._maps) - 1, "head": -1 if scores is None else 0}
        start["query"] = 0 if num_prefix_tokens else middle
        super().__init__(
            start | choices,
            **pack_pictures({"picture": self._image}),
            maps=self._maps.tobytes(),
            scores=b"" if self._scores is None else self._scores.tobytes(),
            sizes=list(self._maps.shape[:3]),
            grid=[rows, columns],
            prefix=num_prefix_tokens,
            temperatures=list(TEMPERATURES),
            says=self._says,
            viridis=viridis().tobytes(),
            diverging=diverging().tobytes(),
        )

    def _limits(self, choices):
        yield from attention_lab_limits(self._maps.shape, self._scores is not None)
        yield "overlay", Between(0, 100)

    def _state(self, overlay: int, **choices: Any) -> AttentionLabState:
        given = {"num_prefix_tokens": self._prefix, "scores": self._scores}
        return attention_lab_state(self._maps, self._grid, **given, **choices)

    def _figure(self, state: AttentionLabState):
        return attention_lab_figure(state, self._image, self.overlay, self._says, self.more)

    def _brief(self) -> str:
        layers, heads = self._maps.shape[:2]
        return f"layers={layers}, heads={heads}, grid={self._grid[0]}x{self._grid[1]}"
