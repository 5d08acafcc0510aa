"""Patch lab: cut a picture into patches, lay them out as a sequence, and put them back."""

from vit_tutorial.explore.patch_lab.numbers import PatchLabState, patch_lab_state, sequence_order
from vit_tutorial.explore.patch_lab.widget import PatchLab

__all__ = ["PatchLab", "PatchLabState", "patch_lab_state", "sequence_order"]
