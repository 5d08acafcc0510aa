"""Lesson 2: the class token in numbers, put in front, as a module; and what else could answer for the image."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from vit_tutorial import tokens
from vit_tutorial.exercises.builders import (
    FORGOT_MODULE,
    NOTHING_HELD,
    held_by,
    misfit_of,
    number_of_patches,
    numbered,
    scattered,
    uneven,
)
from vit_tutorial.exercises.counting import mistakes_of, solution_of
from vit_tutorial.exercises.difference import Hints
from vit_tutorial.exercises.engine import Exercise, Mistake, Property
from vit_tutorial.exercises.properties import forgets, passes_on

LESSON = "02_class_token"
__all__ = ["add_class_token", "attention_pool", "class_token", "count_class_token", "pool"]

# ------------------------------------------------------------------------------------------ in numbers


# For each of the three numbers, how to work it out: rightly first, then with a mistake and its sentence.
_COUNTS = (
    (
        (lambda image, patch, dim: number_of_patches(image, patch) + 1, ""),
        (
            lambda image, patch, dim: number_of_patches(image, patch),
            "your first number counts the patches alone. The class token makes the sequence one longer: N+1.",
        ),
        (
            lambda image, patch, dim: image // patch + 1,
            "your first number counts the patches of one row. There are as many rows: (H/P)·(W/P) patches.",
        ),
        (
            lambda image, patch, dim: (image // patch + 1) ** 2,
            "you made the grid one wider and one higher. The class token is one token beside the whole grid: N+1.",
        ),
    ),
    (
        (lambda image, patch, dim: 0, ""),
        (
            lambda image, patch, dim: 1,
            "the class token is the first, and Python counts from 0: the head reads token 0.",
        ),
        (
            lambda image, patch, dim: number_of_patches(image, patch),
            "your second number is the place of the last patch. The class token stands in front: token 0.",
        ),
        (lambda image, patch, dim: -1, "-1 is the last token, a patch. The class token stands in front: token 0."),
    ),
    (
        (lambda image, patch, dim: dim, ""),
        (
            lambda image, patch, dim: (number_of_patches(image, patch) + 1) * dim,
            "your third number counts all tokens. The class token is one vector: D numbers. Patches are computed, not "
            "learned.",
        ),
        (
            lambda image, patch, dim: number_of_patches(image, patch) * dim,
            "your third number counts the patches, which are computed and not learned. The class token is one vector.",
        ),
        (
            lambda image, patch, dim: 2 * dim,
            "your third number counts the position of the class token too. Without it the token itself has D numbers.",
        ),
        (lambda image, patch, dim: 1, "the class token is one token, but a token is a vector: D numbers to learn."),
        (lambda image, patch, dim: 0, "the class token is learned: each of its D numbers is a parameter."),
    ),
)


count_class_token = Exercise(
    name="count_class_token",
    lesson=LESSON,
    difficulty=1,
    minutes=3,
    solution=solution_of(_COUNTS),
    inputs=[(4, 2, 3), (28, 4, 64), (224, 16, 768), (384, 16, 1024)],
    hints=Hints(
        inputs="image_size patch_size dim",
        sizes=lambda image_size, patch_size, dim: {"N": number_of_patches(image_size, patch_size)},
    ),
    mistakes=[
        *mistakes_of(_COUNTS),
        *(
            Mistake(
                lambda image_size, patch_size, dim, numbers=numbers: numbers,
                f"these are the numbers of one model, {named}. Work them out from image_size, patch_size and dim.",
            )
            for numbers, named in (((50, 0, 64), "the course's small ViT"), ((197, 0, 768), "ViT-B/16"))
        ),
    ],
    done="One token more, read at place 0, with D numbers of its own.",
)


# ------------------------------------------------------------------------------------------ put it in front


def _expanded(sequence: Tensor, cls_token: Tensor) -> Tensor:
    return cls_token.expand(sequence.shape[0], -1, -1)


def _in_front(sequence: Tensor, cls_token: Tensor) -> Tensor:
    return torch.cat([_expanded(sequence, cls_token), sequence], dim=1)


def _only_first_image(sequence: Tensor, cls_token: Tensor) -> Tensor:
    first = torch.zeros(len(sequence), 1, sequence.shape[-1])
    first[0] = cls_token[0]
    return torch.cat([first, sequence], dim=1)


_WAYS = (
    (
        lambda sequence, cls_token: torch.cat([sequence, _expanded(sequence, cls_token)], dim=1),
        "the class token is at the end. It goes in front, at position 0, where the head will look for it.",
    ),
    (
        lambda sequence, cls_token: sequence + cls_token,
        "you added the class token to every patch. It is a token of its own: concatenate along the token axis.",
    ),
    (
        lambda sequence, cls_token: torch.cat([cls_token.expand_as(sequence), sequence], dim=1),
        "there is one class token for each patch. There must be one for each image: expand over the batch only.",
    ),
    (
        lambda sequence, cls_token: torch.cat([cls_token.expand_as(sequence), sequence], dim=2),
        "you concatenated along the last axis. That makes longer tokens, and a longer sequence is wanted: dim=1.",
    ),
    (
        lambda sequence, cls_token: torch.cat([cls_token.expand_as(sequence[:1]), sequence], dim=0),
        "you concatenated along the batch. That makes one more image, and a longer sequence is wanted: dim=1.",
    ),
    (
        lambda sequence, cls_token: _in_front(sequence[:, 1:], cls_token),
        "the class token took the place of the first patch. The sequence must grow from N to N+1.",
    ),
    (
        _only_first_image,
        "only the first image of the batch got the class token. Every image gets the same one: expand it over B.",
    ),
    (
        lambda sequence, cls_token: torch.cat([cls_token, sequence], dim=1),
        "there is one class token and there are B images: expand it to [B, 1, D] before you concatenate.",
    ),
    (_expanded, "you returned the class tokens alone. The patches must follow them: concatenate both."),
)


def _input(batch: int, num_tokens: int, dim: int) -> tuple[Tensor, Tensor]:
    return numbered(batch, num_tokens, dim), -1 - numbered(1, 1, dim)


add_class_token = Exercise(
    name="add_class_token",
    lesson=LESSON,
    difficulty=1,
    minutes=5,
    solution=_in_front,
    inputs=[
        _input(1, 2, 2),
        _input(2, 2, 3),
        _input(3, 4, 2),
        _input(2, 1, 5),
        (uneven(3, 5, 4), uneven(1, 1, 4) + 30),
    ],
    hints=Hints(
        inputs="tokens cls_token",
        axes="B N D",
        sizes=lambda sequence, cls_token: {"N": sequence.shape[1], "D": sequence.shape[2]},
    ),
    mistakes=[
        *(Mistake(way, sentence) for way, sentence in _WAYS),
        Mistake(
            lambda sequence, cls_token: _in_front(sequence, torch.zeros_like(cls_token)),
            "there are zeros in front. Put the numbers of `cls_token` there: they are what training will change.",
        ),
        Mistake(
            lambda sequence, cls_token: _in_front(sequence, torch.ones_like(cls_token)),
            "there are ones in front. Put the numbers of `cls_token` there: they are what training will change.",
        ),
        Mistake(
            lambda sequence, cls_token: torch.cat([sequence.mean(dim=1, keepdim=True), sequence], dim=1),
            "the mean of the patches is in front. The class token does not depend on the image: use `cls_token`.",
        ),
        Mistake(
            lambda sequence, cls_token: _in_front(sequence, torch.randn(1, 1, cls_token.shape[-1])),
            "there are random numbers in front. Put the numbers of `cls_token` there: the same at every call.",
        ),
        Mistake(
            lambda sequence, cls_token: torch.cat([torch.randn_like(sequence[:, :1]), sequence], dim=1),
            "each image has random numbers in front. Put those of `cls_token` there: the same for all images.",
        ),
    ],
    done="Every image got the same vector in front: N tokens became N+1.",
)


# ------------------------------------------------------------------------------------------ as a module


def _with_vector(make: Callable[..., nn.Module]) -> Callable:
    """Turn a class into a function that builds it, gives its token the numbers of `vector` [D], and runs it.

    The function returns what `look(module, tokens)` gives instead, if there is a `look`.
    """

    def run(sequence: Tensor, vector: Tensor, look: Callable | None = None):
        module = make(sequence.shape[-1])
        if (misfit := misfit_of(module)) and misfit != NOTHING_HELD:
            return misfit
        if look:
            return look(module, sequence)
        held = held_by(module)
        with torch.no_grad():
            for tensor in held:
                if tensor.numel() == len(vector):
                    tensor.copy_(vector.reshape(tensor.shape))
                else:
                    fits = tensor.ndim and tensor.shape[-1] == len(vector)
                    tensor.copy_(vector.expand_as(tensor) if fits else vector[0].expand_as(tensor))
        output = module(sequence)
        if isinstance(output, Tensor) and not held:
            return "no class token that lasts from one call to the next"
        return output

    return run


def _module(way: Callable) -> type[nn.Module]:
    """A class that keeps its token rightly and joins it to the patches in some way."""

    class Token(nn.Module):
        def __init__(self, dim: int):
            super().__init__()
            self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))

        def forward(self, sequence: Tensor) -> Tensor:
            return way(sequence, self.cls_token)

    return Token


class _MadeInForward(nn.Module):
    def __init__(self, dim: int):
        super().__init__()

    def forward(self, sequence: Tensor) -> Tensor:
        return _in_front(sequence, torch.zeros(1, 1, sequence.shape[-1]))


def _learned(module: nn.Module) -> list[Tensor]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def _gets_a_gradient(module: nn.Module, sequence: Tensor) -> bool:
    token = module(sequence)[:, 0]
    if not token.requires_grad:
        return False
    token.sum().backward()
    return all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in _learned(module))


_LOOK = (numbered(4, 3, 6), torch.zeros(6))


def _property(test: Callable[[nn.Module, Tensor], bool], sentence: str) -> Property:
    return Property(lambda run: run(*_LOOK, test), sentence)


class_token = Exercise(
    name="class_token",
    lesson=LESSON,
    difficulty=3,
    minutes=10,
    solution=tokens.ClassToken,
    adapt=_with_vector,
    inputs=[
        *((numbered(*shape), -1 - numbered(shape[-1])) for shape in ((1, 2, 2), (2, 2, 3), (3, 4, 2), (2, 1, 5))),
        (uneven(3, 5, 4), uneven(4) + 30),
    ],
    hints=Hints(inputs="tokens vector", axes="B N D", sizes=lambda sequence, vector: {"N": sequence.shape[1]}),
    mistakes=[
        *(Mistake(_module(way), sentence) for way, sentence in _WAYS),
        Mistake(
            _MadeInForward,
            "your class token is made in forward, anew at each call, so there is nothing that training could change. "
            "Make it once, in __init__.",
        ),
        FORGOT_MODULE,
    ],
    properties=[
        _property(
            lambda module, sequence: list(module.parameters()) or not list(module.buffers()),
            "your class token is a buffer. It is saved with the model, and never trained: make it an nn.Parameter.",
        ),
        _property(
            lambda module, sequence: list(module.parameters()),
            "your class token is a plain tensor, which no optimizer finds, so it never trains: wrap it in "
            "nn.Parameter(…).",
        ),
        _property(
            lambda module, sequence: _learned(module),
            "your parameter has requires_grad=False, so it never trains. Leave that out.",
        ),
        _property(
            lambda module, sequence: sum(p.numel() for p in _learned(module)) >= sequence.shape[-1],
            "your parameter has fewer than D numbers. A token is a vector of D: [1, 1, D].",
        ),
        _property(
            lambda module, sequence: sum(p.numel() for p in _learned(module)) <= sequence.shape[-1],
            "your parameters hold more than D numbers. There is one class token for all images of all batches: "
            "[1, 1, D].",
        ),
        _property(
            _gets_a_gradient,
            "no gradient reaches your parameter. Something cuts it off: .data, .detach(), .clone() inside "
            "torch.no_grad(), or torch.tensor(…).",
        ),
        _property(
            lambda module, sequence: torch.equal(module(sequence), module(sequence)),
            "two calls with the same patches give two results: something random is added in forward.",
        ),
        passes_on(_with_vector(tokens.ClassToken), *_LOOK),
        forgets(_LOOK, (-_LOOK[0], _LOOK[1]), (numbered(2, 5, 6) + 1, _LOOK[1])),
    ],
    done="One vector of D numbers, the same for all images, and training can change it.",
)


# ------------------------------------------------------------------------------------------ which vector answers


def _pooling(cls: Callable[[Tensor], Tensor], mean: Callable[[Tensor], Tensor]) -> Callable:
    return lambda sequence, how: cls(sequence) if how == "cls" else mean(sequence)


def _first(sequence: Tensor) -> Tensor:
    return sequence[:, 0]


def _mean_of_patches(sequence: Tensor) -> Tensor:
    return sequence[:, 1:].mean(dim=1)


pool = Exercise(
    name="pool",
    lesson=LESSON,
    difficulty=2,
    minutes=6,
    solution=_pooling(_first, _mean_of_patches),
    inputs=[
        (scattered(1, 3, 2), "cls"),
        (scattered(1, 3, 2), "mean"),
        (scattered(2, 5, 3), "cls"),
        (scattered(2, 5, 3), "mean"),
        (uneven(4, 4, 4), "mean"),
        (uneven(3, 2, 6), "cls"),
    ],
    hints=Hints(
        inputs="tokens how",
        axes="B D",
        row="vector",
        sizes=lambda sequence, how: {"N": sequence.shape[1] - 1, "D": sequence.shape[2]},
    ),
    mistakes=[
        Mistake(
            _pooling(_first, lambda sequence: sequence.mean(dim=1)),
            "your mean takes the class token in. It shall be the mean of the patches alone: tokens[:, 1:].",
        ),
        Mistake(
            _pooling(_first, lambda sequence: sequence[:, 1:].sum(dim=1)),
            "you summed the patches, and did not divide by their number: mean, not sum.",
        ),
        Mistake(
            _pooling(_first, lambda sequence: sequence[:, 1:].sum(dim=1) / sequence.shape[1]),
            "you divided by N+1. The class token is not in the sum, so it must not be counted: divide by N.",
        ),
        Mistake(
            _pooling(_first, lambda sequence: sequence[:, 1:].mean(dim=0)),
            "your mean runs over the images of the batch, so their answers are mixed. It runs over the tokens: dim=1.",
        ),
        Mistake(
            _pooling(_first, lambda sequence: sequence[1:].mean(dim=1)),
            "tokens[1:] leaves out the first image. The class token is the first along axis 1: tokens[:, 1:].",
        ),
        Mistake(
            _pooling(_first, lambda sequence: sequence[:, 1:].mean(dim=-1)),
            "your mean runs over the D numbers of each token. It runs over the tokens: dim=1, and [B, D] is left.",
        ),
        Mistake(
            _pooling(_first, lambda sequence: sequence[:, 1:].mean(dim=1, keepdim=True)),
            "your mean keeps the token axis, with length 1. The head wants one vector for each image: [B, D].",
        ),
        Mistake(
            _pooling(_first, lambda sequence: sequence[:, 1:].amax(dim=1)),
            "you took the largest and not the mean.",
        ),
        Mistake(
            _pooling(_first, lambda sequence: sequence[:, :-1].mean(dim=1)),
            "you left out the last patch and kept the class token. The class token is token 0: tokens[:, 1:].",
        ),
        Mistake(
            _pooling(_first, lambda sequence: sequence[:, 1:].mean()),
            "you took the mean of everything, one number. One vector for each image is wanted: mean(dim=1).",
        ),
        Mistake(
            _pooling(lambda sequence: sequence[:, :1], _mean_of_patches),
            "the class token still has the token axis, with length 1. Take it with [:, 0] and not with [:, :1].",
        ),
        Mistake(
            _pooling(lambda sequence: sequence[0], _mean_of_patches),
            'for "cls" you took the first image of the batch. The class token is the first along axis 1: [:, 0].',
        ),
        Mistake(
            _pooling(lambda sequence: sequence[:, -1], _mean_of_patches),
            'for "cls" you took the last token. The class token is the first: [:, 0].',
        ),
        Mistake(
            _pooling(lambda sequence: sequence[:, 1], _mean_of_patches),
            'for "cls" you took token 1, the first patch. Python counts from 0: [:, 0].',
        ),
        Mistake(
            _pooling(_mean_of_patches, _first),
            'the two are swapped: you take the mean for "cls" and the class token for "mean".',
        ),
        Mistake(_pooling(_first, _first), "you return the class token in both cases. Look at `how`."),
        Mistake(_pooling(_mean_of_patches, _mean_of_patches), "you return the mean in both cases. Look at `how`."),
    ],
    done="One vector for each image, from the class token or from all the patches.",
)


# ------------------------------------------------------------------------------------------ let it choose


def _weighted(weigh: Callable[[Tensor, Tensor], Tensor]) -> Callable:
    """Add the tokens up with the weights [B, N] that `weigh` gives."""
    return lambda sequence, query: torch.einsum("bn,bnd->bd", weigh(sequence, query), sequence)


def _softmax(sequence: Tensor, query: Tensor) -> Tensor:
    return (sequence @ query).softmax(dim=1)


def _one_hot(sequence: Tensor, query: Tensor) -> Tensor:
    best = (sequence @ query).argmax(dim=1)
    return nn.functional.one_hot(best, sequence.shape[1]).to(sequence.dtype)


def _query(*shape: int) -> tuple[Tensor, Tensor]:
    return scattered(*shape) / 8, (scattered(shape[-1]) + 5) / 10


attention_pool = Exercise(
    name="attention_pool",
    lesson=LESSON,
    difficulty=4,
    minutes=10,
    solution=_weighted(_softmax),
    inputs=[_query(1, 2, 2), _query(2, 3, 2), _query(3, 4, 5), (_query(2, 5, 4)[0], torch.zeros(4))],
    hints=Hints(
        inputs="tokens query",
        axes="B D",
        row="vector",
        sizes=lambda sequence, query: {"N": sequence.shape[1], "D": sequence.shape[2]},
        steps=[
            ("the scores, tokens @ query", lambda _, sequence, query: sequence @ query),
            ("the softmax over the tokens", lambda scores, sequence, query: scores.softmax(dim=1)),
            ("weight times token", lambda weights, sequence, query: weights[..., None] * sequence),
            ("the sum over the tokens", lambda weighed, sequence, query: weighed.sum(dim=1)),
        ],
    ),
    mistakes=[
        Mistake(
            _weighted(lambda sequence, query: (sequence @ query).softmax(dim=0)),
            "your softmax runs over the images of the batch. The weights of one image must sum to 1: dim=1.",
        ),
        Mistake(
            _weighted(lambda sequence, query: sequence @ query),
            "there is no softmax: your weights are the scores themselves, which can be negative and sum to anything.",
        ),
        Mistake(
            _weighted(lambda sequence, query: (sequence @ query) / (sequence @ query).sum(dim=1, keepdim=True)),
            "you divided the scores by their sum. That is no softmax: raise e to the scores first.",
        ),
        Mistake(
            _weighted(lambda sequence, query: (sequence @ query).exp()),
            "your weights do not sum to 1: after exp, divide by the sum over the tokens of the image.",
        ),
        Mistake(
            _weighted(lambda sequence, query: (sequence @ query).sigmoid()),
            "you used a sigmoid, which weighs each token alone. The weights of one image must sum to 1: softmax.",
        ),
        Mistake(
            lambda sequence, query: sequence.mean(dim=1),
            "that is the plain mean: every token weighs the same, and the query does nothing.",
        ),
        Mistake(_weighted(_one_hot), "you took the best token alone. Take all, each times its weight."),
        Mistake(
            lambda sequence, query: _softmax(sequence, query),
            "you returned the weights [B, N]. Use them: the sum of weight times token is [B, D].",
        ),
        Mistake(
            lambda sequence, query: _softmax(sequence, query)[..., None] * sequence,
            "the tokens are weighed, but not yet added up: sum over the token axis, dim=1.",
        ),
        Mistake(
            lambda sequence, query: (_softmax(sequence, query) * sequence).sum(dim=1),
            "you multiplied weights [B, N] with tokens [B, N, D] as they are, and their last axes do not belong "
            "together. Give the weights a last axis of length 1: weights[:, :, None].",
        ),
        Mistake(
            lambda sequence, query: (_softmax(sequence, query)[..., None] * sequence).mean(dim=1),
            "you took the mean of the weighed tokens. The weights sum to 1 already, so add up: sum, not mean.",
        ),
        Mistake(
            lambda sequence, query: (_softmax(sequence, query)[..., None] * sequence).sum(dim=1, keepdim=True),
            "the token axis is still there, with length 1. One vector for each image is wanted: [B, D].",
        ),
        Mistake(
            lambda sequence, query: ((sequence * query).softmax(dim=1) * sequence).sum(dim=1),
            "you gave each of the D numbers a weight of its own. A token gets one score, its dot product with the "
            "query: tokens @ query.",
        ),
        Mistake(
            lambda sequence, query: (_softmax(sequence, query)[..., None] * query).sum(dim=1),
            "you added up the query. The query only sets the weights; what is added up are the tokens.",
        ),
        Mistake(
            _weighted(lambda sequence, query: (sequence @ query / sequence.shape[-1] ** 0.5).softmax(dim=1)),
            "you divided the scores by the root of D. Lesson 4 has a reason to do so; here, leave it out.",
        ),
        Mistake(
            _weighted(lambda sequence, query: (sequence @ query / sequence.shape[-1]).softmax(dim=1)),
            "your scores are divided by D: a mean of D products. A dot product is their sum.",
        ),
    ],
    done="With the query 0 it is the mean; a learned query decides which patches count.",
)
