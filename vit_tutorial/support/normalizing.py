"""Pixels as the numbers that a model takes: shifted and scaled, channel by channel."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vit_tutorial.support.checks import check_tensor
from vit_tutorial.support.sending import send


def normalize(images: Tensor, mean: Sequence[float], std: Sequence[float], owner: str) -> Tensor:
    """Compute (pixels / 255 - mean) / std for uint8 pixels [*B, C, H, W], with one mean and one std a channel.

    Raises ValueError for pixels of another type, which somebody may have divided by 255 before, and for another number
    of channels than `owner` takes: the words that the sentence begins with. Raises TypeError for what is no tensor.
    """
    check_tensor("images", images)
    if images.dtype != torch.uint8:
        raise ValueError(f"normalize takes uint8 pixels from 0 to 255, got {images.dtype}; pass the images unscaled")
    if images.ndim < 3 or images.shape[-3] != len(mean):
        raise ValueError(
            f"{owner} images of shape [B,{len(mean)},H,W], got {list(images.shape)}; put the {len(mean)} channel(s) "
            "third from the end"
        )
    shift, scale = (  # brought over without waiting for a GPU to be done with what it was told before
        send(torch.tensor(values, dtype=torch.float32).view(-1, 1, 1), images.device) for values in (mean, std)
    )
    return (images.float() / 255 - shift) / scale
