"""The numbers of the position lab: which positions are alike, and what a shuffle changes with and without them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Integer

from vit_tutorial.explore.limits import Between, Limit, OneOf, settle
from vit_tutorial.explore.patch_lab import sequence_order
from vit_tutorial.explore.pictures import as_array, check_model, class_names_of, model_input, named_pictures
from vit_tutorial.explore.words import best_class, decimals, percent
from vit_tutorial.introspection import attention_maps
from vit_tutorial.patches import patchify, unpatchify
from vit_tutorial.positions import PositionEmbedding, interpolate_positions, sincos_1d, sincos_2d
from vit_tutorial.support.seeds import seeded
from vit_tutorial.vit import ViT

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
    with seeded(seed):
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
    probabilities = [one(images).softmax(dim=-1) for one in (blind, seeing)]
    return tuple(torch.stack(both).numpy().astype(np.float32) for both in (weights, probabilities))


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
    probabilities: Float[np.ndarray, "pictures 2 orders classes"]
    class_names: tuple[str, ...]

    @property
    def old(self) -> int:
        """The side of the model's own grid."""
        return next(iter(self.stretches))


def position_lab_data(model: ViT, pictures: Mapping[str, Any]) -> PositionLabData:
    """Compute what the lab needs of a model with learned positions and of pictures, uint8 [C, H, W], by name.

    Raises ValueError if there is no picture, or model and pictures do not fit the lab.
    """
    check_model(model)
    named = named_pictures(pictures)
    tables = position_tables(model)
    old = model.grid_size[0]
    orders = shuffled_orders(old)
    seen = [what_the_model_sees(model, picture, orders) for picture in named.values()]
    classes = tuple(class_names_of(model))
    return PositionLabData(
        tables=tables,
        patch_size=model.config.patch_size,
        stretches={new: stretch_matrix(old, new) for new in range(old, 2 * old + 1)},
        names=tuple(named),
        pictures=tuple(named.values()),
        orders=orders,
        attention=np.stack([attention for attention, _ in seen]),
        probabilities=np.stack([probabilities for _, probabilities in seen]),
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


def position_lab_limits(data: PositionLabData, choices: dict[str, Any]) -> Iterator[tuple[str, Limit]]:
    """What the choices may be: the grid from the model's own to twice that, a place on it, a column of the tables."""
    yield "grid", Between(data.old, 2 * data.old)
    yield "position", Between(0, choices["grid"] ** 2 - 1)
    yield "show", OneOf(SHOWS)
    yield "number", Between(0, data.tables.shape[2] - 1)
    yield "colours", OneOf(COLOURS)
    yield "picture", OneOf(data.names)
    yield "order", Between(0, len(data.orders) - 1)


def below_map(values: Float[np.ndarray, "grid grid"], ends: tuple[float, float]) -> tuple[str, ...]:
    """The lines below a map: what it holds, unless the colours reach just as far, and what the colours stand for."""
    held, coloured = ([decimals(number) for number in pair] for pair in ((values.min(), values.max()), ends))
    colours = f"dark {coloured[0]}, yellow {coloured[1]}"
    return (colours,) if held == coloured else (f"lowest {held[0]}, highest {held[1]}", colours)


@dataclass(frozen=True)
class PositionLabState:
    """What the position lab shows: four maps, their ends, and what a shuffle of the patches does."""

    title: str  # what the maps are of
    grid: int
    position: int | None  # that is marked: none where the maps are of one number
    order: str  # of the patches, as it is called
    maps: Float[np.ndarray, "4 grid grid"]
    ends: tuple[tuple[float, float], ...]  # of the colours of each map
    near: tuple[tuple[float, float, float], ...]  # similarity left and right, above and below, far away
    given: np.ndarray  # the picture with its patches in the chosen order, uint8 [C, H, W]
    lying: Float[np.ndarray, "2 old old"]  # the class token's attention where the patches lie: without, with positions
    home: Float[np.ndarray, "2 old old"]  # the same, each patch taken back to its own place
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
    Raises ValueError if a choice is not among those of `position_lab_limits`.
    """
    choices = {"grid": grid, "position": position, "show": show, "number": number, "colours": colours}
    choices |= {"picture": data.names[0] if picture is None else picture, "order": order}
    picture = settle(position_lab_limits(data, choices), choices)["picture"]
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
    attention, probabilities = (array[which].astype(np.float64) for array in (data.attention, data.probabilities))
    home = np.empty((2, len(places)))
    home[:, places] = attention[:, order]
    similar = show == SHOWS[0]
    side = grid * data.patch_size
    what = f"Cosine similarity to position {position:,}" if similar else f"Number {number:,} of every position"
    return PositionLabState(
        title=f"{what}; {side:,} × {side:,} pixels: {grid} × {grid} positions",
        grid=grid,
        position=position if similar else None,
        order=order_name(order),
        maps=maps.reshape(-1, grid, grid),
        ends=ends,
        near=near,
        given=rearranged(data.pictures[which], data.patch_size, places),
        lying=attention[:, order].reshape(2, data.old, data.old),
        home=home.reshape(2, data.old, data.old),
        says=tuple(
            tuple(best_class(probabilities[mode, one], data.class_names) for one in (0, order)) for mode in (0, 1)
        ),
        words=" ".join(
            (
                words_of_positions(data, grid, position, show, number, maps, near),
                words_of_shuffle(order, home - attention[:, 0], probabilities[:, order] - probabilities[:, 0]),
            )
        ),
    )


def rearranged(picture: np.ndarray, patch_size: int, places: Integer[np.ndarray, " N"]) -> np.ndarray:
    """The picture, uint8 [C, H, W], with patch `places[i]` lying at place i."""
    patches = patchify(torch.from_numpy(picture)[None], patch_size)[:, torch.from_numpy(places)]
    return unpatchify(patches, picture.shape[1:], picture.shape[0])[0].numpy()


def order_name(order: int) -> str:
    """What an order of the patches is called."""
    return "in order" if order == 0 else f"shuffle {order}"


def words_of_positions(data, grid, position, show, number, maps, near) -> str:
    """What the four maps show, in a few sentences."""
    side = grid * data.patch_size
    place = f"position {position:,} (row {position // grid}, column {position % grid})"
    text = f"{side:,} × {side:,} pixels: {grid} × {grid} positions. "
    if show == SHOWS[0]:
        parts = (f"{kind} {', '.join(map(decimals, three))}" for kind, three in zip(KINDS, near, strict=True))
        return (
            f"{text}Similarity of {place} to those left and right, above and below, and over half a side away: "
            f"{'; '.join(parts)}."
        )
    parts = (f"{kind} {decimals(values[position])}" for kind, values in zip(KINDS, maps, strict=True))
    return f"{text}Number {number:,} of {place}: {'; '.join(parts)}."


def words_of_shuffle(order: int, attention_changes, probability_changes) -> str:
    """What the shuffle changed, in a sentence."""
    if order == 0:
        return "The patches are in order: choose a shuffle."
    blind, seeing = (
        (points(np.abs(weights).max()), points(np.abs(probabilities).max()))
        for weights, probabilities in zip(attention_changes, probability_changes, strict=True)
    )
    return (
        f"{order_name(order).capitalize()} changes, without positions, weights by at most {blind[0]} and "
        f"probabilities by at most {blind[1]} percentage points; with positions, by {seeing[0]} and {seeing[1]}."
    )


def points(share: float) -> str:
    """A difference of two shares in percentage points, with one decimal: 0.0625 -> `6.3`."""
    return percent(share)[:-1]
