"""Are two outputs equal? However they are wrapped, with room for rounding; and where do they begin to differ?"""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

TOLERANCE = 1e-5  # relative to each number, and to the largest one: what float32 leaves of a few hundred steps
SMALLEST = 0.1  # numbers that are all smaller than this are compared as if one were as large


def same(a: Any, b: Any) -> bool:
    """Say whether two outputs hold the same numbers in the same shape, whatever their types and dtypes are."""
    try:
        if isinstance(a, tuple | list) and isinstance(b, tuple | list):
            return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
        if isinstance(b, str | dict | None):
            return type(a) is type(b) and a == b
        if shape_of(a) != shape_of(b):
            return False
        a, b = numbers_of(a), numbers_of(b)
        return a.shape == b.shape and bool(close(a, b).all())
    except Exception:  # an output may be anything, also something that raises when it is looked at
        return False


def first_difference(a: Any, b: Any) -> int | None:
    """Return which number or entry of two outputs differs first, counted from 0; None if they cannot be compared."""
    try:
        if isinstance(a, tuple | list) and isinstance(b, tuple | list):
            pairs = enumerate(zip(a, b, strict=False))
            return next((i for i, (x, y) in pairs if not same(x, y)), min(len(a), len(b)))
        if not isinstance(b, Tensor) or shape_of(a) != shape_of(b):
            return None
        return int((~close(numbers_of(a).flatten(), numbers_of(b).flatten())).nonzero()[0])
    except Exception:  # as in same
        return None


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


def close(a: Tensor, b: Tensor) -> Tensor:
    """Say of each number of two tensors of one shape whether it is the same but for rounding."""
    finite = b[torch.isfinite(b)].abs()
    largest = max(SMALLEST, finite.max().item()) if finite.numel() else 1.0
    return torch.isclose(a, b, rtol=TOLERANCE, atol=TOLERANCE * largest, equal_nan=True)


def numbers_of(value: Any) -> Tensor:
    """Return numbers of any kind as a tensor in float64, a list of tensors too; raises for what holds none."""
    if isinstance(value, tuple | list) and not all(isinstance(part, int | float | complex) for part in value):
        return torch.stack([numbers_of(part) for part in value])
    if isinstance(value, Fraction | Decimal):
        value = float(value)
    value = torch.as_tensor(value).detach().cpu().to_dense()
    return value.to(torch.complex128 if value.is_complex() else torch.float64)
