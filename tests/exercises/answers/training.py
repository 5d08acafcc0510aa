"""Answers to the exercise of lesson 11."""

import math

import torch

from exercises.answers import Answers


def _warm_up_then(after, first=1):
    """The rate of a step: a line up, then `after` of the progress from 0 to 1 since warm-up."""

    def rate(step, steps, warmup, peak):
        if step < warmup:
            return peak * (step + first) / warmup
        return peak * after((step - warmup) / (steps - warmup))

    return rate


def by_squares(step, steps, warmup, peak):
    if step < warmup:
        return torch.linspace(0, peak, warmup + 1, dtype=torch.float64)[step + 1].item()
    return peak * math.cos(math.pi / 2 * (step - warmup) / (steps - warmup)) ** 2


def no_warm_up(step, steps, warmup, peak):
    return peak * math.cos(math.pi / 2 * step / steps) ** 2


def cosine_from_zero(step, steps, warmup, peak):
    return peak * (step + 1) / warmup if step < warmup else no_warm_up(step, steps, warmup, peak)


full_turn = _warm_up_then(lambda progress: math.cos(math.pi * progress) ** 2)
line_down = _warm_up_then(lambda progress: 1 - progress)
from_zero = _warm_up_then(lambda progress: math.cos(math.pi / 2 * progress) ** 2, first=0)
square_down = _warm_up_then(lambda progress: (1 - progress) ** 2)


ANSWERS = {
    "learning_rate": Answers(
        right=[by_squares],
        wrong=[
            (no_warm_up, "there is no warm-up"),
            (cosine_from_zero, "your cosine starts at step 0"),
            (full_turn, "your cosine goes down and up again."),
            (line_down, "the rate falls on a straight line after warm-up."),
            (from_zero, "the first step has rate 0"),
        ],
        unknown=[square_down],
    )
}
