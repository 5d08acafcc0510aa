"""The surroundings in which every answer is tried, whatever the lesson has set: nothing of them changes a verdict."""

import contextlib
import copy
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from vit_tutorial.support.usual import usual_torch

# What may compute with shorter numbers than float32. torch.get_float32_matmul_precision fails where these were set.
ROUNDING = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul, torch.backends.mkldnn.conv)


@contextlib.contextmanager
def plain_surroundings(seed: int = 0) -> Iterator[None]:
    """Set PyTorch as it is when it is imported, and random numbers of one kind; afterwards all is as it was."""
    precisions = [backend.fp32_precision for backend in ROUNDING]
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with contextlib.ExitStack() as stack:
        stack.callback(_set_back, precisions, states)
        stack.enter_context(torch.random.fork_rng(devices))
        stack.enter_context(usual_torch())
        for backend in ROUNDING:
            backend.fp32_precision = "ieee"
        # Not torch.manual_seed: for each kind of device that is not in use it formats the stack, which takes longer
        # than most answers.
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed_all(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002  what an answer may use
        yield


def in_single_precision(value: Any) -> Any:
    """Return tensors and models in float32 that come in float64, also in tuples and lists."""
    if isinstance(value, torch.Tensor):
        return value.float() if value.dtype == torch.float64 else value
    if isinstance(value, nn.Module):
        return copy.deepcopy(value).float() if any(x.dtype == torch.float64 for x in value.parameters()) else value
    if type(value) in (tuple, list):
        parts = [in_single_precision(part) for part in value]
        return value if all(new is old for new, old in zip(parts, value, strict=True)) else type(value)(parts)
    return value


def _set_back(precisions: list[str], states: tuple) -> None:
    for backend, precision in zip(ROUNDING, precisions, strict=True):
        backend.fp32_precision = "none"  # as torch.backends.fp32_precision says for all of them
        if backend.fp32_precision != precision:
            backend.fp32_precision = precision
    random.setstate(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
