"""Model map: the whole Vision Transformer as boxes to open, each with its code, shapes, parameters and output."""

from __future__ import annotations

import ast
import contextlib
import inspect
import itertools
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import traitlets
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from vit_tutorial.attention import MultiHeadAttention, scaled_dot_product_attention
from vit_tutorial.explore.common import (
    ACCENT,
    FAINT,
    INK,
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
)
from vit_tutorial.hybrid import HybridEmbedding
from vit_tutorial.introspection import in_eval_mode
from vit_tutorial.patches import PatchEmbedding, patchify
from vit_tutorial.vit import ViT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PARTS_OF_BLOCK = ("norm1", "attn", "norm2", "mlp")
INSIDE = {
    "pre": ("norm1", "attn", "residual1", "norm2", "mlp", "residual2"),
    "post": ("attn", "residual1", "norm1", "mlp", "residual2", "norm2"),
}
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
    "norm": "One more norm: the stream of tokens itself was never normed. Its line of code goes on to the logits.",
    "pool": "One vector is left, which stands for the picture.",
    "pre_logits": "One more linear layer with tanh, as in pre-training.",
    "head": "One linear layer gives one number for each class: the logits.",
    "softmax": "The logits become probabilities. This is no part of the model: it stops at the logits.",
}
UNKNOWN = "A block of another kind than the course's, so there is no view inside."
APART = " The model does Patches and Linear projection in one convolution (lesson 1). Here they are shown apart."
TWO_WAYS = " The code knows two ways to compute the same, and chooses the faster one (lesson 4)."
MOST_ROWS, MOST_COLUMNS = 260, 256  # of a table that travels to the browser
MOST_BARS = 10
CHANNELS_SHOWN = 16  # of a feature map, four by four


def probabilities(logits: Float[Tensor, "B num_classes"]) -> Float[Tensor, "B num_classes"]:
    """Turn logits into probabilities that sum to 1."""
    return logits.softmax(dim=-1)


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


# ------------------------------------------------------------------------------------------ the code of a box


def code_of(function: Callable, *marks: str) -> str:
    """The text of a function without its docstring and without the checks that only raise.

    With marks, the lines alone in which one of these stands; all lines if there is none. Where the text is not to be
    had, a sentence that says so.
    """
    try:
        text = textwrap.dedent(inspect.getsource(function))
        tree = ast.parse(text).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return f"# the text of {getattr(function, '__qualname__', function)} is not to be had"
    lines = text.splitlines()
    left_out = set(range(1, tree.lineno))  # decorators
    for node in getattr(tree, "body", [])[:-1]:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        raises = isinstance(node, ast.If) and isinstance(node.body[-1], ast.Raise)
        checks = isinstance(node, ast.Expr) and ast.unparse(node).removeprefix("self.").startswith("_check")
        if docstring or raises or checks:
            left_out |= set(range(node.lineno, node.end_lineno + 1))
    kept = [line for number, line in enumerate(lines, start=1) if number not in left_out]
    marked = [line for line in kept if any(mark in line for mark in marks)]
    return textwrap.dedent("\n".join(marked or kept)).strip("\n")


def code_of_box(model: ViT, key: str) -> tuple[str, str]:
    """The code of a box, and whose it is: read from the classes of which this very model is made.

    Cutting and softmax are done elsewhere or not at all by the model, and stand there as plain functions.
    """
    block = model.blocks[0]
    pre = model.config.norm == "pre"
    embed = type(model.patch_embed)
    functions: dict[str, list[tuple]] = {
        "image": [(type(model).forward,)],
        "patches": [(patchify,)],
        "patch_embed": [(embed.forward,), *([(embed._project,)] if hasattr(embed, "_project") else [])],
        "class_token": [(type(model.class_token).forward,)],
        "position": [(type(model.position).forward,)],
        "block": [(type(block).forward,)],
        "norm": [(ViT.__init__, "self.norm = "), (ViT.forward, "self.norm(")],
        "pool": [(ViT._pool,)],
        "pre_logits": [(ViT._build_pre_logits,)],
        "head": [(ViT.__init__, "self.head = "), (ViT.classify, "self.head(")],
        "softmax": [(probabilities,)],
    }
    if isinstance(model.patch_embed, HybridEmbedding):
        functions["feature_map"] = [(type(model.patch_embed.backbone).forward,)]
    first, second = ("self.attn(self.norm1(", "self.mlp(self.norm2(") if pre else ("self.norm1(x + ", "self.norm2(x + ")
    if key in ("norm1", "norm2"):
        line = first if key == "norm1" else second
        functions[key] = [(type(block).__init__, f"self.{key} = "), (type(block).forward, line)]
    elif key in ("attn", "mlp"):
        functions[key] = [(type(getattr(block, key)).forward,)]
        if isinstance(getattr(block, key), MultiHeadAttention):
            functions[key].append((scaled_dot_product_attention,))
    elif key in ("residual1", "residual2"):
        functions[key] = [(type(block).forward, first if key == "residual1" else second)]
    chosen = functions[key]
    owners = dict.fromkeys(f"{function.__qualname__} in {function.__module__}" for function, *_ in chosen)
    return "\n\n".join(code_of(*parts) for parts in chosen), ", ".join(owners)


# ------------------------------------------------------------------------------------------ what leaves a box


@torch.no_grad()
def run(model: ViT, image: UInt8[np.ndarray, "C H W"]) -> dict[tuple[str, int], Tensor]:
    """Run the model once on a picture: what leaves each box, in order, by the box's key and its block (0: none)."""
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
        return "image", image, 0.0, (), f"{image.shape[1]} by {image.shape[2]} pixels"
    if key == "patches" and not isinstance(model.patch_embed, HybridEmbedding):
        return "patches", image, 0.0, (), f"{len(value)} patches of {value.shape[1]} numbers"
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
        says = f"{len(value)} channels of {value.shape[1]} by {value.shape[2]}; {count * count} of them are shown"
    else:
        table = as_array(value if value.ndim == 2 else value[None])
        size = f"{len(table)} rows of {table.shape[1]} numbers" if len(table) > 1 else f"{table.shape[1]} numbers"
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


# ------------------------------------------------------------------------------------------ the state


@dataclass(frozen=True)
class ModelMapState:
    """What the model map shows: the chosen box, the boxes of the map with the open block, and all of it in words."""

    box: Box
    walk: tuple[Box, ...]  # in the order in which the arrow keys go
    words: str


def model_map_state(boxes: list[Box], box: str = "image", block: int = 1) -> ModelMapState:
    """Choose a box by its key, and the block that is open, counted from 1.

    Raises ValueError if the map has no such box or block.
    """
    depth = max(each.block for each in boxes)
    if not 1 <= block <= depth:
        raise ValueError(f"block {block} is not among 1 to {depth}")
    walk = tuple(each for each in boxes if each.block in (0, block))
    chosen = [each for each in walk if each.key == box]
    if not chosen:
        raise ValueError(f"box {box!r} is not among {', '.join(repr(each.key) for each in walk)}")
    return ModelMapState(chosen[0], walk, words_of(chosen[0], block, depth))


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


# ------------------------------------------------------------------------------------------ where things lie

WIDE, HIGH = 912, 232  # of the map, in CSS pixels
TOP, INNER, TALL = 12, 146, 50  # upper edges of both rows, height of a box
EDGE, GAP, INNER_GAP = 2, 13, 34
PART, PLUS = 112, 44  # widths inside a block
ARC = 126  # where the residual connections run
LEAST_BAR = 3.0  # of a box with parameters


def layout(keys: list[str]) -> tuple[dict[str, list[float]], list[list[float]]]:
    """Lay out the boxes: [x, y, width, height] of each, and [from x, to x] of each residual connection."""
    outside = [key for key in keys if key not in INSIDE["pre"]]
    inside = [key for key in keys if key in INSIDE["pre"]]
    width = (WIDE - 2 * EDGE - GAP * (len(outside) - 1)) / len(outside)
    places = {key: [EDGE + i * (width + GAP), TOP, width, TALL] for i, key in enumerate(outside)}
    widths = [PLUS if key.startswith("residual") else PART for key in inside]
    x = (WIDE - sum(widths) - INNER_GAP * (len(inside) - 1)) / 2
    arcs, start = [], x - INNER_GAP / 2
    for place, (key, wide) in enumerate(zip(inside, widths, strict=True)):
        places[key] = [x, INNER, wide, TALL]
        if key.startswith("residual"):
            arcs.append([start, x + wide / 2])
            after = x + wide + INNER_GAP / 2
            follows_norm = inside[(place + 1) % len(inside)].startswith("norm") and inside[0] == "attn"
            start = after + PART + INNER_GAP if follows_norm else after  # post-norm: the stream goes through the norm
        x += wide + INNER_GAP
    return places, arcs


def model_map_figure(
    boxes: list[Box], patch_size: int, box: str = "image", block: int = 1, code_lines: int = 12
) -> Figure:
    """Draw what `model_map_state` says as a still picture."""
    state = model_map_state(boxes, box, block)
    chosen = state.box
    places, arcs = layout([each.key for each in state.walk])
    figure, axes, say = still(9.4, 6.3)
    drawing = axes(0.14, 0.1, WIDE / 100, HIGH / 100)
    drawing.set_xlim(0, WIDE)
    drawing.set_ylim(HIGH, 0)
    draw_map(drawing, state, places, arcs, max(each.block for each in boxes))
    say(0.14, 2.55, heading_of(chosen), fontweight="bold")
    say(4.4, 2.55, chosen.does, fontsize=8.5, wrap=True)
    held = f"{chosen.parameters:,} ({share_of(chosen)} of the model)" if chosen.parameters else "none"
    for line, (what, told) in enumerate(
        {"in": chosen.input_shape, "out": chosen.output_shape, "parameters": held}.items()
    ):
        say(4.4, 3.13 + 0.42 * line, what, color=FAINT, fontsize=9)
        say(4.4, 3.28 + 0.42 * line, told, fontsize=12)
    draw_picture(axes(0.34, 2.85, 3.8, 1.5), chosen, patch_size)
    lines = chosen.code.splitlines()
    lines = lines if len(lines) <= code_lines else [*lines[: code_lines - 1], "…"]
    say(0.14, 4.5, chosen.where, color=FAINT, fontsize=8)
    say(0.14, 4.68, "\n".join(lines), family="monospace", fontsize=6.6, linespacing=1.3)
    return figure


def draw_map(
    drawing: Axes, state: ModelMapState, places: dict[str, list[float]], arcs: list[list[float]], depth: int
) -> None:
    """Draw the boxes, the lines between them, and how much of the parameters each holds."""
    from matplotlib.patches import Rectangle

    line = {"color": INK, "linewidth": 1}
    rows = [[each for each in state.walk if (each.key in INSIDE["pre"]) == inner] for inner in (False, True)]
    for row in rows:
        for left, right in itertools.pairwise(row):
            (x, y, w, h), (to, *_) = places[left.key], places[right.key]
            drawing.annotate("", (to, y + h / 2), (x + w, y + h / 2), arrowprops={"arrowstyle": "->", **line})
    if rows[1]:
        x, y, w, h = places["block"]
        first, last = places[rows[1][0].key], places[rows[1][-1].key]
        left, right = first[0] - INNER_GAP, last[0] + last[2] + INNER_GAP
        top, bottom = ARC - 16, HIGH - 4
        zoomed = ([x, left, left, right, right, x + w], [y + h + 16, top, bottom, bottom, top, y + h + 16])
        drawing.plot(*zoomed, color=FAINT, linewidth=0.8)
        drawing.plot([left, right], [top, top], color=FAINT, linewidth=0.8)
        middle = first[1] + first[3] / 2
        drawing.plot([left, first[0]], [middle, middle], **line)
        drawing.plot([last[0] + last[2], right], [middle, middle], **line)
        for start, end in arcs:
            drawing.plot([start, start, end], [middle, ARC, ARC], **line)
            drawing.annotate("", (end, first[1]), (end, ARC), arrowprops={"arrowstyle": "->", **line})
    for each in state.walk:
        x, y, w, h = places[each.key]
        if each.key == "block":
            for step in (6, 3):
                drawing.add_patch(Rectangle((x + step, y - step), w, h, facecolor="white", edgecolor=FAINT, lw=0.8))
        here = each is state.box
        look = {"facecolor": "#e3eefa", "edgecolor": ACCENT, "linewidth": 2.2} if here else {"facecolor": "white"}
        drawing.add_patch(Rectangle((x, y), w, h, **{"edgecolor": INK, "linewidth": 1, **look}))
        drawing.add_patch(Rectangle((x, y + h - 5), bar_of(each, w), 5, facecolor=ACCENT, linewidth=0))
        title = label_of(each, depth)
        drawing.text(x + w / 2, y + h / 2 - 2, "\n".join(title), ha="center", va="center", fontsize=7.5, color=INK)
        drawing.text(x + w / 2, y + h + 9, each.output_shape, ha="center", va="center", fontsize=6.2, color=FAINT)


def bar_of(box: Box, width: float) -> float:
    """How long the bar is that shows a box's share of the parameters, in pixels: seen wherever there are any."""
    return max(LEAST_BAR, width * box.share) if box.parameters else 0.0


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


def draw_picture(axis: Axes, box: Box, patch_size: int) -> None:
    """Draw what leaves a box."""
    if box.kind == "bars":
        axis.set_axis_on()
        axis.barh(box.labels, box.picture[0], color=ACCENT)
        axis.invert_yaxis()
        axis.tick_params(labelsize=6.5, length=0)
        axis.spines[["top", "right", "bottom"]].set_visible(False)
        axis.set_position((0.14, *axis.get_position().bounds[1:2], 0.3, axis.get_position().height))
    elif box.kind == "table":
        options = {"cmap": "RdBu_r", "vmin": -box.limit, "vmax": box.limit, "interpolation": "nearest"}
        axis.imshow(box.picture, aspect="equal" if box.key == "feature_map" else "auto", **options)
        if box.class_token:
            axis.set_axis_on()
            axis.set_xticks([])
            axis.set_yticks([0], ["cls"])
            axis.tick_params(labelsize=6.5, length=0, pad=1)
            axis.spines[:].set_visible(False)
    else:
        pixels = as_rgb(box.picture)
        axis.imshow(spread(pixels, patch_size) if box.kind == "patches" else pixels, interpolation="nearest")


def spread(pixels: UInt8[np.ndarray, "H W 3"], patch_size: int) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with white lines between its patches."""
    gap = max(1, patch_size // 6)
    rows, columns = pixels.shape[0] // patch_size, pixels.shape[1] // patch_size
    step = patch_size + gap
    out = np.full((rows * step - gap, columns * step - gap, 3), 255, dtype=np.uint8)
    for row in range(rows):
        for column in range(columns):
            patch = pixels[row * patch_size :, column * patch_size :][:patch_size, :patch_size]
            out[row * step :, column * step :][:patch_size, :patch_size] = patch
    return out


# ------------------------------------------------------------------------------------------ the widget


SENT = (
    "key",
    "block",
    "kind",
    "does",
    "code",
    "where",
    "limit",
    "says",
    "class_token",
)  # fields of a box that travel as they are


class ModelMap(Explorer):
    """An explorer: figure 1 of the paper as a map of a model, run on a picture; each box can be opened.

    Of each box it shows the code that runs there (read from the very classes of which the model is made), the shapes in
    and out, its parameters, and a picture of what leaves it. `model` is a ViT; `image` is a uint8 picture [C, H, W] or
    [H, W] (0 to 255) of the size that the model takes. The traits `box` (such as "attn") and `block` (counted from 1)
    follow what the learner does and can be set from code.
    Raises TypeError if the model is no ViT, ValueError if the picture does not fit or a choice is unknown.
    """

    _esm = browser_code("model_map.js")
    _boxes = traitlets.List().tag(sync=True)
    _places = traitlets.Dict().tag(sync=True)
    _arcs = traitlets.List().tag(sync=True)
    _sizes = traitlets.Dict().tag(sync=True)
    _tables = traitlets.Bytes().tag(sync=True)
    _pixels = traitlets.Bytes().tag(sync=True)
    _colours = traitlets.Bytes().tag(sync=True)
    box = traitlets.Unicode("image").tag(sync=True)
    block = traitlets.Int(1, min=1).tag(sync=True)

    def __init__(self, model: ViT, image, **choices: Any):
        if not isinstance(model, ViT):
            raise TypeError(f"the map is drawn of a ViT, not of a {type(model).__name__}; for others use shape_ledger")
        picture = as_picture(image)
        side = model.config.image_size
        wanted = (model.config.in_channels, *(side if isinstance(side, tuple) else (side, side)))
        if picture.shape != wanted:
            raise ValueError(f"the picture is {list(picture.shape)}, and the model takes {list(wanted)}")
        self._patch_size = model.config.patch_size
        self._described = map_boxes(model, picture)
        state = model_map_state(self._described, **choices)
        places, arcs = layout([each.key for each in state.walk])
        depth = model.config.depth
        told, tables = [], []
        for each in self._described:
            level = np.round((each.picture / each.limit + 1) * 127.5) if each.kind == "table" else np.zeros((0, 0))
            tables.append(np.clip(level, 0, 255).astype(np.uint8))
            told.append(
                {
                    **{name: getattr(each, name) for name in SENT},
                    "heading": heading_of(each),
                    "label": label_of(each, depth),
                    "given": each.input_shape,
                    "made": each.output_shape,
                    "held": f"{each.parameters:,}",
                    "part": share_of(each),
                    "size": list(tables[-1].shape),
                    "bar": bar_of(each, places[each.key][2]),
                    "bars": [list(pair) for pair in zip(each.labels, each.picture[0], strict=True)]
                    if each.kind == "bars"
                    else [],
                    "sentence": sentence_of(each),
                }
            )
        super().__init__(
            _boxes=told,
            _places=places,
            _arcs=arcs,
            _sizes={
                "wide": WIDE,
                "high": HIGH,
                "arc": ARC,
                "gap": INNER_GAP,
                "depth": depth,
                "picture": list(picture.shape),
                "patch": self._patch_size,
            },
            _tables=b"".join(table.tobytes() for table in tables),
            _pixels=picture.tobytes(),
            _colours=diverging().tobytes(),
            **choices,
        )

    @traitlets.validate("box")
    def _known_box(self, proposal) -> str:
        if self._boxes:
            model_map_state(self._described, proposal["value"])
        return proposal["value"]

    def _now(self) -> tuple[str, int]:
        return self.box, min(self.block, self._sizes["depth"])

    def state(self) -> ModelMapState:
        """The box that the explorer shows now, and all that belongs to it."""
        return model_map_state(self._described, *self._now())

    def words(self) -> str:
        """What the explorer shows now, in a few sentences; the browser says the same."""
        return self.state().words

    def figure(self) -> Figure:
        """What the explorer shows now, as a still picture."""
        return model_map_figure(self._described, self._patch_size, *self._now())

    def __repr__(self) -> str:
        return f"ModelMap(box={self.box!r}, block={self.block})"
