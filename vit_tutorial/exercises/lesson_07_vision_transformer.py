"""Lesson 7: count a ViT, put its parts together, rename foreign weights, build the whole, and find six faults."""

import math
import re
from collections.abc import Callable, ItemsView, Iterable
from functools import cache, partial
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vit_tutorial.encoder import LAYER_NORM_EPS, EncoderBlock
from vit_tutorial.exercises.builders import NoModule, changed, fill, misfit_of, scattered, small_vit
from vit_tutorial.exercises.clinic import make_clinic
from vit_tutorial.exercises.counting import mistakes_of, solution_of
from vit_tutorial.exercises.difference import Hints, Said
from vit_tutorial.exercises.engine import Exercise, Mistake
from vit_tutorial.exercises.properties import forgets, learns, passes_on
from vit_tutorial.patches import PatchEmbedding
from vit_tutorial.support.seeds import seeded
from vit_tutorial.vit import ViT, ViTConfig

LESSON = "07_vision_transformer"
__all__ = ["clinic", "timm_names", "vit_forward", "vit_from_parts", "vit_parameters"]


# ------------------------------------------------------------------------------------------ count a ViT

# For each of the three numbers, how to work it out from D, the depth, P, the side of the image and the number of
# classes: rightly first, then with a mistake and its sentence.


def _tokens(P: int, side: int) -> int:
    return (side // P) ** 2 + 1


_COUNTS = (
    (
        (lambda D, L, P, side, K: 3 * P * P * D + D + D + _tokens(P, side) * D, ""),
        (
            lambda D, L, P, side, K: 3 * P * P * D + D + _tokens(P, side) * D,
            "your first number lacks D: the biases of the patch embedding, the class token, or the position of the "
            "class token.",
        ),
        (
            lambda D, L, P, side, K: 3 * P * P * D + D + (_tokens(P, side) - 1) * D,
            "your first number lacks 2·D, two of these: the biases of the patch embedding, the class token, and the "
            "position of the class token.",
        ),
        (
            lambda D, L, P, side, K: P * P * D + D + D + _tokens(P, side) * D,
            "your first number takes one channel. A patch of a colour picture has 3·P·P numbers.",
        ),
        (
            lambda D, L, P, side, K: 3 * P * P * D + D + D,
            "your first number leaves out the positions: one vector of D for each of the N + 1 tokens.",
        ),
        (
            lambda D, L, P, side, K: (_tokens(P, side) - 1) * (3 * P * P * D + D) + D + _tokens(P, side) * D,
            "your first number has a matrix for each patch. All patches share one matrix E.",
        ),
    ),
    (
        (lambda D, L, P, side, K: L * (12 * D * D + 13 * D), ""),
        (
            lambda D, L, P, side, K: 12 * D * D + 13 * D,
            "your second number is that of one block. There are `depth` of them.",
        ),
        (
            lambda D, L, P, side, K: L * 12 * D * D + 13 * D,
            "your second number counts 13·D once. Every block has them: put 12·D² + 13·D in brackets.",
        ),
        (
            lambda D, L, P, side, K: L * 12 * D * D,
            "your second number has the matrices alone. Biases and norms are 13·D more in each block.",
        ),
        (
            lambda D, L, P, side, K: L * (12 * D * D + 9 * D),
            "your second number leaves out the two norms of each block: 4·D.",
        ),
        (
            lambda D, L, P, side, K: L * (12 * D * D + 11 * D),
            "your second number gives each norm D numbers. It has 2·D: D to stretch by, and D to shift by.",
        ),
        (
            lambda D, L, P, side, K: L * (8 * D * D + 11 * D),
            "your second number has an MLP that widens to 2·D, as in the model of the map. Here it widens to 4·D.",
        ),
        (
            lambda D, L, P, side, K: L * (12 * D * D + 4 * D),
            "your second number leaves out the biases of the linear layers: 9·D in each block.",
        ),
    ),
    (
        (lambda D, L, P, side, K: 2 * D + K * D + K, ""),
        (
            lambda D, L, P, side, K: K * D + K,
            "your third number leaves out the last norm, before the head: 2·D.",
        ),
        (
            lambda D, L, P, side, K: D + K * D + K,
            "your third number gives the last norm D numbers. It has 2·D: D to stretch by, and D to shift by.",
        ),
        (
            lambda D, L, P, side, K: 2 * D + K * D,
            "your third number leaves out the biases of the head: one for each class.",
        ),
        (
            lambda D, L, P, side, K: 2 * D + K * D * _tokens(P, side) + K,
            "your third number lets the head read all tokens. It reads the class token alone: D numbers.",
        ),
        (
            lambda D, L, P, side, K: K * D,
            "your third number is the head's matrix alone. The last norm has 2·D, and the head a bias for each class.",
        ),
    ),
)


vit_parameters = Exercise(
    name="vit_parameters",
    lesson=LESSON,
    difficulty=2,
    minutes=10,
    solution=solution_of(_COUNTS),
    inputs=[(4, 1, 2, 4, 3), (8, 3, 4, 12, 5), (192, 12, 16, 224, 1000), (768, 12, 16, 224, 1000)],
    hints=Hints(
        inputs="D depth P image_size classes",
        sizes=lambda D, L, P, side, K: {"N": _tokens(P, side) - 1},
    ),
    mistakes=[
        *mistakes_of(_COUNTS),
        Mistake(
            lambda *sizes: sum(solution_of(_COUNTS)(*sizes)),
            "you returned one sum. Return the three numbers apart: front, blocks, behind.",
        ),
    ],
    done="Added up, the three numbers are the parameters of any ViT.",
)


# ------------------------------------------------------------------------------------------ write forward


def _embed(model, images):
    return model.position(model.class_token(model.patch_embed(images)))


def _encode(model, images):
    return model.norm(model.blocks(_embed(model, images)))


def _classified(model, images):
    return model.head(_encode(model, images)[:, 0])


NO_TENSOR = "no tensor, but a part of the model: TypeError"
POSITIONS_TOO_EARLY = "too few tokens for the positions: ValueError"
OTHER_COUNT = re.compile(
    r"there are positions for tokens \[B, (\d+), \d+\], but the tokens are \[\d+, (?!\1,)(\d+), \d+\]"
)
OWN_FORWARD = "the model's own forward"


class _OwnForward(Exception):
    """The answer called the whole model."""


def _refuse(*args, **options) -> None:
    raise _OwnForward


def _in_words(forward: Callable) -> Callable:
    """Turn an answer into one that says in words what frequent errors are; others are raised as they are.

    Meanwhile every ViT refuses to be called as a whole.
    """

    def run(model: ViT, images: Tensor) -> Tensor | str:
        try:
            with patch.multiple(ViT, forward=_refuse, forward_intermediates=_refuse):
                return forward(model, images)
        except _OwnForward:
            return OWN_FORWARD
        except TypeError as error:
            if "ClassToken" in str(error) or "PositionEmbedding" in str(error):
                return NO_TENSOR
            raise
        except ValueError as error:
            if (counts := OTHER_COUNT.match(str(error))) is None:
                raise
            wanted, given = map(int, counts.groups())
            if given == wanted - 1:
                return POSITIONS_TOO_EARLY
            return Said(
                f"model.position got {given} tokens, and has positions for {wanted}, the class token and the patches. "
                "model.class_token(x) gives all of them at once."
            )

    return run


def _through(
    step: Callable[[nn.Module, nn.Module, Tensor], Tensor] = lambda model, block, x: block(x),
    which: Callable[[nn.Sequential], Iterable[nn.Module]] = lambda blocks: blocks,
    read: Callable[[nn.Module, Tensor], Tensor] = lambda model, x: model.head(model.norm(x)[:, 0]),
) -> Callable:
    """A forward that goes through the blocks, block by block, with one thing done in another way."""

    def forward(model: ViT, images: Tensor) -> Tensor:
        x = _embed(model, images)
        for block in which(model.blocks):
            x = step(model, block, x)
        return read(model, x)

    return forward


def _normed(model: ViT, block: nn.Module, x: Tensor) -> Tensor:
    return model.norm(block(x))


def _positions_twice(model, images):
    x = model.class_token(model.patch_embed(images))
    return model.head(model.norm(model.blocks(x + model.position(x)))[:, 0])


vit_forward = Exercise(
    name="vit_forward",
    lesson=LESSON,
    difficulty=3,
    minutes=10,
    solution=_classified,
    adapt=_in_words,
    hints=Hints(axes="B K"),
    inputs=[
        small_vit(0, depth=1),
        small_vit(1),
        small_vit(2, in_channels=1, image_size=12),
        small_vit(3, depth=3, num_heads=4),
    ],
    mistakes=[
        Mistake(
            lambda model, images: OWN_FORWARD,
            "you called the whole model, and its forward is what you are to write. Call its parts, the first one with "
            "x = model.patch_embed(images).",
        ),
        Mistake(
            lambda model, images: model.head(model.blocks(_embed(model, images))[:, 0]),
            "the last norm is missing. In a pre-norm model it comes after all blocks, before the head (equation 4).",
        ),
        Mistake(
            lambda model, images: model.head(model.blocks(model.norm(_embed(model, images)))[:, 0]),
            "the last norm comes before the blocks. It goes after all of them, before the head (equation 4).",
        ),
        Mistake(
            lambda model, images: model.head(
                model.norm(model.blocks(model.class_token(model.patch_embed(images))))[:, 0]
            ),
            "the positions were never added. They go in after the class token.",
        ),
        Mistake(
            _positions_twice,
            "x was added once too often: model.position(x) already gives x + E_pos. Write x = model.position(x).",
        ),
        Mistake(
            lambda model, images: POSITIONS_TOO_EARLY,
            "the positions came before the class token, or the class token is missing. They are for N+1 tokens: first "
            "x = model.class_token(x).",
        ),
        Mistake(
            lambda model, images: NO_TENSOR,
            "a part is no tensor. Call it like a function: x = model.class_token(x), then x = model.position(x).",
        ),
        Mistake(
            _through(lambda model, block, x: x + block(x)),
            "x was added to each block's result. A block already holds its two plus signs: x = block(x).",
        ),
        Mistake(
            [_through(_normed), _through(_normed, read=lambda model, x: model.head(x[:, 0]))],
            "the last norm works after every block, inside the loop. It comes once, after the loop.",
        ),
        Mistake(
            lambda model, images: model.head(_encode(model, images).mean(1)),
            "you averaged all tokens. This model's head reads the class token alone: [:, 0].",
        ),
        Mistake(
            lambda model, images: model.head(_encode(model, images)[:, 1:].mean(1)),
            "you averaged the patches. This model's head reads the class token alone: [:, 0].",
        ),
        Mistake(
            lambda model, images: model.head(_encode(model, images)[:, -1]),
            "you read the last token. The class token is the first: [:, 0].",
        ),
        Mistake(
            lambda model, images: model.head(_encode(model, images)[:, 1]),
            "you read token 1, which is the first patch. The class token is token 0: [:, 0].",
        ),
        Mistake(
            lambda model, images: model.head(_encode(model, images)[0]),
            "you took the first image of the batch. The class token is the first along axis 1: [:, 0].",
        ),
        Mistake(
            lambda model, images: model.head(_encode(model, images)[:, :1]),
            "the token axis is still there, with length 1. Take the class token with [:, 0] and not with [:, :1].",
        ),
        Mistake(
            lambda model, images: model.head(_encode(model, images)),
            "you classified every token. Pick the class token first, then apply the head: [B, N+1, D] -> [B, D].",
        ),
        Mistake(
            _through(which=lambda blocks: []),
            "the blocks were left out, or their result was not kept (x = block(x)), so no token ever saw another.",
        ),
        Mistake(
            _through(which=lambda blocks: blocks[:1]),
            "only the first block was used. There are len(model.blocks) of them, one after the other.",
        ),
        Mistake(
            _through(which=lambda blocks: blocks[:-1]),
            "the last block is left out: model.blocks[:-1] stops before it. Go through model.blocks.",
        ),
        Mistake(
            _through(which=lambda blocks: blocks[1:]),
            "the first block is left out. Go through model.blocks, from number 0 on.",
        ),
        Mistake(
            _through(which=lambda blocks: [blocks[0]] * len(blocks)),
            "the first block works again and again, in place of the others. Take another one each time: "
            "for block in model.blocks.",
        ),
        Mistake(
            _through(which=lambda blocks: blocks[-1:]),
            "only the last block counted. Each block takes what the block before it gave: x = block(x).",
        ),
        Mistake(
            lambda model, images: _encode(model, images)[:, 0],
            "the head is missing: you returned the class token. The head turns its D numbers into one per class.",
        ),
        Mistake(
            lambda model, images: _classified(model, images).softmax(-1),
            "you applied softmax. The model returns logits; cross-entropy takes those, and does its own softmax.",
        ),
        Mistake(
            lambda model, images: _classified(model, images).argmax(-1),
            "you returned the number of the best class. The model returns logits, one number for every class.",
        ),
    ],
    done="That is the whole Vision Transformer.",
)


# ------------------------------------------------------------------------------------------ rename foreign weights

_OUTSIDE = {
    "class_token": "cls_token",
    "conv_proj": "patch_embed.proj",
    "encoder.pos_embedding": "pos_embed",
    "encoder.ln": "norm",
    "heads.head": "head",
}
_IN_BLOCK = {
    "ln_1": "norm1",
    "self_attention.in_proj": "attn.qkv",
    "self_attention.out_proj": "attn.proj",
    "ln_2": "norm2",
    "mlp.0": "mlp.fc1",
    "mlp.3": "mlp.fc2",
}


def _renamed(
    block: Callable[[str], str] = lambda number: f"blocks.{number}",
    qkv: str = "attn.qkv.{}",
    outside: dict[str, str] | None = None,
    inside: dict[str, str] | None = None,
) -> Callable:
    """Rename torchvision's weights, with one thing done differently."""
    outside, inside = _OUTSIDE | (outside or {}), _IN_BLOCK | (inside or {})

    def name_of(name: str) -> str:
        if name.startswith("encoder.layers.encoder_layer_"):
            number, _, part = name.removeprefix("encoder.layers.encoder_layer_").partition(".")
            if part.startswith("self_attention.in_proj_"):
                return f"{block(number)}.{qkv.format(part.removeprefix('self_attention.in_proj_'))}"
            part, _, kind = part.rpartition(".")
            return f"{block(number)}.{inside[part]}.{kind}"
        part, _, kind = name.rpartition(".")
        return outside[name] if name in outside else f"{outside[part]}.{kind}"

    return lambda weights: {name_of(name): weight for name, weight in weights.items()}


def _by_replacing(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename by replacing text in the wrong order: the last norm's short name is a part of other names."""
    steps = {"encoder.ln": "norm", "encoder.layers.encoder_layer_": "blocks."}
    steps |= {"conv_proj": "patch_embed.proj", "heads.head": "head"}
    steps |= {"class_token": "cls_token", "encoder.pos_embedding": "pos_embed", "in_proj_": "in_proj."}
    steps |= {"self_attention.in_proj": "attn.qkv", "self_attention.out_proj": "attn.proj"}
    renamed = {}
    for name, weight in weights.items():
        for theirs, ours in steps.items():
            name = name.replace(theirs, ours)
        renamed[name] = weight
    return renamed


def _named(rename: Callable) -> Callable:
    """Turn a renaming into a function that says which of the new names are wrong, or which holds a wrong tensor."""

    def run(weights: dict[str, Tensor]) -> str:
        given, right = dict(weights), _renamed()(weights)
        renamed = rename(weights)
        if renamed is None or renamed is ...:
            return renamed
        if renamed and _are_pairs(renamed):
            return Said("you returned pairs of names and weights. Make a dictionary of them: dict(…).")
        if isinstance(renamed, ItemsView):
            return Said("you returned the pairs of a dictionary, and the dictionary itself is asked for: no .items().")
        if not isinstance(renamed, dict):
            return "not a dictionary"
        missing, unknown = ([name for name in a if name not in b] for a, b in ((right, renamed), (renamed, right)))
        if missing or unknown:
            told = f"{_first_of(missing, 'missing')}; {_first_of(unknown, 'unknown')}"
            if unknown:
                return Said(f"not all of your names are timm's: {told}.")
            return Said(f"all of your names are timm's, and some are not there: {told}.")
        for name, weight in right.items():
            if not _equal(renamed[name], weight):
                held = (theirs for theirs, each in given.items() if _equal(renamed[name], each))
                source = next(held, "")
                return Said(
                    f"`{name}` holds the tensor of `{source}`."
                    if source
                    else f"`{name}` holds none of the tensors given."
                )
        return f"all {len(right)} names are timm's, and each holds its tensor"

    return run


def _are_pairs(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(each, tuple | list) and len(each) == 2 for each in value)


def _first_of(names: list, what: str) -> str:
    return f"{len(names)} {what}{f', first {names[0]}' if names else ''}"


def _equal(value: object, weight: Tensor) -> bool:
    return isinstance(value, Tensor) and torch.equal(value, weight)


def _torchvision_weights(depth: int, dim: int) -> tuple[dict[str, Tensor]]:
    """A state dict with torchvision's names; the numbers of each tensor tell it from all others."""
    shapes = {"class_token": (1, 1, dim), "conv_proj.weight": (dim, 3, 2, 2), "conv_proj.bias": (dim,)}
    shapes["encoder.pos_embedding"] = (1, 5, dim)
    for i in range(depth):
        at = f"encoder.layers.encoder_layer_{i}."
        for norm in ("ln_1", "ln_2"):
            shapes |= {f"{at}{norm}.weight": (dim,), f"{at}{norm}.bias": (dim,)}
        shapes |= {f"{at}self_attention.in_proj_weight": (3 * dim, dim), f"{at}self_attention.in_proj_bias": (3 * dim,)}
        for part, made, taken in (
            ("self_attention.out_proj", dim, dim),
            ("mlp.0", 4 * dim, dim),
            ("mlp.3", dim, 4 * dim),
        ):
            shapes |= {f"{at}{part}.weight": (made, taken), f"{at}{part}.bias": (made,)}
    shapes |= {"encoder.ln.weight": (dim,), "encoder.ln.bias": (dim,), "heads.head.weight": (3, dim)}
    shapes["heads.head.bias"] = (3,)
    return ({name: torch.full(shape, float(i + 1)) for i, (name, shape) in enumerate(shapes.items())},)


timm_names = Exercise(
    name="timm_names",
    lesson=LESSON,
    difficulty=3,
    minutes=20,
    solution=_renamed(),
    adapt=_named,
    inputs=[_torchvision_weights(1, 2), _torchvision_weights(2, 2), _torchvision_weights(12, 2)],
    mistakes=[
        Mistake(lambda weights: dict(weights), "nothing was renamed: the keys are still torchvision's."),
        Mistake(
            lambda weights: list(_renamed()(weights)),
            "you returned the names alone. The weights belong to them: a dict.",
        ),
        Mistake(
            _renamed(block=lambda number: f"blocks.{number[0]}"),
            "blocks 10 and 11 are gone: they landed on block 1. A number may have two digits.",
        ),
        Mistake(
            _renamed(block=lambda number: f"blocks.{int(number) + 1}"),
            "your blocks count from 1. They keep their numbers: encoder_layer_0 is blocks.0.",
        ),
        Mistake(
            _renamed(block=lambda number: f"layers.{number}"),
            "the blocks have another name: encoder_layer_0 becomes blocks.0.",
        ),
        Mistake(
            _renamed(block=lambda number: "blocks.7" if number == "7" else f"encoder.layers.encoder_layer_{number}"),
            "only block 7 was renamed. It stands in the table for every block: keep the number that is there.",
        ),
        Mistake(
            _renamed(block=lambda number: f"blocks_{number}"),
            "between blocks and its number stands a dot: encoder_layer_0 becomes blocks.0, not blocks_0.",
        ),
        Mistake(
            [
                _renamed(qkv=qkv, inside={"self_attention.out_proj": proj})
                for name in ("attn", "self_attention")
                for qkv, proj in (
                    (f"{name}.in_proj_{{}}", f"{name}.out_proj"),
                    (f"{name}.in_proj_{{}}", "attn.proj"),
                    ("attn.qkv.{}", f"{name}.out_proj"),
                )
            ],
            "inside attention a name of torchvision's is left: in_proj_weight becomes qkv.weight, and out_proj "
            "becomes proj.",
        ),
        Mistake(
            _renamed(qkv="attn.qkv_{}"),
            "in_proj_weight becomes attn.qkv.weight, with a dot: in torchvision it is a parameter, in timm a layer's.",
        ),
        Mistake(
            _renamed(inside={"mlp.3": "mlp.fc3"}),
            "mlp.3 becomes mlp.fc2: 0 and 3 are places in a list (layer, GELU, dropout, layer), not a count of layers.",
        ),
        Mistake(
            _renamed(inside={"mlp.0": "mlp.fc2", "mlp.3": "mlp.fc1"}),
            "fc1 and fc2 are swapped: mlp.0 comes first, and widens.",
        ),
        Mistake(
            _renamed(inside={"ln_1": "norm2", "ln_2": "norm1"}),
            "norm1 and norm2 are swapped: ln_1 stands before attention.",
        ),
        Mistake(
            _renamed(outside={"heads.head": "heads"}),
            "heads.head becomes head, not heads.",
        ),
        Mistake(
            _renamed(outside={"heads.head": "heads.head"}),
            "the head keeps its name: heads.head becomes head.",
        ),
        Mistake(
            _renamed(outside={"encoder.ln": "encoder.ln"}),
            "the last norm keeps its name: encoder.ln becomes norm.",
        ),
        Mistake(
            _renamed(outside={"class_token": "class_token", "encoder.pos_embedding": "pos_embedding"}),
            "the class token and the positions have other names in timm: cls_token and pos_embed.",
        ),
        Mistake(
            _renamed(outside={"encoder.pos_embedding": "encoder.pos_embed"}),
            "the prefix `encoder.` is still there: encoder.pos_embedding becomes pos_embed.",
        ),
        Mistake(
            _by_replacing,
            "inside the blocks the norms and the MLP keep torchvision's names: ln_1, ln_2, mlp.0 and mlp.3.",
        ),
    ],
    done="Now torchvision's numbers find their places in timm's models, and in yours.",
)


# ------------------------------------------------------------------------------------------ the whole, from parts


@cache
def _our_weights(config: ViTConfig, spread: float) -> dict[str, Tensor]:
    with torch.device("cpu"):  # kept from one check to the next, whatever the default device is then
        ours = ViT(config).state_dict()
    fill(ours.items(), spread)
    return ours


def _with_our_weights(make: Callable[..., nn.Module]) -> Callable:
    """Turn a class into a function that builds the model, loads the course's weights into it, and runs it in eval.

    For small images the weights are small too, so that the ε of the last norm counts.
    """

    def run(images: Tensor, patch_size: int, num_classes: int, dim: int, depth: int, num_heads: int) -> Tensor | str:
        side = images.shape[-1]
        sizes = (side, patch_size, images.shape[1], num_classes, dim, depth, num_heads)
        try:
            model = make(*sizes)
        except TypeError as error:
            if re.fullmatch(r"(list|tuple|\S+<genexpr>) is not a Module subclass", str(error)):
                return Said(
                    "nn.Sequential takes its blocks one by one, and got all of them as one thing. Put a star in front: "
                    "nn.Sequential(*blocks)."
                )
            raise
        if misfit := misfit_of(model):
            return misfit
        own = {name: value.shape for name, value in model.state_dict().items()}
        weights = dict(_our_weights(ViTConfig(*sizes), 0.3 if images.abs().max() > 0.1 else 0.003))
        for name, module in (("cls_token", "class_token"), ("pos_embed", "position")):
            if f"{module}.{name}" in own:  # the course's own parts, under the course's own names, are right too
                weights[f"{module}.{name}"] = weights.pop(name)
        shapes = {name: value.shape for name, value in weights.items()}
        if misfit := _other_names(own, shapes) or _other_shapes(own, shapes, (side // patch_size) ** 2):
            return misfit
        model.load_state_dict(weights)
        try:
            return model.eval()(images)
        except RuntimeError as error:
            if re.search("must match except in dimension [02]", str(error)):
                return "class token and patches joined along another axis than 1"
            raise

    return run


def _other_names(own: dict[str, torch.Size], wanted: dict[str, torch.Size]) -> str:
    """Say in words which names of a state dict are missing or unknown, or nothing."""
    missing, unknown = wanted.keys() - own.keys(), own.keys() - wanted.keys()
    if missing and not unknown:
        made, needed = ({name.split(".")[1] for name in names if name.startswith("blocks.")} for names in (own, wanted))
        if not made and all(name.startswith("blocks.") for name in missing):
            return "a model whose blocks hold no parameters that it knows of"
        if len(made) < len(needed):
            return Said(f"your model has {len(made)} block{'s' * (len(made) != 1)}, and `depth` is {len(needed)}.")
        if missing <= {"cls_token", "pos_embed"}:
            return "a class token or positions that are no parameter"
    named = [f"{what} {min(names)}" for what, names in (("missing", missing), ("unknown", unknown)) if names]
    return Said(f"the names in your state dict are not the course's: {', '.join(named)}.") if named else ""


def _other_shapes(own: dict[str, torch.Size], wanted: dict[str, torch.Size], num_patches: int) -> str:
    """Say in words which shape of a state dict with the wanted names is not the wanted one, or nothing."""
    for name, shape in own.items():
        if shape == wanted[name]:
            continue
        if name.endswith(("cls_token", "pos_embed")) and len(shape) < 3:
            return "a class token or positions without the leading axis"
        if name.endswith("pos_embed") and shape[1] == num_patches:
            return "positions for N tokens"
        if name == "patch_embed.proj.weight" and len(shape) == 2:
            return "a patch embedding whose proj is a linear layer"
        return Said(f"`{name}` has the shape {list(shape)}, and should have {list(wanted[name])}.")
    return ""


class _Whole(nn.Module):
    """The right answer, and what the wrong ones below have in common: all the parts."""

    eps = LAYER_NORM_EPS
    positions = 1  # for the class token

    def __init__(self, image_size, patch_size, in_channels, num_classes, dim, depth, num_heads):
        super().__init__()
        self.patch_embed = PatchEmbedding(image_size, patch_size, in_channels, dim)
        self.cls_token = self.learned(torch.zeros(1, 1, dim))
        self.pos_embed = self.learned(torch.zeros(1, self.patch_embed.num_patches + self.positions, dim))
        self.blocks = self.stack([EncoderBlock(dim, num_heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim, eps=self.eps)
        self.head = nn.Linear(dim, num_classes)

    def learned(self, numbers: Tensor) -> Tensor:
        return nn.Parameter(numbers)

    def stack(self, blocks: list[nn.Module]):
        return nn.Sequential(*blocks)

    def embed(self, images: Tensor) -> Tensor:
        return self.in_front(self.patch_embed(images)) + self.pos_embed

    def in_front(self, x: Tensor) -> Tensor:
        return torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1)

    def encode(self, x: Tensor) -> Tensor:
        return self.norm(self.blocks(x))

    def read(self, x: Tensor) -> Tensor:
        return self.head(x[:, 0])

    def forward(self, images: Tensor) -> Tensor:
        return self.read(self.encode(self.embed(images)))


_whole = partial(changed, _Whole)  # a ViT with other steps


def _behind(self: _Whole, x: Tensor) -> Tensor:
    return torch.cat([x, self.cls_token.expand(x.shape[0], -1, -1)], dim=1)


def _each_block_added(self: _Whole, x: Tensor) -> Tensor:
    for block in self.blocks:
        x = x + block(x)
    return self.norm(x)


class _LinearPatches(_Whole):
    def __init__(self, image_size, patch_size, in_channels, num_classes, dim, depth, num_heads):
        super().__init__(image_size, patch_size, in_channels, num_classes, dim, depth, num_heads)
        self.patch_embed.proj = nn.Linear(in_channels * patch_size**2, dim)


def _images(*shape: int, size: float = 1.0) -> Tensor:
    return scattered(*shape) / 11 * size


_LOOK_AT_WHOLE = (_images(2, 3, 8, 8), 4, 5, 8, 3, 2)

vit_from_parts = Exercise(
    name="vit_from_parts",
    lesson=LESSON,
    difficulty=4,
    minutes=25,
    solution=_Whole,
    adapt=_with_our_weights,
    hints=Hints(axes="B K"),
    inputs=[
        (_images(1, 1, 4, 4), 2, 3, 4, 2, 1),
        (_images(2, 1, 4, 4, size=0.003), 2, 3, 4, 1, 2),  # small, so that eps counts
        (_images(2, 3, 8, 8), 4, 5, 8, 3, 2),
        (_images(3, 3, 6, 6, size=3.0), 2, 2, 6, 2, 3),
    ],
    mistakes=[
        Mistake(
            _whole(encode=lambda self, x: self.blocks(x)),
            "the last norm is never used. It comes after the blocks, before the head (equation 4).",
        ),
        Mistake(
            _whole(encode=lambda self, x: self.blocks(self.norm(x))),
            "the last norm comes before the blocks. It goes after all of them.",
        ),
        Mistake(
            _whole(embed=lambda self, images: self.in_front(self.patch_embed(images))),
            "the positions are never added (equation 1).",
        ),
        Mistake(
            _whole(embed=lambda self, images: self.in_front(self.patch_embed(images) + self.pos_embed[:, 1:])),
            "the positions are added before the class token is there, so that it gets none. First the class token, "
            "then the positions.",
        ),
        Mistake(
            _whole(in_front=lambda self, x: torch.cat([self.cls_token, x], dim=1)),
            "the class token is there once, and the batch has B images: self.cls_token.expand(x.shape[0], -1, -1).",
        ),
        Mistake(
            _whole(in_front=lambda self, x: torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=0)),
            "the class token and the patches are joined along the wrong axis. The tokens lie along axis 1: "
            "torch.cat([…, x], dim=1).",
        ),
        Mistake(
            [_whole(encode=lambda self, x: self.norm(x + self.blocks(x))), _whole(encode=_each_block_added)],
            "the tokens were added to what the blocks make of them. A block already holds its two plus signs: "
            "x = block(x).",
        ),
        Mistake(
            _whole(in_front=_behind),
            "the class token stands behind the patches, and the head reads patch 0. Put the class token in front.",
        ),
        Mistake(
            _whole(in_front=_behind, read=lambda self, x: self.head(x[:, -1])),
            "the class token stands behind the patches, so every token gets the position of another. Put it in front, "
            "and read token 0.",
        ),
        Mistake(
            _whole(read=lambda self, x: self.head(x[:, -1])),
            "the head reads the last patch. The class token is the first: [:, 0].",
        ),
        Mistake(
            _whole(read=lambda self, x: self.head(x[0])),
            "you took the first image of the batch, with all its tokens. The class token is the first along axis 1: "
            "[:, 0].",
        ),
        Mistake(
            _whole(read=lambda self, x: self.head(x.mean(1))),
            "the head reads the mean of all tokens. In this model it reads the class token: [:, 0].",
        ),
        Mistake(
            _whole(read=lambda self, x: self.head(x)),
            "every token goes through the head. Pick the class token first: [:, 0].",
        ),
        Mistake(
            _whole(read=lambda self, x: self.head(x[:, 0]).softmax(-1)),
            "softmax is applied. A ViT gives logits; cross-entropy does its own softmax.",
        ),
        Mistake(
            _whole(stack=lambda self, blocks: nn.Sequential(*blocks[:1] * len(blocks))),
            "all blocks are one and the same. [block] * depth repeats one block; make a new one in a loop.",
        ),
        Mistake(
            _whole(stack=lambda self, blocks: blocks),
            "the blocks are in a Python list, where a model does not see them: nn.Sequential(*blocks), or "
            "nn.ModuleList.",
        ),
        Mistake(
            _whole(learned=lambda self, numbers: numbers),
            "the class token or the positions are plain tensors, which no optimizer trains. Wrap them in nn.Parameter.",
        ),
        Mistake(
            _whole(positions=0),
            "there are positions for N tokens. With the class token the sequence has N + 1.",
        ),
        Mistake(
            _whole(learned=lambda self, numbers: nn.Parameter(numbers[0])),
            "the class token or the positions lack the leading axis. They are [1, 1, D] and [1, N+1, D].",
        ),
        Mistake(
            _LinearPatches,
            "`proj` in your patch embedding is a linear layer. That is as right, but the course's weights are a "
            "convolution's: nn.Conv2d(in_channels, dim, kernel_size=patch_size, stride=patch_size).",
        ),
        Mistake(
            _whole(eps=1e-5),
            "your last norm has PyTorch's usual ε, 0.00001. ViT's is smaller: nn.LayerNorm(dim, eps=1e-6).",
        ),
        Mistake(NoModule, "your class is no nn.Module, so nobody sees what it holds: class …(nn.Module)."),
    ],
    properties=[
        learns(_with_our_weights(_Whole), *_LOOK_AT_WHOLE),
        passes_on(_with_our_weights(_Whole), *_LOOK_AT_WHOLE),
        forgets(_LOOK_AT_WHOLE, (_images(3, 3, 8, 8, size=2.0), *_LOOK_AT_WHOLE[1:])),
    ],
    done="With the course's numbers it gives the course's logits: it is the same model. Now train it.",
)


# ------------------------------------------------------------------------------------------ the clinic

FAULTS = {
    "A": "norm",
    "B": "well",
    "C": "class token",
    "D": "dropout",
    "E": "positions",
    "F": "shared",
    "G": "head",
}


class _Patient(ViT):
    """A small ViT, well or with one fault; its letter says which."""

    def __init__(self, letter: str):
        super().__init__(ViTConfig(28, 7, 1, 10, 32, 4, 2))
        self.letter = letter
        if FAULTS[letter] == "shared":
            for i in range(1, len(self.blocks)):
                self.blocks[i] = self.blocks[0]

    def forward(self, images: Tensor) -> Tensor:
        fault = FAULTS[self.letter]
        x = self.class_token(self.patch_embed(images))
        if fault == "class token":
            x = x.roll(-1, dims=1)
        if fault != "positions":
            x = self.position(x)
        if fault == "dropout":
            x = F.dropout(x, 0.1)
        x = self.blocks(x)
        if fault != "norm":
            x = self.norm(x)
        return self.head(x[:, -1 if fault == "head" else 0])


def patient(letter: str) -> ViT:
    """Build the patient of the clinic with this letter, "A" to "G"; always the same numbers.

    Raises KeyError for another letter.
    """
    sizes = {"pos_embed": 0.5, "cls_token": 1.0}
    with torch.random.fork_rng(devices=()):
        model = _Patient(letter)
    with seeded(0), torch.no_grad():  # behind the usual start, which draws other numbers in other versions of PyTorch
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=sizes.get(name.split(".")[-1], 1 / math.sqrt(parameter[0].numel())))
    return model.eval()


_SIGNS = {
    "A": "look at patient A's size before the head. What brings a token to size 1?",
    "B": "look at patient B's line again, instrument by instrument. Each of them says what it should.",
    "C": "look at which token of patient C does not depend on the picture. Where should it stand?",
    "D": "ask patient D the same question twice. What is random in a model?",
    "E": "shuffle the patches of patient E. What would tell it where they were?",
    "F": "compare patient F's number of parameters with the others'. What has it less of?",
    "G": "look at which token patient G's head reads. Which should it be?",
}


clinic = make_clinic(
    "clinic", LESSON, FAULTS, _SIGNS, done="Six faults, and none of them was visible in the shape of what comes out."
)
