"""PyTorch as it is in a fresh Python, whatever a learner has set for the cells around."""

import contextlib
from collections.abc import Iterator

import torch

DEVICES = ("cpu", "cuda", "mps")


@contextlib.contextmanager
def usual_torch() -> Iterator[None]:
    """Inside, new tensors are float32 on the CPU, nothing is cast by itself, and gradients can be had.

    That undoes torch.set_default_device, torch.set_default_dtype, torch.autocast, torch.inference_mode and
    torch.no_grad; afterwards all is as it was. Tensors that are there already keep their device and their type.
    `@usual_torch()` above a function puts the function inside.
    """
    dtype = torch.get_default_dtype()
    with contextlib.ExitStack() as undone:
        for device in DEVICES:
            if torch.is_autocast_enabled(device):
                undone.enter_context(torch.autocast(device, enabled=False))
        if torch.empty(0).device.type != "cpu":  # get_default_device fails in torch 2.9 once one was taken back
            undone.enter_context(torch.device("cpu"))
        if torch.is_inference_mode_enabled():
            undone.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            undone.enter_context(torch.enable_grad())
        torch.set_default_dtype(torch.float32)
        undone.callback(torch.set_default_dtype, dtype)
        yield
