"""Augmentation: each time the model meets a picture, it is a slightly different one, so that it learns, not memorises.

    draw    draws for B images: what is to happen to each of them
    augment images [B, C, H, W] -> images [B, C, H, W]     mirrored, moved, one change of shape and one of colour
    erase, mix                                             the same after normalising: a box erased, two pictures mixed

Every image of a batch has its own random numbers, and a whole batch is changed at once, on the device where it lies.
torchvision's transforms give one set of numbers to all images they get, and one call an image is many times slower: see
tests/benchmarks/bench_step.py. Where an operation has no numbers of its own, torchvision's does the work.

All random numbers are drawn on the CPU, whatever the device: so one seed gives the same pictures everywhere.

Sources: He et al. 2016, "Deep Residual Learning for Image Recognition", section 4.2 (flip and shifted crop); Müller and
Hutter 2021, "TrivialAugment", the wide search space (changes of shape and colour; a move goes up to half a side, theirs
to 32 pixels); Zhong et al. 2020, "Random Erasing" (boxes up to a third, as in torchvision and timm; their code has
0.4); Yun et al. 2019, "CutMix", equation 1; Zhang et al. 2018, "mixup".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from torch import Tensor
from torch.nn import functional as F

from vit_tutorial.support.sending import send

ERASED_AREA = (0.02, 1 / 3)  # share of the image, the smallest and the largest box
ERASED_RATIO = (0.3, 3.3)  # height over width of the box


@dataclass(frozen=True, eq=False)
class Draws:
    """What is to happen to each of B images; a field is None where nothing of its kind happens. All on the CPU.

    A box is (top, left, bottom, right) in pixels, the last two not included; it is empty where an image has none.
    """

    mirrored: Bool[Tensor, " B"] | None = None
    offsets: Int[Tensor, "B 2"] | None = None  # the window moves by so many pixels (down, right)
    shape: Int[Tensor, " B"] | None = None  # which of SHAPE_OPERATIONS
    shape_amount: Float[Tensor, " B"] | None = None  # -1..1, share of the operation's range
    colour: Int[Tensor, " B"] | None = None  # which of COLOUR_OPERATIONS
    colour_amount: Float[Tensor, " B"] | None = None  # -1..1
    erased: Int[Tensor, "B 4"] | None = None  # box
    pasted: Int[Tensor, "B 4"] | None = None  # box that comes from the partner (CutMix)
    kept: Float[Tensor, " B"] | None = None  # share of its own brightness that an image keeps (mixup), 0..1
    own_share: Float[Tensor, " B"] | None = None  # share of the image's own label in its target, 0..1

    def shard(self, rows: slice) -> "Draws":
        """Give what is to happen to some of the images."""
        return Draws(*(None if values is None else values[rows] for values in vars(self).values()))


def draw(
    count: int,
    size: tuple[int, int],
    *,
    flip: bool = False,
    max_shift: int = 0,
    distort: float = 0.0,
    erase: float = 0.0,
    cutmix: float = 0.0,
    mixup: float = 0.0,
    generator: torch.Generator | None = None,
) -> Draws:
    """Draw what is to happen to `count` images of `size` (H, W) pixels.

    `flip` mirrors half of them. `max_shift` moves each by up to so many pixels. `distort` (0 to 1) gives each one
    change of shape and one of colour, with the ranges of TrivialAugment (of a move: half a side) times this number.
    `erase`, `cutmix` and `mixup` are the shares of images that this happens to. `generator` lives on the CPU.
    Raises ValueError if `max_shift` does not fit the images, for a strength or a share outside 0..1, or if those of
    `cutmix` and `mixup` are more than 1 together.
    """
    height, width = size
    if not 0 <= max_shift < min(size):
        raise ValueError(
            f"max_shift is {max_shift} pixels, but the images are {height}x{width}; use a number from 0 to "
            f"{min(size) - 1}"
        )

    for name, share in (("distort", distort), ("erase", erase), ("cutmix", cutmix), ("mixup", mixup)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name} is {share}; it must be from 0 to 1")
    check_mixed(cutmix, mixup)

    def uniform(low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    drawn = {}
    if flip:
        drawn["mirrored"] = uniform() < 0.5
    if max_shift:
        drawn["offsets"] = torch.randint(-max_shift, max_shift + 1, (count, 2), generator=generator)
    if distort:
        for kind, operations in (("shape", SHAPE_OPERATIONS), ("colour", COLOUR_OPERATIONS)):
            drawn[kind] = torch.randint(len(operations), (count,), generator=generator)
            drawn[f"{kind}_amount"] = uniform(-distort, distort)
    if erase:
        area, ratio = height * width * uniform(*ERASED_AREA), uniform(*map(math.log, ERASED_RATIO)).exp()
        tall, wide = (area * ratio).sqrt().round().clamp(1, height), (area / ratio).sqrt().round().clamp(1, width)
        top, left = (uniform() * (height - tall + 1)).floor(), (uniform() * (width - wide + 1)).floor()
        boxes = torch.stack([top, left, top + tall, left + wide], dim=1).long()
        drawn["erased"] = boxes * (uniform() < erase)[:, None]
    if cutmix or mixup:
        which, share = uniform(), uniform()  # a uniform share is Beta(1, 1), as both papers have it for CIFAR-10
        pastes, blends = which < cutmix, (which >= cutmix) & (which < cutmix + mixup)
        half = (1 - share).sqrt() / 2 * pastes
        middle = (uniform() * height).floor(), (uniform() * width).floor()
        across = (half * height).floor(), (half * width).floor()
        ends = [
            (m + sign * a).clamp(0, side) for sign in (-1, 1) for m, a, side in zip(middle, across, size, strict=True)
        ]
        boxes = torch.stack(ends, dim=1).long()
        drawn["pasted"], drawn["kept"] = boxes, torch.where(blends, share, 1.0)
        drawn["own_share"] = drawn["kept"] * (1 - _area(boxes) / (height * width))
    return Draws(**drawn)


def check_mixed(cutmix: float, mixup: float) -> None:
    """Raise ValueError unless the shares of images that are mixed, in one way or the other, are 1 or less together."""
    if cutmix + mixup > 1:  # the sum, as 1 - 0.9 is rounded to less than 0.1
        raise ValueError(
            f"cutmix is {cutmix} and mixup {mixup}, which are shares of the same images; they must be 1 or less "
            "together"
        )


# --- On pixels, 0 to 255 ---------------------------------------------------------------------------------------------


def augment(images: UInt8[Tensor, "B C H W"], draws: Draws) -> UInt8[Tensor, "B C H W"]:
    """Mirror and move the images, then change their shape and colour, as `draws` says.

    Shapes: [B, C, H, W] -> [B, C, H, W]; without changes of shape and colour any dtype will do.
    """
    if draws.mirrored is not None:
        images = flip(images, draws.mirrored)
    if draws.offsets is not None:
        images = shift(images, draws.offsets)
    if draws.shape is not None:
        images = change_shape(images, draws.shape, draws.shape_amount)
    if draws.colour is not None:
        images = change_colour(images, draws.colour, draws.colour_amount)
    return images


def flip(images: Shaped[Tensor, "B C H W"], chosen: Bool[Tensor, " B"]) -> Shaped[Tensor, "B C H W"]:
    """Mirror the chosen images left to right."""
    return torch.where(send(chosen, images.device)[:, None, None, None], images.flip(-1), images)


def shift(images: Shaped[Tensor, "B C H W"], offsets: Int[Tensor, "B 2"]) -> Shaped[Tensor, "B C H W"]:
    """Look at each image through a window moved by its own (down, right) pixels; beyond the edge lies the mirror image.

    Shapes: images [B, C, H, W], offsets [B, 2] with |down| < H and |right| < W -> [B, C, H, W]. It equals padding by
    reflection and cropping.
    """
    _, channels, height, width = images.shape
    offsets = send(offsets, images.device)
    rows = _reflect(torch.arange(height, device=images.device) + offsets[:, :1], height)  # [B, H]
    columns = _reflect(torch.arange(width, device=images.device) + offsets[:, 1:], width)  # [B, W]
    image = torch.arange(len(images), device=images.device)
    channel = torch.arange(channels, device=images.device)
    return images[image[:, None, None, None], channel[:, None, None], rows[:, None, :, None], columns[:, None, None, :]]


def _reflect(index: Tensor, size: int) -> Tensor:
    """Fold places before 0 and after size - 1 back into the image: -1 becomes 1, and size becomes size - 2."""
    return (size - 1) - ((size - 1) - index.abs()).abs()


# Matrices [2, 3] that say where a pixel of the new image comes from: old (right, down) = matrix @ new (right, down, 1),
# in pixels, counted from the middle of the image; but the move is in image sizes. The words stand for the numbers that
# `_numbers` makes of an image's own amount.
SHAPE_OPERATIONS: dict[str, tuple[tuple[str, str, str], tuple[str, str, str]]] = {
    "none": (("1", "0", "0"), ("0", "1", "0")),
    "shear across": (("1", "shear", "0"), ("0", "1", "0")),
    "shear down": (("1", "0", "0"), ("shear", "1", "0")),
    "move across": (("1", "0", "move"), ("0", "1", "0")),
    "move down": (("1", "0", "0"), ("0", "1", "move")),
    "rotate": (("cos", "sin", "0"), ("-sin", "cos", "0")),
}


def _numbers(amount: Float[Tensor, " B"]) -> dict[str, Float[Tensor, " B"]]:
    """Give what the words in SHAPE_OPERATIONS stand for, for amounts from -1 to 1."""
    angle = math.radians(135) * amount
    return {
        "0": torch.zeros_like(amount),
        "1": torch.ones_like(amount),
        "shear": 0.99 * amount,
        "move": amount / 2,  # TrivialAugment: 32 pixels, whatever the size
        "cos": angle.cos(),
        "sin": angle.sin(),
        "-sin": -angle.sin(),
    }


def shape_matrices(which: Int[Tensor, " B"], amount: Float[Tensor, " B"]) -> Float[Tensor, "B 2 3"]:
    """Look up the matrix of each image's change of shape.

    Shapes: which [B] of SHAPE_OPERATIONS, amount [B] from -1 to 1 -> [B, 2, 3], float32.
    """
    numbers = _numbers(amount.double())
    words = list(numbers)
    table = torch.tensor([[words.index(word) for row in rows for word in row] for rows in SHAPE_OPERATIONS.values()])
    return torch.stack(list(numbers.values()), dim=1).gather(1, table[which]).float().view(-1, 2, 3)


def change_shape(
    images: UInt8[Tensor, "B C H W"], which: Int[Tensor, " B"], amount: Float[Tensor, " B"]
) -> UInt8[Tensor, "B C H W"]:
    """Shear, move or rotate each image by its own amount; what comes from outside is black, between pixels is linear.

    Shapes: images [B, C, H, W], which [B] of SHAPE_OPERATIONS, amount [B] from -1 to 1 -> [B, C, H, W].
    """
    height, width = images.shape[-2:]
    sides = torch.tensor([width, height], dtype=torch.float32)
    matrix, move = shape_matrices(which, amount).split([2, 1], dim=2)
    theta = torch.cat([matrix * sides / sides[:, None], 2 * move], dim=2)  # [B, 2, 3], in half sizes
    grid = F.affine_grid(send(theta, images.device), list(images.shape), align_corners=False)
    changed = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return changed.round().to(images.dtype)


def change_colour(
    images: UInt8[Tensor, "B C H W"], which: Int[Tensor, " B"], amount: Float[Tensor, " B"]
) -> UInt8[Tensor, "B C H W"]:
    """Change brightness, colour, contrast or the like of each image by its own amount.

    Shapes: images [B, C, H, W], which [B] of COLOUR_OPERATIONS, amount [B] from -1 to 1 -> [B, C, H, W].
    The images of one operation are brought side by side, so that each operation gets a block of them.
    """
    order = which.argsort(stable=True)
    counts = which.bincount(minlength=len(COLOUR_OPERATIONS)).tolist()
    there = send(order, images.device)
    blocks = images[there].split(counts)
    amounts = send(amount[order], images.device)[:, None, None, None].split(counts)
    changed = [
        block if operation is None or not len(block) else operation(block, its_amount).to(images.dtype)
        for operation, block, its_amount in zip(COLOUR_OPERATIONS.values(), blocks, amounts, strict=True)
    ]
    return torch.empty_like(images).index_copy_(0, there, torch.cat(changed))


def _towards(images: Tensor, dull: Tensor | float, amount: Tensor) -> Tensor:
    """Mix the images with a dull version of themselves, or go as far the other way; 0.99 of the way at most."""
    factor = 1 + 0.99 * amount
    return (images.float() * factor + dull * (1 - factor)).clamp(0, 255)


def _grey(images: Tensor) -> Tensor:
    if images.shape[1] != 3:
        return images.float()
    red, green, blue = images.float().unbind(1)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).floor()[:, None]


def _blurred(images: Tensor) -> Tensor:
    """Each pixel mixed with its eight neighbours, 5 parts to 1 each; the pixels at the edge as they were."""
    channels = images.shape[1]
    if min(images.shape[-2:]) < 3:
        return images.float()  # all pixels are at the edge
    kernel = torch.ones(3, 3, device=images.device)
    kernel[1, 1].add_(4)  # kernel[1, 1] = 5 would make the host wait for a GPU
    blurred = images.float()
    inside = F.conv2d(blurred, (kernel / 13).expand(channels, 1, 3, 3), groups=channels).round()
    blurred[..., 1:-1, 1:-1] = inside
    return blurred


def _posterize(images: Tensor, amount: Tensor) -> Tensor:
    dropped = (6 * amount.abs()).round().to(torch.uint8)  # bits of 8
    return images >> dropped << dropped


def _solarize(images: Tensor, amount: Tensor) -> Tensor:
    return torch.where(images >= 255 * (1 - amount.abs()), 255 - images, images)


def _autocontrast(images: Tensor, _: Tensor) -> Tensor:
    """Stretch each channel from 0 to 255, as torchvision does, which makes the host wait for a GPU."""
    values = images.float()
    low, high = (extreme(values, dim=(2, 3), keepdim=True) for extreme in (torch.amin, torch.amax))
    return torch.where(high > low, (values - low) / ((high - low) * (1 / 255)), values).clamp(0, 255)


def _equalize(images: Tensor, _: Tensor) -> Tensor:
    from torchvision.transforms.v2.functional import equalize

    return equalize(images)


COLOUR_OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor] | None] = {
    "none": None,
    "brightness": lambda images, amount: _towards(images, 0.0, amount),
    "colour": lambda images, amount: _towards(images, _grey(images), amount),
    "contrast": lambda images, amount: _towards(images, _grey(images).mean(dim=(1, 2, 3), keepdim=True), amount),
    "sharpness": lambda images, amount: _towards(images, _blurred(images), amount),
    "posterize": _posterize,
    "solarize": _solarize,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
}


# --- On normalised numbers, where 0 is the mean ----------------------------------------------------------------------


def erase(x: Float[Tensor, "B C H W"], boxes: Int[Tensor, "B 4"]) -> Float[Tensor, "B C H W"]:
    """Set each image's own box to 0.

    Shapes: images [B, C, H, W], boxes [B, 4] of top, left, bottom and right in pixels -> [B, C, H, W].
    """
    return x.masked_fill(_inside(x, boxes), 0.0)


def mix(x: Float[Tensor, "B C H W"], draws: Draws) -> Float[Tensor, "B C H W"]:
    """Paste a box of its partner into each image (CutMix), or blend both (mixup); see `partners`.

    The label is mixed in the same way: `draws.own_share` of the image's own, and the rest of its partner's.
    Shapes: [B, C, H, W] -> [B, C, H, W].
    """
    other = partners(x)
    kept = send(draws.kept, x.device)[:, None, None, None].to(x.dtype)
    return torch.where(_inside(x, draws.pasted), other, kept * x + (1 - kept) * other)


def partners(values: Shaped[Tensor, "B ..."]) -> Shaped[Tensor, "B ..."]:
    """Give each image's neighbour in the batch: 1 0 3 2 ...; the last of an odd number is its own partner.

    Batches come in random order, so a neighbour is as good as any other.
    """
    alone = len(values) % 2
    pairs, rest = values.split([len(values) - alone, alone])
    swapped = pairs.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)
    return torch.cat([swapped, rest]) if alone else swapped


def _inside(x: Tensor, boxes: Tensor) -> Tensor:
    """Say of each pixel whether it lies in the box of its image: [B, 1, H, W]."""
    top, left, bottom, right = send(boxes, x.device)[:, :, None].unbind(1)
    rows, columns = (torch.arange(side, device=x.device) for side in x.shape[-2:])
    inside_rows = (rows >= top) & (rows < bottom)  # [B, H]
    inside_columns = (columns >= left) & (columns < right)  # [B, W]
    return (inside_rows[:, :, None] & inside_columns[:, None, :])[:, None]


def _area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
