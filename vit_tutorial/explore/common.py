"""What the explorers share: checked pictures, words for numbers, and a widget with a still picture behind it."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from vit_tutorial.vit import ViT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HERE = Path(__file__).parent
INK, FAINT, ACCENT = "#1a1a1a", "#5f6368", "#0b5cad"  # of the still pictures, on white


def as_array(values) -> np.ndarray:
    """An array, or a tensor on any device and in any floating type, as a numpy array."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values
    return np.asarray(values)


def as_picture(image, name: str = "image") -> UInt8[np.ndarray, "C H W"]:
    """A picture as a uint8 array [C, H, W] with C = 1 or 3, from an array or a tensor [C, H, W] or [H, W].

    Raises ValueError for another type, rank or number of channels.
    """
    pixels = as_array(image)
    if pixels.dtype != np.uint8:
        raise ValueError(f"{name} holds {pixels.dtype}, not uint8; give the pixels as 0 to 255, before normalising")
    if pixels.ndim == 2:
        pixels = pixels[None]
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3) or pixels.size == 0:
        raise ValueError(f"{name} has shape {list(pixels.shape)}; give [1, H, W], [3, H, W] or [H, W]")
    return np.ascontiguousarray(pixels)


def named_pictures(images, choices: dict[str, Any]) -> dict[str, UInt8[np.ndarray, "C H W"]]:
    """Pictures by name, from one or from a dict; if no `picture` is among the choices, the first one's name goes there.

    Raises ValueError if there is no picture, one is not as `as_picture` wants it, or the chosen one is not among them.
    """
    named = dict(images) if isinstance(images, Mapping) else {"picture": images}
    if not named:
        raise ValueError("images holds no picture; give one, or a dict from names to pictures")
    checked = {name: as_picture(image, f"picture {name!r}") for name, image in named.items()}
    choices.setdefault("picture", next(iter(named)))
    if choices["picture"] not in named:
        raise ValueError(f"picture {choices['picture']!r} is not among {', '.join(map(repr, named))}")
    return checked


def as_rgb(picture: UInt8[np.ndarray, "C H W"]) -> UInt8[np.ndarray, "H W 3"]:
    """The picture with three channels, channels last, as a figure wants it."""
    return np.broadcast_to(picture, (3, *picture.shape[1:])).transpose(1, 2, 0)


def model_input(model: ViT, picture: UInt8[np.ndarray, "C H W"]) -> Float[Tensor, "1 C H W"]:
    """The picture as the model wants it: normalised by its card, or as 0 to 1 without one.

    Raises ValueError if the model takes pictures of another size or with other channels.
    """
    wanted = (model.config.in_channels, *(side * model.config.patch_size for side in model.grid_size))
    if picture.shape != wanted:
        raise ValueError(f"the picture is {list(picture.shape)}, and the model takes {list(wanted)}")
    images, card = torch.from_numpy(picture)[None], model.card
    return (card.normalize(images) if card and card.mean else images.float() / 255).to(next(model.parameters()))


def class_names_of(model: ViT, class_names: Sequence[str] | None = None) -> list[str]:
    """The names of the classes: those given, or the card's, or numbers.

    Raises ValueError if there are not as many as the model has classes.
    """
    number = model.config.num_classes
    names = class_names or (model.card and model.card.class_names) or [f"class {i}" for i in range(number)]
    if len(names) != number:
        raise ValueError(f"{len(names)} class names do not fit a model of {number} classes")
    return [str(name) for name in names]


def percent(share: float) -> str:
    """A share between 0 and 1 in percent with one decimal, rounded half up as the browser does: 0.0625 -> `6.3%`."""
    return f"{math.floor(share * 1000 + 0.5) / 10:.1f}%"


def fine_percent(share: float) -> str:
    """A share as `percent` writes it, but a small one keeps two digits: 0.000012 -> `0.0012%`; `<0.001%` below that."""
    if share >= 0.0005:
        return percent(share)
    return "<0.001%" if share < 1e-5 else f"{100 * share:#.2g}%"


def decimals(number: float, digits: int = 2) -> str:
    """A number with some decimals, rounded half up as the browser does."""
    return f"{math.floor(number * 10**digits + 0.5) / 10**digits:.{digits}f}"


def viridis() -> UInt8[np.ndarray, "256 3"]:
    """The 256 colours of matplotlib's viridis, which reads the same to colour-blind eyes and in grey print."""
    return _colours("viridis")


def diverging() -> UInt8[np.ndarray, "256 3"]:
    """256 colours from blue over white to red, which colour-blind eyes tell apart too: ColorBrewer's RdBu, reversed."""
    return _colours("RdBu_r")


def _colours(name: str) -> UInt8[np.ndarray, "256 3"]:
    from matplotlib import colormaps

    return np.round(colormaps[name](np.arange(256))[:, :3] * 255).astype(np.uint8)


def still(width: float, height: float) -> tuple[Figure, Callable, Callable]:
    """An empty figure of so many inches, and two functions that put things on it, in inches from its upper left corner.

    `axes(x, y, w, h)` gives axes without lines and labels; `say(x, y, text, **changes)` writes.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))

    def axes(x: float, y: float, w: float, h: float):
        place = figure.add_axes((x / width, 1 - (y + h) / height, w / width, h / height))
        place.set_axis_off()
        return place

    def say(x: float, y: float, text: str, **changes: Any) -> None:
        figure.text(x / width, 1 - y / height, text, va="top", **{"color": INK, "fontsize": 10, **changes})

    return figure, axes, say


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG file, on white, in 256 colours to keep notebooks small."""
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=100, facecolor="white")
    Image.open(drawn).convert("RGB").quantize(256, Image.Quantize.FASTOCTREE).save(small, format="png", optimize=True)
    return small.getvalue()


class Explorer(anywidget.AnyWidget):
    """A widget drawn by the browser; where none runs, its still picture with alt text stands in its place.

    A subclass sets `_esm` to `browser_code("its.js")`, and defines `words()` and `figure()`.
    """

    _css = HERE / "explore.css"

    def words(self) -> str:
        """What the explorer shows now, in one or two sentences."""
        raise NotImplementedError

    def figure(self) -> Figure:
        """What the explorer shows now, as a still picture."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs) -> tuple[dict, dict] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        source = base64.b64encode(png(self.figure())).decode("ascii")
        words = html.escape(self.words())
        data["text/html"] = (
            f'<figure style="margin:0"><img alt="{words}" src="data:image/png;base64,{source}">'
            "<figcaption>A still picture: run the cell to explore it.</figcaption></figure>"
        )
        return data, metadata


def browser_code(name: str) -> str:
    """The JavaScript module of one explorer with the shared pieces in front of it."""
    return (HERE / "common.js").read_text(encoding="utf-8") + (HERE / name).read_text(encoding="utf-8")
