"""Model map: the whole Vision Transformer as boxes to open, each with its code, shapes, parameters and output."""

from vit_tutorial.explore.model_map.code import code_of
from vit_tutorial.explore.model_map.numbers import ModelMapState, model_map_state
from vit_tutorial.explore.model_map.widget import ModelMap

__all__ = ["ModelMap", "ModelMapState", "code_of", "model_map_state"]
