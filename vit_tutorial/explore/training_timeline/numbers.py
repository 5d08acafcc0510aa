"""The numbers of the training timeline: what it shows of one moment, and in which words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vit_tutorial.explore.limits import Between, Limit, OneOf, settle
from vit_tutorial.explore.training_timeline.data import TrainingTimelineData
from vit_tutorial.explore.words import decimals, patch_name, percent


def training_timeline_limits(data: TrainingTimelineData) -> Iterator[tuple[str, Limit]]:
    """What the choices may be for these models and pictures."""
    yield "epoch", OneOf(data.epochs, ", the epochs after which a model was kept")
    yield "picture", OneOf(data.names)
    yield "layer", Between(0, data.layers - 1)
    yield "token", Between(0, data.tokens - 1, none=True)


@dataclass(frozen=True)
class TrainingTimelineState:
    """What the timeline shows of one moment: probabilities, two maps with the ends of their colours, and words."""

    epoch: int
    picture: str  # its name
    layer: int
    accuracy: float | None  # on validation pictures; None if it was not measured
    probabilities: Float[np.ndarray, " K"]
    who: str  # `the class token looks`, `all patches together look` or `patch 9 looks`
    attention: Float[np.ndarray, "rows columns"]
    attention_top: float  # the largest weight of this looker, layer and picture at any moment
    chosen: int | None  # the patch that looks; None for the class token, or for all patches together
    patch: int  # whose position is compared: the chosen one, or one in the middle
    alike: Float[np.ndarray, "rows columns"]
    alike_top: float  # the largest similarity of two different positions at any moment, as a size without sign
    near: tuple[float, float]  # mean similarity to the neighbours, and to all further patches
    words: str


def training_timeline_state(
    data: TrainingTimelineData,
    epoch: int,
    picture: str | None = None,
    layer: int | None = None,
    token: int | None = None,
) -> TrainingTimelineState:
    """Look up all that the timeline shows after `epoch` epochs.

    `picture` is a name (the first one without it), `layer` counts from 0 (the last one without it). `token` is who
    looks; without it the class token, or all patches together where there is none.
    Raises ValueError if a choice is not among those of `training_timeline_limits`.
    """
    picture = data.names[0] if picture is None else picture
    layer = data.layers - 1 if layer is None else layer
    choices = {"epoch": epoch, "picture": picture, "layer": layer, "token": token}
    settle(training_timeline_limits(data), choices)
    rows, columns = data.grid
    moment, which = data.epochs.index(epoch), data.names.index(picture)
    chosen = None if token is None or token < data.prefix else token - data.prefix
    patch = rows // 2 * columns + columns // 2 if chosen is None else chosen
    looker = 0 if chosen is None else chosen + 1
    seen = data.attention[:, which, layer, looker].astype(np.float64)  # [M, N]
    alike = data.alike.astype(np.float64)
    others = ~np.eye(rows * columns, dtype=bool)
    near = tuple(float(mean) for mean in data.near[moment, patch])
    best = int(seen[moment].argmax())
    whole = "the class token looks" if data.prefix else "all patches together look"

    words = (
        f"{words_of_answer(data, moment, which)} "
        f"In layer {layer} {whole if chosen is None else f'{patch_name(chosen, columns)} looks'} most at "
        f"{patch_name(best, columns)}, with {percent(seen[moment, best])}. "
        f"The position of {patch_name(patch, columns)}: mean cosine similarity {decimals(near[0])} to its neighbours, "
        f"{decimals(near[1])} to the others."
    )
    return TrainingTimelineState(
        epoch=epoch,
        picture=picture,
        layer=layer,
        accuracy=accuracy_after(data, epoch),
        probabilities=data.probabilities[moment, which].astype(np.float64),
        who=whole if chosen is None else f"patch {chosen:,} looks",
        attention=seen[moment].reshape(rows, columns),
        attention_top=float(seen.max()),
        chosen=chosen,
        patch=patch,
        alike=alike[moment, patch].reshape(rows, columns),
        alike_top=float(np.abs(alike[:, others]).max()),
        near=near,
        words=words,
    )


def accuracy_after(data: TrainingTimelineData, epoch: int) -> float | None:
    """The validation accuracy after so many epochs; None before training, or if there are no accuracies."""
    return data.accuracy[epoch - 1] if data.accuracy and epoch else None


def moment_name(epoch: int) -> str:
    """`before training`, `after 1 epoch`, `after 2 epochs`."""
    return f"after {epoch} epoch{'s' * (epoch > 1)}" if epoch else "before training"


def words_of_answer(data: TrainingTimelineData, moment: int, which: int) -> str:
    """What the model says of a picture, when it is most sure, and its accuracy, in a few sentences."""

    def says(given: Float[np.ndarray, " K"]) -> str:
        return f"{data.class_names[int(given.argmax())]} with {percent(float(given.max()))}"

    probabilities, epoch = data.probabilities[:, which], data.epochs[moment]
    surest = int(probabilities.max(axis=1).argmax())
    when = moment_name(epoch)
    most = f"it is most sure {moment_name(data.epochs[surest])}: {says(probabilities[surest])}"
    if probabilities[moment].max() == probabilities[surest].max():
        most = "at no other moment is it more sure"
    accuracy = accuracy_after(data, epoch)
    measured = "" if accuracy is None else f" Its validation accuracy is {percent(accuracy)}."
    return f"{data.names[which]}: {when} the model says {says(probabilities[moment])}; {most}.{measured}"
