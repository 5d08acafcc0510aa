"""All exercises by name: `check.patchify(my_patchify)` says whether an answer is right, or what went wrong.

A new exercise is an `Exercise` in the file of its lesson, named in that file's `__all__`; then it is found here. A new
lesson file is one more line below. The name of an exercise is that of its variable, and no two lessons share one.
"""

from vit_tutorial.exercises.lesson_00_start_here import *  # noqa: F403
from vit_tutorial.exercises.lesson_01_patches import *  # noqa: F403
from vit_tutorial.exercises.lesson_02_class_token import *  # noqa: F403
from vit_tutorial.exercises.lesson_03_position_embeddings import *  # noqa: F403
from vit_tutorial.exercises.lesson_04_scaled_dot_product_attention import *  # noqa: F403
from vit_tutorial.exercises.lesson_05_multi_head_attention import *  # noqa: F403
from vit_tutorial.exercises.lesson_06_encoder_block import *  # noqa: F403
from vit_tutorial.exercises.lesson_07_vision_transformer import *  # noqa: F403
from vit_tutorial.exercises.lesson_11_train_on_a_gpu import *  # noqa: F403

__all__ = [name for name in globals() if not name.startswith("_")]


def __dir__() -> list[str]:
    return __all__
