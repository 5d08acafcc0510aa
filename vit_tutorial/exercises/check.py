"""All exercises by name: `check.patchify(my_patchify)` says whether an answer is right, or what went wrong."""

from vit_tutorial.exercises.attention import attention
from vit_tutorial.exercises.heads import split_heads
from vit_tutorial.exercises.patches import patchify
from vit_tutorial.exercises.positions import sincos_1d
from vit_tutorial.exercises.start import count_tokens
from vit_tutorial.exercises.tokens import add_class_token
from vit_tutorial.exercises.training import learning_rate
from vit_tutorial.exercises.vit import vit_forward

__all__ = [
    "add_class_token",
    "attention",
    "count_tokens",
    "learning_rate",
    "patchify",
    "sincos_1d",
    "split_heads",
    "vit_forward",
]
