"""Augmentation: each time the model meets a picture, it is a slightly different one, so that it learns, not memorises.

    images [B, C, H, W]  ->  images [B, C, H, W]        every image of the batch gets its own random numbers

All works on whole batches of uint8 pixels, on the device where they lie. A library's transforms take one picture at a
time, which on small pictures costs more than the model itself.

Source: He et al. 2016, "Deep Residual Learning for Image Recognition", section 4.2 (flip and shifted crop).
"""

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor


def augment(
    images: Shaped[Tensor, "B C H W"], mirror: bool, max_shift: int, generator: torch.Generator | None = None
) -> Shaped[Tensor, "B C H W"]:
    """Mirror half of the images if `mirror`, and move each by up to `max_shift` pixels down or up, right or left.

    Shapes: [B, C, H, W] -> [B, C, H, W], any dtype. `generator` lives on the device of the images.
    Raises ValueError if `max_shift` does not fit the images.
    """
    count, device = len(images), images.device
    height, width = images.shape[-2:]
    if not 0 <= max_shift < min(height, width):
        raise ValueError(
            f"max_shift is {max_shift} pixels, but the images are {height}x{width}; "
            f"use a number from 0 to {min(height, width) - 1}"
        )
    if mirror:
        images = flip(images, torch.rand(count, generator=generator, device=device) < 0.5)
    if max_shift:
        offsets = torch.randint(-max_shift, max_shift + 1, (count, 2), generator=generator, device=device)
        images = shift(images, offsets)
    return images


def flip(images: Shaped[Tensor, "B C H W"], chosen: Bool[Tensor, " B"]) -> Shaped[Tensor, "B C H W"]:
    """Mirror the chosen images left to right."""
    return torch.where(chosen[:, None, None, None], images.flip(-1), images)


def shift(images: Shaped[Tensor, "B C H W"], offsets: Int[Tensor, "B 2"]) -> Shaped[Tensor, "B C H W"]:
    """Look at each image through a window moved by its own (down, right) pixels; beyond the edge lies the mirror image.

    Shapes: images [B, C, H, W], offsets [B, 2] with |down| < H and |right| < W -> [B, C, H, W]. It equals padding by
    reflection and cropping.
    """
    _, channels, height, width = images.shape
    rows = _reflect(torch.arange(height, device=images.device) + offsets[:, :1], height)  # [B, H]
    columns = _reflect(torch.arange(width, device=images.device) + offsets[:, 1:], width)  # [B, W]
    image = torch.arange(len(images), device=images.device)
    channel = torch.arange(channels, device=images.device)
    return images[image[:, None, None, None], channel[:, None, None], rows[:, None, :, None], columns[:, None, None, :]]


def _reflect(index: Tensor, size: int) -> Tensor:
    """Fold places before 0 and after size - 1 back into the image: -1 becomes 1, and size becomes size - 2."""
    return (size - 1) - ((size - 1) - index.abs()).abs()
