"""Probe lab: features of the same pictures at several moments, as a map, and what their nearest neighbours answer."""

from vit_tutorial.explore.probe_lab.numbers import ProbeLabState, probe_lab_state
from vit_tutorial.explore.probe_lab.widget import ProbeLab

__all__ = ["ProbeLab", "ProbeLabState", "probe_lab_state"]
