"""Tensors on their way from the processor to the device that computes."""

import torch
from torch import Tensor


def send(values: Tensor, device: torch.device) -> Tensor:
    """Bring a tensor to a device; a CUDA GPU need not be done with what it was told before.

    There PyTorch has read ordinary memory before it goes on. Of an Apple GPU that is not certain: PyTorch 2.9 to 2.12
    may read it when the tensor, which nobody else holds, is gone already.
    """
    return values.to(device, non_blocking=device.type == "cuda")
