"""The numbers of the sketch lab: a drawing, what the model answers, and how it came to that."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from vit_tutorial.explore.heads_gallery.numbers import heads_gallery_limits, heads_off, off_words
from vit_tutorial.explore.limits import Accepted, Between, Limit, settle
from vit_tutorial.explore.pictures import as_array, as_picture, class_names_of, model_input
from vit_tutorial.explore.vit import check_vit
from vit_tutorial.explore.words import decimals, patch_name, percent
from vit_tutorial.introspection import attention_maps, in_eval_mode, token_stages
from vit_tutorial.vit import ViT

EMPTY = "nothing"  # the drawing with which a canvas is empty
WIDEST = 8  # a brush, in pixels
RARE = 0.02  # of the training pictures are beyond what the lab calls usual
NEAR = 1  # pixels beyond it that are not worth a sentence


def drawing_of(image) -> str:
    """Grey pixels (uint8, [1, H, W] or [H, W]) as the text that `drawing` takes: row by row, in base 64."""
    return base64.b64encode(as_picture(image)[:1].tobytes()).decode("ascii")


def pixels_of(
    drawing: str, pictures: Mapping[str, UInt8[np.ndarray, "1 H W"]], size: tuple[int, int]
) -> UInt8[np.ndarray, "1 H W"]:
    """The pixels of a drawing: `EMPTY`, the name of one of the pictures, or a text as `drawing_of` makes it.

    Raises ValueError if it is none of these, or holds another number of pixels than `size`, (H, W).
    """
    if isinstance(drawing, str) and drawing in (EMPTY, *pictures):
        return np.zeros((1, *size), np.uint8) if drawing == EMPTY else pictures[drawing]
    try:
        pixels = np.frombuffer(base64.b64decode(drawing, validate=True), np.uint8).copy()
    except (binascii.Error, TypeError, ValueError):
        pixels = np.zeros(0, np.uint8)
    if pixels.size != size[0] * size[1]:
        short = drawing if len(str(drawing)) < 40 else f"{str(drawing)[:37]}..."
        known = ", ".join(map(repr, [EMPTY, *pictures]))
        raise ValueError(
            f"drawing {short!r} is not among {known}, nor is it {size[0]}x{size[1]} pixels as drawing_of writes them"
        )
    return pixels.reshape(1, *size)


def size_of(model: ViT) -> tuple[int, int]:
    """Rows and columns of the pixels that the model takes."""
    rows, columns = model.grid_size
    return rows * model.config.patch_size, columns * model.config.patch_size


def check_grey(model: ViT) -> None:
    """Raise ValueError if the model takes pictures in colour."""
    if model.config.in_channels != 1:
        raise ValueError(f"the model takes {model.config.in_channels} channels; one draws in grey, for a model of one")


@dataclass(frozen=True)
class Outline:
    """How the lit pixels of a picture, those brighter than 0, lie in its frame."""

    filled: float  # the share that is lit of what lies between the first and the last lit pixel of each row
    long: int  # rows or columns from the first to the last that has a lit pixel, whichever are more
    off: float  # pixels from the middle of these rows and columns to the middle of the frame, the larger distance


def _outlines(pictures: UInt8[np.ndarray, "n H W"]) -> Float[np.ndarray, "3 n"]:
    """The three numbers of `Outline` for pictures that each have a lit pixel."""
    lit = pictures > 0
    rows, columns = (_first_and_last(lit.any(axis=axis)) for axis in (2, 1))
    first, last = _first_and_last(lit)
    between = ((last - first) * lit.any(axis=2)).sum(axis=1)
    ends = (rows, columns)
    long = np.maximum(*(last - first for first, last in ends))
    sides = pictures.shape[1:]
    off = np.maximum(*(abs(first + last - side) / 2 for (first, last), side in zip(ends, sides, strict=True)))
    return np.stack([lit.sum(axis=(1, 2)) / between, long, off])


def _first_and_last(lit: Bool[np.ndarray, "... side"]) -> tuple[np.ndarray, np.ndarray]:
    """Where the first lit place is in each line, and the place after the last one."""
    return lit.argmax(axis=-1), lit.shape[-1] - lit[..., ::-1].argmax(axis=-1)


def outline_of(picture: UInt8[np.ndarray, "1 H W"]) -> Outline | None:
    """How a picture lies in its frame; None if all of it is black."""
    if not picture.any():
        return None
    filled, long, off = _outlines(picture)[:, 0].tolist()
    return Outline(filled, int(long), off)


def usual_outline(photographs) -> Outline:
    """What all but RARE of some grey pictures, uint8 [n, 1, H, W] or [n, H, W], reach or keep, number by number.

    Raises ValueError if no picture has a lit pixel, or they are not grey pictures of uint8.
    """
    pixels = as_array(photographs, "learned_from")
    if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4) or (pixels.ndim == 4 and pixels.shape[1] != 1):
        raise ValueError(
            f"learned_from is {pixels.dtype} {list(pixels.shape)}; give grey pictures, uint8 [n, 1, H, W] or [n, H, W]"
        )
    pictures = pixels.reshape(-1, *pixels.shape[-2:])
    pictures = pictures[pictures.any(axis=(1, 2))]
    if not len(pictures):
        raise ValueError("learned_from holds no picture with a pixel brighter than 0")
    filled, long, off = _outlines(pictures)
    return Outline(
        filled=float(np.quantile(filled, RARE, method="lower")),
        long=int(np.quantile(long, RARE, method="lower")),
        off=float(np.quantile(off, 1 - RARE, method="higher")),
    )


def sketch_lab_limits(model: ViT, pictures: Mapping[str, UInt8[np.ndarray, "1 H W"]]) -> Iterator[tuple[str, Limit]]:
    """What the choices may be for this model."""
    size = size_of(model)

    def accepted(drawing: str) -> str:
        pixels_of(drawing, pictures, size)
        return drawing

    yield "drawing", Accepted(accepted, EMPTY)
    yield "cursor", Between(0, size[0] * size[1] - 1)
    yield "brush", Between(1, WIDEST)
    yield "grey", Between(0, 255)
    yield from heads_gallery_limits(model)


@dataclass(frozen=True)
class SketchLabState:
    """A drawing, the answer with some heads switched off, where one layer looks, and the answer block by block."""

    image: UInt8[np.ndarray, "1 H W"]
    grid: tuple[int, int]  # rows and columns of patches
    num_prefix_tokens: int
    cursor: int  # the pixel under the brush, row by row
    layer: int
    query: int  # the token that looks: num_prefix_tokens + patch, or 0 for the class token
    off: list[list[int]]  # the heads that are off, [layer, head], in order
    more: bool  # whether what follows is shown
    maps: Float[np.ndarray, "h N N"]  # of the layer shown; rows sum to 1
    lens: Float[np.ndarray, "layers K"]  # probabilities; entry k is the answer if it were read after k blocks
    class_names: list[str]
    probabilities: Float[np.ndarray, " K"]
    advice: str  # how the drawing differs from the pictures that the model learned from
    words: str


@torch.no_grad()
def sketch_lab_state(
    model: ViT,
    drawing: str = EMPTY,
    cursor: int = 0,
    brush: int = 2,
    grey: int = 255,
    layer: int = 0,
    query: int = 0,
    off: Sequence[tuple[int, int]] = (),
    more: bool = False,
    pictures: Mapping[str, UInt8[np.ndarray, "1 H W"]] | None = None,
    class_names: Sequence[str] | None = None,
    usual: Outline | None = None,
) -> SketchLabState:
    """Compute all that the sketch lab shows of a drawing.

    `drawing` is `nothing`, the name of one of `pictures`, or pixels as `drawing_of` writes them. `layer`, `query` and
    `off` are those of the heads gallery. `usual` is what a drawing is compared with, as `usual_outline` measures it.
    Raises ValueError if a choice is out of range, or the model is one that the lab cannot run.
    """
    check_vit(model, "the sketch lab")
    check_grey(model)
    pictures, names = pictures or {}, class_names_of(model, class_names)
    choices = {
        **{"drawing": drawing, "cursor": cursor, "brush": brush, "grey": grey},
        **{"layer": layer, "query": query, "off": off},
    }
    off = settle(sketch_lab_limits(model, pictures), choices)["off"]
    picture = pixels_of(drawing, pictures, size_of(model))
    pixels = model_input(model, picture)
    with heads_off(model, off):
        maps = attention_maps(model, pixels)[layer][0].double().numpy()
        stages = token_stages(model, pixels)
    with in_eval_mode(model):
        lens = torch.stack([model.classify(model.norm(tokens))[0] for tokens in stages]).double().softmax(-1).numpy()
    outline = outline_of(picture)
    advice = advice_of(outline, usual, len(names), drawing in pictures)
    words = answer_words(drawing, drawing in pictures, outline, lens[-1], names) + advice
    if more:
        prefix, columns = model.num_prefix_tokens, model.grid_size[1]
        patch = query - prefix
        who = patch_name(patch, columns) if patch >= 0 else "the class token"
        most = []
        for head, weights in enumerate(maps[:, query, prefix:]):
            gone = " (off)" if [layer, head] in off else ""
            most.append(f"head {head}{gone} patch {weights.argmax():,} ({percent(float(weights.max()))})")
        words += (
            f" Layer {layer}: {who} looks most at: {', '.join(most)}. Switched off: {off_words(off, len(maps))}. "
            f"Read after 0 to {len(lens) - 1} blocks, the answer is {', '.join(names[i] for i in lens.argmax(-1))}."
        )
    words += f" The brush is at row {cursor // picture.shape[2]}, column {cursor % picture.shape[2]}."
    return SketchLabState(
        image=picture,
        grid=model.grid_size,
        num_prefix_tokens=model.num_prefix_tokens,
        cursor=cursor,
        layer=layer,
        query=query,
        off=off,
        more=more,
        maps=maps,
        lens=lens,
        class_names=names,
        probabilities=lens[-1],
        advice=advice.strip(),
        words=words,
    )


def answer_words(
    drawing: str, named: bool, outline: Outline | None, probabilities: Float[np.ndarray, " K"], names: Sequence[str]
) -> str:
    """What is on the canvas, and the two answers that are most probable."""
    subject = f"{drawing}, a test picture" if named else "A drawing" if outline else "An empty canvas"
    order = np.argsort(-probabilities, kind="stable")[:2]
    said = ", then ".join(f"{names[i]} {percent(float(probabilities[i]))}" for i in order)
    return f"{subject}. The model says {said}."


def advice_of(outline: Outline | None, usual: Outline | None, answers: int, named: bool) -> str:
    """How a drawing differs from the pictures that the model learned from: nothing, or sentences after a space each."""
    if outline is None:
        return f" Nothing is drawn, and still it answers: it has {answers} answers, and none of them is “nothing”."
    if usual is None or named:
        return ""
    said, most = "", round(100 * (1 - RARE))
    if outline.filled < usual.filled:
        said += (
            f" This is an outline: {percent(outline.filled)} of what lies between its edges is lit; in {most} of 100 "
            f"training pictures it is {percent(usual.filled)} or more. Fill (f) fills what is closed."
        )
    if outline.long < usual.long - NEAR or outline.off > usual.off + NEAR:
        long = f"{outline.long} pixel{'s' * (outline.long > 1)} long"
        said += (
            f" It is {long} and {decimals(outline.off, 1)} off the centre; {most} of 100 training pictures are "
            f"{usual.long} long and at most {decimals(usual.off, 1)} off. Centre and scale (c) does to it what was "
            "done to them."
        )
    return said
