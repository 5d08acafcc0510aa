"""Attention in the plane: three tokens whose queries, keys and values are points that can be moved."""

from vit_tutorial.explore.attention_plane.numbers import AttentionPlaneState, attention_plane_state
from vit_tutorial.explore.attention_plane.widget import AttentionPlane

__all__ = ["AttentionPlane", "AttentionPlaneState", "attention_plane_state"]
