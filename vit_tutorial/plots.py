"""Figures shared by the lessons: made as objects, never through pyplot, and shown with a description in words.

A figure that a lesson shows has a white ground, so that it reads in the dark theme too, a fixed size, and alt text.
"""

import base64
import html
import io
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from vit_tutorial.support.terminal import somebody_is_watching

if TYPE_CHECKING:
    from vit_tutorial.training import History

Item = TypeVar("Item")

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#666666"  # told apart by colour-blind readers too
COLOURS = (BLUE, ORANGE, GREEN, "#cc79a7", "#56b4e9", "#e69f00", GREY)


class Picture:
    """A drawn figure with its description: an image for the page, words for whoever cannot see it."""

    def __init__(self, png: bytes, alt: str, caption: str):
        self.png, self.alt, self.caption = png, alt, caption

    def __repr__(self) -> str:
        return f"[figure: {self.alt}]"

    def _repr_html_(self) -> str:
        source = base64.b64encode(self.png).decode()
        caption = f"<figcaption>{html.escape(self.caption)}</figcaption>" if self.caption else ""
        image = f'<img alt="{html.escape(self.alt)}" src="data:image/png;base64,{source}" style="max-width:100%">'
        return f'<figure style="margin:0">{image}{caption}</figure>'


def show(figure: Figure, alt: str, caption: str = "") -> Picture:
    """Turn a figure into a picture with alt text; as the last line of a cell, it appears under the cell.

    Raises ValueError if `alt` says nothing.
    """
    if len(alt.split()) < 3:
        raise ValueError(f"alt is {alt!r}; describe in a sentence what the figure shows")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return Picture(buffer.getvalue(), alt, caption)


def new_figure(
    rows: int = 1, columns: int = 1, size: tuple[float, float] = (8, 3), **options
) -> tuple[Figure, np.ndarray]:
    """Make an empty figure of `size` inches at 100 dots an inch, and its axes as an array [rows, columns]."""
    figure = Figure(figsize=size, dpi=100, facecolor="white", layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def draw_image(ax: Axes, image: Tensor | np.ndarray, title: str = "") -> None:
    """Draw one image [C, H, W], of 0 to 255 or of 0 to 1, without axes."""
    pixels = np.asarray(image)
    pixels = np.moveaxis(pixels, 0, -1)  # [C, H, W] -> [H, W, C]
    top = 255 if pixels.dtype == np.uint8 else 1
    if pixels.shape[-1] == 1:
        ax.imshow(pixels[..., 0], cmap="gray", vmin=0, vmax=top, interpolation="nearest")
    else:
        ax.imshow(pixels, interpolation="nearest")
    ax.set_title(title, fontsize=10)
    ax.axis("off")


def draw_patches(
    ax: Axes,
    image: Tensor | np.ndarray,
    patch_size: int,
    title: str = "",
    numbers: bool | Sequence[int] = True,
) -> None:
    """Draw one image [C, H, W] with the grid of its patches, numbered in reading order or by `numbers`."""
    draw_image(ax, image, title)
    height, width = np.asarray(image).shape[-2:]
    columns = width // patch_size
    for x in range(0, width + 1, patch_size):
        ax.axvline(x - 0.5, color="white", linewidth=1)
    for y in range(0, height + 1, patch_size):
        ax.axhline(y - 0.5, color="white", linewidth=1)
    count = columns * (height // patch_size)
    if numbers is not False:
        shown = range(count) if numbers is True else np.asarray(numbers).tolist()
        for i, number in zip(range(count), shown, strict=True):
            x, y = ((place + 0.5) * patch_size - 0.5 for place in (i % columns, i // columns))
            box = {"boxstyle": "round,pad=0.15", "facecolor": "black", "alpha": 0.55, "linewidth": 0}
            ax.text(x, y, str(number), color="white", ha="center", va="center", fontsize=7, bbox=box)


def draw_matrix(
    ax: Axes,
    matrix: Tensor | np.ndarray,
    title: str = "",
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    decimals: int | None = 2,
    **options,
) -> None:
    """Draw a matrix as colours, with its numbers written in unless `decimals` is None; `options` go to imshow."""
    values = np.asarray(matrix)
    picture = ax.imshow(values, **{"cmap": "viridis", "aspect": "equal", **options})
    ax.set_title(title, fontsize=10)
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(length=0, labelsize=9)
    if decimals is not None:
        for (row, column), value in np.ndenumerate(values):
            dark = sum(picture.cmap(picture.norm(value))[:3]) < 1.5
            colour = "white" if dark else "black"
            ax.text(column, row, f"{value:.{decimals}f}", ha="center", va="center", color=colour, fontsize=9)


def draw_confusion(ax: Axes, confusion: Tensor | np.ndarray, class_names: Sequence[str]) -> None:
    """Draw how many images of each class (row) were taken for each class (column): counts [K, K]."""
    draw_matrix(ax, confusion, "it is (row), the model says (column)", class_names, decimals=0, cmap="Blues")
    ax.set_xticks(range(len(class_names)), class_names, rotation=60, ha="right")


def draw_attention(ax: Axes, image: Tensor | np.ndarray, weights: Tensor | np.ndarray, title: str = "") -> None:
    """Draw one image [C, H, W], dimmed where the attention `weights` [rows, columns] of its patches are small."""
    draw_image(ax, image, title)
    height, width = np.asarray(image).shape[-2:]
    grid = np.asarray(weights)
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    ax.imshow(grid, cmap="magma", alpha=0.65, extent=extent, interpolation="nearest", vmin=0)


def draw_lines(
    ax: Axes, x: Sequence[float], lines: dict[str, Sequence[float]], xlabel: str, ylabel: str, **options
) -> None:
    """Draw named lines over a common x, with a legend; `options` go to `Axes.plot`.

    The lines take the seven colours in turn, and from the eighth on are dashed. Raises ValueError for more than 14.
    """
    styles = [(colour, dashes) for dashes in ("-", "--") for colour in COLOURS]
    if len(lines) > len(styles):
        raise ValueError(f"{len(lines)} lines cannot be told apart; draw at most {len(styles)} in one picture")
    for (colour, dashes), (name, y) in zip(styles, lines.items(), strict=False):
        ax.plot(x, y, **{"color": colour, "linestyle": dashes, "label": name} | options)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)


def draw_spread(
    ax: Axes,
    values: dict[str, Sequence[float]],
    xlabel: str = "test accuracy",
    colours: Sequence[str] = (BLUE,),
    decimals: int = 1,
    signed: bool = False,
) -> None:
    """Draw one row for each name, first on top: each of its values a point, their mean a line with its number.

    Values are shares of 1 and are shown as percentages, or, with `signed`, as differences of shares, in percentage
    points: +1.0. The rows take `colours` in turn, so that two colours mark every second row.
    Raises ValueError if there is nothing to draw, or if a name has no value.
    """
    if not values or not all(map(len, values.values())):
        empty = [name for name, row in values.items() if not len(row)]
        what = f"no value for {', '.join(map(repr, empty))}" if empty else "no rows"
        raise ValueError(f"draw_spread got {what}; pass a dictionary of names with one value or more each")
    for place, (name, row) in enumerate(values.items()):
        colour, mean = colours[place % len(colours)], float(np.mean(np.asarray(row)))
        heights = place + np.linspace(-0.15, 0.15, len(row)) if len(row) > 1 else [place]  # equal values stay apart
        ax.plot(row, heights, "o", color=colour, alpha=0.7, markersize=5, label=name)
        ax.plot([mean, mean], [place - 0.35, place + 0.35], color="black", linewidth=2)
        shown = f"{100 * mean:+z.{decimals}f}" if signed else f"{mean:z.{decimals}%}"  # z: never -0.0
        ax.text(1.01, place, shown, transform=ax.get_yaxis_transform(), va="center", fontsize=9)
    ax.set_yticks(range(len(values)), list(values), fontsize=9)
    ax.set_ylim(len(values) - 0.4, -0.6)
    ax.margins(x=0.08)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=None, symbol="" if signed else "%"))
    ax.set_xlabel(f"{xlabel} (percentage points)" if signed else xlabel)
    ax.text(1.01, 1, "mean", transform=ax.transAxes, va="bottom", fontsize=9)
    ax.locator_params(axis="x", nbins=6)
    ax.grid(axis="x", alpha=0.3)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)


def draw_history(history: "History") -> Picture:
    """Draw loss, accuracy and learning rate of a training over its epochs, the finished ones of all that are planned.

    Raises ValueError if no epoch is finished.
    """
    if not history.epochs:
        raise ValueError("the history has 0 epochs, so there is no curve; draw it after the first")
    figure, axes = new_figure(1, 3, size=(11, 3), width_ratios=[3, 3, 2])
    x = range(1, history.epochs + 1)
    losses, accuracies = {"training": history.train_loss}, {"training (as augmented)": history.train_accuracy}
    if history.validation_loss:
        losses["validation"], accuracies["validation"] = history.validation_loss, history.validation_accuracy
    rates = {"learning rate": history.learning_rate}
    for ax, lines in zip(axes[0], (losses, accuracies, rates), strict=True):
        draw_lines(ax, x, lines, "epoch", "", marker="o", markersize=3)
        ax.set_xlim(0.5, history.config["epochs"] + 0.5)  # the picture stays as it is while the curves grow
        ax.xaxis.get_major_locator().set_params(integer=True)
    for ax, title in zip(axes[0], ("loss", "accuracy", "learning rate, end of epoch"), strict=True):
        ax.set_title(title, fontsize=10)
    axes[0, 1].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes[0, 2].get_legend().remove()
    axes[0, 2].yaxis.set_major_formatter("{x:g}")
    names = " and ".join(losses)
    return show(
        figure,
        alt=f"Curves over {history.epochs} of {history.config['epochs']} epochs: left the loss, in the middle the "
        f"accuracy, of {names}; right the learning rate at the end of each epoch.",
    )


def watched(items: Iterable[Item], what: str) -> Iterable[Item]:
    """Go through the items, with a bar that counts them as `what` where somebody watches, and that goes at the end."""
    from tqdm.auto import tqdm

    return tqdm(items, unit=what, leave=False, disable=not somebody_is_watching())


class LiveCurves:
    """The curves of a training, drawn anew in the same place after each epoch: pass it to `fit` as `on_epoch`.

    Drawing takes a tenth of the time at most: where an epoch takes a second, not each one is drawn. Where nobody is
    watching, nothing is drawn on the way. `finish` gives the last picture.
    """

    def __init__(self):
        self.place = None
        self.drawn = self.took = 0.0  # when they were drawn last, and how long that took, in seconds

    def __call__(self, history: "History") -> None:
        """Draw the curves up to now, in the place of those before."""
        started = time.perf_counter()
        if not somebody_is_watching() or (self.place is not None and started - self.drawn < 9 * self.took):
            return
        if self.place is None:
            from IPython.display import display

            self.place = display(draw_history(history), display_id=True)
        else:
            self.place.update(draw_history(history))
        self.drawn = time.perf_counter()
        self.took = self.drawn - started

    def finish(self, history: "History") -> Picture | None:
        """Draw the whole training in the place of the curves before, or give the picture if there are none."""
        if self.place is None:
            return draw_history(history)
        self.place.update(draw_history(history))
        return None
