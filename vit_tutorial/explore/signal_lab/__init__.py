"""Signal lab: how large the numbers are that run through a stack of blocks, forwards and backwards."""

from vit_tutorial.explore.signal_lab.numbers import SignalLabState, SignalSetting, signal_lab_state
from vit_tutorial.explore.signal_lab.widget import SignalLab

__all__ = ["SignalLab", "SignalLabState", "SignalSetting", "signal_lab_state"]
