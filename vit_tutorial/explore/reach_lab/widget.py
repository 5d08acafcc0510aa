"""The reach lab as a widget."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import traitlets

from vit_tutorial.cnn import CNN
from vit_tutorial.explore.base import Explorer
from vit_tutorial.explore.limits import OneOf
from vit_tutorial.explore.pictures import pack_pictures, pictures_for
from vit_tutorial.explore.reach_lab.figure import reach_lab_figure
from vit_tutorial.explore.reach_lab.numbers import (
    ReachLabState,
    box_of,
    check_pair,
    distances_of,
    fields_of,
    levels_of,
    make_state,
    reach_lab_limits,
    stages_of,
)
from vit_tutorial.explore.still import viridis
from vit_tutorial.vit import ViT


class ReachLab(Explorer):
    """An explorer: what a place of each stage of a CNN and of a ViT can see of a picture, and what it did see.

    `models` is a pair (CNN, ViT) for the same pictures, or a dict from words to such pairs of one shape, such as
    {"trained": (cnn, vit), "untrained": (cnn, vit)}. `pictures` is a dict from names to uint8 pictures [C, H, W] or
    [H, W] (0 to 255) of the size that the ViT takes, or one such picture. The traits `picture` and `weights` (names),
    `stage` (counted through the CNN and then the ViT) and `place` (a patch) follow what the learner does and can be set
    from code. All is measured when the explorer is made: about a second for each picture and pair.
    Raises TypeError if they are no CNN and no ViT, ValueError if they are not two that can be compared, or sizes
    and choices do not fit.
    """

    picture = traitlets.Unicode().tag(sync=True)
    weights = traitlets.Unicode().tag(sync=True)
    stage = traitlets.Int(0).tag(sync=True)
    place = traitlets.Int(0).tag(sync=True)

    def __init__(self, models: tuple[CNN, ViT] | Mapping[str, tuple[CNN, ViT]], pictures, **choices: Any):
        named = dict(models) if isinstance(models, Mapping) else {"as they are": models}
        if not named:
            raise ValueError("models holds no pair; give (cnn, vit), or a dict from words to such pairs")
        for words, pair in named.items():
            if not isinstance(pair, Sequence) or len(pair) != 2:
                raise ValueError(f"the models {words!r} are a {type(pair).__name__}; give a pair (cnn, vit)")
            check_pair(*pair)
        self._models = {
            words: tuple(copy.deepcopy(one).float().eval() for one in pair) for words, pair in named.items()
        }
        self._pair = next(iter(self._models.values()))
        cnn, vit = self._pair
        self._stages = stages_of(cnn, vit)
        for words, pair in self._models.items():
            if stages_of(*pair) != self._stages or pair[1].grid_size != vit.grid_size:
                raise ValueError(f"the models {words!r} are of another shape than the first; give pairs of one shape")
        self._pictures = pictures_for(vit, pictures)
        self._fields = {
            (words, name): fields_of(*pair, picture)
            for words, pair in self._models.items()
            for name, picture in self._pictures.items()
        }
        self._distances = {key: distances_of(self._stages, fields, vit) for key, fields in self._fields.items()}
        rows, columns = vit.grid_size
        choices = {
            "picture": next(iter(self._pictures)),
            "weights": next(iter(self._models)),
            "place": rows // 2 * columns + columns // 2,
        } | choices
        super().__init__(
            choices,
            **pack_pictures(self._pictures),
            weights=list(self._models),
            stages=[asdict(stage) for stage in self._stages],
            grid=[rows, columns],
            patch=vit.config.patch_size,
            levels=b"".join(map(self._packed, self._fields.values())),
            distances=list(self._distances.values()),
            viridis=viridis().tobytes(),
        )

    def _packed(self, fields: list) -> bytes:
        """The brightness of what each place can see, stage by stage and patch by patch."""
        vit, parts = self._pair[1], []
        for stage, field in zip(self._stages, fields, strict=True):
            for cell, one in enumerate(field):
                at = divmod(cell, vit.grid_size[1])
                top, left, bottom, right = box_of(stage, *at, vit.config.patch_size, one.shape)
                parts.append(levels_of(one)[top:bottom, left:right].tobytes())
        return b"".join(parts)

    def _limits(self, choices):
        yield "picture", OneOf(self._pictures)
        yield "weights", OneOf(self._models)
        yield from reach_lab_limits(*self._pair)

    def _state(self, picture: str, weights: str, stage: int, place: int) -> ReachLabState:
        fields = [field[place] for field in self._fields[weights, picture]]
        distances = [row[place] for row in self._distances[weights, picture]]
        return make_state(*self._pair, self._pictures[picture], stage, place, fields, distances, picture, weights)

    def _figure(self, state: ReachLabState):
        return reach_lab_figure(state, self.more)

    def _brief(self) -> str:
        return f"{self.picture!r}, weights={self.weights!r}, stage={self.stage}, place={self.place}"
