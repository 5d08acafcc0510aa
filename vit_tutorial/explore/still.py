"""What the still pictures share: inches from the upper left corner, colours, frames, and the bytes of a PNG file."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

# Fonts with Chinese, Japanese or Korean letters, as they come with Linux, macOS and Windows.
WIDE_FONTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "PingFang SC", "Hiragino Sans")
WIDE_FONTS += ("Apple SD Gothic Neo", "Arial Unicode MS", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic")

INK, FAINT, ACCENT = "#1a1a1a", "#5f6368", "#0b5cad"  # on white


def as_rgb(picture: UInt8[np.ndarray, "C H W"]) -> UInt8[np.ndarray, "H W 3"]:
    """The picture with three channels, channels last, as a figure wants it."""
    return np.broadcast_to(picture, (3, *picture.shape[1:])).transpose(1, 2, 0)


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

    `axes(x, y, w, h)` gives axes without lines and labels; `say(x, y, text, room, **changes)` writes, of a line that is
    wider than its room only the beginning. The room is in inches, up to the right edge if it is not given.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    canvas = FigureCanvasAgg(figure)

    def axes(x: float, y: float, w: float, h: float):
        place = figure.add_axes((x / width, 1 - (y + h) / height, w / width, h / height))
        place.set_axis_off()
        return place

    def fitted(line: str, room: float, font: FontProperties) -> str:
        def is_wide(text: str) -> bool:
            return canvas.get_renderer().get_text_width_height_descent(text, font, False)[0] > room * figure.dpi

        shown = line
        if len(line) * font.get_size_in_points() / 72 > room:  # few letters are wider than high
            for length in range(len(line) - 1, 0, -1):
                if not is_wide(shown):
                    break
                shown = f"{line[:length]}…"
        return shown

    def say(x: float, y: float, text: str, room: float | None = None, **changes: Any) -> None:
        look = {"color": INK, "fontsize": 10, **changes}
        written = figure.text(x / width, 1 - y / height, text, va="top", **look)
        if not look.get("wrap"):
            room = room or (width - x if look.get("ha", "left") == "left" else width)
            written.set_text("\n".join(fitted(line, room, written.get_fontproperties()) for line in text.split("\n")))

    return figure, axes, say


@contextlib.contextmanager
def more_letters() -> Iterator[None]:
    """Inside, texts are made so that letters which their font lacks come from fonts of this machine."""
    import matplotlib
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    more = [name for name in WIDE_FONTS if name in installed]
    with matplotlib.rc_context({"font.family": [*matplotlib.rcParams["font.family"], *more]}):
        yield


def shortened(text: str, letters: int) -> str:
    """The text, or of one with more letters its beginning."""
    return text if len(text) <= letters else f"{text[: max(1, letters - 1)]}…"


def frame(axes: Axes, x: float, y: float, width: float = 1, height: float = 1) -> None:
    """A frame that is seen on every background: black outside, white inside."""
    from matplotlib.patches import Rectangle

    for colour, line in (("black", 3.5), ("white", 1.8)):
        look = {"fill": False, "edgecolor": colour, "linewidth": line, "zorder": 5, "clip_on": False}
        axes.add_patch(Rectangle((x, y), width, height, **look))


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG file, on white, in 256 colours to keep notebooks small."""
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=100, facecolor="white")
    Image.open(drawn).convert("RGB").quantize(256, Image.Quantize.FASTOCTREE).save(small, format="png", optimize=True)
    return small.getvalue()
