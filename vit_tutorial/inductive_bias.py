"""What a network takes for granted: that a thing is the same wherever it is, and that neighbours belong together.

    shifted, shift_test             the picture is moved: does the answer stay?
    permute_patches, permute_pixels the picture is scrambled: was its order needed?
    permute_positions               the same done to a ViT in place of its pictures

Sources: Dosovitskiy et al. 2021, section 3.1, "Inductive bias"; Battaglia et al. 2018, "Relational inductive biases,
deep learning, and graph networks"; Azulay and Weiss 2019, "Why do deep convolutional networks generalize so poorly to
small image transformations?"
"""

import copy
from collections.abc import Iterable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Int64, Shaped, UInt8
from torch import Tensor, nn

from vit_tutorial.inputs import check_kind, check_rank
from vit_tutorial.introspection import in_eval_mode
from vit_tutorial.patches import patchify, unpatchify
from vit_tutorial.support.checks import check_images, check_labels
from vit_tutorial.vit import ViT

Border = Literal["zeros", "circular"]  # what comes in where a picture is moved away: black, or what went out


# --- Moved pictures --------------------------------------------------------------------------------------------------


class Moved(NamedTuple):
    """How a model answers pictures that were moved by so many pixels: the mean over four directions."""

    pixels: int
    accuracy: float  # 0..1
    agreement: float  # share of the pictures that get the same answer as before they were moved, 0..1


def shifted(
    images: Shaped[Tensor, "*B C H W"], rows: int, columns: int, border: Border = "zeros"
) -> Shaped[Tensor, "*B C H W"]:
    """Move pictures down by `rows` pixels and to the right by `columns`; negative numbers are up and to the left.

    Raises ValueError for a border that is neither "zeros" nor "circular".
    """
    if border not in ("zeros", "circular"):
        raise ValueError(f"border is {border!r}; it must be 'zeros' or 'circular'")
    moved = images.roll((rows, columns), dims=(-2, -1))
    if border == "circular":
        return moved
    for dim, pixels in ((-2, rows), (-1, columns)):
        side, came_in = images.shape[dim], min(abs(pixels), images.shape[dim])
        if came_in:
            moved.narrow(dim, 0 if pixels > 0 else side - came_in, came_in).zero_()
    return moved


@torch.no_grad()
def shift_test(
    model: nn.Module,
    images: UInt8[Tensor, "B C H W"],
    labels: Int64[Tensor, " B"],
    pixels: Iterable[int],
    border: Border = "zeros",
) -> list[Moved]:
    """Move all pictures by so many pixels up, down, left and right, and ask the model again.

    Shapes: images [B, C, H, W] of 0 to 255, labels [B] -> one row for each number of pixels. The model needs its card,
    which says how pixels become its input, and runs in eval mode.
    Raises ValueError for a model without mean and std or images that are not bytes, and TypeError or ValueError for
    labels that are not int64 of 0..K-1, one an image.
    """
    card = getattr(model, "card", None)
    if card is None or not card.mean:
        raise ValueError("the model has no card with mean and std; train it with fit, or set model.card")
    check_images(images)

    def logits(images: Tensor) -> Tensor:
        return torch.cat([model(card.normalize(part)) for part in images.split(250)])

    rows = []
    with in_eval_mode(model):
        before = logits(images)
        check_labels(labels, len(images), before.shape[1])
        before = before.argmax(dim=1)
        for distance in pixels:
            moves = {(distance, 0), (-distance, 0), (0, distance), (0, -distance)}  # just one where nothing moves
            after = torch.stack([logits(shifted(images, *move, border)).argmax(dim=1) for move in sorted(moves)])
            accuracy, agreement = ((after == same).double().mean().item() for same in (labels, before))
            rows.append(Moved(distance, accuracy, agreement))
    return rows


# --- Scrambled pictures ----------------------------------------------------------------------------------------------


def permute_patches(
    images: Shaped[Tensor, "B C H W"], order: Int64[Tensor, " N"], patch_size: int
) -> Shaped[Tensor, "B C H W"]:
    """Put patch order[i] of each picture where patch i was.

    Raises TypeError for an order that is no tensor of whole numbers, and ValueError if it does not name each patch
    once, or the picture cannot be cut.
    """
    patches = patchify(images, patch_size)  # [B, C, H, W] -> [B, N, P*P*C]
    _check_order(order, patches.shape[1], "patches")
    return unpatchify(patches[:, order], tuple(images.shape[-2:]), channels=images.shape[1])


def permute_pixels(images: Shaped[Tensor, "B C H W"], order: Int64[Tensor, " HW"]) -> Shaped[Tensor, "B C H W"]:
    """Put pixel order[i] of each picture where pixel i was, its channels together.

    Raises TypeError for an order that is no tensor of whole numbers, and ValueError if it does not name each pixel
    once, or the pictures are not a batch of rank 4.
    """
    check_rank(images)
    pixels = images.flatten(2)  # [B, C, H, W] -> [B, C, H*W]
    _check_order(order, pixels.shape[2], "pixels")
    return pixels[:, :, order].view_as(images)


def permute_positions(model: ViT, order: Int64[Tensor, " N"]) -> ViT:
    """Copy a ViT with its position vectors in another order: it says of pictures what the model says of scrambled ones.

    That is, permute_positions(model, order)(images) equals model(permute_patches(images, order, P)): attention asks in
    which position a patch is, and never which is next in memory. Raises TypeError for a model that is no ViT or an
    order that is no tensor of whole numbers, and ValueError for a model whose patches overlap (a hybrid), that has no
    learned positions, or an order of another number of patches.
    """
    check_kind("model", model, ViT)
    if model.config.stem != "patch" or model.config.position != "learned":
        raise ValueError(
            f"the model has stem {model.config.stem!r} and position {model.config.position!r}; take one with patches "
            "of pixels and learned positions"
        )
    _check_order(order, model.patch_embed.num_patches, "patches")
    twin, prefix = copy.deepcopy(model), model.num_prefix_tokens
    twin.position.pos_embed.data[:, prefix + order] = model.position.pos_embed.data[:, prefix:]
    return twin


def _check_order(order: Tensor, count: int, what: str) -> None:
    if not isinstance(order, Tensor) or order.dtype not in (torch.int32, torch.int64):
        given = order.dtype if isinstance(order, Tensor) else f"a {type(order).__name__}"
        raise TypeError(f"the order is {given}; give whole numbers, torch.as_tensor(order).long()")
    if not torch.equal(order.sort().values, torch.arange(count, device=order.device)):
        raise ValueError(
            f"the order has {order.numel()} numbers for {count} {what}; give each of 0 to {count - 1} once"
        )
