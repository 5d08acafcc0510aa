"""The numbers of the lens lab: which class each token says after each block, and what an exchange of tokens changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from vit_tutorial.explore.limits import Between, Limit, OneOf, settle
from vit_tutorial.explore.pictures import as_picture, class_names_of, model_input
from vit_tutorial.explore.vit import check_vit
from vit_tutorial.explore.words import best_class, patch_name
from vit_tutorial.introspection import in_eval_mode, token_stages
from vit_tutorial.vit import ViT

EXCHANGES = ("nothing", "this token", "all patches")


def num_tokens(model: ViT) -> int:
    """How many tokens pass through the blocks, the class token included."""
    return model.num_prefix_tokens + model.grid_size[0] * model.grid_size[1]


def lens_lab_limits(model: ViT) -> Iterator[tuple[str, Limit]]:
    """What the choices may be for this model."""
    yield "block", Between(0, model.config.depth)
    yield "token", Between(0, num_tokens(model) - 1)
    yield "exchange", OneOf(EXCHANGES)


@dataclass(frozen=True)
class LensLabState:
    """What every token says after every block, and the model's answer, without an exchange and with it."""

    image: UInt8[np.ndarray, "C H W"]
    other_image: UInt8[np.ndarray, "C H W"]
    grid: tuple[int, int]  # rows and columns of patches
    num_prefix_tokens: int
    block: int  # blocks that are done, 0 to L
    token: int  # num_prefix_tokens + patch, or 0 for the class token
    exchanged: list[int]  # the tokens that come from the other picture after that block
    class_names: list[str]
    lens: Float[np.ndarray, "layers N K"]  # probabilities; entry k is after k blocks; with the exchange
    untouched: Float[np.ndarray, "layers N K"]  # the same without it
    answer: Float[np.ndarray, " K"]  # the model's own, with the exchange
    answer_untouched: Float[np.ndarray, " K"]
    answer_other: Float[np.ndarray, " K"]  # what the model says of the other picture
    words: str


@torch.no_grad()
def lens_lab_state(
    model: ViT,
    image,
    other,
    block: int = 0,
    token: int = 0,
    exchange: str = EXCHANGES[0],
    class_names=None,
    name: str = "The picture",
    other_name: str = "the other picture",
) -> LensLabState:
    """Compute all that the lens lab shows of one uint8 picture [C, H, W] and of another one that lends its tokens.

    A token says a class as in `logit_lens`: through the model's last norm and head. `block` counts the blocks that are
    done, `token` is 0 for the class token if there is one, and `exchange` names what comes from the other picture from
    there on: nothing, the chosen token, or all patches.
    Raises ValueError if a choice is out of range, or the model is one that the lab cannot run.
    """
    check_vit(model, "the lens lab")
    names = class_names_of(model, class_names)
    settle(lens_lab_limits(model), {"block": block, "token": token, "exchange": exchange})
    picture, other_picture = as_picture(image), as_picture(other, "other")
    stages, others = (token_stages(model, model_input(model, one)) for one in (picture, other_picture))
    prefix = model.num_prefix_tokens
    patches = list(range(prefix, num_tokens(model)))
    exchanged = dict(zip(EXCHANGES, ([], [token], patches), strict=True))[exchange]
    with in_eval_mode(model):
        mixed = [*stages[:block], stages[block].clone()]
        mixed[block][:, exchanged] = others[block][:, exchanged]
        for layer in model.blocks[block:]:
            mixed.append(layer(mixed[-1]))
    lens, answer = _read(model, mixed)
    untouched, before = _read(model, stages)
    who = "the class token" if token < prefix else patch_name(token - prefix, model.grid_size[1])
    said = lens[:, token]
    course = ", ".join(names[best] for best in said.argmax(-1))
    taken = instead = ""
    if exchanged:
        whose = f"{who} for that" if exchange == "this token" else "all patches for those"
        taken = f" Exchanged: {whose} of {other_name}."
        instead = f" instead of {best_class(before, names)}"
    words = (
        f"{name}, {block_name(block)}: {who} says {best_class(said[block], names)}. "
        f"Block by block, from before the first one, it says {course}. "
        f"The patches say {patch_words(lens[block, prefix:], names)}.{taken} "
        f"The model answers {best_class(answer, names)}{instead}."
    )
    return LensLabState(
        image=picture,
        other_image=other_picture,
        grid=model.grid_size,
        num_prefix_tokens=prefix,
        block=block,
        token=token,
        exchanged=exchanged,
        class_names=names,
        lens=lens,
        untouched=untouched,
        answer=answer,
        answer_untouched=before,
        answer_other=_read(model, others)[1],
        words=words,
    )


def _read(model: ViT, stages: list[Tensor]) -> tuple[Float[np.ndarray, "layers N K"], Float[np.ndarray, " K"]]:
    """What every token says at every stage, and the model's answer at the last one: probabilities."""
    normed = [model.norm(x) for x in stages]
    lens = torch.stack([model.head(x)[0] for x in normed])
    return tuple(logits.double().softmax(-1).numpy() for logits in (lens, model.classify(normed[-1])[0]))


def block_name(block: int) -> str:
    """`before the first block`, `after 1 block`, `after 2 blocks`."""
    return f"after {block} block{'s' * (block > 1)}" if block else "before the first block"


def patch_words(lens: Float[np.ndarray, "N K"], names: list[str]) -> str:
    """Which classes the patches say, the commonest first: `Bag 30 times, Coat 19 times`."""
    counts = np.bincount(lens.argmax(-1), minlength=len(names)).tolist()
    heard = sorted(filter(counts.__getitem__, range(len(names))), key=lambda i: -counts[i])
    return ", ".join(f"{names[i]} {counts[i]} time{'s' * (counts[i] > 1)}" for i in heard)
