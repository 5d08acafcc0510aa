"""The numbers of the heads gallery: where all heads of a layer look, and what the model says with some switched off."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from vit_tutorial.explore.limits import Accepted, Between, Limit, settle
from vit_tutorial.explore.pictures import as_picture, class_names_of, model_input
from vit_tutorial.explore.vit import check_vit
from vit_tutorial.explore.words import best_class, patch_name, percent
from vit_tutorial.inputs import whole_number
from vit_tutorial.introspection import attention_maps, heads_changed
from vit_tutorial.support.wrapped import unwrapped
from vit_tutorial.vit import ViT

Off = Sequence[tuple[int, int]]  # heads that are switched off: (layer, head), both counted from 0


@contextlib.contextmanager
def heads_off(model: ViT, off: Iterable[Sequence[int]]) -> Iterator[None]:
    """Inside this context, the heads (layer, head) of the model contribute nothing whenever it runs in this thread.

    Their d numbers are set to zero before the output projection; its bias stays.
    Raises ValueError if there is no such head.
    """
    config = model.config
    layers, width = by_layer(as_off(off, config.depth, config.num_heads)), config.dim // config.num_heads

    def silence(layer: int, found: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"] | None:
        if layer not in layers:
            return None
        found = found.clone()
        for head in layers[layer]:
            found[..., head * width : (head + 1) * width] = 0
        return found

    with heads_changed(model, silence):
        yield


def as_off(off: Iterable[Sequence[int]], layers: int, heads: int) -> list[list[int]]:
    """Pairs [layer, head] in order, each once.

    Raises ValueError if these are no such pairs, or there is no such head.
    """
    try:
        pairs = sorted({(operator.index(layer), operator.index(head)) for layer, head in off})
    except (TypeError, ValueError):
        raise ValueError(f"off is {off!r}; give pairs of a layer and a head, such as [(0, 1)]") from None
    for layer, head in pairs:
        if not (0 <= layer < layers and 0 <= head < heads):
            raise ValueError(
                f"there is no head {head} in layer {layer}; layers are 0 to {layers - 1}, heads 0 to {heads - 1}"
            )
    return [list(pair) for pair in pairs]


def check_label(label: int | None, names: Sequence[str]) -> int | None:
    """Give the label, if there is one, as a whole number; raise ValueError if no class has that index."""
    if label is not None and not 0 <= (label := whole_number("a label", label)) < len(names):
        raise ValueError(f"label {label} is not among the classes 0 to {len(names) - 1}")
    return label


def by_layer(off: Off) -> dict[int, list[int]]:
    """The heads that are off in each layer that has one."""
    layers: dict[int, list[int]] = {}
    for layer, head in off:
        layers.setdefault(layer, []).append(head)
    return layers


def heads_gallery_limits(model: ViT) -> Iterator[tuple[str, Limit]]:
    """What the choices may be for this model."""
    config = model.config
    yield "layer", Between(0, config.depth - 1)
    yield "query", Between(0, model.grid_size[0] * model.grid_size[1] + model.num_prefix_tokens - 1)
    yield "off", Accepted(lambda off: as_off(off, config.depth, config.num_heads), [])


@dataclass(frozen=True)
class HeadsGalleryState:
    """What the heads gallery shows of one layer, and what the model says with some heads switched off."""

    image: UInt8[np.ndarray, "C H W"]
    grid: tuple[int, int]  # rows and columns of patches
    num_prefix_tokens: int
    num_layers: int
    layer: int
    query: int  # the token that looks: num_prefix_tokens + patch, or 0 for the class token
    off: list[list[int]]  # the heads that are off, [layer, head], in order
    maps: Float[np.ndarray, "h N N"]  # of the layer shown; rows sum to 1
    class_names: list[str]
    label: int | None
    probabilities: Float[np.ndarray, " classes"]
    all_on: Float[np.ndarray, " classes"]  # with no head switched off
    words: str


def heads_gallery_state(
    model: ViT,
    image,
    layer: int = 0,
    query: int = 0,
    off: Off = (),
    class_names: Sequence[str] | None = None,
    label: int | None = None,
    name: str = "The picture",
) -> HeadsGalleryState:
    """Compute all that the heads gallery shows of one uint8 picture [C, H, W], which the words call `name`.

    `layer`, and the pairs (layer, head) of `off`, are counted from 0; `query` is a token, 0 the class token if there is
    one. A head that is off contributes nothing: its numbers are zero before the output projection, whose bias stays.
    Raises ValueError if a choice is out of range, or the model is one that the gallery cannot run.
    """
    check_vit(model, "the gallery")
    names = class_names_of(model, class_names)
    off = settle(heads_gallery_limits(model), {"layer": layer, "query": query, "off": off})["off"]
    check_label(label, names)
    picture = as_picture(image)
    pixels = model_input(model, picture)
    maps, probabilities = _run(model, pixels, off)
    all_on = _run(model, pixels, ())[1] if off else probabilities
    shown = maps[layer][0].double().numpy()
    columns, prefix = model.grid_size[1], model.num_prefix_tokens
    patch = query - prefix
    who = patch_name(patch, columns).capitalize() if patch >= 0 else "The class token"
    most = []
    for head, weights in enumerate(shown[:, query, prefix:]):
        best = int(weights.argmax())
        gone = " (off)" if [layer, head] in off else ""
        most.append(f"head {head}{gone} patch {best:,} ({percent(float(weights[best]))})")

    truth = "" if label is None else f" The label is {names[label]}."
    words = (
        f"{name}, layer {layer}. {who} looks most at: {', '.join(most)}. Switched off: {off_words(off, len(shown))}. "
        f"The model says {best_class(probabilities, names)}; with all heads on, {best_class(all_on, names)}.{truth}"
    )
    return HeadsGalleryState(
        image=picture,
        grid=model.grid_size,
        num_prefix_tokens=prefix,
        num_layers=len(maps),
        layer=layer,
        query=query,
        off=off,
        maps=shown,
        class_names=names,
        label=label,
        probabilities=probabilities,
        all_on=all_on,
        words=words,
    )


def _run(model: ViT, pixels: Tensor, off: Off) -> tuple[list[Tensor], Float[np.ndarray, " classes"]]:
    """The maps of all layers, and the probabilities of the classes, with some heads switched off."""
    said = []
    listen = unwrapped(model).register_forward_hook(lambda module, args, logits: said.append(logits))
    try:
        with heads_off(model, off):
            maps = attention_maps(model, pixels)
    finally:
        listen.remove()
    return maps, said[0][0].double().softmax(-1).numpy()


def off_words(off: Off, heads: int) -> str:
    """Which heads are off: `layer 0 head 1; layer 3 all heads`, or `nothing`."""
    parts = []
    for layer, gone in by_layer(off).items():
        some = f"head{'s' * (len(gone) > 1)} {' and '.join(map(str, gone))}"
        parts.append(f"layer {layer} {'all heads' if len(gone) == heads else some}")
    return "; ".join(parts) or "nothing"
