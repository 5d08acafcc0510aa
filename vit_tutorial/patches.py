"""Patches: an image becomes a sequence of tokens.

A transformer reads a sequence. An image is a grid. So the image is cut into squares of P x P pixels, the squares
are put in reading order, and each becomes one vector of D numbers.

    images [B, C, H, W]  ->  patches [B, N, P*P*C]  ->  tokens [B, N, D]        N = (H/P) * (W/P)

Source: Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", section 3.1, equation 1.
"""

import math
import operator
from collections.abc import Sequence
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Shaped
from torch import Tensor, nn


def patchify(images: Shaped[Tensor, "B C H W"], patch_size: int) -> Shaped[Tensor, "B N {patch_size}*{patch_size}*C"]:
    """Cut images into patches in reading order, and flatten each patch to a row of pixels, channels last.

    Shapes: [B, C, H, W] -> [B, N, P*P*C] with N = (H/P) * (W/P). Any dtype; values are moved, never changed.
    Raises ValueError if the images are not a batch of rank 4 or do not divide into patches.
    Source: section 3.1 of the paper, the patches x_p of equation 1.
    """
    _check_rank(images)
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
        raise ValueError(f"patches must have rank 3 [B, N, P*P*C]; got rank {patches.ndim}, shape {_shape(patches)}")
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


def as_pair(size: int | Sequence[int]) -> tuple[int, int]:
    """Read a size of an image or a grid: one number stands for both sides, two are (height, width).

    Raises ValueError for anything else, and for a side below 1.
    """
    sides = tuple(size) if isinstance(size, Sequence) and not isinstance(size, str) else (size, size)
    if len(sides) != 2:
        raise ValueError(f"the size is {size!r}; give one whole number, or two as (height, width)")
    return whole_number("a side of the size", sides[0], 1), whole_number("a side of the size", sides[1], 1)


def whole_number(name: str, value: object, least: int | None = None) -> int:
    """Read a whole number, NumPy's and PyTorch's too.

    Raises ValueError with its name for another value, True and False among them, and for one below `least`.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise ValueError(f"{name} is {value!r}; it must be one whole number")
    if least is not None and number < least:
        raise ValueError(f"{name} is {number}; it must be {least} or more")
    return number


def check_kind(name: str, value: object, kind: type, advice: str = "") -> Any:
    """Give the value back if it is of this class; raise TypeError with its name if it is of another one."""
    if not isinstance(value, kind):
        built = f", so take {kind.__name__}(**{name})" if isinstance(value, dict) else ""
        raise TypeError(f"{name} must be a {kind.__name__}; got {type(value).__name__}{built}{advice}")
    return value


def check_tokens(module: nn.Module, tokens: Tensor, dim: int, axes: str = "...") -> None:
    """Raise ValueError unless tokens are [axes, dim], and TypeError unless a module can compute with their numbers.

    Of types only float64 and whole numbers are compared with the module's own, which never go with another.
    """
    check_kind("tokens", tokens, Tensor)
    if tokens.shape[-1:] != (dim,) or (axes == "B, N" and tokens.ndim != 3):
        raise ValueError(f"tokens must be [{axes}, {dim}]; got shape {_shape(tokens)}")
    if tokens.dtype == torch.float64 or not tokens.is_floating_point():
        dtype = next(module.parameters(), tokens).dtype
        if tokens.dtype != dtype:
            raise TypeError(f"tokens are {tokens.dtype} and the weights {dtype}; convert them with tokens.to({dtype})")


def check_channels(images: Tensor, in_channels: int) -> None:
    """Raise ValueError unless images are [B, in_channels, H, W], and TypeError if they are no tensor."""
    _check_rank(images)
    channels = images.shape[1]
    if channels != in_channels == images.shape[-1]:
        raise ValueError(
            f"images have shape {_shape(images)}, with their {in_channels} channels last; "
            "a model takes [B, C, H, W]: turn them with images.permute(0, 3, 1, 2)"
        )
    if channels != in_channels:
        raise ValueError(
            f"images have {channels} channels but in_channels is {in_channels}; "
            f"convert them, or build the model with in_channels={channels}"
        )


def check_pixels(images: Tensor, layer: nn.Module) -> None:
    """Raise TypeError unless the layer computes with such numbers, and ValueError where a CPU finds NaN or infinity."""
    if not images.is_floating_point():
        raise TypeError(
            f"images are {images.dtype}, but a model computes with real numbers; "
            "convert with images.float() / 255 and normalise"
        )
    dtype = next(layer.parameters(), images).dtype
    if not go_together(images, dtype):
        raise TypeError(
            f"images are {images.dtype} and the weights {dtype}; convert them with images.to({dtype}), "
            f"or the model with model.to({images.dtype})"
        )
    # On an accelerator this look at the values would make every step wait for the device.
    if images.device.type == "cpu" and not torch.compiler.is_compiling() and not _are_finite(images):
        bad = int((~images.isfinite()).sum())
        raise ValueError(
            f"images hold NaN or infinity in {bad} of {images.numel()} values; look for a division by zero, "
            "or use images.nan_to_num()"
        )


def go_together(one: Tensor, dtype: torch.dtype) -> bool:
    """Say whether PyTorch computes with real numbers of both types: only autocast does, and not with float64."""
    if one.dtype == dtype:
        return True
    device = one.device.type
    converts = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    return converts and torch.float64 not in (one.dtype, dtype)


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


def _are_finite(images: Tensor) -> bool:
    try:
        return bool(images.sum().isfinite()) or bool(images.isfinite().all())  # the sum alone may overflow
    except RuntimeError:  # inside torch.vmap no single value can be looked at
        return True


def _check_rank(images: Tensor) -> None:
    if not isinstance(images, Tensor):
        raise TypeError(
            f"images are a {type(images).__module__}.{type(images).__qualname__}; pass a tensor [B, C, H, W], such as "
            "torch.as_tensor(numpy.array(images)), turned with permute where the channels come last"
        )
    if images.ndim != 4:
        hint = "; add the batch axis with images[None]" if images.ndim == 3 else ""
        raise ValueError(f"images must have rank 4 [B, C, H, W]; got rank {images.ndim}, shape {_shape(images)}{hint}")
    if images.numel() == 0:
        raise ValueError(f"the batch is empty: shape {_shape(images)}; pass at least one image")


def _check_divides(height: int, width: int, patch_size: int) -> None:
    whole_number("patch_size", patch_size, 1)
    for side, size in (("height", height), ("width", width)):
        if size % patch_size:
            below, above = size // patch_size * patch_size, -(-size // patch_size) * patch_size
            sizes = f"{below} or {above}" if below else f"{above}"
            raise ValueError(
                f"image {side} {size} is not a multiple of patch_size {patch_size}; resize or pad to {sizes}"
            )


def _shape(tensor: Tensor) -> list[int]:
    return list(tensor.shape)
