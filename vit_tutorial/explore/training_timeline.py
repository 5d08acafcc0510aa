"""Training timeline: a model at several moments of its training: what it says, where it looks, what positions know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import traitlets
from jaxtyping import Float
from torch import Tensor

from vit_tutorial.explore.common import (
    ACCENT,
    FAINT,
    Explorer,
    as_array,
    as_picture,
    as_rgb,
    browser_code,
    class_names_of,
    decimals,
    diverging,
    model_input,
    percent,
    still,
    viridis,
)
from vit_tutorial.explore.heads_gallery.numbers import shown_classes
from vit_tutorial.explore.position_lab import similarity_to
from vit_tutorial.introspection import attention_maps, in_eval_mode
from vit_tutorial.positions import PositionEmbedding
from vit_tutorial.vit import ViT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    chances: Float[np.ndarray, "M P K"]
    attention: Float[np.ndarray, "M P L 1+N N"]  # mean of the heads; who looks, and at which patch: see `lookers`
    alike: Float[np.ndarray, "M N N"]  # cosine similarity of the positions of the patches
    near: Float[np.ndarray, "M N 2"]  # mean of `alike` over a patch's neighbours, and over all further ones

    @property
    def layers(self) -> int:
        """How many layers the models have."""
        return self.attention.shape[2]

    @property
    def tokens(self) -> int:
        """How many tokens the models have."""
        return self.prefix + self.grid[0] * self.grid[1]


def training_timeline_data(
    models: Mapping[int, ViT], pictures, names: Sequence[str], accuracy: Sequence[float] = ()
) -> TrainingTimelineData:
    """Run every model once on all pictures, uint8 [P, C, H, W], and compare its positions.

    `models` are by finished epochs; `accuracy` is a share of 1 after epoch 1, 2, ... of the whole training, or empty.
    Raises ValueError if models, pictures, names and accuracy do not fit together, or a number is not finite.
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
    accuracy = tuple(float(share) for share in accuracy)
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
    chances, attention, alike, near = (np.stack(parts) for parts in zip(*found, strict=True))
    return TrainingTimelineData(
        epochs=epochs,
        accuracy=accuracy,
        grid=(rows, columns),
        prefix=first.num_prefix_tokens,
        names=tuple(str(name) for name in names),
        pictures=checked,
        class_names=tuple(class_names_of(first)),
        chances=chances,
        attention=attention,
        alike=alike,
        near=near,
    )


def _checked(models: Mapping[int, ViT]) -> tuple[int, ...]:
    """The epochs in order, after a look at the models.

    Raises ValueError if there are fewer than two, an epoch is no count, or they are not one model at many moments.
    """
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
    if not len(pictures) == len(names) == len(set(names)) > 0:
        raise ValueError(
            f"there are {len(pictures)} pictures and {len(set(names))} different names; give one name for each of at "
            "least one picture"
        )
    checked = tuple(
        as_picture(picture, f"picture {name!r}") for picture, name in zip(as_array(pictures), names, strict=True)
    )
    for picture, name in zip(checked, names, strict=True):
        try:
            model_input(model, picture)
        except ValueError as error:
            raise ValueError(f"picture {name!r}: {error}") from None
    return checked


@torch.no_grad()
def one_moment(
    model: ViT, pictures: Sequence[np.ndarray]
) -> tuple[
    Float[np.ndarray, "P K"], Float[np.ndarray, "P L 1+N N"], Float[np.ndarray, "N N"], Float[np.ndarray, "N 2"]
]:
    """What the timeline shows of one model: chances, attention, similarity of positions, and its means near and far."""
    images = torch.cat([model_input(model, picture) for picture in pictures])
    with in_eval_mode(model):
        chances = model(images).softmax(dim=-1)
    attention = torch.stack([lookers(maps, model.num_prefix_tokens) for maps in attention_maps(model, images)], dim=1)
    table = as_array(model.position.pos_embed[0, model.num_prefix_tokens :]).astype(np.float64)
    with np.errstate(invalid="ignore"):  # a position of zeros, which has no direction, is reported by the caller
        alike = np.stack([similarity_to(table, patch) for patch in range(len(table))])
    near = near_and_far(alike, model.grid_size)
    return as_array(chances), as_array(attention).astype(np.float16), *(a.astype(np.float32) for a in (alike, near))


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


@dataclass(frozen=True)
class TrainingTimelineState:
    """What the timeline shows of one moment: the chances, two maps with the ends of their colours, and words."""

    accuracy: float | None  # on validation pictures; None if it was not measured
    chances: Float[np.ndarray, " K"]
    attention: Float[np.ndarray, "rows columns"]
    attention_top: float  # the largest weight of this looker, layer and picture at any moment
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
    Raises ValueError if a choice is not among those there are.
    """
    picture = data.names[0] if picture is None else picture
    layer = data.layers - 1 if layer is None else layer
    if epoch not in data.epochs:
        raise ValueError(f"no model was kept after epoch {epoch}; choose from {', '.join(map(str, data.epochs))}")
    if picture not in data.names:
        raise ValueError(f"picture {picture!r} is not among {', '.join(map(repr, data.names))}")
    for name, value, limit in (("layer", layer, data.layers), ("token", token or 0, data.tokens)):
        if not 0 <= value < limit:
            raise ValueError(f"{name} {value} is not among 0 to {limit - 1}")
    rows, columns = data.grid
    moment, which = data.epochs.index(epoch), data.names.index(picture)
    looker = 0 if token is None else token + 1 - data.prefix
    patch = looker - 1 if looker else rows // 2 * columns + columns // 2
    seen = data.attention[:, which, layer, looker].astype(np.float64)  # [M, N]
    alike = data.alike.astype(np.float64)
    others = ~np.eye(rows * columns, dtype=bool)
    near = tuple(float(mean) for mean in data.near[moment, patch])
    return TrainingTimelineState(
        accuracy=accuracy_after(data, epoch),
        chances=data.chances[moment, which].astype(np.float64),
        attention=seen[moment].reshape(rows, columns),
        attention_top=float(seen.max()),
        patch=patch,
        alike=alike[moment, patch].reshape(rows, columns),
        alike_top=float(np.abs(alike[:, others]).max()),
        near=near,
        words=" ".join(
            (
                words_of_answer(data, moment, which),
                words_of_attention(data, seen[moment], layer, looker),
                f"The position of {place_name(data, patch)}: mean cosine similarity {decimals(near[0])} to its "
                f"neighbours, {decimals(near[1])} to the others.",
            )
        ),
    )


def accuracy_after(data: TrainingTimelineData, epoch: int) -> float | None:
    """The validation accuracy after so many epochs; None before training, or if there are no accuracies."""
    return data.accuracy[epoch - 1] if data.accuracy and epoch else None


def moment_name(epoch: int) -> str:
    """`before training`, `after 1 epoch`, `after 2 epochs`."""
    return f"after {epoch} epoch{'s' * (epoch > 1)}" if epoch else "before training"


def place_name(data: TrainingTimelineData, patch: int) -> str:
    """`patch 9 (row 1, column 1)`."""
    return f"patch {patch} (row {patch // data.grid[1]}, column {patch % data.grid[1]})"


def words_of_answer(data: TrainingTimelineData, moment: int, which: int) -> str:
    """What the model says of a picture, when it is most sure, and its accuracy, in a few sentences."""

    def says(chances: Float[np.ndarray, " K"]) -> str:
        return f"{data.class_names[int(chances.argmax())]} with {percent(float(chances.max()))}"

    chances, epoch = data.chances[:, which], data.epochs[moment]
    surest = int(chances.max(axis=1).argmax())
    when = moment_name(epoch)
    most = f"it is most sure {moment_name(data.epochs[surest])}: {says(chances[surest])}"
    if chances[moment].max() == chances[surest].max():
        most = "at no other moment is it more sure"
    accuracy = accuracy_after(data, epoch)
    measured = "" if accuracy is None else f" Its validation accuracy is {percent(accuracy)}."
    return f"{data.names[which]}: {when} the model says {says(chances[moment])}; {most}.{measured}"


def words_of_attention(data: TrainingTimelineData, seen: Float[np.ndarray, " N"], layer: int, looker: int) -> str:
    """Where someone looks most in a layer, in one sentence."""
    who = f"{place_name(data, looker - 1)} looks" if looker else whole_looks(data)
    best = int(seen.argmax())
    return f"In layer {layer} {who} most at {place_name(data, best)}, with {percent(seen[best])}."


def whole_looks(data: TrainingTimelineData) -> str:
    """Who looks where no patch is chosen."""
    return "the class token looks" if data.prefix else "all patches together look"


def training_timeline_figure(
    data: TrainingTimelineData,
    epoch: int,
    picture: str | None = None,
    layer: int | None = None,
    token: int | None = None,
) -> Figure:
    """Draw what `training_timeline_state(data, epoch, picture, layer, token)` says as a still picture."""
    from matplotlib.patches import Rectangle

    state = training_timeline_state(data, epoch, picture, layer, token)
    chosen = data.pictures[0 if picture is None else data.names.index(picture)]
    (rows, columns), left, top, side = data.grid, 0.15, 2.65, 2.5
    bars = shown_classes(data.chances[:, data.names.index(picture or data.names[0])].max(axis=0))
    figure, axes, say = still(9.4, 5.85)
    say(left, 0.1, moment_name(epoch).capitalize(), fontweight="bold")
    _draw_curve(axes(0.6, 0.45, 8.6, 1.3), data, epoch)

    say(left, top - 0.3, "What the model says", fontweight="bold")
    axes(left, top, 0.9, 0.9).imshow(as_rgb(chosen), interpolation="nearest", aspect="auto")
    say(left + 1.0, top, picture or data.names[0], fontsize=9)
    best = int(state.chances.argmax())
    for line, index in enumerate(bars):
        y = top + 1.0 + 0.2 * line
        strong = {"fontweight": "bold"} if index == best else {}
        say(left, y, data.class_names[index], fontsize=9, **strong)
        say(left + 1.65, y, percent(state.chances[index]), fontsize=9, ha="right", **strong)
        bar = axes(left + 1.75, y + 0.01, 1.25, 0.13)
        bar.set_xlim(0, 1)
        bar.barh(0, state.chances[index], color=ACCENT if index == best else FAINT)

    def grid_of(x: float, title: str, note: str, values: np.ndarray, marked: int | None, **options: Any) -> None:
        say(x, top - 0.3, title, fontweight="bold")
        place, extent = axes(x, top, side, side), (0, columns, rows, 0)
        if options["cmap"] == "viridis":
            grey = as_rgb(chosen).mean(axis=-1)
            place.imshow(grey, cmap="gray", extent=extent, aspect="auto", interpolation="nearest")
        place.imshow(values, extent=extent, aspect="auto", interpolation="nearest", **options)
        for colour, line in (("black", 3.0), ("white", 1.5)) if marked is not None else ():
            corner = (marked % columns, marked // columns)
            place.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=colour, linewidth=line, clip_on=False))
        say(x, top + side + 0.08, note, fontsize=9, color=FAINT)

    layer = data.layers - 1 if layer is None else layer
    whole = token is None or token < data.prefix
    who = whole_looks(data).replace(" together", "") if whole else f"patch {state.patch} looks"
    most = state.attention_top
    grid_of(
        3.55,
        f"Layer {layer}: where {who}",
        f"dark 0%, yellow {percent(most)}",
        state.attention,
        None if whole else state.patch,
        cmap="viridis",
        vmin=0,
        vmax=most,
        alpha=0.7,
    )
    far = state.alike_top
    grid_of(
        6.55,
        f"Positions like that of patch {state.patch}",
        f"blue {decimals(-far)}, white 0, red {decimals(far)} and more",
        state.alike,
        state.patch,
        cmap="RdBu_r",
        vmin=-far,
        vmax=far,
    )
    say(6.55, top + side + 0.26, f"mean: neighbours {decimals(state.near[0])}, others {decimals(state.near[1])}")
    return figure


def _draw_curve(place: Any, data: TrainingTimelineData, epoch: int) -> None:
    """The accuracy over the epochs, with a dot for each kept model, the chosen one large; hollow: not measured."""
    from matplotlib.ticker import PercentFormatter

    guessing = 1 / len(data.class_names)
    place.set_axis_on()
    place.spines[["top", "right"]].set_visible(False)
    place.tick_params(labelsize=9)
    place.set_xlabel("finished epochs", fontsize=9)
    place.xaxis.get_major_locator().set_params(integer=True)
    place.set_ylim(0, 1.1 * max((guessing, *data.accuracy)))
    if data.accuracy:
        place.plot(range(1, len(data.accuracy) + 1), data.accuracy, color=FAINT)
        place.axhline(guessing, color=FAINT, linewidth=0.8, linestyle="--")
        place.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        place.set_ylabel("accuracy", fontsize=9)
    else:
        place.set_yticks([])
        place.spines["left"].set_visible(False)
    place.axvline(epoch, color=ACCENT, linewidth=1)
    for kept in data.epochs:
        level = accuracy_after(data, kept)
        face = "white" if data.accuracy and level is None else ACCENT
        size, height = 9 if kept == epoch else 5, guessing if level is None else level
        place.plot(kept, height, "o", color=ACCENT, markersize=size, markerfacecolor=face)


class TrainingTimeline(Explorer):
    """An explorer: slide through a training, and see what the model says, where it looks, and what its positions know.

    `models` has the model as it stood, by the number of finished epochs (0: before training); all have one config and a
    card, and learned or sin-cos positions. `pictures` is uint8 [P, C, H, W] (0 to 255) of the models' size, `names`
    names them. `accuracy`, if given, is the validation accuracy after epoch 1, 2, ..., a share of 1. The traits `epoch`
    (one of the keys of `models`), `picture` (a name), `layer` (from 0; the last one to begin with) and `token` (who
    looks: a token of the sequence, or None for the class token, or for all patches together where there is none)
    follow what the learner does and can be set from code.
    Raises ValueError if models, pictures, names, accuracy and choices do not fit together.
    """

    _esm = browser_code("training_timeline.js")
    _epochs = traitlets.List(traitlets.Int()).tag(sync=True)
    _accuracy = traitlets.List(traitlets.Float()).tag(sync=True)
    _sizes = traitlets.Dict().tag(sync=True)
    _names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _classes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _bars = traitlets.List().tag(sync=True)
    _pixels = traitlets.Bytes().tag(sync=True)
    _chances = traitlets.Bytes().tag(sync=True)
    _attention = traitlets.Bytes().tag(sync=True)
    _alike = traitlets.Bytes().tag(sync=True)
    _near = traitlets.Bytes().tag(sync=True)
    _colours = traitlets.Bytes().tag(sync=True)
    _diverging = traitlets.Bytes().tag(sync=True)
    epoch = traitlets.Int(0).tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    token = traitlets.Int(None, allow_none=True).tag(sync=True)

    def __init__(
        self, models: Mapping[int, ViT], pictures, names: Sequence[str], accuracy: Sequence[float] = (), **choices: Any
    ):
        data = self._data = training_timeline_data(models, pictures, names, accuracy)
        choices = {"epoch": data.epochs[0], "picture": data.names[0], "layer": data.layers - 1, **choices}
        training_timeline_state(data, **choices)
        super().__init__(
            _epochs=list(data.epochs),
            _accuracy=list(data.accuracy),
            _sizes={
                "shape": list(data.pictures[0].shape),
                "grid": list(data.grid),
                "prefix": data.prefix,
                "layers": data.layers,
            },
            _names=list(data.names),
            _classes=list(data.class_names),
            _bars=[shown_classes(data.chances[:, which].max(axis=0)) for which in range(len(data.names))],
            _pixels=b"".join(picture.tobytes() for picture in data.pictures),
            _chances=data.chances.tobytes(),
            _attention=data.attention.tobytes(),
            _alike=data.alike.tobytes(),
            _near=data.near.tobytes(),
            _colours=viridis().tobytes(),
            _diverging=diverging().tobytes(),
            **choices,
        )

    @traitlets.validate("epoch", "picture", "layer", "token")
    def _known(self, proposal) -> Any:
        choices = {"epoch": self._data.epochs[0]} | {proposal["trait"].name: proposal["value"]}
        training_timeline_state(self._data, **choices)
        return proposal["value"]

    def state(self) -> TrainingTimelineState:
        """The numbers that the explorer shows now."""
        return training_timeline_state(self._data, self.epoch, self.picture, self.layer, self.token)

    def words(self) -> str:
        """What the explorer shows now, in a few sentences; the browser says the same."""
        return self.state().words

    def figure(self) -> Figure:
        """What the explorer shows now, as a still picture."""
        return training_timeline_figure(self._data, self.epoch, self.picture, self.layer, self.token)

    def __repr__(self) -> str:
        return f"TrainingTimeline(epochs={list(self._data.epochs)}, epoch={self.epoch}, picture={self.picture!r})"
