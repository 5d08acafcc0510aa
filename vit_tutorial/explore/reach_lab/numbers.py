"""The numbers of the reach lab: which pixels a place can see by count, and how strongly it answers to each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from vit_tutorial.cnn import CNN
from vit_tutorial.explore.limits import Between, Limit, settle
from vit_tutorial.explore.pictures import as_picture, check_model, normalized
from vit_tutorial.explore.words import decimals, patch_name, percent
from vit_tutorial.introspection import in_eval_mode, receptive_distance
from vit_tutorial.vit import ViT

Box = tuple[int, int, int, int]  # first row, first column, and those after the last


@dataclass(frozen=True)
class Stage:
    """A stage of a model, and what its places can see by count: a window, one patch, or all of the picture."""

    of: str  # "CNN" or "ViT"
    name: str  # as in forward_intermediates
    sees: str  # "window", "patch" or "all"
    width: int = 0  # of the window, in pixels
    step: int = 1  # pixels from the middle of one window to the next


def check_pair(cnn: CNN, vit: ViT) -> None:
    """Raise ValueError if the two do not take the same pictures, or one is of a kind that the lab does not count."""
    check_model(cnn, CNN)
    check_model(vit)
    if cnn.config.padding != "zeros":
        raise ValueError(f"the CNN has padding={cnn.config.padding!r}; the reach lab counts with padding='zeros'")
    if vit.config.stem != "patch":
        raise ValueError(f"the ViT has stem={vit.config.stem!r}; the reach lab shows models with stem='patch'")
    if cnn.config.in_channels != vit.config.in_channels:
        raise ValueError(
            f"the CNN takes {cnn.config.in_channels} channels and the ViT {vit.config.in_channels}; give two models "
            "for the same pictures"
        )


def stages_of(cnn: CNN, vit: ViT) -> list[Stage]:
    """List the stages of both models, from the picture up."""
    layers = [(7, 2), (3, 2)] if cnn.config.stem == "7x7" else [(3, 1)]  # kernel and stride
    names, ends = ["stem"], [len(layers)]
    for i, blocks in enumerate(cnn.config.layers):
        for j in range(blocks):
            stride = 2 if i and not j else 1
            layers += [(3, stride), (3, 1)] if cnn.config.block == "basic" else [(3, stride)]
            names.append(f"layer{i + 1}.{j}")
            ends.append(len(layers))
    found = [Stage("CNN", name, "window", *count_seen(layers[:end])) for name, end in zip(names, ends, strict=True)]
    blocks = [Stage("ViT", f"blocks.{i}", "all") for i in range(vit.config.depth)]
    return [*found, Stage("ViT", "patch_embed", "patch"), *blocks]


def count_seen(layers: list[tuple[int, int]]) -> tuple[int, int]:
    """Count the pixels in a row that a place sees through layers (kernel, stride), and those from place to place."""
    width = step = 1
    for kernel, stride in layers:
        width, step = width + (kernel - 1) * step, step * stride
    return width, step


def place_of(stage: Stage, row: int, column: int, patch: int) -> tuple[int, int]:
    """Name the place on the grid of a stage that holds the middle of a patch."""
    if stage.sees != "window":
        return row, column
    return (row * patch + patch // 2) // stage.step, (column * patch + patch // 2) // stage.step


def box_of(stage: Stage, row: int, column: int, patch: int, size: tuple[int, int]) -> Box:
    """Say which pixels of a picture of this size the place at a patch can see."""
    if stage.sees == "all":
        return 0, 0, *size
    if stage.sees == "patch":
        return row * patch, column * patch, (row + 1) * patch, (column + 1) * patch
    middle, half = [at * stage.step for at in place_of(stage, row, column, patch)], stage.width // 2
    first = [max(0, at - half) for at in middle]
    after = [min(side, at + half + 1) for at, side in zip(middle, size, strict=True)]
    return first[0], first[1], after[0], after[1]


def fields_of(cnn: CNN, vit: ViT, picture: UInt8[np.ndarray, "C H W"]) -> list[Float[np.ndarray, "places H W"]]:
    """Measure, for each stage, how strongly the place at each patch answers to each pixel: shares that sum to 1.

    As `receptive_field` does it: the size of the gradient, of this one picture.
    """
    rows, columns = vit.grid_size
    cells = [divmod(cell, columns) for cell in range(rows * columns)]
    found = []
    for model in (cnn, vit):
        wanted = [stage for stage in stages_of(cnn, vit) if stage.of == ("CNN" if model is cnn else "ViT")]
        images = normalized(model, picture).repeat(len(cells), 1, 1, 1).requires_grad_()  # one copy for each place
        with in_eval_mode(model), torch.enable_grad():
            stages = model.forward_intermediates(images)
            for stage in wanted:
                places = [place_of(stage, *cell, vit.config.patch_size) for cell in cells]
                found.append(_field(_on_grid(stages[stage.name], vit), images, places))
    return found


def _field(features: Float[Tensor, "P F h w"], images: Tensor, places: list[tuple[int, int]]) -> np.ndarray:
    at = torch.tensor(places)
    chosen = features[torch.arange(len(at)), :, at[:, 0], at[:, 1]]  # [P, F]
    signs = torch.randint(0, 2, (1, chosen.shape[1]), generator=torch.Generator().manual_seed(0)) * 2 - 1
    (gradient,) = torch.autograd.grad((chosen * signs.to(chosen)).sum(), images, retain_graph=True)
    size = gradient.square().sum(dim=1).sqrt()  # [P, H, W]
    total = size.sum(dim=(1, 2), keepdim=True)
    return (size / torch.where(total > 0, total, 1)).detach().double().numpy()


def _on_grid(x: Tensor, vit: ViT) -> Float[Tensor, "P F h w"]:
    rows, columns = vit.grid_size
    return x if x.ndim == 4 else rearrange(x[:, -rows * columns :], "b (h w) d -> b d h w", h=rows)


def distances_of(stages: list[Stage], fields: list[np.ndarray], vit: ViT) -> list[list[float]]:
    """Say how far, in pixels, each place of each stage looks on average from the middle of what it stands for."""
    (rows, columns), patch = vit.grid_size, vit.config.patch_size
    found = []
    for stage, field in zip(stages, fields, strict=True):
        height, width = field.shape[1:]
        grid = (rows, columns) if stage.sees != "window" else (-(-height // stage.step), -(-width // stage.step))
        places = [place_of(stage, *divmod(cell, columns), patch) for cell in range(rows * columns)]
        found.append(
            [
                round(receptive_distance(torch.from_numpy(one), grid, at), 3)
                for one, at in zip(field, places, strict=True)
            ]
        )
    return found


def levels_of(field: Float[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W"]:
    """Give the brightness of each pixel, 0 to 255: the root of its share of the largest, so that small ones show."""
    return np.round(255 * np.sqrt(field / max(field.max(), 1e-300))).astype(np.uint8)


def reach_lab_limits(cnn: CNN, vit: ViT) -> Iterator[tuple[str, Limit]]:
    """What the choices may be for these two models."""
    yield "stage", Between(0, len(stages_of(cnn, vit)) - 1)
    yield "place", Between(0, vit.grid_size[0] * vit.grid_size[1] - 1)


@dataclass(frozen=True)
class ReachLabState:
    """What the place at one patch can see and did see, at every stage of both models."""

    image: UInt8[np.ndarray, "C H W"]
    grid: tuple[int, int]  # rows and columns of patches
    patch: int  # pixels
    stage: int
    place: int
    stages: list[Stage]
    boxes: list[Box]  # by stage
    fields: list[Float[np.ndarray, "H W"]]  # by stage: shares that sum to 1
    distances: list[float]  # by stage, in pixels
    words: str


def reach_lab_state(
    cnn: CNN, vit: ViT, image, stage: int = 0, place: int = 0, name: str = "The picture", weights: str = "as they are"
) -> ReachLabState:
    """Compute all that the reach lab shows of one uint8 picture [C, H, W]; `place` is a patch of the ViT's grid.

    Raises ValueError if a choice is out of range, or the models are not two that `check_pair` accepts.
    """
    check_pair(cnn, vit)
    settle(reach_lab_limits(cnn, vit), {"stage": stage, "place": place})
    picture = as_picture(image)
    fields = fields_of(cnn, vit, picture)
    distances = distances_of(stages_of(cnn, vit), fields, vit)
    shown = [field[place] for field in fields]
    return make_state(cnn, vit, picture, stage, place, shown, [row[place] for row in distances], name, weights)


def make_state(
    cnn: CNN,
    vit: ViT,
    picture: UInt8[np.ndarray, "C H W"],
    stage: int,
    place: int,
    fields: list[Float[np.ndarray, "H W"]],
    distances: list[float],
    name: str,
    weights: str,
) -> ReachLabState:
    """Put a state together from fields that are known already."""
    stages, patch, size = stages_of(cnn, vit), vit.config.patch_size, picture.shape[1:]
    row, column = divmod(place, vit.grid_size[1])
    boxes = [box_of(one, row, column, patch, size) for one in stages]
    top, left, bottom, right = boxes[stage]
    share = (bottom - top) * (right - left) / (size[0] * size[1])
    far = {
        of: ", ".join(decimals(far, 1) for one, far in zip(stages, distances, strict=True) if one.of == of)
        for of in ("CNN", "ViT")
    }
    words = (
        f"{name}, models {weights}, {patch_name(place, vit.grid_size[1])}. "
        f"{stages[stage].of} {stages[stage].name} can see {bottom - top} by {right - left} pixels here, "
        f"{percent(share)} of the picture. On average it looks {decimals(distances[stage], 1)} pixels far. "
        f"Stage by stage, the CNN looks {far['CNN']} pixels far, and the ViT {far['ViT']}."
    )
    return ReachLabState(picture, vit.grid_size, patch, stage, place, stages, boxes, fields, distances, words)
