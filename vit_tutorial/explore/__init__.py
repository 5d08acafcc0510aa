"""Explorers: pictures you can touch. Each is a pure function from a state to its numbers, and a thin view over it."""

from vit_tutorial.explore.attention_lab import AttentionLab, AttentionLabState, attention_lab_state
from vit_tutorial.explore.attention_plane import AttentionPlane, AttentionPlaneState, attention_plane_state
from vit_tutorial.explore.heads_gallery import HeadsGallery, HeadsGalleryState, heads_gallery_state
from vit_tutorial.explore.lens_lab import LensLab, LensLabState, lens_lab_state
from vit_tutorial.explore.model_map import ModelMap, ModelMapState, model_map_state
from vit_tutorial.explore.patch_lab import PatchLab, PatchLabState, patch_lab_state
from vit_tutorial.explore.position_lab import PositionLab, PositionLabState, position_lab_state
from vit_tutorial.explore.probe_lab import ProbeLab, ProbeLabState, probe_lab_state
from vit_tutorial.explore.reach_lab import ReachLab, ReachLabState, reach_lab_state
from vit_tutorial.explore.signal_lab import SignalLab, SignalLabState, SignalSetting, signal_lab_state
from vit_tutorial.explore.sketch_lab import SketchLab, SketchLabState, sketch_lab_state
from vit_tutorial.explore.token_table import TokenTable, TokenTableState, token_table_state
from vit_tutorial.explore.training_timeline import TrainingTimeline, TrainingTimelineState, training_timeline_state

__all__ = [
    "AttentionLab",
    "AttentionLabState",
    "AttentionPlane",
    "AttentionPlaneState",
    "HeadsGallery",
    "HeadsGalleryState",
    "LensLab",
    "LensLabState",
    "ModelMap",
    "ModelMapState",
    "PatchLab",
    "PatchLabState",
    "PositionLab",
    "PositionLabState",
    "ProbeLab",
    "ProbeLabState",
    "ReachLab",
    "ReachLabState",
    "SignalLab",
    "SignalLabState",
    "SignalSetting",
    "SketchLab",
    "SketchLabState",
    "TokenTable",
    "TokenTableState",
    "TrainingTimeline",
    "TrainingTimelineState",
    "attention_lab_state",
    "attention_plane_state",
    "heads_gallery_state",
    "lens_lab_state",
    "model_map_state",
    "patch_lab_state",
    "position_lab_state",
    "probe_lab_state",
    "reach_lab_state",
    "signal_lab_state",
    "sketch_lab_state",
    "token_table_state",
    "training_timeline_state",
]
