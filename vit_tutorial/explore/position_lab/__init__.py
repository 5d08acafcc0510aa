"""Position lab: which positions are alike, on grids of any size, and what a model without positions can tell."""

from vit_tutorial.explore.position_lab.numbers import PositionLabState, position_lab_state
from vit_tutorial.explore.position_lab.widget import PositionLab

__all__ = ["PositionLab", "PositionLabState", "position_lab_state"]
