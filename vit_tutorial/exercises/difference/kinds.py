"""Is what came out of the right kind at all: numbers, one tensor, as many things as expected?"""

from collections.abc import Iterator

import numpy as np
from torch import Tensor, nn

from vit_tutorial.exercises.compare import same
from vit_tutorial.exercises.difference.case import ORDINALS, Candidate, holds_too_many


def kinds() -> Iterator[Candidate]:
    """Yield sentences on outputs of another kind."""
    yield "what came back is a layer, not a tensor. Call it: layer(x).", lambda case: isinstance(case.got, nn.Module)
    yield (
        "what came back is a function, not its result. Call it with brackets.",
        lambda case: callable(case.got) and not isinstance(case.got, Tensor),
    )
    yield (
        "you returned words, and numbers are expected.",
        lambda case: isinstance(case.got, str) and not isinstance(case.expected, str),
    )
    yield (
        "you returned a dictionary, and numbers are expected.",
        lambda case: isinstance(case.got, dict) and not isinstance(case.expected, dict),
    )
    yield (
        "the numbers are right, and stand in a set, which keeps no order. Return them with commas between.",
        lambda case: isinstance(case.got, set) and case.got == set(case.expected),
    )
    yield (
        "you returned a set, which keeps no order. Return the numbers with commas between.",
        lambda case: isinstance(case.got, set) and isinstance(case.expected, tuple),
    )
    yield (
        "more numbers came back than are expected, by far.",
        lambda case: case.b is not None and holds_too_many(case.got),
    )
    for place, word in enumerate(ORDINALS[:4]):
        yield (
            f"you returned several things. The {word} is right: return it alone.",
            lambda case, i=place: isinstance(case.got, tuple | list) and same(case.got[i], case.expected),
        )
    yield (
        "you returned several things, and one tensor is expected.",
        lambda case: (
            isinstance(case.got, tuple)
            and isinstance(case.expected, Tensor)
            and case.got
            and all(isinstance(part, Tensor) for part in case.got)
        ),
    )
    yield (
        "you returned several things, and one number is expected.",
        lambda case: isinstance(case.got, tuple | list) and case.b is not None and case.b.ndim == 0,
    )
    yield (
        "not all that your list holds is a number: it has something else in it, such as a word, None or a list.",
        lambda case: isinstance(case.got, tuple | list) and case.a is None and not _holds_arrays(case.got),
    )
    yield (
        "you returned several tensors in a list; one tensor is expected. torch.cat or torch.stack makes one of them.",
        lambda case: (
            isinstance(case.got, tuple | list)
            and _holds_arrays(case.got)
            and isinstance(case.expected, Tensor)
            and (case.a is None or case.a.ndim != case.b.ndim)
        ),
    )
    yield (
        "you returned one thing, and several are expected, with commas between.",
        lambda case: isinstance(case.expected, tuple) and not isinstance(case.got, tuple | list | Tensor | np.ndarray),
    )
    yield "your numbers are complex, and real ones are expected.", lambda case: bool(np.iscomplexobj(case.got))
    yield "what came back holds no numbers.", lambda case: case.a is None and case.b is not None


def _holds_arrays(parts: tuple | list) -> bool:
    return any(isinstance(part, Tensor | np.ndarray) for part in parts)
