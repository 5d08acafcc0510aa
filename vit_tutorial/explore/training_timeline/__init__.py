"""Training timeline: a model at several moments of its training: what it says, where it looks, what positions know."""

from vit_tutorial.explore.training_timeline.numbers import TrainingTimelineState, training_timeline_state
from vit_tutorial.explore.training_timeline.widget import TrainingTimeline

__all__ = ["TrainingTimeline", "TrainingTimelineState", "training_timeline_state"]
