"""The reach lab: what a place of each stage of a CNN and of a ViT can see of a picture, and what it did see."""

from vit_tutorial.explore.reach_lab.numbers import ReachLabState, reach_lab_state
from vit_tutorial.explore.reach_lab.widget import ReachLab

__all__ = ["ReachLab", "ReachLabState", "reach_lab_state"]
