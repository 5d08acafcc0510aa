"""All exercises by name: `check.patchify(my_patchify)` says whether an answer is right, or what went wrong.

A new exercise is an `Exercise` in the file of its lesson, named in that file's `__all__`; then it is found here. A new
lesson file is one more line below. The name of an exercise is that of its variable, and no two lessons share one.
"""

from vit_tutorial.exercises.attention import *  # noqa: F403
from vit_tutorial.exercises.encoder import *  # noqa: F403
from vit_tutorial.exercises.heads import *  # noqa: F403
from vit_tutorial.exercises.patches import *  # noqa: F403
from vit_tutorial.exercises.positions import *  # noqa: F403
from vit_tutorial.exercises.start import *  # noqa: F403
from vit_tutorial.exercises.tokens import *  # noqa: F403
from vit_tutorial.exercises.training import *  # noqa: F403
from vit_tutorial.exercises.vit import *  # noqa: F403

__all__ = [name for name in globals() if not name.startswith("_")]


def __dir__() -> list[str]:
    return __all__
