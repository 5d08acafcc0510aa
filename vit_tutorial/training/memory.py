"""Gradient checkpointing: of each block only its input is kept for the way back, and the rest is computed again.

    kept for the way back:  all numbers inside `depth` blocks  ->  `depth` inputs, and the inside of one block at a time

The gradients are the very same, for about a third more time. With dropout or drop path that takes the same random
numbers twice, which PyTorch keeps for the CPU and for GPUs of CUDA, and not for Apple's.

Source: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost", section 4.1.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vit_tutorial.encoder import DropPath


def with_gradient_checkpointing(
    forward: Callable[[Tensor], Tensor], model: nn.Module, device: torch.device
) -> Callable[[Tensor], Tensor]:
    """Give the way forward through `model` that keeps only what enters its blocks; the model itself stays as it is.

    Raises ValueError if the model has no stack of blocks, or one that notes something each time it computes, or one
    that draws random numbers on Apple's `device`.
    """
    blocks = getattr(model, "blocks", None)
    if not isinstance(blocks, (nn.Sequential, nn.ModuleList)):
        raise ValueError(
            f"gradient_checkpointing computes blocks again, and {type(model).__name__} has no nn.Sequential or "
            "nn.ModuleList of the name blocks; leave it out"
        )
    for name, part in blocks.named_modules():
        if getattr(part, "running_mean", None) is not None:
            raise ValueError(
                f"gradient_checkpointing computes blocks again, and blocks.{name} is a {type(part).__name__}, which "
                "would count every batch twice; leave it out, or take a norm without running means"
            )
        rate = part.rate if isinstance(part, DropPath) else part.p if isinstance(part, nn.Dropout) else 0
        if device.type == "mps" and rate > 0:
            raise ValueError(
                f"gradient_checkpointing computes blocks again, and blocks.{name} is a {type(part).__name__} of rate "
                f"{rate:g}, which would drop others the second time: on the device mps PyTorch does not keep random "
                "numbers; leave it out, or set dropout and drop_path to 0"
            )

    def kept_small(images: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return forward(images)
        own = [vars(block).get("forward") for block in blocks]
        try:
            for block in blocks:
                block.forward = partial(checkpoint, block.forward, use_reentrant=False)
            return forward(images)
        finally:
            for block, before in zip(blocks, own, strict=True):
                if before is None:
                    vars(block).pop("forward", None)
                else:
                    block.forward = before

    return kept_small
