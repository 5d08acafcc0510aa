"""Answers to the exercise of lesson 4."""

import torch
from torch.nn import functional as F

from exercises.answers import Answers


def by_einsum(q, k, v):
    scores = torch.einsum("...nd,...md->...nm", q, k) * q.shape[-1] ** -0.5
    exponentials = scores.exp()
    return torch.einsum("...nm,...mv->...nv", exponentials / exponentials.sum(-1, keepdim=True), v)


def by_lines(q, k, v):
    scores = torch.matmul(q, k.mT) / q.shape[-1] ** 0.5
    return torch.softmax(scores, dim=-1) @ v


def not_scaled(q, k, v):
    return torch.softmax(q @ k.mT, dim=-1) @ v


def divided_by_d(q, k, v):
    return torch.softmax(q @ k.mT / q.shape[-1], dim=-1) @ v


def multiplied(q, k, v):
    return torch.softmax(q @ k.mT * q.shape[-1] ** 0.5, dim=-1) @ v


def over_the_queries(q, k, v):
    return torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=-2) @ v


def no_softmax(q, k, v):
    return torch.einsum("...nd,...md,...mv->...nv", q, k, v) / q.shape[-1] ** 0.5


def scaled_too_late(q, k, v):
    return torch.softmax(q @ k.mT, dim=-1) @ v / q.shape[-1] ** 0.5


def weights_alone(q, k, v):
    return torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=-1)


def of_other_sign(q, k, v):
    return -by_lines(q, k, v)


ANSWERS = {
    "attention": Answers(
        right=[by_einsum, by_lines, F.scaled_dot_product_attention],
        wrong=[
            (not_scaled, "the scores are not scaled."),
            (divided_by_d, "you divide by d."),
            (multiplied, "you multiply by sqrt(d)."),
            (over_the_queries, "the softmax runs over the queries."),
            (no_softmax, "there is no softmax"),
            (scaled_too_late, "you scaled after the softmax."),
            (weights_alone, "you returned the weights."),
        ],
        unknown=[of_other_sign],
    )
}
