"""Position lab: which positions are alike, on grids of any size, and what a model without positions can tell."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import traitlets
from jaxtyping import Float, Integer

from vit_tutorial.explore.common import (
    FAINT,
    Explorer,
    as_array,
    as_picture,
    as_rgb,
    browser_code,
    class_names_of,
    decimals,
    model_input,
    percent,
    still,
    viridis,
)
from vit_tutorial.explore.patch_lab import sequence_order
from vit_tutorial.introspection import attention_maps
from vit_tutorial.patches import patchify, unpatchify
from vit_tutorial.positions import PositionEmbedding, interpolate_positions, sincos_1d, sincos_2d
from vit_tutorial.vit import ViT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("learned", "before training", "sin-cos 1-D", "sin-cos 2-D")
SHOWS = ("cosine similarity", "one of the D numbers")
COLOURS = ("own for each map", "one for all maps")
SHUFFLES = 6  # orders besides the right one
NEAR_AND_FAR = ("left and right of it", "above and below it", "over half a side away")


def stretch_matrix(old: int, new: int) -> Float[np.ndarray, "new old"]:
    """The matrix W that stretches a line of `old` numbers to `new` ones; a grid T becomes W T W^T.

    It is read off `interpolate_positions` (bicubic), which treats rows and columns alike and one after the other.
    """
    line = torch.eye(old, dtype=torch.float64)[None]  # [1, old, old]: position i holds the i-th unit vector
    return interpolate_positions(line, (old, 1), (new, 1), num_prefix_tokens=0)[0].numpy().astype(np.float32)


def position_tables(model: ViT, seed: int = 0) -> Float[np.ndarray, "4 N D"]:
    """The four tables that the lab compares, in the order of KINDS, for the grid and D of `model`.

    Raises ValueError if the model has no learned positions, or its grid is not square.
    """
    rows, columns = model.grid_size
    if not isinstance(model.position, PositionEmbedding) or model.config.position != "learned":
        raise ValueError(f"the model's position is {model.config.position!r}; give a model with learned positions")
    if rows != columns or rows < 2:
        raise ValueError(f"the model's grid is {rows} x {columns}; give a model for square pictures of 2 x 2 or more")
    learned = model.position.pos_embed[0, model.num_prefix_tokens :]
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        fresh = PositionEmbedding(*learned.shape).pos_embed[0]
    waves = sincos_1d(*learned.shape), sincos_2d(rows, learned.shape[1])
    return np.stack([as_array(table) for table in (learned, fresh, *waves)]).astype(np.float32)


def shuffled_orders(grid: int) -> Integer[np.ndarray, "orders N"]:
    """The right order, then SHUFFLES others; entry i of an order is the patch that comes i-th."""
    orders = [np.arange(grid * grid), *(sequence_order(grid, grid, "shuffled", seed) for seed in range(SHUFFLES))]
    return np.stack(orders).astype(np.uint16)


@torch.no_grad()
def what_the_model_sees(
    model: ViT, picture, orders: Integer[np.ndarray, "orders N"]
) -> tuple[Float[np.ndarray, "2 orders N"], Float[np.ndarray, "2 orders classes"]]:
    """Show `model` one picture, uint8 [C, H, W], with its patches in each order: without positions, and with them.

    Without positions every patch gets the same vector, the mean of all. Returns the weights that the class token gives
    to the patches in the last layer (mean of its heads; the i-th is that of the patch that comes i-th), and the
    probabilities of the classes. Raises ValueError if the model has no class token, no card, or another picture size.
    """
    config = model.config
    if config.pool != "cls" or model.card is None or not model.card.mean:
        raise ValueError("the model must have a class token, and a card with the mean of its input; use load_model")
    pixels = model_input(model, picture).double()
    sequence = patchify(pixels, config.patch_size)[0]
    given = sequence[torch.from_numpy(orders.astype(np.int64))]  # [orders, N, P*P*C]
    images = unpatchify(given, pixels.shape[2:], config.in_channels)
    seeing = copy.deepcopy(model).double().eval()
    blind = copy.deepcopy(seeing)
    blind.position.pos_embed[:, 1:] = blind.position.pos_embed[:, 1:].mean(dim=1, keepdim=True)
    weights = [attention_maps(one, images)[-1].mean(dim=1)[:, 0, 1:] for one in (blind, seeing)]
    chances = [one(images).softmax(dim=-1) for one in (blind, seeing)]
    return tuple(torch.stack(both).numpy().astype(np.float32) for both in (weights, chances))


@dataclass(frozen=True)
class PositionLabData:
    """All that the lab shows, computed once: tables, ways to stretch them, and what the model made of each order."""

    tables: Float[np.ndarray, "4 N D"]
    patch_size: int
    stretches: dict[int, Float[np.ndarray, "new old"]]  # by the side of the new grid
    names: tuple[str, ...]  # of the pictures
    pictures: tuple[np.ndarray, ...]  # uint8 [C, H, W] each
    orders: Integer[np.ndarray, "orders N"]
    attention: Float[np.ndarray, "pictures 2 orders N"]  # without positions, with positions
    chances: Float[np.ndarray, "pictures 2 orders classes"]
    class_names: tuple[str, ...]

    @property
    def old(self) -> int:
        """The side of the model's own grid."""
        return next(iter(self.stretches))


def position_lab_data(model: ViT, pictures: Mapping[str, Any]) -> PositionLabData:
    """Compute what the lab needs of a model with learned positions and of pictures, uint8 [C, H, W], by name.

    Raises ValueError if there is no picture, or model and pictures do not fit the lab.
    """
    if not pictures:
        raise ValueError("pictures holds no picture; give a dict from names to pictures")
    tables = position_tables(model)
    old = model.grid_size[0]
    orders = shuffled_orders(old)
    checked = tuple(as_picture(picture, f"picture {name!r}") for name, picture in pictures.items())
    seen = [what_the_model_sees(model, picture, orders) for picture in checked]
    classes = tuple(class_names_of(model))
    return PositionLabData(
        tables=tables,
        patch_size=model.config.patch_size,
        stretches={new: stretch_matrix(old, new) for new in range(old, 2 * old + 1)},
        names=tuple(pictures),
        pictures=checked,
        orders=orders,
        attention=np.stack([attention for attention, _ in seen]),
        chances=np.stack([chances for _, chances in seen]),
        class_names=tuple(classes),
    )


def stretched(table: Float[np.ndarray, "N D"], matrix: Float[np.ndarray, "new old"]) -> Float[np.ndarray, "M D"]:
    """A table of positions on another grid: what `interpolate_positions` gives, by one matrix for rows and columns."""
    new, old = matrix.shape
    grid = table.astype(np.float64).reshape(old, old, -1)
    wide = np.einsum("xc,rcd->rxd", matrix.astype(np.float64), grid)
    return np.einsum("yr,rxd->yxd", matrix.astype(np.float64), wide).reshape(new * new, -1)


def similarity_to(table: Float[np.ndarray, "N D"], position: int) -> Float[np.ndarray, " N"]:
    """The cosine similarity of one position of a table to all of them, -1 to 1."""
    units = table / np.linalg.norm(table, axis=1, keepdims=True)
    return units @ units[position]


def neighbourhood(values: Float[np.ndarray, " N"], position: int, grid: int) -> tuple[float, float, float]:
    """Mean of a map left and right of a position, above and below it, and more than half a side of the grid away.

    Distance is counted in steps along rows and columns.
    """
    row, column = np.divmod(np.arange(grid * grid), grid)
    down, along = abs(row - position // grid), abs(column - position % grid)
    places = ((down == 0) & (along == 1), (down == 1) & (along == 0), 2 * (down + along) > grid)
    return tuple(float(values[place].mean()) for place in places)


@dataclass(frozen=True)
class PositionLabState:
    """What the position lab shows: four maps, their ends, and how attention and prediction changed."""

    maps: Float[np.ndarray, "4 grid grid"]
    ends: tuple[tuple[float, float], ...]  # of the colours of each map
    near: tuple[tuple[float, float, float], ...]  # similarity left and right, above and below, far away
    given: np.ndarray  # the picture with its patches in the chosen order, uint8 [C, H, W]
    lying: Float[np.ndarray, "2 old old"]  # the class token's attention where the patches lie: without, with positions
    home: Float[np.ndarray, "2 old old"]  # the same, each patch taken back to its own place
    attention_change: tuple[float, float]  # largest change of a weight against the right order: without, with
    prediction_change: tuple[float, float]  # largest change of a probability
    says: tuple[tuple[str, str], tuple[str, str]]  # the prediction in the right and in the chosen order: without, with
    words: str


def position_lab_state(
    data: PositionLabData,
    grid: int,
    position: int,
    show: str = SHOWS[0],
    number: int = 0,
    colours: str = COLOURS[0],
    picture: str | None = None,
    order: int = 0,
) -> PositionLabState:
    """Compute all that the position lab shows.

    `grid` is the side of the grid that the tables are stretched to, `position` a place on it, row by row. `number` is
    the column of the tables that is shown if `show` asks for it. `order` 0 is the right one.
    Raises ValueError if a choice is unknown or out of range.
    """
    for name, choice, choices in (("show", show, SHOWS), ("colours", colours, COLOURS)):
        if choice not in choices:
            raise ValueError(f"{name} {choice!r} is unknown; choose from {', '.join(map(repr, choices))}")
    if grid not in data.stretches:
        raise ValueError(f"grid {grid} is not among {data.old} to {2 * data.old}")
    limits = (("position", position, grid * grid), ("number", number, data.tables.shape[2]))
    for name, value, limit in (*limits, ("order", order, len(data.orders))):
        if not 0 <= value < limit:
            raise ValueError(f"{name} {value} is not among 0 to {limit - 1}")
    picture = data.names[0] if picture is None else picture
    if picture not in data.names:
        raise ValueError(f"picture {picture!r} is not among {', '.join(map(repr, data.names))}")

    tables = [stretched(table, data.stretches[grid]) for table in data.tables]
    alike = np.stack([similarity_to(table, position) for table in tables])
    near = tuple(neighbourhood(values, position, grid) for values in alike)
    if show == SHOWS[0]:
        maps = alike
        lows = [float(values.min()) for values in maps] if colours == COLOURS[0] else [-1.0] * len(maps)
        ends = tuple((low, 1.0) for low in lows)
    else:
        maps = np.stack([table[:, number] for table in tables])
        tops = [float(np.abs(values).max()) for values in (maps if colours == COLOURS[0] else [maps] * len(maps))]
        ends = tuple((-top, top) for top in tops)

    which = data.names.index(picture)
    places = data.orders[order].astype(np.int64)
    attention, chances = data.attention[which].astype(np.float64), data.chances[which].astype(np.float64)
    home = np.empty((2, len(places)))
    home[:, places] = attention[:, order]
    return PositionLabState(
        maps=maps.reshape(-1, grid, grid),
        ends=ends,
        near=near,
        given=rearranged(data.pictures[which], data.patch_size, places),
        lying=attention[:, order].reshape(2, data.old, data.old),
        home=home.reshape(2, data.old, data.old),
        attention_change=tuple(float(change) for change in np.abs(home - attention[:, 0]).max(axis=1)),
        prediction_change=tuple(float(change) for change in np.abs(chances[:, order] - chances[:, 0]).max(axis=1)),
        says=tuple(tuple(best_class(chances[mode, one], data.class_names) for one in (0, order)) for mode in (0, 1)),
        words=" ".join(
            (
                words_of_positions(data, grid, position, show, number, maps, near),
                words_of_shuffle(order, home - attention[:, 0], chances[:, order] - chances[:, 0]),
            )
        ),
    )


def rearranged(picture: np.ndarray, patch_size: int, places: Integer[np.ndarray, " N"]) -> np.ndarray:
    """The picture, uint8 [C, H, W], with patch `places[i]` lying at place i."""
    patches = patchify(torch.from_numpy(picture)[None], patch_size)[:, torch.from_numpy(places)]
    return unpatchify(patches, picture.shape[1:], picture.shape[0])[0].numpy()


def best_class(chances: Float[np.ndarray, " classes"], class_names: tuple[str, ...]) -> str:
    """`Sneaker 92.0%`."""
    best = int(np.argmax(chances))
    return f"{class_names[best]} {percent(chances[best])}"


def order_name(order: int) -> str:
    """What an order of the patches is called."""
    return "in order" if order == 0 else f"shuffle {order}"


def words_of_positions(data, grid, position, show, number, maps, near) -> str:
    """What the four maps show, in a few sentences."""
    side = grid * data.patch_size
    place = f"position {position} (row {position // grid}, column {position % grid})"
    text = f"{side} × {side} pixels: {grid} × {grid} positions. "
    if show == SHOWS[0]:
        parts = (f"{kind} {', '.join(map(decimals, three))}" for kind, three in zip(KINDS, near, strict=True))
        return (
            f"{text}Similarity of {place} to those left and right, above and below, and over half a side away: "
            f"{'; '.join(parts)}."
        )
    parts = (f"{kind} {decimals(values[position])}" for kind, values in zip(KINDS, maps, strict=True))
    return f"{text}Number {number} of {place}: {'; '.join(parts)}."


def words_of_shuffle(order: int, attention_changes, chance_changes) -> str:
    """What the shuffle changed, in a sentence."""
    if order == 0:
        return "The patches are in order: choose a shuffle."
    blind, seeing = (
        (points(np.abs(weights).max()), points(np.abs(chances).max()))
        for weights, chances in zip(attention_changes, chance_changes, strict=True)
    )
    return (
        f"{order_name(order).capitalize()} changes, without positions, weights by at most {blind[0]} and "
        f"probabilities by at most {blind[1]} percentage points; with positions, by {seeing[0]} and {seeing[1]}."
    )


def points(share: float) -> str:
    """A difference of two shares in percentage points, with one decimal: 0.0625 -> `6.3`."""
    return percent(share)[:-1]


def position_lab_figure(data: PositionLabData, grid: int, position: int, **choices: Any) -> Figure:
    """Draw what `position_lab_state(data, grid, position, **choices)` says as a still picture."""
    from matplotlib.patches import Rectangle

    state = position_lab_state(data, grid, position, **choices)
    figure, axes, say = still(9.4, 6.2)
    left = 0.15
    show = choices.get("show", SHOWS[0])
    if show == SHOWS[0]:
        what = f"Cosine similarity to position {position}"
    else:
        what = f"Number {choices.get('number', 0)} of every position"
    side = grid * data.patch_size
    say(left, 0.1, f"{what}; {side} × {side} pixels: {grid} × {grid} positions", fontweight="bold")
    for i, kind in enumerate(KINDS):
        x, low, high = left + 2.3 * i, *state.ends[i]
        say(x, 0.42, kind)
        map_axes = axes(x, 0.68, 2.15, 2.15)
        map_axes.imshow(state.maps[i], cmap="viridis", vmin=low, vmax=high, interpolation="nearest")
        if show == SHOWS[0]:
            for colour, line in (("black", 3.5), ("white", 1.8)):
                corner = (position % grid - 0.5, position // grid - 0.5)
                map_axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=colour, linewidth=line, clip_on=False))
        say(x, 2.9, f"dark {decimals(low)}, yellow {decimals(high)}", color=FAINT, fontsize=9)
        for line, (name, number) in enumerate(zip(NEAR_AND_FAR, state.near[i], strict=True)):
            say(x, 3.1 + 0.17 * line, name, color=FAINT, fontsize=9)
            say(x + 2.1, 3.1 + 0.17 * line, decimals(number), fontsize=9, ha="right", fontweight="bold")
    order = choices.get("order", 0)
    say(left, 3.75, f"Where the class token looks in the last layer; patches: {order_name(order)}", fontweight="bold")
    say(left, 4.03, "given to the model")
    axes(left, 4.5, 1.4, 1.4).imshow(as_rgb(state.given), interpolation="nearest")
    for mode, name in enumerate(("without positions", "with positions")):
        start = left + 1.75 + 3.75 * mode
        say(start, 4.03, name)
        for column, (maps, what) in enumerate(((state.lying, "as the patches lie"), (state.home, "taken home"))):
            x = start + 1.6 * column
            say(x, 4.26, what, color=FAINT, fontsize=9)
            axes(x, 4.5, 1.4, 1.4).imshow(maps[mode], cmap="viridis", vmin=0, interpolation="nearest")
        straight, now = state.says[mode]
        say(start, 5.95, f"in order: {straight}; as given: {now}", fontsize=9)
    return figure


class PositionLab(Explorer):
    """An explorer: which positions are alike, what stretching does to them, and what shuffled patches change.

    `model` is a ViT with learned positions, a class token and a card (as `load_model` gives it), for square pictures.
    `pictures` is a dict from names to uint8 pictures [C, H, W] (0 to 255) of the model's size. The traits `grid` (side
    of the grid, from the model's own to twice that), `position`, `show`, `number`, `colours`, `picture` and `order`
    (0: not shuffled) follow what the learner does and can be set from code.
    Raises ValueError if model, pictures and choices do not fit together.
    """

    _esm = browser_code("position_lab.js")
    _kinds = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _near_and_far = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _tables = traitlets.Bytes().tag(sync=True)
    _dim = traitlets.Int().tag(sync=True)
    _old = traitlets.Int().tag(sync=True)
    _patch = traitlets.Int().tag(sync=True)
    _stretches = traitlets.Bytes().tag(sync=True)
    _names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _channels = traitlets.Int().tag(sync=True)
    _pixels = traitlets.Bytes().tag(sync=True)
    _orders = traitlets.Bytes().tag(sync=True)
    _attention = traitlets.Bytes().tag(sync=True)
    _chances = traitlets.Bytes().tag(sync=True)
    _classes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _colours = traitlets.Bytes().tag(sync=True)
    grid = traitlets.Int(7, min=1).tag(sync=True)
    position = traitlets.Int(0, min=0).tag(sync=True)
    show = traitlets.Enum(SHOWS, SHOWS[0]).tag(sync=True)
    number = traitlets.Int(0, min=0).tag(sync=True)
    colours = traitlets.Enum(COLOURS, COLOURS[0]).tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)
    order = traitlets.Int(0, min=0).tag(sync=True)

    def __init__(self, model: ViT, pictures: Mapping[str, Any], **choices: Any):
        data = self._data = position_lab_data(model, pictures)
        grid = choices.setdefault("grid", data.old)
        choices.setdefault("position", grid // 2 * grid + grid // 2)
        choices.setdefault("picture", data.names[0])
        position_lab_state(data, **choices)
        super().__init__(
            _kinds=list(KINDS),
            _near_and_far=list(NEAR_AND_FAR),
            _tables=data.tables.tobytes(),
            _dim=data.tables.shape[2],
            _old=data.old,
            _patch=data.patch_size,
            _stretches=b"".join(matrix.tobytes() for matrix in data.stretches.values()),
            _names=list(data.names),
            _channels=len(data.pictures[0]),
            _pixels=b"".join(picture.tobytes() for picture in data.pictures),
            _orders=data.orders.tobytes(),
            _attention=data.attention.tobytes(),
            _chances=data.chances.tobytes(),
            _classes=list(data.class_names),
            _colours=viridis().tobytes(),
            **choices,
        )

    def _choices(self) -> dict[str, Any]:
        names = ("grid", "position", "show", "number", "colours", "picture", "order")
        choices = {name: getattr(self, name) for name in names}
        return choices | {"position": min(self.position, self.grid**2 - 1)}

    def state(self) -> PositionLabState:
        """The numbers that the explorer shows now."""
        return position_lab_state(self._data, **self._choices())

    def words(self) -> str:
        """What the explorer shows now, in a few sentences; the browser says the same."""
        return self.state().words

    def figure(self) -> Figure:
        """What the explorer shows now, as a still picture."""
        return position_lab_figure(self._data, **self._choices())

    def __repr__(self) -> str:
        return f"PositionLab(grid={self.grid}x{self.grid}, position={self.position}, order={order_name(self.order)!r})"
