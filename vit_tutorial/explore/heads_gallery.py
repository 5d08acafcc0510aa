"""Heads gallery: all heads of a layer at once, each to be switched off, and what the model says then."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import traitlets
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from vit_tutorial.attention import MultiHeadAttention
from vit_tutorial.encoder import GELU, LAYER_NORM_EPS, MLP, EncoderBlock
from vit_tutorial.explore.common import (
    ACCENT,
    FAINT,
    INK,
    Explorer,
    as_picture,
    as_rgb,
    browser_code,
    class_names_of,
    model_input,
    named_pictures,
    percent,
    still,
    viridis,
)
from vit_tutorial.introspection import attention_maps
from vit_tutorial.vit import ViT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST = 2_000_000  # numbers of a model that a browser runs while a key is held
BARS = 10  # classes shown

Off = Sequence[tuple[int, int]]  # heads that are switched off: (layer, head), both counted from 0


@contextlib.contextmanager
def heads_off(model: ViT, off: Iterable[Sequence[int]]) -> Iterator[None]:
    """Inside this context, the heads (layer, head) of the model contribute nothing.

    Their d numbers are set to zero before the output projection; its bias stays.
    Raises ValueError if there is no such head.
    """

    def silence(heads: list[int], width: int):
        def hook(proj: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
            merged = args[0].clone()  # [B, N, h·d]
            for head in heads:
                merged[..., head * width : (head + 1) * width] = 0
            return (merged,)

        return hook

    config, hooks = model.config, []
    off = as_off(off, config.depth, config.num_heads)
    try:
        for layer in {layer for layer, _ in off}:
            heads = [head for where, head in off if where == layer]
            proj = model.blocks[layer].attn.proj
            hooks.append(proj.register_forward_pre_hook(silence(heads, config.dim // config.num_heads)))
        yield
    finally:
        for hook in hooks:
            hook.remove()


def as_off(off: Iterable[Sequence[int]], layers: int, heads: int) -> list[list[int]]:
    """Pairs [layer, head] in order, each once.

    Raises ValueError if there is no such head.
    """
    pairs = sorted({(int(layer), int(head)) for layer, head in off})
    for layer, head in pairs:
        if not (0 <= layer < layers and 0 <= head < heads):
            raise ValueError(
                f"there is no head {head} in layer {layer}; layers are 0 to {layers - 1}, heads 0 to {heads - 1}"
            )
    return [list(pair) for pair in pairs]


def check_model(model: ViT) -> None:
    """Raise ValueError with the reason if the browser cannot run the model's blocks."""
    config = model.config
    if config.norm != "pre":
        raise ValueError(f"the model has norm={config.norm!r}; the gallery runs pre-norm models: ViTConfig(norm='pre')")
    if config.representation_size is not None:
        raise ValueError("the model has a tanh layer before its head; build it with representation_size=None")
    for i, block in enumerate(model.blocks):
        parts = {"block": (block, EncoderBlock)}
        parts |= {"attn": (getattr(block, "attn", None), MultiHeadAttention), "mlp": (getattr(block, "mlp", None), MLP)}
        for name, (part, wanted) in parts.items():
            if type(part) is not wanted:
                place = f"block {i}" if name == "block" else f"`{name}` of block {i}"
                raise ValueError(
                    f"{place} is a {type(part).__name__}; the gallery runs the course's own {wanted.__name__}"
                )
    size = sum(parameter.numel() for parameter in model.blocks.parameters())
    if size > LARGEST:
        raise ValueError(
            f"the blocks hold {size:,} numbers, and a browser runs {LARGEST:,} fast at most; give a smaller model"
        )


@dataclass(frozen=True)
class HeadsGalleryState:
    """What the heads gallery shows of one layer, and what the model says with some heads switched off."""

    maps: Float[np.ndarray, "h N N"]  # of the layer shown; rows sum to 1
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
    check_model(model)
    config, names = model.config, class_names_of(model, class_names)
    off = as_off(off, config.depth, config.num_heads)
    num_tokens = model.grid_size[0] * model.grid_size[1] + model.num_prefix_tokens
    for what, chosen, number in (("layer", layer, config.depth), ("query", query, num_tokens)):
        if not 0 <= chosen < number:
            raise ValueError(f"{what} {chosen} is not among 0 to {number - 1}")
    if label is not None and not 0 <= label < len(names):
        raise ValueError(f"label {label} is not among the classes 0 to {len(names) - 1}")
    pixels = model_input(model, as_picture(image))
    maps, probabilities = _run(model, pixels, off)
    all_on = _run(model, pixels, ())[1] if off else probabilities
    shown = maps[layer][0].double().numpy()
    return HeadsGalleryState(
        maps=shown,
        probabilities=probabilities,
        all_on=all_on,
        words=_words(model, shown, probabilities, all_on, layer, query, off, names, label, name),
    )


def _run(model: ViT, pixels: Tensor, off: Off) -> tuple[list[Tensor], Float[np.ndarray, " classes"]]:
    """The maps of all layers, and the probabilities of the classes, with some heads switched off."""
    said = []
    listen = model.register_forward_hook(lambda module, args, logits: said.append(logits))
    try:
        with heads_off(model, off):
            maps = attention_maps(model, pixels)
    finally:
        listen.remove()
    return maps, said[0][0].double().softmax(-1).numpy()


def _words(model: ViT, maps, probabilities, all_on, layer, query, off, names, label, name) -> str:
    columns, prefix, heads = model.grid_size[1], model.num_prefix_tokens, model.config.num_heads
    gone = {tuple(pair) for pair in off}
    patch = query - prefix
    who = f"Patch {patch} (row {patch // columns}, column {patch % columns})" if patch >= 0 else "The class token"
    most = []
    for head, weights in enumerate(maps[:, query, prefix:]):
        best = int(weights.argmax())
        state = " (off)" if (layer, head) in gone else ""
        most.append(f"head {head}{state} patch {best} ({percent(float(weights[best]))})")

    def says(chances: Float[np.ndarray, " classes"]) -> str:
        best = int(chances.argmax())
        return f"{names[best]} {percent(float(chances[best]))}"

    truth = "" if label is None else f" The label is {names[label]}."
    return (
        f"{name}, layer {layer}. {who} looks most at: {', '.join(most)}. Switched off: {off_words(off, heads)}. "
        f"The model says {says(probabilities)}; with all heads on, {says(all_on)}.{truth}"
    )


def off_words(off: Off, heads: int) -> str:
    """Which heads are off: `layer 0 head 1; layer 3 all heads`, or `nothing`."""
    by_layer: dict[int, list[int]] = {}
    for layer, head in off:
        by_layer.setdefault(layer, []).append(head)
    parts = []
    for layer, gone in by_layer.items():
        some = f"head{'s' * (len(gone) > 1)} {' and '.join(map(str, gone))}"
        parts.append(f"layer {layer} {'all heads' if len(gone) == heads else some}")
    return "; ".join(parts) or "nothing"


def heads_gallery_figure(model: ViT, image, layer: int = 0, query: int = 0, off: Off = (), **choices: Any) -> Figure:
    """Draw what `heads_gallery_state(model, image, layer, query, off, **choices)` says as a still picture."""
    from matplotlib.patches import Rectangle

    state = heads_gallery_state(model, image, layer, query, off, **choices)
    picture, (rows, columns) = as_picture(image), model.grid_size
    prefix, heads = model.num_prefix_tokens, model.config.num_heads
    gone = {tuple(pair) for pair in off}
    across = min(heads, 4)
    figure, axes, say = still(9.4, 0.85 + 2.0 * -(-heads // across) + 2.2)
    extent, left, side = (0, columns, rows, 0), 0.15, 1.6

    def frame(axis) -> None:
        place = divmod(query - prefix, columns)
        for colour, line in (("black", 3.0), ("white", 1.5)) if query >= prefix else ():
            corner = (place[1], place[0])
            axis.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=colour, linewidth=line, clip_on=False))

    who = f"patch {query - prefix}" if query >= prefix else "the class token"
    say(left, 0.1, f"Layer {layer} of 0 to {model.config.depth - 1}: where {who} looks", fontweight="bold")
    say(left, 0.4, "the picture", fontsize=9)
    shown = axes(left, 0.65, side, side)
    shown.imshow(as_rgb(picture), extent=extent, aspect="auto", interpolation="nearest")
    frame(shown)
    grey = as_rgb(picture).mean(axis=-1)
    for head, weights in enumerate(state.maps[:, query]):
        x, y = left + (side + 0.25) * (1 + head % across), 0.4 + 2.0 * (head // across)
        is_off = (layer, head) in gone
        say(x, y, f"head {head}{', off' if is_off else ''}: up to {percent(weights[prefix:].max())}", fontsize=9)
        axis = axes(x, y + 0.25, side, side)
        axis.imshow(grey, cmap="gray", extent=extent, aspect="auto", interpolation="nearest")
        heat = weights[prefix:].reshape(rows, columns)
        alpha = 0.4 if is_off else 0.7
        axis.imshow(heat, cmap="viridis", vmin=0, alpha=alpha, extent=extent, aspect="auto", interpolation="nearest")
        frame(axis)
        if is_off:
            for colour, line in (("black", 5), ("white", 2.5)):
                axis.plot(0.91 * columns, 0.09 * rows, "x", color=colour, markersize=11, markeredgewidth=line)
    top = 0.75 + 2.0 * -(-heads // across)
    say(left, top, f"Switched off: {off_words(as_off(off, model.config.depth, heads), heads)}", fontweight="bold")
    names = class_names_of(model, choices.get("class_names"))
    for line, index in enumerate(shown_classes(state.all_on)):
        x, y = left + 4.6 * (line % 2), top + 0.3 + 0.35 * (line // 2)
        say(x, y, names[index], fontsize=9, color=ACCENT if index == choices.get("label") else INK)
        say(x + 1.85, y, percent(state.probabilities[index]), fontsize=9, ha="right")
        bar = axes(x + 2.0, y, 1.8, 0.18)
        bar.set_xlim(0, 1)
        bar.barh([1, 0], [state.probabilities[index], state.all_on[index]], [1.0, 0.4], color=[ACCENT, FAINT])
    say(left, top + 2.1, "Blue: now. Grey: with all heads on.", fontsize=9, color=FAINT)
    return figure


def shown_classes(all_on: Float[np.ndarray, " classes"]) -> list[int]:
    """The classes whose bars are shown: all, in their order, or the BARS most probable with all heads on."""
    if len(all_on) <= BARS:
        return list(range(len(all_on)))
    return sorted(np.argsort(-all_on, kind="stable")[:BARS].tolist())


@torch.no_grad()
def tokens_in_front(model: ViT, pictures: Iterable[UInt8[np.ndarray, "C H W"]]) -> Float[Tensor, "B N D"]:
    """The tokens of some pictures before the first block."""
    images = torch.cat([model_input(model, picture) for picture in pictures])
    return model.position(model.class_token(model.patch_embed(images)))


def weights_of(model: ViT) -> bytes:
    """The numbers of all blocks, the last norm and the head as float32, in the order in which the page reads them."""
    parts: list[Tensor] = []
    for block in model.blocks:
        qkv = block.attn.qkv
        bias = torch.zeros_like(qkv.weight[:, 0]) if qkv.bias is None else qkv.bias
        for layer in (block.norm1, (qkv.weight, bias), block.attn.proj, block.norm2, block.mlp.fc1, block.mlp.fc2):
            parts += layer if isinstance(layer, tuple) else (layer.weight, layer.bias)
    parts += [model.norm.weight, model.norm.bias, model.head.weight, model.head.bias]
    return torch.cat([part.detach().flatten() for part in parts]).float().numpy().tobytes()


class HeadsGallery(Explorer):
    """An explorer: all heads of a layer at once; switch some off, and the browser runs the model without them.

    `model` is a pre-norm ViT of the course's own parts. `images` is one uint8 picture [C, H, W] or [H, W] (0 to 255) of
    the size that the model takes, or a dict from names to such pictures; `labels` are their class indices in the same
    order. `class_names` defaults to the names on the model's card. The traits `picture`, `layer`, `query` (a token) and
    `off` (pairs [layer, head]) follow what the learner does and can be set from code.
    Raises ValueError if the model is one that the browser cannot run, or sizes and choices do not fit.
    """

    _esm = browser_code("heads_gallery.js")
    _names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _class_names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _labels = traitlets.List().tag(sync=True)
    _shape = traitlets.List().tag(sync=True)
    _pixels = traitlets.Bytes().tag(sync=True)
    _sizes = traitlets.Dict().tag(sync=True)
    _tokens = traitlets.Bytes().tag(sync=True)
    _weights = traitlets.Bytes().tag(sync=True)
    _colours = traitlets.Bytes().tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)
    layer = traitlets.Int(0, min=0).tag(sync=True)
    query = traitlets.Int(0, min=0).tag(sync=True)
    off = traitlets.List().tag(sync=True)

    def __init__(
        self,
        model: ViT,
        images,
        class_names: Sequence[str] | None = None,
        labels: Sequence[int] | int | None = None,
        **choices: Any,
    ):
        self._pictures = named_pictures(images, choices)
        check_model(model)
        self._model = copy.deepcopy(model).double().eval()
        self._truth = [None] * len(self._pictures) if labels is None else np.atleast_1d(np.asarray(labels)).tolist()
        if len(self._truth) != len(self._pictures):
            raise ValueError(f"{len(self._truth)} labels do not fit {len(self._pictures)} pictures")
        self._names_of_classes = class_names_of(model, class_names)
        for name, picture in self._pictures.items():
            try:
                model_input(model, picture)
            except ValueError as error:
                raise ValueError(f"picture {name!r}: {error}") from None
        config = model.config
        choices["off"] = as_off(choices.get("off", ()), config.depth, config.num_heads)
        self._state_of(**choices)
        tokens = tokens_in_front(self._model, self._pictures.values()).float().numpy()
        super().__init__(
            _names=list(self._pictures),
            _class_names=self._names_of_classes,
            _labels=self._truth,
            _shape=list(self._pictures[choices["picture"]].shape),
            _pixels=b"".join(picture.tobytes() for picture in self._pictures.values()),
            _sizes={
                "grid": list(model.grid_size),
                "prefix": model.num_prefix_tokens,
                "layers": config.depth,
                "heads": config.num_heads,
                "dim": config.dim,
                "hidden": model.blocks[0].mlp.fc1.out_features,
                "mean": config.pool == "mean",
                "tanh": GELU[config.gelu] == "tanh",
                "eps": LAYER_NORM_EPS,
                "bars": BARS,
            },
            _tokens=tokens.tobytes(),
            _weights=weights_of(model),
            _colours=viridis().tobytes(),
            **choices,
        )

    @traitlets.validate("off")
    def _known_heads(self, proposal) -> list[list[int]]:
        return as_off(proposal["value"], self._model.config.depth, self._model.config.num_heads)

    def _call(self, picture: str, layer: int = 0, query: int = 0, off: Off = ()) -> tuple[tuple, dict[str, Any]]:
        label = self._truth[list(self._pictures).index(picture)]
        named = {"class_names": self._names_of_classes, "label": label, "name": picture}
        return (self._model, self._pictures[picture], layer, query, off), named

    def _state_of(self, *choices: Any, **named: Any) -> HeadsGalleryState:
        given, names = self._call(*choices, **named)
        return heads_gallery_state(*given, **names)

    def state(self) -> HeadsGalleryState:
        """The numbers that the explorer shows now."""
        return self._state_of(self.picture, self.layer, self.query, self.off)

    def words(self) -> str:
        """What the explorer shows now, in a few sentences; the browser says the same."""
        return self.state().words

    def figure(self) -> Figure:
        """What the explorer shows now, as a still picture."""
        given, names = self._call(self.picture, self.layer, self.query, self.off)
        return heads_gallery_figure(*given, **names)

    def __repr__(self) -> str:
        return f"HeadsGallery({self.picture!r}, layer={self.layer}, off={[tuple(pair) for pair in self.off]})"
