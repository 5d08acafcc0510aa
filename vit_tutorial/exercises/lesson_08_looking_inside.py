"""Lesson 8: read tokens early, follow attention, exchange tokens, read distances, make a control, mend a map."""

import contextlib
import inspect
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import combinations

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from vit_tutorial.attention import MultiHeadAttention
from vit_tutorial.encoder import LAYER_NORM_EPS
from vit_tutorial.exercises.builders import fill, scattered, small_vit
from vit_tutorial.exercises.clinic import make_clinic
from vit_tutorial.exercises.compare import numbers_of, same, shape_of
from vit_tutorial.exercises.describe import describe, in_brackets
from vit_tutorial.exercises.difference import Hints, Said
from vit_tutorial.exercises.engine import Exercise, Mistake, Property
from vit_tutorial.vit import ViT

LESSON = "08_looking_inside"
__all__ = ["exchange", "lens", "map_clinic", "mended_map", "near_heads", "rollout", "shuffled_control"]


# ------------------------------------------------------------------------------------------ the lens


def _lens_input(batch: int, number: int, dim: int, num_classes: int, size: float = 1.0) -> tuple[Tensor, ...]:
    norm = nn.LayerNorm(dim, eps=LAYER_NORM_EPS, dtype=torch.float64)
    head = nn.Linear(dim, num_classes, dtype=torch.float64)
    fill(((f"norm.{name}", parameter) for name, parameter in norm.named_parameters()), spread=0.5)
    fill(((f"head.{name}", parameter) for name, parameter in head.named_parameters()), spread=1.0)
    return scattered(batch, number, dim) * size, norm, head


lens = Exercise(
    name="lens",
    lesson=LESSON,
    difficulty=1,
    minutes=4,
    solution=lambda tokens, norm, head: head(norm(tokens)),
    inputs=[
        _lens_input(1, 2, 3, 2),
        _lens_input(2, 3, 4, 4),
        _lens_input(1, 3, 4, 2, size=0.0003),  # a variance near eps
        _lens_input(3, 5, 6, 10),
    ],
    hints=Hints(
        axes="B M K",
        steps=[
            ("the last norm", lambda _, tokens, norm, head: norm(tokens)),
            ("the head", lambda normed, tokens, norm, head: head(normed)),
        ],
    ),
    mistakes=[
        Mistake(
            lambda tokens, norm, head: head(tokens),
            "the last norm is missing. The head has only ever read tokens that came through it: head(norm(tokens)).",
        ),
        Mistake(
            lambda tokens, norm, head: norm(head(tokens)),
            "the norm comes after the head. In the model it comes before: head(norm(tokens)).",
        ),
        Mistake(
            lambda tokens, norm, head: head(norm(norm(tokens))),
            "the norm works twice. Tokens after a block are not normed yet, so once is enough.",
        ),
        Mistake(
            lambda tokens, norm, head: head(F.layer_norm(tokens, tokens.shape[-1:], eps=norm.eps)),
            "your norm has no γ and β. The model learned its own, so take the norm that you are given.",
        ),
        Mistake(
            lambda tokens, norm, head: head(F.layer_norm(tokens, tokens.shape[-1:])),
            "your norm is a new one, without the γ and β that the model learned, and with PyTorch's usual ε. Take the "
            "norm that you are given.",
        ),
        Mistake(
            lambda tokens, norm, head: head(F.layer_norm(tokens, tokens.shape[-1:], norm.weight, norm.bias)),
            "your norm has PyTorch's usual ε, 0.00001. The model's is 0.000001; norm(tokens) uses it.",
        ),
        Mistake(
            [lambda tokens, norm, head: head(norm(tokens)[:, 0]), lambda tokens, norm, head: head(norm(tokens)[:, :1])],
            "you read the class token alone. The lens reads every token: the answer is [B, M, K].",
        ),
        Mistake(
            lambda tokens, norm, head: head(norm(tokens)[:, 1:]),
            "the class token is left out. The lens reads every token, the class token too.",
        ),
        Mistake(
            lambda tokens, norm, head: head(norm(tokens)[0]),
            "you read one picture. Keep axis 0: the answer is [B, M, K].",
        ),
        Mistake(
            [
                lambda tokens, norm, head: head(norm(tokens)).mean(1),
                lambda tokens, norm, head: head(norm(tokens.mean(1))),
            ],
            "you averaged over the tokens. The lens reads each one by itself: the answer is [B, M, K].",
        ),
        Mistake(
            lambda tokens, norm, head: head(norm(tokens)).softmax(-1),
            "you applied softmax. Return the logits, as the head gives them.",
        ),
        Mistake(
            lambda tokens, norm, head: head(norm(tokens)).log_softmax(-1),
            "you applied log_softmax. Return the logits, as the head gives them.",
        ),
        Mistake(
            lambda tokens, norm, head: head(norm(tokens)).argmax(-1),
            "you returned the best class of each token. Return all K logits of each.",
        ),
        Mistake(
            lambda tokens, norm, head: norm(tokens) @ head.weight.T,
            "the head's biases are missing. Call it like a function: head(…).",
        ),
        Mistake(
            lambda tokens, norm, head: norm(tokens),
            "the head is missing: these are normed tokens, D numbers each. The head makes K logits of them.",
        ),
    ],
    done="The model's own norm and head, early: every token says what it would answer now.",
)


# ------------------------------------------------------------------------------------------ rollout


def _maps(layers: int, *shape: int) -> tuple[list[Tensor]]:
    """Return attention maps [B, h, N, N] whose rows sum to 1, a different one for each layer."""
    generator = torch.Generator().manual_seed(layers)
    return ([(2 * torch.randn(shape, generator=generator)).softmax(-1) for _ in range(layers)],)


def _identity_like(weights: Tensor) -> Tensor:
    return torch.eye(weights.shape[-1], dtype=weights.dtype)


def _half_identity(fused: Tensor) -> Tensor:
    return (fused + _identity_like(fused)) / 2


def _layer_first(layer: Tensor, so_far: Tensor) -> Tensor:
    return layer @ so_far


def _rolled(
    fuse: Callable[[Tensor], Tensor] = lambda weights: weights.mean(1),
    residual: Callable[[Tensor], Tensor] = _half_identity,
    join: Callable[[Tensor, Tensor], Tensor] = _layer_first,
    layers: slice = slice(None),
) -> Callable:
    """A rollout that may do one step in another way."""

    def follow(maps: list[Tensor]) -> Tensor:
        so_far = _identity_like(maps[0]).expand(len(maps[0]), -1, -1)
        for weights in maps[layers]:
            so_far = join(residual(fuse(weights)), so_far)
        return so_far

    return follow


def _each_head_alone(maps: list[Tensor]) -> Tensor:
    heads = [_rolled()([weights[:, [head]] for weights in maps]) for head in range(maps[0].shape[1])]
    return torch.stack(heads).mean(0)


def _fused_layers(maps: list[Tensor]) -> Tensor:
    return torch.stack([_half_identity(weights.mean(1)) for weights in maps])


def _all_rolled(layers: list[Tensor]) -> Tensor:
    return reduce(lambda so_far, layer: layer @ so_far, layers)


rollout = Exercise(
    name="rollout",
    lesson=LESSON,
    difficulty=2,
    minutes=8,
    solution=_rolled(),
    hints=Hints(
        steps=[
            ("the mean over the heads", lambda _, maps: [weights.mean(1) for weights in maps]),
            ("the identity that is added", lambda layers, maps: [layer + _identity_like(layer) for layer in layers]),
            ("the half", lambda layers, maps: [layer / 2 for layer in layers]),
            ("the product of the layers", lambda layers, maps: _all_rolled(layers)),
        ],
    ),
    inputs=[_maps(2, 1, 1, 2, 2), _maps(1, 1, 2, 3, 3), _maps(3, 2, 3, 4, 4), _maps(4, 3, 2, 5, 5)],
    mistakes=[
        Mistake(
            _rolled(join=lambda layer, so_far: so_far @ layer),
            "the product runs the wrong way round. The newest layer stands on the left: A_L … A_2 A_1.",
        ),
        Mistake(
            _rolled(residual=lambda fused: fused),
            "the residual is missing. Half of each layer is the token itself: (A + I) / 2.",
        ),
        Mistake(
            _rolled(residual=lambda fused: fused, join=lambda layer, so_far: so_far @ layer),
            "two things: the residual is missing, (A + I) / 2, and the product runs the wrong way round: the newest "
            "layer stands on the left.",
        ),
        Mistake(
            _rolled(residual=lambda fused: fused + _identity_like(fused)),
            "your rows no longer sum to 1. A + I has rows that sum to 2: divide by 2.",
        ),
        Mistake(
            _rolled(residual=lambda fused: fused / 2 + _identity_like(fused)),
            "your rows no longer sum to 1: only A is halved. Half of I belongs to it: (A + I) / 2.",
        ),
        Mistake(
            _rolled(residual=lambda fused: (fused + 1) / 2),
            "you added 1 to every number. The residual is the identity matrix, torch.eye(N): ones on the diagonal.",
        ),
        Mistake(
            _rolled(residual=lambda fused: fused, join=lambda layer, so_far: _half_identity(layer @ so_far)),
            "half of each layer is what the tokens began with. It should be what they held before that layer: "
            "(A + I) / 2 @ so_far.",
        ),
        Mistake(
            lambda maps: _half_identity(_rolled(residual=lambda fused: fused)(maps)),
            "the residual comes once, at the end. Each layer has one of its own: (A + I) / 2 inside the loop.",
        ),
        Mistake(
            _rolled(fuse=lambda weights: weights.amax(1)),
            "you took the largest of the heads. Take their mean; then each row still sums to 1.",
        ),
        Mistake(
            _rolled(fuse=lambda weights: weights.sum(1)),
            "you added the heads up. Take their mean; then each row still sums to 1.",
        ),
        Mistake(
            _rolled(fuse=lambda weights: weights[:, 0]),
            "you followed head 0 alone. Take the mean over axis 1, which holds the heads.",
        ),
        Mistake(
            [
                _rolled(fuse=lambda weights: weights.mean(0)),
                lambda maps: _all_rolled([_half_identity(weights.mean(0)) for weights in maps]),
            ],
            "you averaged over the pictures. Axis 0 is the batch, axis 1 holds the heads.",
        ),
        Mistake(
            _rolled(fuse=lambda weights: weights),
            "the mean over the heads is missing: each layer is still [B, h, N, N]. Take the mean over axis 1 first.",
        ),
        Mistake(
            _rolled(fuse=lambda weights: weights.mean().expand_as(weights[:, 0])),
            "you took the mean of all numbers. Take it over axis 1, which holds the heads: weights.mean(dim=1).",
        ),
        Mistake(
            [lambda maps: _identity_like(maps[0]).expand(len(maps[0]), -1, -1), lambda maps: _identity_like(maps[0])],
            "this is the identity, with which the product begins: no layer came in. Keep each product: "
            "so_far = layer @ so_far.",
        ),
        Mistake(
            _each_head_alone,
            "you followed each head alone, and averaged at the end. Average the heads in each layer: the next layer "
            "reads what all of them wrote.",
        ),
        Mistake(
            [_rolled(join=lambda layer, so_far: layer * so_far), lambda maps: _fused_layers(maps).prod(0)],
            "you multiplied number by number. Layers follow one another by the matrix product: @.",
        ),
        Mistake(
            lambda maps: _fused_layers(maps).mean(0),
            "you averaged the layers. They follow one another: multiply them, the newest on the left.",
        ),
        Mistake(
            lambda maps: _fused_layers(maps).sum(0),
            "you added the layers up. They follow one another: multiply them, the newest on the left.",
        ),
        Mistake(
            lambda maps: _fused_layers(maps)[-1],
            "only the last layer counts in yours. Keep the product: so_far = layer @ so_far.",
        ),
        Mistake(
            _rolled(layers=slice(1, None)),
            "the first layer is left out. The product begins with A_1, or with the identity before it.",
        ),
        Mistake(
            _rolled(layers=slice(None, -1)),
            "the last layer is left out. The product ends with A_L, the newest, on the left.",
        ),
        Mistake(
            _rolled(layers=slice(0, 1)),
            "only the first layer counts in yours. Is the `return` inside the loop?",
        ),
        Mistake(
            lambda maps: _rolled()(maps)[:, 0],
            "you returned the class token's row. Return the whole of it: [B, N, N].",
        ),
        Mistake(
            lambda maps: _rolled()(maps)[:, 0, 1:],
            "you returned the class token's row without its first number. Return the whole of it: [B, N, N].",
        ),
        Mistake(
            lambda maps: _rolled()(maps).transpose(1, 2),
            "your result is transposed: the columns sum to 1. Row i says from where token i has what it holds.",
        ),
    ],
    done="Heads averaged, half for the residual, the newest layer on the left.",
)


# ------------------------------------------------------------------------------------------ exchange tokens


def _exchange_input(seed: int, block: int, tokens: list[int], **options):
    model, images = small_vit(seed, depth=3, **options)
    _, others = small_vit(seed + 100, **options)
    return model, images, others, block, tokens


def _embed(model: ViT, images: Tensor) -> Tensor:
    return model.position(model.class_token(model.patch_embed(images)))


def _both(model: ViT, images: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    return _embed(model, images), _embed(model, others)


def _read(model: ViT, tokens: Tensor) -> Tensor:
    return model.head(model.norm(tokens)[:, 0])


def _put(x: Tensor, y: Tensor, tokens: Sequence[int]) -> Tensor:
    """Return x with the tokens of y at some places."""
    x = x.clone()
    x[:, tokens] = y[:, tokens]
    return x


def _exchanged(
    before: Callable[[int], slice] = lambda k: slice(None, k),
    others_before: Callable[[int], slice] = lambda k: slice(None, k),
    after: Callable[[int], slice] = lambda k: slice(k, None),
    put: Callable[[Tensor, Tensor, list[int]], Tensor] = _put,
    read: Callable[[ViT, Tensor], Tensor] = _read,
    embed: Callable[[ViT, Tensor], Tensor] = _embed,
) -> Callable:
    """An exchange that may do one step in another way; the slices say which blocks run before it and after it."""

    def run(model: ViT, images: Tensor, others: Tensor, k: int, tokens: list[int]) -> Tensor:
        x = model.blocks[before(k)](embed(model, images))
        y = model.blocks[others_before(k)](embed(model, others))
        return read(model, model.blocks[after(k)](put(x, y, tokens)))

    return run


def _at(places: Callable[[list[int]], list[int] | slice | Tensor]) -> Callable:
    """An exchange at other places than those in `tokens`."""
    return _exchanged(put=lambda x, y, tokens: _put(x, y, places(tokens)))


def _normed_in_the_loop(model: ViT, images: Tensor, others: Tensor, k: int, tokens: list[int]) -> Tensor:
    x, y = (model.blocks[:k](_embed(model, each)) for each in (images, others))
    x = _put(x, y, tokens)
    for block in model.blocks[k:]:
        x = model.norm(block(x))
    return model.head(x[:, 0])


def _one_block_alone(model: ViT, images: Tensor, others: Tensor, k: int, tokens: list[int]) -> Tensor:
    x, y = (model.blocks[k](_embed(model, each)) for each in (images, others))
    return _read(model, model.blocks[k:](_put(x, y, tokens)))


def _exchanged_in_the_loop(model: ViT, images: Tensor, others: Tensor, k: int, tokens: list[int]) -> Tensor:
    """Exchange in front of block number k, which there is not if all blocks are done before."""
    x, y = _both(model, images, others)
    for i, block in enumerate(model.blocks):
        x = _put(x, y, tokens) if i == k else x
        x, y = block(x), block(y)
    return _read(model, x)


def _shifted(by: int) -> Callable:
    """An exchange so many blocks too late."""
    edge = {"before": lambda k: slice(None, max(k + by, 0)), "after": lambda k: slice(k + by, None)}
    return _exchanged(**edge, others_before=edge["before"])


def _put_across_pictures(x: Tensor, y: Tensor, tokens: list[int]) -> Tensor:
    x = x.clone()
    x[tokens] = y[tokens]
    return x


exchange = Exercise(
    name="exchange",
    lesson=LESSON,
    difficulty=3,
    minutes=10,
    solution=_exchanged(),
    hints=Hints(
        axes="B K",
        steps=[
            ("the embedding of both", lambda _, model, images, others, k, tokens: _both(model, images, others)),
            ("model.blocks[:k]", lambda both, model, *rest: tuple(model.blocks[: rest[2]](each) for each in both)),
            ("the exchange", lambda both, *rest: _put(*both, rest[-1])),
            ("model.blocks[k:]", lambda x, model, images, others, k, tokens: model.blocks[k:](x)),
            ("the last norm", lambda x, model, *rest: model.norm(x)),
            ("the class token", lambda x, *rest: x[:, 0]),
            ("the head", lambda x, model, *rest: model.head(x)),
        ],
    ),
    inputs=[
        _exchange_input(0, 1, [0], batch=1),
        _exchange_input(1, 2, [1, 2, 3, 4]),
        _exchange_input(2, 1, [0, 1], num_heads=4),
        _exchange_input(3, 0, [2, 4], batch=3),
        _exchange_input(4, 3, [0]),
        _exchange_input(5, 1, []),
    ],
    mistakes=[
        Mistake(
            lambda model, images, others, k, tokens: model(images),
            "nothing of `others` came in: this is the model's answer for `images`. x[:, tokens] = y[:, tokens] puts it "
            "in, if x comes from `images` and y from `others`.",
        ),
        Mistake(
            lambda model, images, others, k, tokens: model(others),
            "nothing of `images` is left: this is the model's answer for `others`. Begin with x, the tokens of "
            "`images`, and exchange those in `tokens` alone.",
        ),
        Mistake(
            _exchanged(put=lambda x, y, tokens: _put(y, x, tokens)),
            "it is the wrong way round: tokens of `images` went into `others`. Go on with x, the tokens of `images`.",
        ),
        Mistake(
            _shifted(1),
            "you exchange one block too late. After k blocks is after model.blocks[:k]; then comes model.blocks[k:].",
        ),
        Mistake(
            _shifted(-1),
            "you exchange one block too early. After k blocks is after model.blocks[:k]; then comes model.blocks[k:].",
        ),
        Mistake(
            _exchanged(lambda k: slice(0), lambda k: slice(0), lambda k: slice(None)),
            "you exchange before the first block, whatever k is. First both go through model.blocks[:k].",
        ),
        Mistake(
            _exchanged(lambda k: slice(None), lambda k: slice(None), lambda k: slice(0)),
            "you exchange after the last block, whatever k is. First both go through model.blocks[:k].",
        ),
        Mistake(
            _exchanged(others_before=lambda k: slice(0)),
            "the tokens of `others` have not been through any block. They too go through model.blocks[:k] first.",
        ),
        Mistake(
            _exchanged(others_before=lambda k: slice(None)),
            "the tokens of `others` have been through all blocks. They too stop after model.blocks[:k].",
        ),
        Mistake(
            _exchanged(after=lambda k: slice(None)),
            "after the exchange all blocks run once more. Go on where you stopped: model.blocks[k:].",
        ),
        Mistake(
            _exchanged(after=lambda k: slice(0)),
            "after the exchange no block runs. Go on with the rest of the model: model.blocks[k:].",
        ),
        Mistake(
            _exchanged(*[lambda k: slice(None, k + 1)] * 2),
            "one block too many runs before the exchange, and once more after it. model.blocks[:k] are the first k.",
        ),
        Mistake(
            _exchanged(after=lambda k: slice(k + 1, None)),
            "one block is left out. Block number k, counted from 0, is the first that runs after the exchange: "
            "model.blocks[k:].",
        ),
        Mistake(
            _exchanged(put=lambda x, y, tokens: _put(x, torch.zeros_like(y), tokens)),
            "you put in zeros. That is another kind of exchange; here the tokens of `others` go in.",
        ),
        Mistake(
            _exchanged(put=lambda x, y, tokens: _put(x, x.mean(0, keepdim=True).expand_as(x), tokens)),
            "you put in the mean of `images`. That is another kind of exchange; here the tokens of `others` go in.",
        ),
        Mistake(
            _exchanged(put=lambda x, y, tokens: _put(x, y.mean(0, keepdim=True).expand_as(x), tokens)),
            "you put in the mean of `others`. Each picture gets the tokens of its own partner: y[:, tokens].",
        ),
        Mistake(
            _exchanged(put=lambda x, y, tokens: _put(x, x + y, tokens)),
            "you added the tokens of `others` to what was there. They take its place.",
        ),
        Mistake(
            _exchanged(put=lambda x, y, tokens: _put(x, (x + y) / 2, tokens)),
            "you put in the mean of both pictures' tokens. Those of `others` take the place of what was there.",
        ),
        Mistake(
            _exchanged(put=lambda x, y, tokens: _put(x, y[:, tokens].mean(1, keepdim=True).expand_as(y), tokens)),
            "every exchanged place gets the same: the mean of the tokens of `others`. Each gets its own: y[:, tokens].",
        ),
        Mistake(
            _exchanged(put=lambda x, y, tokens: _put(x, y[:1].expand_as(y), tokens)),
            "every picture gets the tokens of the first of `others`. Each gets those of its own partner: y[:, tokens].",
        ),
        Mistake(
            _exchanged(put=lambda x, y, tokens: _put(x.mT, y.mT, tokens).mT),
            "you exchanged numbers inside every token: x[:, :, tokens]. The tokens lie along axis 1: x[:, tokens].",
        ),
        Mistake(
            _at(lambda tokens: slice(1, None)),
            "all patches were exchanged, whatever `tokens` says. Exchange those in `tokens` alone: x[:, tokens].",
        ),
        Mistake(
            _at(lambda tokens: slice(0, 1)),
            "the class token was exchanged, whatever `tokens` says. Exchange those in `tokens`: x[:, tokens].",
        ),
        *(
            Mistake(
                _at(lambda tokens, by=by: [token + by for token in tokens]),
                f"you exchanged the tokens one place too {where}. Number 0 is the class token, and the first patch has "
                "number 1: take the numbers in `tokens` as they are.",
            )
            for by, where in ((1, "late"), (-1, "early"))
        ),
        Mistake(
            _exchanged(*[lambda k: slice(None)] * 2),
            "all blocks run before the exchange, and those from k on once more after it. First model.blocks[:k] alone.",
        ),
        Mistake(
            _one_block_alone,
            "model.blocks[k] is block number k alone. model.blocks[:k], with a colon, are the first k.",
        ),
        Mistake(
            _normed_in_the_loop,
            "the last norm works after every block, inside the loop. It comes once, after the loop.",
        ),
        Mistake(
            _exchanged_in_the_loop,
            "where k is the number of blocks, nothing is exchanged: your loop is over before it comes to that. "
            "Exchange between model.blocks[:k] and model.blocks[k:], of which the second may be empty.",
        ),
        Mistake(
            _at(torch.tensor),
            "`tokens` may be empty: nothing is exchanged then. torch.tensor([]) holds floats, no places: take the "
            "list itself, x[:, tokens], or say dtype=torch.long.",
        ),
        Mistake(
            _exchanged(put=_put_across_pictures),
            "x[tokens] picks pictures. The tokens lie along axis 1: x[:, tokens].",
        ),
        Mistake(
            _exchanged(read=lambda model, x: model.head(x[:, 0])),
            "the last norm is missing. After the blocks comes model.norm, then the head.",
        ),
        Mistake(
            _exchanged(read=lambda model, x: model.head(model.norm(x))),
            "every token goes through the head. The answer is what it reads off the class token: [:, 0].",
        ),
        Mistake(
            _exchanged(read=lambda model, x: model.head(model.norm(x).mean(1))),
            "the head reads the mean of all tokens. In this model it reads the class token: [:, 0].",
        ),
        Mistake(
            _exchanged(embed=lambda model, images: model.class_token(model.patch_embed(images))),
            "the positions were never added: model.position(model.class_token(model.patch_embed(images))).",
        ),
        Mistake(
            lambda *given: _exchanged()(*given).softmax(-1),
            "you applied softmax. Return the logits, as the head gives them.",
        ),
        Mistake(
            lambda *given: _exchanged()(*given).argmax(-1),
            "you returned the number of the best class. Return the logits, [B, K].",
        ),
    ],
    done="What the exchanged tokens carried, the answer now carries.",
)


# ------------------------------------------------------------------------------------------ read distances


def _distances(seed: int, layers: int, heads: int, models: int, near: int) -> tuple[Tensor, Tensor]:
    """Return distances [L, h] of a trained model with some near heads, a tie and a far one; [S, L, h] of untrained."""
    generator = torch.Generator().manual_seed(seed)

    def between(low: float, high: float, *shape: int) -> Tensor:
        numbers = low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)
        return numbers.mul(10).round() / 10

    untrained = between(13.4, 14.6, models, layers, heads)
    untrained[:, 1:] += 0.3  # so that blocks differ
    trained = between(13.4, 14.9, layers * heads)
    places = torch.randperm(layers * heads, generator=generator)
    trained[places[:near]] = between(9.0, 13.0, near)
    trained[places[near]] = untrained.min()  # as near as the nearest of them: no nearer
    trained[places[near + 1]] = 17.0
    return trained.reshape(layers, heads), untrained


def _as_pairs(answer: Callable) -> Callable:
    """Let an answer give its pairs as a list, a set or a tensor, in any order; what is no pairs stays as it is."""

    def run(trained: Tensor, untrained: Tensor) -> object:
        said = answer(trained, untrained)
        if isinstance(said, Iterator):
            once = Said("what you returned can be gone through only once: put list(…) around it.")
            return said if inspect.isgenerator(said) and not in_brackets(said) else once
        pairs = said.tolist() if isinstance(said, Tensor) else said
        try:
            return sorted({(int(block), int(head)) for block, head in pairs})
        except (TypeError, ValueError):
            return _no_pairs(pairs) or said

    return run


def _no_pairs(entries: object) -> Said | None:
    """Say what stands in a list in place of pairs, if its entries are words or too long; others are known mistakes."""
    if isinstance(entries, list) and (others := [entry for entry in entries if isinstance(entry, str | dict)]):
        return Said(f"your list holds {describe(others[0])}. Each entry is a pair of numbers: (block, head).")
    if isinstance(entries, list) and len(entries) == 1 and isinstance(entries[0], list):
        return Said("your pairs stand in a list within a list. One list is enough: leave the outer brackets out.")
    lengths = (
        {len(entry) for entry in entries if isinstance(entry, tuple | list)} if isinstance(entries, list) else set()
    )
    if len(lengths) == 1 and (length := lengths.pop()) > 2 and all(isinstance(entry, tuple) for entry in entries):
        return Said(f"{length} things stand in each of your entries, and two are asked for: (block, head).")
    return None


def _pairs(chosen: Tensor) -> list[tuple[int, int]]:
    return [tuple(place) for place in chosen.nonzero().tolist()]


def _nearer_than(limit: Callable[[Tensor], Tensor]) -> Callable:
    return lambda trained, untrained: _pairs(trained < limit(untrained))


def _near(trained: Tensor, untrained: Tensor) -> list[tuple[int, int]]:
    return _pairs(trained < untrained.min())


near_heads = Exercise(
    name="near_heads",
    lesson=LESSON,
    difficulty=2,
    minutes=6,
    solution=_near,
    adapt=_as_pairs,
    inputs=[_distances(0, 2, 3, 2, 2), _distances(1, 3, 4, 3, 0), _distances(2, 4, 3, 5, 3), _distances(3, 6, 4, 5, 4)],
    mistakes=[
        Mistake(
            _nearer_than(lambda untrained: untrained.max()),
            "you compared with the farthest untrained head. A near head is nearer than all of them: than the nearest.",
        ),
        Mistake(
            _nearer_than(lambda untrained: untrained.mean()),
            "you compared with the mean of the untrained heads. About half of those are below it too, and they learned "
            "nothing.",
        ),
        Mistake(
            _nearer_than(lambda untrained: untrained.median()),
            "you compared with the median of the untrained heads. Half of those are below it too, and they learned "
            "nothing.",
        ),
        Mistake(
            _nearer_than(lambda untrained: untrained.amin(0)),
            "you compared each head with the untrained heads of the same place. Head 2 of one model has nothing to do "
            "with head 2 of another: compare with all of them.",
        ),
        Mistake(
            _nearer_than(lambda untrained: untrained.mean(0)),
            "you compared each head with the mean of the untrained heads of the same place. Head 2 of one model has "
            "nothing to do with head 2 of another: compare with all of them.",
        ),
        Mistake(
            _nearer_than(lambda untrained: untrained.amin((0, 2))[:, None]),
            "you compared block by block. Compare with every untrained head, of whatever block.",
        ),
        Mistake(
            _nearer_than(lambda untrained: untrained[0].min()),
            "you used the first untrained model alone. A control of one start may be an accident: use all S.",
        ),
        Mistake(
            lambda trained, untrained: _pairs(trained <= untrained.min()),
            "you let a tie win. A near head is nearer than the nearest untrained one: < and not <=.",
        ),
        Mistake(
            lambda trained, untrained: _pairs(trained > untrained.max()),
            "these are the heads that look farther than all untrained ones. Asked for are those that look nearer.",
        ),
        Mistake(
            lambda trained, untrained: _pairs(trained > untrained.min()),
            "these are the heads that are *not* near. Turn the sign round.",
        ),
        Mistake(
            lambda trained, untrained: _pairs(trained < trained.mean()),
            "you compared with the model's own mean. Some heads are always below that; the control is what counts.",
        ),
        Mistake(
            lambda trained, untrained: [divmod(int(trained.argmin()), trained.shape[1])],
            "you returned the nearest head alone. There may be several near heads, or none.",
        ),
        Mistake(
            lambda trained, untrained: _pairs(trained - untrained.min()),
            "you asked where a difference is not 0. Ask where the trained head is nearer: trained < untrained.min().",
        ),
        Mistake(
            lambda trained, untrained: _pairs((trained < untrained).any(0)),
            "one untrained head, in the same place, that is farther is enough for you. A near head is nearer than all "
            "of them: untrained.min().",
        ),
        Mistake(
            [
                _nearer_than(lambda untrained, spread=spread: untrained.mean() - spread * untrained.std())
                for spread in (1, 2, 3)
            ],
            "your limit lies some standard deviations below the mean. A near head is nearer than the nearest "
            "untrained one: untrained.min().",
        ),
        Mistake(
            _nearer_than(lambda untrained: untrained.amin((0, 1))),
            "you compared with the untrained heads of the same number h. Head 2 of one model has nothing to do with "
            "head 2 of another: compare with all of them.",
        ),
        *(
            Mistake(
                lambda trained, untrained, part=part: [pair[part] for pair in _near(trained, untrained)],
                f"you returned the {name}s alone. Return pairs: (block, head).",
            )
            for part, name in enumerate(("block", "head"))
        ),
        Mistake(
            lambda trained, untrained: [pair[::-1] for pair in _near(trained, untrained)],
            "your pairs are (head, block). Block comes first: the rows of the table are blocks.",
        ),
        Mistake(
            lambda trained, untrained: [(block + 1, head + 1) for block, head in _near(trained, untrained)],
            "you count from 1. Blocks and heads are counted from 0 here.",
        ),
        Mistake(
            lambda trained, untrained: (trained < untrained.min()).flatten().nonzero().flatten(),
            "you returned places in the flattened table. Return pairs: divmod(place, h) gives (block, head).",
        ),
        Mistake(
            lambda trained, untrained: (trained < untrained.min()).nonzero(as_tuple=True),
            "you returned the blocks in one tensor and the heads in another. Return pairs: .nonzero().tolist().",
        ),
        Mistake(
            lambda trained, untrained: trained < untrained.min(),
            "you returned the table of True and False. Return the pairs where it is True: .nonzero().tolist().",
        ),
        Mistake(
            lambda trained, untrained: trained[trained < untrained.min()],
            "you returned the distances of the near heads. Return where they are: pairs (block, head).",
        ),
        Mistake(
            lambda trained, untrained: (trained < untrained.min()).sum(),
            "you returned how many there are. Return where they are: pairs (block, head).",
        ),
    ],
    done="Nearer than every head of the control: that was learned.",
)


# ------------------------------------------------------------------------------------------ a control

_TRIES = 30  # seeds; a patch of nine stays by chance in its place in all of them once in 9^30


def _ranking(batch: int, number: int) -> Tensor:
    """Return a ranking of patches whose values are all different."""
    generator = torch.Generator().manual_seed(number)
    return torch.randperm(batch * number, generator=generator).reshape(batch, number).double() / 10


def _random_state() -> str:
    """Return the states of the random numbers that everybody shares: PyTorch's, Python's and NumPy's."""
    return str((torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()))  # noqa: NPY002


def _orders(shuffled: Tensor, ranking: Tensor) -> Tensor:
    """Give for each place of a shuffled ranking the place from which its value comes, [B, N]."""
    return (shuffled[:, :, None] == ranking[:, None, :]).double().argmax(-1)


def _all_alike(orders: Tensor) -> bool:
    return len(orders) > 1 and bool((orders == orders[:1]).all())


def _is_turned(orders: Tensor) -> bool:
    """Whether every picture was only moved along, its end coming round to the front."""
    number = orders.shape[1]
    return bool(((orders.roll(-1, 1) - orders) % number == 1).all())


def _what_values(shuffled: Tensor, ranking: Tensor) -> str:
    """Say what is wrong with the values, or nothing."""
    if torch.equal(shuffled.sort(1).values, ranking.sort(1).values):
        return ""
    if torch.equal(shuffled.sort(1).values, torch.arange(ranking.shape[1]).expand_as(shuffled).to(shuffled)):
        return "places instead of values"
    if torch.equal(shuffled.flatten().sort().values, ranking.flatten().sort().values):
        if (shuffled[:, None] == ranking).all(-1).any(1).all():
            return "whole pictures moved"
        if torch.equal(shuffled.sort(0).values, ranking.sort(0).values):
            return "values moved to the same patch of other pictures"
        return "values of other pictures"
    drawn = (shuffled[:, :, None] == ranking[:, None, :]).any(-1).all()
    return "some values twice, others never" if drawn else "other values"


def _what_it_does(control: Callable) -> Callable:
    """Turn a control into a function that says what it does with a ranking, in words; the first fault that it has."""

    def run(ranking: Tensor, seed: int) -> object:
        global_state = _random_state()
        given = control(ranking, seed)
        if shape_of(given) != tuple(ranking.shape):
            shapes = f"{list(shape_of(given))}, and should have that of the ranking, {list(ranking.shape)}"
            return given if given is None or given is Ellipsis else Said(f"what you return has the shape {shapes}.")

        def shuffle(seed: int) -> Tensor:
            return numbers_of(control(ranking.clone(), seed)).to(ranking)

        shuffled = numbers_of(given).to(ranking)
        others = [shuffle(seed + 1 + i) for i in range(_TRIES)]
        if fault := _what_values(shuffled, ranking):
            return fault
        if faults := [fault for other in others if (fault := _what_values(other, ranking))]:
            return faults[0]
        for words, fixed in (
            ("the ranking as it was", ranking),
            ("the ranking backwards", ranking.flip(1)),
            ("the ranking sorted", ranking.sort(1).values),
            ("the ranking sorted", ranking.sort(1, descending=True).values),
        ):
            if torch.equal(shuffled, fixed):
                return words
        if not torch.equal(shuffle(seed), shuffled):
            return "another order at the second call"
        if all(torch.equal(other, shuffled) for other in others):
            return "the same order for every seed"
        for first, second in combinations(range(1 + _TRIES), 2):
            if torch.equal([shuffled, *others][first], [shuffled, *others][second]):
                return Said(
                    f"the seeds {seed + first} and {seed + second} give the same order. Every seed gives one of its "
                    "own: hand it to the generator as it is."
                )
        orders = torch.stack([_orders(other, ranking) for other in (shuffled, *others)])  # [seeds, B, N]
        if all(_all_alike(order) for order in orders):
            return "the same order for every picture"
        if all(_is_turned(order) for order in orders):
            return "the order kept, and only its start moved"
        if (orders == torch.arange(ranking.shape[1])).all(0).any():
            return "some patches never move"
        if _random_state() != global_state:
            return "the notebook's random numbers touched"
        return "keeps each picture's values, moves them by chance, repeats with its seed"

    return run


def _by(order: Callable[[Tensor, torch.Generator], Tensor], seeded: bool = True) -> Callable:
    """A control that takes the values of each picture in an order [B, N]."""

    def control(ranking: Tensor, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed if seeded else 0)
        return ranking.gather(1, order(ranking, generator))

    return control


def _own_order(ranking: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(ranking.shape, generator=generator).argsort(1)


def _turned(ranking: Tensor, generator: torch.Generator) -> Tensor:
    number = ranking.shape[1]
    start = torch.randint(1, number, (len(ranking), 1), generator=generator)
    return (torch.arange(number) + start) % number


def _first_stays(ranking: Tensor, generator: torch.Generator) -> Tensor:
    rest = 1 + torch.rand(len(ranking), ranking.shape[1] - 1, generator=generator).argsort(1)
    return torch.cat([torch.zeros(len(ranking), 1, dtype=torch.long), rest], dim=1)


def _across(ranking: Tensor, seed: int) -> Tensor:
    order = torch.randperm(ranking.numel(), generator=torch.Generator().manual_seed(seed))
    return ranking.flatten()[order].reshape(ranking.shape)


def _by_global_seed(ranking: Tensor, seed: int) -> Tensor:
    torch.manual_seed(seed)
    return ranking.gather(1, torch.rand(ranking.shape).argsort(1))


shuffled_control = Exercise(
    name="shuffled_control",
    lesson=LESSON,
    difficulty=3,
    minutes=8,
    solution=_by(_own_order),
    adapt=_what_it_does,
    inputs=[(_ranking(2, 9), 0), (_ranking(3, 16), 7), (_ranking(1, 49), 3)],
    mistakes=[
        Mistake(
            lambda ranking, seed: ranking,
            "nothing has moved: this is the method itself. A control must not know what the method knows.",
        ),
        Mistake(
            lambda ranking, seed: ranking.flip(1),
            "this is the ranking backwards. That is no chance: where a map is symmetric, it is nearly the same map.",
        ),
        Mistake(
            lambda ranking, seed: ranking.sort(1).values,
            "this is the ranking sorted, without any chance in it. Take the values in a random order.",
        ),
        Mistake(
            lambda ranking, seed: torch.rand(ranking.shape, generator=torch.Generator().manual_seed(seed)),
            "these are new numbers. Keep the method's values, so that a map of them looks as lively as the method's, "
            "and change only their places.",
        ),
        Mistake(
            lambda ranking, seed: _own_order(ranking, torch.Generator().manual_seed(seed)),
            "you returned the order: numbers of places. Take the values in this order: ranking.gather(1, order).",
        ),
        Mistake(
            _by(lambda ranking, generator: torch.randint(ranking.shape[1], ranking.shape, generator=generator)),
            "some values are there twice, and others are gone. A shuffle has each value once: take an order of each "
            "picture's own places, such as torch.rand(…).argsort(dim=1), and not places drawn one by one.",
        ),
        Mistake(
            _across,
            "values moved from one picture to another. Shuffle each picture's values among its own patches.",
        ),
        Mistake(
            lambda ranking, seed: ranking.gather(
                0, torch.rand(ranking.shape, generator=torch.Generator().manual_seed(seed)).argsort(0)
            ),
            "values moved from one picture to another, each to the same patch. Axis 0 is that of the pictures: shuffle "
            "along axis 1, each picture's values among its own patches.",
        ),
        Mistake(
            lambda ranking, seed: ranking[torch.randperm(len(ranking), generator=torch.Generator().manual_seed(seed))],
            "the pictures have changed places, and nothing has moved within them. Shuffle each picture's own values.",
        ),
        Mistake(
            lambda ranking, seed: ranking.gather(1, torch.rand(ranking.shape).argsort(1)),
            "the second call with the same seed gave another order. Draw from a generator that starts at the seed: "
            "torch.Generator().manual_seed(seed).",
        ),
        Mistake(
            _by(_own_order, seeded=False),
            "every seed gives the same order. Several controls need several orders: use the seed.",
        ),
        Mistake(
            _by(lambda ranking, generator: torch.randperm(ranking.shape[1], generator=generator).expand(ranking.shape)),
            "all pictures are shuffled in the same order. Then it may always be the sole that gets the highest value: "
            "give each picture an order of its own.",
        ),
        Mistake(
            _by(_turned),
            "the values keep their order, and only begin elsewhere. So neighbours stay neighbours. Shuffle them.",
        ),
        Mistake(
            _by(_first_stays),
            "some patches never move. By chance, each must be able to go anywhere.",
        ),
        Mistake(
            _by_global_seed,
            "you used the random numbers of the whole notebook, so whatever is drawn after you changes. Take a "
            "generator of your own: torch.Generator().manual_seed(seed).",
        ),
    ],
    done="It looks like a map, and knows nothing. What a method shows beyond it, the method knows.",
)


# ------------------------------------------------------------------------------------------ the clinic


class TimmAttention(MultiHeadAttention):
    """The course's layer, written as timm writes it: the weights pass through `attn_drop`, unless it is fused.

    Shapes: [B, N, D] -> [B, N, D]; with `return_weights=True` also the weights [B, h, N, N].
    With `fused_attn` it uses PyTorch's fused kernel, and no weights are there to see. Its names are timm's.
    Source: the class Attention of timm's `layers/attention.py`.
    """

    def __init__(self, dim: int, num_heads: int, qkv_bias: bool = True):
        super().__init__(dim, num_heads, qkv_bias)
        self.fused_attn = True
        self.attn_drop = nn.Dropout(0.0)

    def weights(self, q: Tensor, k: Tensor) -> Tensor:
        """Give softmax(q k^T / sqrt(d)): [B, h, N, d] twice -> [B, h, N, N]."""
        return (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(dim=-1)

    def forward(self, x: Tensor, return_weights: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        q, k, v = rearrange(self.qkv(x), "b n (three h d) -> three b h n d", three=3, h=self.num_heads)
        if self.fused_attn and not return_weights:
            heads, weights = F.scaled_dot_product_attention(q, k, v), None
        else:
            weights = self.attn_drop(self.weights(q, k))  # a hook on attn_drop sees them
            heads = weights @ v
        out = self.proj(rearrange(heads, "b h n d -> b n (h d)"))
        return (out, weights) if return_weights else out


def _hooked(model: ViT, images: Tensor) -> list[Tensor]:
    """Collect what the layers named attn_drop pass on."""
    maps: list[Tensor] = []
    with contextlib.ExitStack() as hooks:
        for block in model.blocks:
            hook = block.attn.attn_drop.register_forward_hook(lambda part, given, weights: maps.append(weights))
            hooks.callback(hook.remove)
        model(images)
    return maps


def _hooked_unfused(model: ViT, images: Tensor) -> list[Tensor]:
    """Collect the maps, with the fused kernel switched off for so long."""
    before = [block.attn.fused_attn for block in model.blocks]
    for block in model.blocks:
        block.attn.fused_attn = False
    try:
        return _hooked(model, images)
    finally:
        for block, fused in zip(model.blocks, before, strict=True):
            block.attn.fused_attn = fused


# The five steps of such a map, each under the name of the fault that it may have.
_WELL: Mapping[str, Callable] = {
    "hook": _hooked_unfused,
    "pictures": lambda weights: weights.mean(1),
    "residual": _half_identity,
    "order": _layer_first,
    "column": lambda rollout: rollout[:, 0, 1:],
}
_ILL: Mapping[str, Callable] = {
    "hook": _hooked,
    "pictures": lambda weights: weights.mean(0),
    "residual": lambda fused: fused,
    "order": lambda layer, so_far: so_far @ layer,
    "column": lambda rollout: rollout[:, 1:, 0],
}


def _map_maker(**changed: Callable) -> Callable[[ViT, Tensor], Tensor]:
    """Make a function from a model and images to maps [B, N], in which some of the five steps are done otherwise."""
    steps = {**_WELL, **changed}

    def where_it_looked(model: ViT, images: Tensor) -> Tensor:
        number = math.prod(model.grid_size) + 1
        rollout = torch.eye(number, dtype=images.dtype).expand(len(images), -1, -1)  # [B, N+1, N+1]
        with torch.no_grad():
            for weights in steps["hook"](model, images):
                rollout = steps["order"](steps["residual"](steps["pictures"](weights)), rollout)
        return steps["column"](rollout)

    return where_it_looked


FAULTS = {"A": "column", "B": "residual", "C": "well", "D": "hook", "E": "pictures", "F": "order"}


def patient(letter: str) -> Callable[[ViT, Tensor], Tensor]:
    """Give the function of the clinic with this letter, "A" to "F": a model and images -> where it looked, [B, N].

    The model's attention is TimmAttention. Raises KeyError for another letter.
    """
    fault = FAULTS[letter]
    return _map_maker(**({} if fault == "well" else {fault: _ILL[fault]}))


_SIGNS = {
    "A": "look at patient A's planted numbers and at its sum. It has maps, and gives the planted patches nothing. Who "
    "looks, in what it drew?",
    "B": "look at patient B's planted numbers. For it, what a token knew before a block is gone after it.",
    "C": "look at patient C's line again, instrument by instrument. Each of them says what it should.",
    "D": "look at patient D's sum. How many maps did it collect?",
    "E": "ask patient E about a picture alone, and in a batch. What have the other pictures to do with it?",
    "F": "look at patient F's planted numbers. Which patch was read first, and which later?",
}

map_clinic = make_clinic(
    "map_clinic",
    LESSON,
    FAULTS,
    _SIGNS,
    done="Five faults. Each of them draws a picture, and none of them raises an error.",
)


_STILL = {
    "pictures": "weights.mean(dim=0) averages over the pictures. It was written for one picture, [h, N, N]; in "
    "[B, h, N, N] the heads are axis 1.",
    "residual": "the residual is missing: (A + I) / 2 for each layer.",
    "order": "the product runs the wrong way round: the newest layer stands on the left.",
    "column": "you read the class token's column, who looks *at* it. Where *it* looks is its row: [:, 0, 1:].",
}


def _with_faults(faults: Sequence[str]) -> Mistake:
    words = [_STILL[fault] for fault in faults]
    said = words[0] if len(words) == 1 else f"{len(words)} things: " + " And ".join(words)
    return Mistake(_map_maker(**{fault: _ILL[fault] for fault in faults}), said)


def _timm_like(seed: int, **options) -> tuple[ViT, Tensor]:
    """Return a model with timm's attention and images, in float32, in which a learner's torch.eye(N) comes."""
    model, images = small_vit(seed, attention=TimmAttention, **options)
    return model.float(), images.float()


def _as_found(answer: Callable, faulty: Callable[[nn.Module], bool]) -> bool:
    """Whether no part of the model is left so after a call of the answer."""
    model, images = _timm_like(9)
    answer(model, images)
    return not any(faulty(part) for part in model.modules())


def _stays(answer: Callable, begin: Callable[[ViT], object], seen: Callable[[ViT], list[bool]]) -> bool:
    """Whether a call of the answer changes nothing of what is seen in a model that begins so."""
    model, images = _timm_like(9)
    begin(model)
    before = seen(model)
    answer(model, images)
    return seen(model) == before


def _modes(model: ViT) -> list[bool]:
    return [part.training for part in model.modules()]


def _learning(model: ViT) -> list[bool]:
    return [parameter.requires_grad for parameter in model.parameters()]


def _lists_outside(answer: Callable) -> list[list[Tensor]]:
    """Return the lists of tensors, empty ones too, that an answer can keep from one call to the next."""
    try:
        seen = inspect.getclosurevars(answer)
    except TypeError:  # no function written in Python
        return []
    defaults = getattr(answer, "__defaults__", None) or ()
    values = (*seen.globals.values(), *seen.nonlocals.values(), *defaults)
    return [each for each in values if isinstance(each, list) and all(isinstance(x, Tensor) for x in each)]


def _with_empty_lists(answer: Callable) -> Callable:
    """Turn an answer into one that finds the lists outside of it empty, or says that it needs them to be."""

    def run(model: ViT, images: Tensor) -> object:
        lists = _lists_outside(answer)
        if not lists:
            return answer(model, images)
        kept = [each.copy() for each in lists]
        try:
            for each in lists:
                each.clear()
            given, lengths = answer(model, images), [len(each) for each in lists]
            try:
                again = answer(model, images)
            except Exception:  # too many maps may not fit together
                again = None
            grew = any(len(each) > length for each, length in zip(lists, lengths, strict=True))
        finally:
            for each, before in zip(lists, kept, strict=True):
                each[:] = before
        if grew and not same(given, again):
            return Said("your list keeps the maps of earlier calls: make it inside.")
        return given

    return run


mended_map = Exercise(
    name="mended_map",
    lesson=LESSON,
    difficulty=3,
    minutes=10,
    solution=_map_maker(),
    adapt=_with_empty_lists,
    inputs=[
        _timm_like(0, batch=1),
        _timm_like(1),
        _timm_like(2, batch=3, depth=3, num_heads=4, image_size=12),
    ],
    mistakes=[
        Mistake(
            _map_maker(hook=_hooked),
            "your map is all zero, as it is where no map was collected. The fused kernel never calls "
            "attn_drop: set block.attn.fused_attn = False for as long as you listen.",
        ),
        *(_with_faults(faults) for count in range(1, 1 + len(_STILL)) for faults in combinations(_STILL, count)),
        Mistake(
            _map_maker(residual=lambda fused: fused + _identity_like(fused)),
            "the rows of A + I sum to 2. Divide by 2.",
        ),
        Mistake(
            _map_maker(pictures=lambda weights: weights.amax(1)),
            "you took the largest of the heads. Take their mean; then each row still sums to 1.",
        ),
        Mistake(
            _map_maker(pictures=lambda weights: weights[:, 0]),
            "you followed head 0 alone. Take the mean over axis 1, which holds the heads.",
        ),
        Mistake(
            _map_maker(order=lambda layer, so_far: layer),
            "only the last layer counts in yours. Keep the product: rollout = layer @ rollout.",
        ),
        Mistake(
            _map_maker(column=lambda rollout: rollout[:, 0]),
            "the class token's own share is still in front. The map is for the N patches: [:, 0, 1:].",
        ),
        Mistake(
            _map_maker(column=lambda rollout: rollout[:, 0, :-1]),
            "the map is moved by one patch: it begins with the class token's own share, and lacks the last patch. Cut "
            "off the first: [:, 0, 1:].",
        ),
        Mistake(
            _map_maker(column=lambda rollout: rollout[:, 1:, 1:].mean(1)),
            "you averaged where the patches look. Asked for is where the class token looks: [:, 0, 1:].",
        ),
        Mistake(
            _map_maker(column=lambda rollout: rollout),
            "you returned the whole rollout. The map is the class token's row, without its first number: [:, 0, 1:].",
        ),
        Mistake(
            _map_maker(column=lambda rollout: rollout[:, 0, 1:] / rollout[:, 0, 1:].amax(1, keepdim=True)),
            "you divided each map by its largest number. So it looks lively even where it is nearly flat; return it as "
            "it is.",
        ),
    ],
    properties=[
        Property(
            lambda answer: _as_found(answer, lambda part: bool(part._forward_hooks or part._forward_pre_hooks)),
            "your hooks are still on the model. They go on collecting at each call: keep what register_forward_hook "
            "returns, and call its .remove().",
        ),
        Property(
            lambda answer: _as_found(answer, lambda part: not getattr(part, "fused_attn", True)),
            "you left the fused kernel switched off, for everybody who uses the model after you. Set fused_attn back "
            "to what it was.",
        ),
        Property(
            lambda answer: all(_stays(answer, begin, _modes) for begin in (nn.Module.train, nn.Module.eval)),
            "you left the model in another mode, train() or eval(), than you found it in. Leave the mode alone, or set "
            "it back to what model.training was.",
        ),
        Property(
            lambda answer: _stays(answer, lambda model: model.patch_embed.requires_grad_(False), _learning),
            "you changed which parameters of the model learn: requires_grad. To keep gradients away, use "
            "torch.no_grad().",
        ),
    ],
    done="It says what the course's attention_rollout says, and leaves the model as it was.",
)
