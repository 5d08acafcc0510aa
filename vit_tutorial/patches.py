"""Patches: an image becomes a sequence of tokens.

A transformer reads a sequence. An image is a grid. So the image is cut into squares of P x P pixels, the squares
are put in reading order, and each becomes one vector of D numbers.

    images [B, C, H, W]  ->  patches [B, N, P*P*C]  ->  tokens [B, N, D]        N = (H/P) * (W/P)

Source: Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", section 3.1, equation 1.
"""

import math

from einops import rearrange
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from vit_tutorial.inputs import as_pair, check_channels, check_kind, check_pixels, check_rank, whole_number


def patchify(images: Shaped[Tensor, "B C H W"], patch_size: int) -> Shaped[Tensor, "B N {patch_size}*{patch_size}*C"]:
    """Cut images into patches in reading order, and flatten each patch to a row of pixels, channels last.

    Shapes: [B, C, H, W] -> [B, N, P*P*C] with N = (H/P) * (W/P). Any dtype; values are moved, never changed.
    Raises ValueError if the images are not a batch of rank 4 or do not divide into patches.
    Source: section 3.1 of the paper, the patches x_p of equation 1.
    """
    check_rank(images)
    _check_divides(*images.shape[-2:], patch_size)
    return rearrange(images, "b c (h p1) (w p2) -> b (h w) (p1 p2 c)", p1=patch_size, p2=patch_size)


def unpatchify(
    patches: Shaped[Tensor, "B N PPC"], image_size: int | tuple[int, int], channels: int = 3
) -> Shaped[Tensor, "B {channels} H W"]:
    """Put patches back together: the exact inverse of `patchify`.

    Shapes: [B, N, P*P*C] -> [B, C, H, W]. `image_size` is H = W, or (H, W), in pixels.
    Raises ValueError if no square patch size fits N patches of P*P*C numbers into that image.
    Source: section 3.1 of the paper, the patches x_p of equation 1, read backwards.
    """
    check_kind("patches", patches, Tensor)
    if patches.ndim != 3:
        raise ValueError(
            f"patches must have rank 3 [B, N, P*P*C]; got rank {patches.ndim}, shape {list(patches.shape)}"
        )
    whole_number("channels", channels, 1)
    height, width = as_pair(image_size)
    num_patches, numbers = patches.shape[1:]
    patch_size = math.isqrt(numbers // channels)
    if patch_size * patch_size * channels != numbers or patch_size == 0:
        raise ValueError(
            f"{numbers} numbers per patch are not P*P*{channels} for any whole P; check channels={channels}"
        )
    _check_divides(height, width, patch_size)
    grid = (height // patch_size, width // patch_size)
    if grid[0] * grid[1] != num_patches:
        raise ValueError(
            f"{num_patches} patches do not fill a {height}x{width} image: with P={patch_size} it takes "
            f"{grid[0]}x{grid[1]} = {grid[0] * grid[1]}; check image_size"
        )
    return rearrange(
        patches, "b (h w) (p1 p2 c) -> b c (h p1) (w p2)", h=grid[0], w=grid[1], p1=patch_size, p2=patch_size
    )


class PatchEmbedding(nn.Module):
    """Cut images into patches and project each one to D numbers, with one convolution whose stride is its kernel.

    The kernel never straddles two patches, so this is `patchify` followed by one linear layer, computed faster.
    Shapes: [B, C, H, W] -> [B, N, D]. `image_size` is H = W, or (H, W), in pixels.
    Raises ValueError for a size below 1, and ValueError or TypeError with the numbers if the images do not fit.
    Source: section 3.1 of the paper, the product x_p E of equation 1.
    """

    def __init__(self, image_size: int | tuple[int, int], patch_size: int, in_channels: int = 3, dim: int = 768):
        super().__init__()
        self.image_size = as_pair(image_size)
        _check_divides(*self.image_size, patch_size)
        for name, size in (("in_channels", in_channels), ("dim", dim)):
            whole_number(name, size, 1)
        self.patch_size = patch_size
        self.grid_size = (self.image_size[0] // patch_size, self.image_size[1] // patch_size)
        self.num_patches = self.grid_size[0] * self.grid_size[1]
        self.in_channels = in_channels
        self.proj = self._projection(in_channels, dim, patch_size)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B N D"]:
        self._check_input(images)
        return self._project(images)

    def _project(self, pixels: Tensor) -> Tensor:
        grid = self.proj(pixels)  # [B, C, H, W] -> [B, D, H/P, W/P]
        return grid.flatten(2).transpose(1, 2)  # -> [B, D, N] -> [B, N, D]

    @staticmethod
    def _projection(in_channels: int, dim: int, patch_size: int) -> nn.Conv2d:
        proj = nn.Conv2d(in_channels, dim, kernel_size=patch_size, stride=patch_size)
        nn.init.trunc_normal_(proj.weight, std=math.sqrt(1 / (in_channels * patch_size**2)))
        nn.init.zeros_(proj.bias)
        return proj

    def _check_input(self, images: Tensor) -> None:
        check_channels(images, self.in_channels)
        size = images.shape[2:]
        if tuple(size) != self.image_size:
            raise ValueError(
                f"images are {size[0]}x{size[1]} but the model was built for "
                f"{self.image_size[0]}x{self.image_size[1]}; resize them, or build another with "
                f"image_size={tuple(size)} and load_weights(another, model.state_dict()), which stretches the positions"
            )
        check_pixels(images, self.proj)


def _check_divides(height: int, width: int, patch_size: int) -> None:
    whole_number("patch_size", patch_size, 1)
    for side, size in (("height", height), ("width", width)):
        if size % patch_size:
            below, above = size // patch_size * patch_size, -(-size // patch_size) * patch_size
            sizes = f"{below} or {above}" if below else f"{above}"
            raise ValueError(
                f"image {side} {size} is not a multiple of patch_size {patch_size}; resize or pad to {sizes}"
            )
