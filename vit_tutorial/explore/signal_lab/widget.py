"""The signal lab as a widget."""

from __future__ import annotations

from typing import Any

import traitlets

from vit_tutorial.explore.base import Explorer
from vit_tutorial.explore.signal_lab.figure import signal_lab_figure
from vit_tutorial.explore.signal_lab.numbers import (
    CEILING,
    CHARTS,
    DEPTHS,
    GROUND,
    NORM_NAMES,
    NORMS,
    QUANTITIES,
    SCALES,
    SignalLabState,
    SignalSetting,
    signal_grid,
    signal_lab_limits,
    signal_lab_state,
)
from vit_tutorial.inputs import whole_number


class SignalLab(Explorer):
    """An explorer: what depth, norm, residuals and initial scale do to the numbers in a stack of untrained blocks.

    The traits `depth` (2, 6, 12 or 24), `norm` ("pre", "post", "inside" as in Swin v2, or "none"), `residual`, `scale`
    (0.25, 0.5, 1 or 2 times the usual start of all matrices), `block` (counted from 1) and `held` (the depth, norm,
    residual and scale of a setting that stays as dashed lines, or an empty list) follow what the learner does and can
    be set from code. `hold()` keeps the setting of the moment, to compare others with it.
    All settings are measured when the lab is made, with the course's own blocks, in double precision; that takes a few
    seconds. `seed` draws other weights.
    Raises ValueError if a choice is unknown or out of range.
    """

    depth = traitlets.Int(12).tag(sync=True)
    norm = traitlets.Unicode(NORMS[0]).tag(sync=True)
    residual = traitlets.Bool(True).tag(sync=True)
    scale = traitlets.Float(1.0).tag(sync=True)
    block = traitlets.Int(1).tag(sync=True)
    held = traitlets.List().tag(sync=True)

    def __init__(self, seed: int = 0, **choices: Any):
        self._seed = whole_number("seed", seed, 0)
        super().__init__(
            choices,
            norms=[[norm, NORM_NAMES[norm]] for norm in NORMS],
            depths=list(DEPTHS),
            scales=list(SCALES),
            quantities=list(QUANTITIES),
            charts=[[title, [QUANTITIES.index(name) for name in names]] for title, names in CHARTS.items()],
            ends=[GROUND, CEILING],
            signals=signal_grid(seed).tobytes(),
        )

    def setting(self) -> SignalSetting:
        """The arrangement that is shown now."""
        return SignalSetting(self.depth, self.norm, self.residual, self.scale)

    def hold(self) -> None:
        """Keep the setting of the moment as dashed lines."""
        self.held = [self.depth, self.norm, self.residual, self.scale]

    def _limits(self, choices):
        return signal_lab_limits(choices)

    def _state(self, block: int, held: list, **setting: Any) -> SignalLabState:
        return signal_lab_state(SignalSetting(**setting), block, SignalSetting(*held) if held else None, self._seed)

    def _figure(self, state: SignalLabState):
        return signal_lab_figure(state, self.more)

    def _brief(self) -> str:
        return f"depth={self.depth}, norm={self.norm!r}, residual={self.residual}, scale={self.scale:g}"
