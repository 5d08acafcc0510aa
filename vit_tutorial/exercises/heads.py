"""Lesson 5: cut tokens into heads."""

import torch
from einops import rearrange

from vit_tutorial.exercises.engine import Exercise, Mistake

__all__ = ["split_heads"]


def _as(pattern: str):
    return lambda x, num_heads: rearrange(x, pattern, h=num_heads)


def _input(batch: int, num_tokens: int, dim: int, num_heads: int):
    return torch.arange(batch * num_tokens * dim, dtype=torch.float32).reshape(batch, num_tokens, dim), num_heads


split_heads = Exercise(
    name="split_heads",
    lesson="05_multi_head_attention",
    difficulty=2,
    minutes=8,
    solution=_as("b n (h d) -> b h n d"),
    inputs=[_input(1, 3, 4, 2), _input(2, 3, 6, 2), _input(2, 5, 8, 4), _input(1, 2, 6, 1), _input(3, 4, 12, 3)],
    mistakes=[
        Mistake(
            lambda x, num_heads: x.reshape(len(x), num_heads, x.shape[1], -1),
            "you used view or reshape alone. That deals out tokens to heads; each head must see every token. "
            "Split D into (h, d) first, then swap the axes N and h.",
        ),
        Mistake(
            _as("b n (h d) -> b n h d"),
            "the axes h and N are not swapped yet: attention works on the last two axes, which must be (N, d).",
        ),
        Mistake(
            _as("b n (d h) -> b h n d"),
            "each head takes every h-th number of a token. A head takes d neighbouring numbers: D splits into (h, d).",
        ),
        Mistake(
            _as("b n (d h) -> b d n h"),
            "you made d heads of h numbers. Make h heads of d = D/h numbers: D splits into (h, d), with h in front.",
        ),
        Mistake(
            _as("b n (h d) -> b h d n"),
            "the last two axes are (d, N), and should be (N, d): one row per token.",
        ),
        Mistake(
            _as("b n (h d) -> h b n d"),
            "the head axis is in front of the batch axis. The order is (B, h, N, d).",
        ),
        Mistake(
            _as("b n (h d) -> (b h) n d"),
            "batch and heads are one axis. Keep them apart: four axes, (B, h, N, d).",
        ),
        Mistake(
            lambda x, num_heads: x.chunk(num_heads, dim=-1),
            "you returned the heads one by one. Put them into one tensor, with the heads along axis 1: (B, h, N, d).",
        ),
    ],
    done="Every head sees every token, through d numbers of its own.",
)
