"""All exercises by name: `check.patchify(my_patchify)` says whether an answer is right, or what went wrong.

An exercise is an `Exercise` in the file of its lesson, which is named after the notebook; its name stands in the file's
`__all__`, and is that of its variable. A new lesson's file is one more line below. No two lessons share a name.
"""

from vit_tutorial.exercises.surroundings import plain_surroundings

with plain_surroundings():  # the inputs of all exercises are made here, whatever the default dtype is
    from vit_tutorial.exercises.lesson_00_start_here import *  # noqa: F403
    from vit_tutorial.exercises.lesson_01_patches import *  # noqa: F403
    from vit_tutorial.exercises.lesson_02_class_token import *  # noqa: F403
    from vit_tutorial.exercises.lesson_03_position_embeddings import *  # noqa: F403
    from vit_tutorial.exercises.lesson_04_scaled_dot_product_attention import *  # noqa: F403
    from vit_tutorial.exercises.lesson_05_multi_head_attention import *  # noqa: F403
    from vit_tutorial.exercises.lesson_06_encoder_block import *  # noqa: F403
    from vit_tutorial.exercises.lesson_07_vision_transformer import *  # noqa: F403
    from vit_tutorial.exercises.lesson_08_looking_inside import *  # noqa: F403
    from vit_tutorial.exercises.lesson_09_vit_versus_cnn import *  # noqa: F403
    from vit_tutorial.exercises.lesson_10_fine_tuning import *  # noqa: F403
    from vit_tutorial.exercises.lesson_11_train_on_a_gpu import *  # noqa: F403

del plain_surroundings

__all__ = [name for name in globals() if not name.startswith("_")]


def __dir__() -> list[str]:
    return __all__
