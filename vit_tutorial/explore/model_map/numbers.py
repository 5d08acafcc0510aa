"""The numbers of the model map: every box with what it takes, gives, holds and does, of one picture."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from vit_tutorial.attention import MultiHeadAttention
from vit_tutorial.explore.limits import Between, Limit, OneOf, settle
from vit_tutorial.explore.model_map.code import code_of_box, probabilities
from vit_tutorial.explore.model_map.geometry import INSIDE, PARTS_OF_BLOCK
from vit_tutorial.explore.pictures import as_array, check_model, class_names_of, model_input
from vit_tutorial.explore.words import decimals, percent
from vit_tutorial.hybrid import HybridEmbedding
from vit_tutorial.introspection import in_eval_mode
from vit_tutorial.patches import PatchEmbedding
from vit_tutorial.vit import ViT

TITLES = {
    "image": "Picture",
    "feature_map": "ResNet",
    "patches": "Patches",
    "patch_embed": "Linear projection",
    "class_token": "Class token",
    "position": "Positions",
    "block": "Block",
    "norm1": "Norm 1",
    "attn": "Attention",
    "residual1": "Plus",
    "norm2": "Norm 2",
    "mlp": "MLP",
    "residual2": "Plus",
    "norm": "Last norm",
    "pool": "Pick",
    "pre_logits": "Linear, tanh",
    "head": "Head",
    "softmax": "Softmax",
}
EQUATIONS = {
    "patches": "x_p of equation 1",
    "patch_embed": "x_p E of equation 1",
    "class_token": "x_class of equation 1",
    "position": "+ E_pos of equation 1",
    "block": "equations 2 and 3",
    "norm1": "LN of equation 2",
    "attn": "MSA of equation 2",
    "residual1": "+ z of equation 2",
    "norm2": "LN of equation 3",
    "mlp": "MLP of equation 3",
    "residual2": "+ z' of equation 3",
    "norm": "LN of equation 4",
    "pool": "token 0 of equation 4",
}
DOES = {
    "image": "One picture, as numbers that the model was made for. The code is the whole way through the model.",
    "feature_map": "A ResNet looks at the picture first; its feature map takes the place of the pixels.",
    "patches": "Cut into squares, in reading order; each square becomes one row of numbers.",
    "patch_embed": "Each row becomes D numbers: one matrix E and a bias, the same for every patch.",
    "class_token": "One learned vector is put in front. It is the same for every picture.",
    "position": "Each place gets a vector of its own added, so that the tokens know where they come from.",
    "block": "Attention between the tokens, then an MLP on each of them. Open it below.",
    "norm1": "Each token alone is brought to mean 0 and variance 1, then stretched and shifted as learned.",
    "attn": "Every token takes from every token what it needs. Only here do tokens meet.",
    "residual1": "What attention says is added to the token that came in.",
    "norm2": "Each token alone is brought to mean 0 and variance 1 again.",
    "mlp": "Each token alone is widened, bent with GELU, and narrowed again.",
    "residual2": "What the MLP says is added to the token.",
    "norm": "One more norm: the stream of tokens itself was never normed.",
    "pool": "One vector is left, which stands for the picture.",
    "pre_logits": "One more linear layer with tanh, as in pre-training.",
    "head": "One linear layer gives one number for each class: the logits.",
    "softmax": "The logits become probabilities. This is no part of the model: it stops at the logits.",
}
UNKNOWN = "A block of another kind than the course's, so there is no view inside."
APART = " The model does Patches and Linear projection in one convolution (lesson 1). Here they are shown apart."
TWO_WAYS = " The code knows two ways to compute the same, and chooses the faster one (lesson 5)."
MOST_ROWS, MOST_COLUMNS = 260, 256  # of a table that travels to the browser
MOST_BARS = 10
CHANNELS_SHOWN = 16  # of a feature map, four by four


@dataclass(frozen=True)
class Box:
    """One box of the map, with all that it shows of one picture."""

    key: str
    block: int  # counted from 1; 0 outside the blocks
    title: str
    equation: str
    does: str
    code: str
    where: str  # whose code it is
    input_shape: str
    output_shape: str
    parameters: int
    share: float  # of all the model's parameters
    kind: str  # of the picture: "image", "patches", "table" or "bars"
    picture: np.ndarray  # of an image [C, H, W] uint8; else the numbers [rows, columns]
    limit: float  # the size of number that gets the last colour
    labels: tuple[str, ...]  # of the bars
    says: str  # what the picture shows
    class_token: bool  # the first row of the picture is the class token


@torch.no_grad()
def run(model: ViT, image: UInt8[np.ndarray, "C H W"]) -> dict[tuple[str, int], Tensor]:
    """Run the model once on a picture: what leaves each box, in order, by the box's key and its block (0: none)."""
    check_model(model)
    images = model_input(model, image)
    seen: dict[tuple[int, str], tuple[Tensor, Tensor]] = {}
    with in_eval_mode(model), contextlib.ExitStack() as hooks:
        for number, block in enumerate(model.blocks, start=1):
            for name in PARTS_OF_BLOCK:
                if isinstance(part := getattr(block, name, None), nn.Module):

                    def keep(module, args, output, key=(number, name)):
                        seen[key] = args[0], output[0] if isinstance(output, tuple) else output

                    hooks.callback(part.register_forward_hook(keep).remove)
        stages = model.forward_intermediates(images)
    made: dict[tuple[str, int], Tensor] = {("image", 0): images}
    inside = INSIDE[model.config.norm] if all((1, name) in seen for name in PARTS_OF_BLOCK) else ()
    for name, value in stages.items():
        if name.startswith("blocks."):
            number = int(name.removeprefix("blocks.")) + 1
            made["block", number] = value
            for place, key in enumerate(inside):
                if key in PARTS_OF_BLOCK:
                    made[key, number] = seen[number, key][1]
                else:  # a sum: what the next part takes, or what the block gives
                    last = place + 1 == len(inside)
                    made[key, number] = value if last else seen[number, inside[place + 1]][0]
        elif name == "logits":
            made["head", 0] = value
        elif not isinstance(getattr(model, name, None), nn.Identity):  # what does nothing gets no box
            made[name, 0] = value
    made["softmax", 0] = probabilities(stages["logits"])
    return made


def map_boxes(model: ViT, image: UInt8[np.ndarray, "C H W"]) -> list[Box]:
    """Run the model once on a picture and describe every box, in the order of the way through the model.

    Raises ValueError if the picture does not fit the model.
    """
    made = run(model, image)
    modules = {
        "patch_embed": model.patch_embed,
        "class_token": model.class_token,
        "position": model.position,
        "norm": model.norm,
        "pre_logits": model.pre_logits,
        "head": model.head,
    }
    whole = numbers_in(model)
    codes = {key: code_of_box(model, key) for key in dict.fromkeys(key for key, _ in made)}
    names = class_names_of(model)
    boxes = []
    for (key, number), value in made.items():
        as_in_paper = (model.config.norm == "pre" or not number) and (model.config.pool == "cls" or key != "pool")
        if number:
            block = model.blocks[number - 1]
            parameters = numbers_in(block if key == "block" else getattr(block, key, None))
        else:
            parameters = numbers_in(modules.get(key))
        if isinstance(model.patch_embed, HybridEmbedding):
            backbone = numbers_in(model.patch_embed.backbone)
            parameters += {"feature_map": backbone, "patch_embed": -backbone}.get(key, 0)
        kind, picture, limit, labels, says = picture_of(key, value[0].float().cpu(), image, model, names)
        code, where = codes[key]
        boxes.append(
            Box(
                key=key,
                block=number,
                title="Mean" if key == "pool" and model.config.pool == "mean" else TITLES[key],
                equation=EQUATIONS.get(key, "") if as_in_paper else "",
                does=UNKNOWN if key == "block" and ("attn", 1) not in made else does_of(model, key, number, value),
                code=code,
                where=where,
                input_shape=str(list(made[before(key, number, list(made), model.config.norm)].shape)),
                output_shape=str(list(value.shape)),
                parameters=parameters,
                share=parameters / whole,
                kind=kind,
                picture=picture,
                limit=limit,
                labels=labels,
                says=says,
                class_token=value.ndim == 3 and key not in ("patches", "patch_embed") and model.num_prefix_tokens > 0,
            )
        )
    return boxes


def does_of(model: ViT, key: str, number: int, value: Tensor) -> str:
    """What a box does, in a sentence or two, with what is special about this model."""
    more = ""
    if key in ("patches", "patch_embed") and isinstance(model.patch_embed, PatchEmbedding):
        more = APART
    elif key == "attn" and isinstance(model.blocks[number - 1].attn, MultiHeadAttention):
        more = TWO_WAYS
    elif key == "mlp" and isinstance(widen := getattr(model.blocks[number - 1].mlp, "fc1", None), nn.Linear):
        more = f" In between it is {[*value.shape[:-1], widen.out_features]}."
    elif key == "norm":
        more = f" It takes what the last block gave, block {model.config.depth}."
    return DOES[key] + more


def numbers_in(module: nn.Module | None) -> int:
    """How many numbers a part has learned, or will."""
    return sum(parameter.numel() for parameter in module.parameters()) if module is not None else 0


def before(key: str, number: int, keys: list[tuple[str, int]], norm: str) -> tuple[str, int]:
    """The box whose output a box takes; the picture takes itself."""
    outside = [place for place in keys if place[0] not in INSIDE[norm]]
    place = INSIDE[norm].index(key) if key in INSIDE[norm] else 0
    if key in INSIDE[norm] and place > 0:
        return INSIDE[norm][place - 1], number
    at = outside.index(("block", number) if key in INSIDE[norm] else (key, number))
    return outside[max(0, at - 1)]


def picture_of(
    key: str, value: Tensor, image: UInt8[np.ndarray, "C H W"], model: ViT, names: list[str]
) -> tuple[str, np.ndarray, float, tuple[str, ...], str]:
    """What leaves a box as a picture: its kind, its numbers, its last colour, the names of its bars, and in words."""
    if key == "image":
        return "image", image, 0.0, (), f"{image.shape[1]:,} by {image.shape[2]:,} pixels"
    if key == "patches" and not isinstance(model.patch_embed, HybridEmbedding):
        return "patches", image, 0.0, (), f"{len(value):,} patches of {value.shape[1]:,} numbers"
    if key in ("head", "softmax"):
        order = value.argsort(descending=True)[:MOST_BARS] if len(value) > MOST_BARS else torch.arange(len(value))
        shown = as_array(value[order]).astype(np.float64)[None]
        best = float(value.max())
        told = percent(best) if key == "softmax" else decimals(best)
        says = f"most for {names[int(value.argmax())]}: {told}"
        return "bars", shown, float(np.abs(shown).max()), tuple(names[int(i)] for i in order), says
    if key == "feature_map":
        tiles = value[:CHANNELS_SHOWN]
        count = max(side for side in (1, 2, 4) if side * side <= len(tiles))
        rows = [torch.cat(list(tiles[row * count : (row + 1) * count]), dim=1) for row in range(count)]
        table = as_array(torch.cat(rows, dim=0))
        says = f"{len(value):,} channels of {value.shape[1]} by {value.shape[2]}; {count * count} of them are shown"
    else:
        table = as_array(value if value.ndim == 2 else value[None])
        size = f"{table.shape[1]:,} numbers"
        size = f"{len(table):,} rows of {size}" if len(table) > 1 else size
        says = f"{size}, from {decimals(table.min())} to {decimals(table.max())}"
    down, across = (-(-side // most) for side, most in zip(table.shape, (MOST_ROWS, MOST_COLUMNS), strict=True))
    if down > 1 or across > 1:
        says += f"; every {ordinal(max(down, across))} is drawn" if 1 in (down, across) else "; some of them are drawn"
    table = table[::down, ::across].astype(np.float32)
    limit = max(float(np.ceil(np.quantile(np.abs(table), 0.995) * 10) / 10), 0.1)
    return "table", table, limit, (), says


def ordinal(number: int) -> str:
    """2 -> `second`, 7 -> `7th`: which numbers are drawn."""
    return {2: "second", 3: "third"}.get(number, f"{number}th")


@dataclass(frozen=True)
class ModelMapState:
    """What the model map shows: the chosen box, the boxes of the map with the open block, and all of it in words."""

    box: Box
    walk: tuple[Box, ...]  # in the order in which the arrow keys go
    depth: int  # blocks of the model
    words: str


def model_map_limits(boxes: list[Box], choices: dict) -> Iterator[tuple[str, Limit]]:
    """What the choices may be: a block of the model that is open, and a box on the way through it."""
    yield "block", Between(1, depth_of(boxes))
    yield "box", OneOf([each.key for each in boxes if each.block in (0, choices["block"])])


def depth_of(boxes: list[Box]) -> int:
    """How many blocks the model has."""
    return max(each.block for each in boxes)


def model_map_state(boxes: list[Box], box: str = "image", block: int = 1) -> ModelMapState:
    """Choose a box by its key, and the block that is open, counted from 1.

    Raises ValueError if the map has no such box or block.
    """
    settle(model_map_limits(boxes, choices := {"box": box, "block": block}), choices)
    walk = tuple(each for each in boxes if each.block in (0, block))
    chosen = next(each for each in walk if each.key == box)
    depth = depth_of(boxes)
    return ModelMapState(chosen, walk, depth, words_of(chosen, block, depth))


def words_of(box: Box, block: int, depth: int) -> str:
    """What the map shows, in a few sentences."""
    return f"{sentence_of(box)} Block {block} of {depth} is open."


def sentence_of(box: Box) -> str:
    """What one box does, takes, gives and holds."""
    held = f"{box.parameters:,} parameters, {share_of(box)} of the model" if box.parameters else "no parameters"
    return (
        f"{heading_of(box)}. {box.does} In: {box.input_shape}. Out: {box.output_shape}. "
        f"It has {held}. What leaves it: {box.says}."
    )


def label_of(box: Box, depth: int) -> list[str]:
    """What stands in a box, in one or two lines."""
    if box.key == "block":
        return [f"Block {box.block}", f"of {depth}"]
    if box.title == "Plus":
        return ["+"]
    first, _, rest = box.title.partition(" ")
    return [first, rest] if len(rest) > 1 else [box.title]


def share_of(box: Box) -> str:
    """A box's share of all parameters, in words."""
    return "less than 0.1%" if 0 < box.share < 0.0005 else percent(box.share)


def heading_of(box: Box) -> str:
    """The name of a box, where it stands, and what the paper calls it."""
    place = "" if not box.block else f" {box.block}" if box.key == "block" else f", block {box.block}"
    return f"{box.title}{place}{f': {box.equation}' if box.equation else ''}"
