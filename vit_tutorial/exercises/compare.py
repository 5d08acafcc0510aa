"""Are two outputs equal? However they are wrapped, with room for rounding; and where do they begin to differ?"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

TOLERANCE = 1e-5  # relative and absolute


def same(a: Any, b: Any) -> bool:
    """Say whether two outputs hold the same numbers in the same shape, whatever their types and dtypes are."""
    try:
        if isinstance(a, tuple | list) and isinstance(b, tuple | list):
            return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
        if isinstance(b, str | dict | None):
            return type(a) is type(b) and a == b
        if shape_of(a) != shape_of(b):
            return False
        a, b = _numbers(a), _numbers(b)
        return a.shape == b.shape and bool(_close(a, b).all())
    except Exception:  # an output may be anything, also something that raises when it is looked at
        return False


def first_difference(a: Any, b: Any) -> int:
    """Return which number or entry of two outputs differs first, counted from 0; 0 if they cannot be compared."""
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        pairs = enumerate(zip(a, b, strict=False))
        return next((i for i, (x, y) in pairs if not same(x, y)), min(len(a), len(b)))
    if not isinstance(b, Tensor) or shape_of(a) != shape_of(b):
        return 0
    try:
        return int((~_close(_numbers(a).flatten(), _numbers(b).flatten())).nonzero()[0])
    except Exception:  # as in same
        return 0


def unchanged(a: Any, b: Any) -> bool:
    """Say whether an argument is to the last bit what it was: tensors, arrays, models, and lists of these."""
    if isinstance(a, nn.Module):
        return unchanged(a.state_dict(), b.state_dict())
    if isinstance(a, dict):
        return list(a) == list(b) and all(unchanged(a[key], b[key]) for key in b)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(unchanged(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, Tensor | np.ndarray):
        x, y = (np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value) for value in (a, b))
        return x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()
    return type(a) is type(b) and (a == b or a != a or callable(a))


def shape_of(value: Any) -> tuple[int, ...]:
    """Return the shape of nested lists as that of a tensor, without going through all of their numbers."""
    if isinstance(value, tuple | list):
        return (len(value), *(shape_of(value[0]) if value else ()))
    return tuple(getattr(value, "shape", ()))


def _close(a: Tensor, b: Tensor) -> Tensor:
    return torch.isclose(a, b, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)


def _numbers(value: Any) -> Tensor:
    value = torch.as_tensor(value).detach().cpu()
    return value.to(torch.complex128 if value.is_complex() else torch.float64)
