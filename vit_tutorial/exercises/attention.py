"""Lesson 4: scaled dot-product attention."""

import math

import torch

from vit_tutorial.attention import scaled_dot_product_attention
from vit_tutorial.exercises.engine import Exercise, Mistake

__all__ = ["attention"]


def _input(*batch: int, queries: int, keys: int, dim: int, values: int):
    random = torch.Generator().manual_seed(queries + 10 * keys + 100 * dim)
    return tuple(
        torch.randn(*batch, rows, columns, generator=random)
        for rows, columns in ((queries, dim), (keys, dim), (keys, values))
    )


def _attention(q, k, v, scale=None, axis=-1):
    scores = q @ k.transpose(-2, -1) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    return scores.softmax(axis) @ v


attention = Exercise(
    name="attention",
    lesson="04_scaled_dot_product_attention",
    difficulty=2,
    minutes=10,
    solution=lambda q, k, v: scaled_dot_product_attention(q, k, v)[0],
    inputs=[
        (torch.eye(2), torch.eye(2), torch.tensor([[1.0, 0.0], [0.0, 2.0]])),
        _input(queries=3, keys=3, dim=2, values=2),
        _input(queries=2, keys=5, dim=4, values=3),
        _input(2, queries=4, keys=4, dim=8, values=8),
        _input(2, 3, queries=5, keys=5, dim=16, values=16),
    ],
    mistakes=[
        Mistake(
            lambda q, k, v: _attention(q, k, v, scale=1),
            "the scores are not scaled. Divide them by sqrt(d) before the softmax.",
        ),
        Mistake(
            lambda q, k, v: _attention(q, k, v, scale=1 / q.shape[-1]),
            "you divide by d. Divide by its square root.",
        ),
        Mistake(
            lambda q, k, v: _attention(q, k, v, scale=math.sqrt(q.shape[-1])),
            "you multiply by sqrt(d). Divide by it.",
        ),
        Mistake(
            lambda q, k, v: _attention(q, k, v, axis=-2),
            "the softmax runs over the queries. Each query shares out 1 over the keys: that is the last axis, dim=-1.",
        ),
        Mistake(
            lambda q, k, v: q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]) @ v,
            "there is no softmax: the scores were used as weights.",
        ),
        Mistake(
            lambda q, k, v: (q @ k.transpose(-2, -1)).softmax(-1) / math.sqrt(q.shape[-1]) @ v,
            "you scaled after the softmax. Scale the scores before it, or the weights no longer sum to 1.",
        ),
        Mistake(
            lambda q, k, v: (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(-1),
            "you returned the weights. Multiply them by v.",
        ),
    ],
    done="Each row of weights sums to 1, and each output is a mixture of the values.",
)
