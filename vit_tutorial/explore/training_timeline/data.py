"""What the training timeline shows of a model at all moments of its training, computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vit_tutorial.explore.pictures import (
    as_array,
    as_batch,
    check_network,
    class_names_of,
    model_input,
    pictures_for,
    shown_classes,
)
from vit_tutorial.introspection import attention_maps, in_eval_mode
from vit_tutorial.positions import PositionEmbedding
from vit_tutorial.vit import ViT

LARGEST = 20_000_000  # attention weights, two bytes each, that travel to the browser


@dataclass(frozen=True)
class TrainingTimelineData:
    """All that the timeline shows, computed once: M models, P pictures, K classes, L layers, N patches."""

    epochs: tuple[int, ...]  # finished when each model was kept, in order; 0 is before training
    accuracy: tuple[float, ...]  # after epoch 1, 2, ...; may be empty
    grid: tuple[int, int]  # rows and columns of patches
    prefix: int  # tokens before the patches: 1 with a class token, else 0
    names: tuple[str, ...]  # of the pictures
    pictures: tuple[np.ndarray, ...]  # uint8 [C, H, W] each
    class_names: tuple[str, ...]
    probabilities: Float[np.ndarray, "M P K"]
    attention: Float[np.ndarray, "M P L 1+N N"]  # mean of the heads; who looks, and at which patch: see `lookers`
    alike: Float[np.ndarray, "M N N"]  # cosine similarity of the positions of the patches
    near: Float[np.ndarray, "M N 2"]  # mean of `alike` over a patch's neighbours, and over all further ones

    @property
    def layers(self) -> int:
        """How many layers the models have."""
        return self.attention.shape[2]

    @property
    def bars(self) -> list[list[int]]:
        """The classes whose bars are shown of each picture: the most probable ones at any moment."""
        return [shown_classes(most) for most in self.probabilities.max(axis=0)]

    @property
    def tokens(self) -> int:
        """How many tokens the models have."""
        return self.prefix + self.grid[0] * self.grid[1]


def training_timeline_data(
    models: Mapping[int, ViT], pictures, names: Sequence[str], accuracy: Sequence[float] = ()
) -> TrainingTimelineData:
    """Run every model once on all pictures, uint8 [P, C, H, W], and compare its positions.

    `models` are by finished epochs; `accuracy` is a share of 1 after epoch 1, 2, ... of the whole training, or empty.
    Raises TypeError for a model that is no ViT, ValueError if models, pictures, names and accuracy do not fit together,
    or a number is not finite.
    """
    epochs = _checked(models)
    first = models[epochs[0]]
    checked = _checked_pictures(first, pictures, names)
    (rows, columns), layers = first.grid_size, first.config.depth
    patches = rows * columns
    size = len(epochs) * len(checked) * layers * (patches + 1) * patches
    if size > LARGEST:
        raise ValueError(
            f"{len(epochs)} models, {len(checked)} pictures, {layers} layers and {patches} patches make {size:,} "
            f"attention weights, and a browser takes {LARGEST:,}; give fewer pictures or models"
        )
    shares = as_array(accuracy, "accuracy").astype(np.float64)
    if shares.ndim != 1:
        raise ValueError(f"accuracy has shape {list(shares.shape)}; give one value for each epoch, or none at all")
    accuracy = tuple(shares.tolist())
    if accuracy and len(accuracy) < epochs[-1]:
        raise ValueError(
            f"accuracy has {len(accuracy)} values, and a model was kept after epoch {epochs[-1]}; "
            "give one value for each epoch, or none at all"
        )
    for epoch, share in enumerate(accuracy, start=1):
        if not 0 <= share <= 1:
            raise ValueError(f"the accuracy after epoch {epoch} is {share}; give shares from 0 to 1")
    found = []
    for epoch in epochs:
        found.append(one_moment(models[epoch], checked))
        if not all(np.isfinite(numbers).all() for numbers in found[-1]):
            raise ValueError(f"the model after epoch {epoch} gives numbers that are not finite; leave it out")
    probabilities, attention, alike, near = (np.stack(parts) for parts in zip(*found, strict=True))
    return TrainingTimelineData(
        epochs=epochs,
        accuracy=accuracy,
        grid=(rows, columns),
        prefix=first.num_prefix_tokens,
        names=tuple(str(name) for name in names),
        pictures=checked,
        class_names=tuple(class_names_of(first)),
        probabilities=probabilities,
        attention=attention,
        alike=alike,
        near=near,
    )


def _checked(models: Mapping[int, ViT]) -> tuple[int, ...]:
    """The epochs in order, after a look at the models.

    Raises TypeError for one that is no ViT, ValueError if there are fewer than two, an epoch is no count, or they are
    not one model at many moments.
    """
    if not isinstance(models, Mapping):
        raise ValueError(
            f"models is a {type(models).__name__}; give a dict from the number of finished epochs to the model then"
        )
    if len(models) < 2:
        raise ValueError(
            f"a timeline needs two or more moments of a training, and models holds {len(models)}; add models by the "
            "number of finished epochs"
        )
    if bad := [epoch for epoch in models if not isinstance(epoch, int) or epoch < 0]:
        raise ValueError(f"models has the key {bad[0]!r}; its keys count finished epochs: 0, 1, 2, ...")
    epochs = tuple(sorted(models))
    first = models[epochs[0]]
    for epoch in epochs:
        check_network(models[epoch])
        model, card = models[epoch], models[epoch].card
        if model.config != first.config:
            raise ValueError(
                f"the models after epoch {epochs[0]} and {epoch} have different configs; give one model at many moments"
            )
        if card is None or not card.mean:
            raise ValueError(
                f"the model after epoch {epoch} has no card with the mean of its input; set "
                "model.card = ModelCard(class_names, mean, std)"
            )
        if [card.class_names, card.mean, card.std] != [first.card.class_names, first.card.mean, first.card.std]:
            raise ValueError(
                f"the cards of the models after epoch {epochs[0]} and {epoch} differ in class names, mean or std; "
                "give one model at many moments"
            )
    if not isinstance(first.position, PositionEmbedding):
        raise ValueError(
            f"the models have position={first.config.position!r}, so there are no positions to compare; "
            "give models with position='learned' or 'sincos'"
        )
    if min(first.grid_size) < 2:
        rows, columns = first.grid_size
        raise ValueError(f"the models cut pictures into {rows} x {columns} patches; give models with 2 x 2 or more")
    return epochs


def _checked_pictures(model: ViT, pictures, names: Sequence[str]) -> tuple[np.ndarray, ...]:
    """The pictures one by one; raises ValueError if they, or their names, are not as they must be."""
    pictures = as_batch(pictures, "P")
    if not len(pictures) == len(names) == len(set(names)) > 0:
        raise ValueError(
            f"there are {len(pictures)} pictures and {len(set(names))} different names; give one name for each of at "
            "least one picture"
        )
    return tuple(pictures_for(model, dict(zip(names, pictures, strict=True))).values())


@torch.no_grad()
def one_moment(
    model: ViT, pictures: Sequence[np.ndarray]
) -> tuple[
    Float[np.ndarray, "P K"], Float[np.ndarray, "P L 1+N N"], Float[np.ndarray, "N N"], Float[np.ndarray, "N 2"]
]:
    """What the timeline shows of one model: probabilities, attention, and how alike positions are, near and far."""
    images = torch.cat([model_input(model, picture) for picture in pictures])
    with in_eval_mode(model):
        probabilities = model(images).softmax(dim=-1)
    attention = torch.stack([lookers(maps, model.num_prefix_tokens) for maps in attention_maps(model, images)], dim=1)
    table = as_array(model.position.pos_embed[0, model.num_prefix_tokens :]).astype(np.float64)
    with np.errstate(invalid="ignore"):  # a position of zeros, which has no direction, is reported by the caller
        units = table / np.linalg.norm(table, axis=1, keepdims=True)
    alike = units @ units.T
    near = near_and_far(alike, model.grid_size)
    found = as_array(probabilities), as_array(attention).astype(np.float16)
    return *found, alike.astype(np.float32), near.astype(np.float32)


def lookers(maps: Float[Tensor, "P h T T"], prefix: int) -> Float[Tensor, "P 1+N N"]:
    """Who looks at which patch, in the mean of the heads: first whoever speaks for the whole picture, then each patch.

    The first is the class token if there is one (`prefix` 1), else the mean of all patches.
    """
    weights = maps.mean(dim=1)  # [P, T, T]
    whole = weights[:, :1] if prefix else weights.mean(dim=1, keepdim=True)
    return torch.cat([whole, weights[:, prefix:]], dim=1)[:, :, prefix:]


def near_and_far(alike: Float[np.ndarray, "N N"], grid: tuple[int, int]) -> Float[np.ndarray, "N 2"]:
    """The mean of `alike` over the patches one step away along row or column, and over all further ones."""
    row, column = np.divmod(np.arange(grid[0] * grid[1]), grid[1])
    steps = abs(row[:, None] - row) + abs(column[:, None] - column)
    return np.stack([np.where(place, alike, 0).sum(1) / place.sum(1) for place in (steps == 1, steps > 1)], axis=1)
