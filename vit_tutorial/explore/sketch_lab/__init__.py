"""Sketch lab: draw, and the model answers in the browser while one draws."""

from vit_tutorial.explore.sketch_lab.numbers import SketchLabState, drawing_of, sketch_lab_state
from vit_tutorial.explore.sketch_lab.widget import SketchLab

__all__ = ["SketchLab", "SketchLabState", "drawing_of", "sketch_lab_state"]
