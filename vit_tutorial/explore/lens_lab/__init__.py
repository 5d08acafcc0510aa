"""Lens lab: which class each token says after each block, and whose tokens carry the answer."""

from vit_tutorial.explore.lens_lab.numbers import LensLabState, lens_lab_state
from vit_tutorial.explore.lens_lab.widget import LensLab

__all__ = ["LensLab", "LensLabState", "lens_lab_state"]
