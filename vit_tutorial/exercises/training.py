"""Lesson 11: the learning rate of a step, warm-up first, then half a cosine."""

import math

from vit_tutorial.exercises.engine import Exercise, Mistake

__all__ = ["learning_rate"]


def _solution(step, steps, warmup, peak):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


def _cosine_from_zero(step, steps, warmup, peak):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 + math.cos(math.pi * step / steps)) / 2


def _full_cosine(step, steps, warmup, peak):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 + math.cos(2 * math.pi * (step - warmup) / (steps - warmup))) / 2


def _line_down(step, steps, warmup, peak):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 - (step - warmup) / (steps - warmup))


learning_rate = Exercise(
    name="learning_rate",
    lesson="11_train_on_a_gpu",
    difficulty=3,
    minutes=10,
    solution=_solution,
    inputs=[(0, 10, 2, 1.0), (1, 10, 2, 1.0), (2, 10, 2, 1.0), (4, 10, 2, 1.0), (9, 10, 2, 1.0), (60, 100, 20, 0.003)],
    mistakes=[
        Mistake(
            lambda step, steps, warmup, peak: peak * (1 + math.cos(math.pi * step / steps)) / 2,
            "there is no warm-up: the first step already has the full rate.",
        ),
        Mistake(
            _cosine_from_zero,
            "your cosine starts at step 0, so the rate jumps down when warm-up ends. Count its progress from `warmup`.",
        ),
        Mistake(_full_cosine, "your cosine goes down and up again. Half a turn is wanted: pi, not 2 pi."),
        Mistake(_line_down, "the rate falls on a straight line after warm-up. A cosine is wanted."),
        Mistake(
            lambda step, steps, warmup, peak: (
                peak * step / warmup if step < warmup else _solution(step, steps, warmup, peak)
            ),
            "the first step has rate 0 and teaches nothing: count warm-up from 1, (step + 1) / warmup.",
        ),
    ],
    done="It rises in a line to the peak and falls along half a cosine.",
)
