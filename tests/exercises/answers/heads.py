"""Answers to the exercise of lesson 5."""

import torch
from einops import rearrange

from exercises.answers import Answers


def by_reshape_and_transpose(x, num_heads):
    batch, num_tokens, dim = x.shape
    return x.reshape(batch, num_tokens, num_heads, dim // num_heads).transpose(1, 2)


def by_loop(x, num_heads):
    d = x.shape[-1] // num_heads
    return torch.stack([x[:, :, head * d : (head + 1) * d] for head in range(num_heads)], dim=1)


def by_unflatten(x, num_heads):
    return x.unflatten(-1, (num_heads, -1)).movedim(2, 1).contiguous()


def by_view_alone(x, num_heads):
    batch, num_tokens, dim = x.shape
    return x.view(batch, num_heads, num_tokens, dim // num_heads)


def not_swapped(x, num_heads):
    batch, num_tokens, dim = x.shape
    return x.view(batch, num_tokens, num_heads, dim // num_heads)


def every_hth_number(x, num_heads):
    return torch.stack([x[:, :, head::num_heads] for head in range(num_heads)], dim=1)


def d_heads_of_h_numbers(x, num_heads):
    batch, num_tokens, dim = x.shape
    return x.view(batch, num_tokens, dim // num_heads, num_heads).transpose(1, 2)


def tokens_last(x, num_heads):
    return by_loop(x, num_heads).transpose(2, 3)


def heads_in_front(x, num_heads):
    return torch.stack(x.chunk(num_heads, dim=-1))


def heads_in_the_batch(x, num_heads):
    return by_loop(x, num_heads).flatten(0, 1)


def a_list_of_heads(x, num_heads):
    return list(x.chunk(num_heads, dim=-1))


def drops_the_axis_of_one_head(x, num_heads):
    return rearrange(x, "b n (h d) -> b h n d", h=num_heads).squeeze(1)


ANSWERS = {
    "split_heads": Answers(
        right=[by_reshape_and_transpose, by_loop, by_unflatten],
        wrong=[
            (by_view_alone, "you used view or reshape alone."),
            (not_swapped, "the axes h and N are not swapped yet"),
            (every_hth_number, "each head takes every h-th number"),
            (d_heads_of_h_numbers, "you made d heads of h numbers."),
            (tokens_last, "the last two axes are (d, N)"),
            (heads_in_front, "the head axis is in front of the batch axis."),
            (heads_in_the_batch, "batch and heads are one axis."),
            (a_list_of_heads, "you returned the heads one by one."),
        ],
        unknown=[drops_the_axis_of_one_head],
    )
}
