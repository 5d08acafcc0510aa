"""Attention lab: pick a patch and see where it looks, layer by layer and head by head."""

from vit_tutorial.explore.attention_lab.numbers import AttentionLabState, attention_lab_state
from vit_tutorial.explore.attention_lab.widget import AttentionLab

__all__ = ["AttentionLab", "AttentionLabState", "attention_lab_state"]
