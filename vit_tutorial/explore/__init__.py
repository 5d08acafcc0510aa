"""Explorers: pictures you can touch. Each is a pure function from a state to its numbers, and a thin view over it."""

from vit_tutorial.explore.attention_lab import AttentionLab, AttentionLabState, attention_lab_state
from vit_tutorial.explore.patch_lab import PatchLab, PatchLabState, patch_lab_state

__all__ = [
    "AttentionLab",
    "AttentionLabState",
    "PatchLab",
    "PatchLabState",
    "attention_lab_state",
    "patch_lab_state",
]
