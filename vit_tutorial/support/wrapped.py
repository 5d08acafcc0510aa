"""A model inside of what PyTorch puts around it, or into it."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn


def unwrapped(model: nn.Module) -> nn.Module:
    """Give the model itself, out of what torch.compile and DistributedDataParallel put around it."""
    for name in ("module", "_orig_mod") * 2:  # one around the other, in any order
        model = getattr(model, name, model)
    return model


@contextlib.contextmanager
def eager(model: nn.Module) -> Iterator[None]:
    """Inside, a model that is compiled, or has parts that are, runs as it is written: then its hooks are called."""
    parts = model.modules()
    if any(part._compiled_call_impl is not None or "_orig_mod" in part._modules for part in parts):
        with torch.compiler.set_stance("force_eager"):
            yield
    else:  # and nothing of the compiler is loaded, which takes seconds
        yield


def only_here(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Give a hook that does what this one does in the thread that asks for it, and nothing in another."""
    thread = threading.get_ident()
    return lambda *call: hook(*call) if threading.get_ident() == thread else None
