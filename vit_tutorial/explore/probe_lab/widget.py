"""The probe lab as a widget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import traitlets

from vit_tutorial.explore.base import Explorer
from vit_tutorial.explore.probe_lab.data import probe_lab_data
from vit_tutorial.explore.probe_lab.figure import COLOURS, probe_lab_figure
from vit_tutorial.explore.probe_lab.numbers import ProbeLabState, probe_lab_limits, probe_lab_state


class ProbeLab(Explorer):
    """An explorer: a map of the features of the same pictures at several stages, and what their neighbours answer.

    `features` has the features of all pictures [n, F] by the name of the stage: raw pixels, an untrained model, a
    trained one before and during fine-tuning; F may differ. `pictures` is uint8 [n, C, H, W] (0 to 255), `labels` their
    classes. The labels of the first `labelled` of them are known, all others are asked, and answered by the nearest
    known ones. The traits `stage` (a name), `picture` (0 is the first that is asked) and `neighbours` (how many vote)
    follow what the learner does and can be set from code.
    Raises ValueError if features, pictures, labels, names and choices do not fit together.
    """

    stage = traitlets.Unicode().tag(sync=True)
    picture = traitlets.Int(0).tag(sync=True)
    neighbours = traitlets.Int(1).tag(sync=True)

    def __init__(
        self, features: Mapping[str, Any], pictures, labels, labelled: int, class_names: Sequence[str], **choices: Any
    ):
        data = self._data = probe_lab_data(features, pictures, labels, labelled, class_names)
        super().__init__(
            choices,
            stages=list(data.stages),
            classes=list(data.class_names),
            colours=list(COLOURS),
            labelled=data.labelled,
            labels=data.labels.tolist(),
            shape=list(data.pictures.shape[1:]),
            pixels=data.pictures.tobytes(),
            places=data.places.astype("<f4").tobytes(),
            shares=list(data.shares),
            near=data.near.astype("<u2").tobytes(),
            most=data.near.shape[2],
        )

    def _limits(self, choices):
        return probe_lab_limits(self._data)

    def _state(self, **choices: Any) -> ProbeLabState:
        return probe_lab_state(self._data, **choices)

    def _figure(self, state: ProbeLabState):
        return probe_lab_figure(state, self._data, self.more)

    def _brief(self) -> str:
        return f"stage={self.stage!r}, picture={self.picture}, neighbours={self.neighbours}"
