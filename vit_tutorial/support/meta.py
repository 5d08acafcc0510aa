"""Modules that are built for their shapes alone, in no time and no memory."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

DRAWN_IN_PYTHON = (
    *(nn.init.normal_, nn.init.kaiming_normal_, torch.Tensor.normal_),
    *(torch.Tensor.erfinv_, torch.Tensor.clamp_),  # which PyTorch 2.9 makes truncated normal numbers with
)


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """Inside, new tensors have a shape and a type, and no numbers: they are on PyTorch's device "meta".

    There PyTorch draws normal numbers in Python, and loads its compiler for that, which takes more than a second and
    changes nothing. Here nothing is drawn.
    """
    with torch.device("meta"), _DrawsNothing():
        yield


class _DrawsNothing(TorchFunctionMode):
    def __torch_function__(
        self, function: Callable, types: Sequence[type], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function in DRAWN_IN_PYTHON:
            return args[0] if args else (kwargs or {})["tensor"]
        return function(*args, **(kwargs or {}))
