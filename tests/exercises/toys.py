"""A small exercise, and answers to it: what the tests of the engine and of its parts share."""

import time

import torch
from torch import nn

from vit_tutorial.exercises.engine import Exercise, Mistake, Property

PATIENCE = 30  # seconds: a check that is stuck takes for ever; one on a busy machine takes longer than it should


def in_time(exercise, answer):
    start = time.monotonic()
    verdict = exercise(answer)
    assert time.monotonic() - start < PATIENCE
    return verdict


def doubled(x):
    return 2 * x


def toy(**changes):
    """An exercise: double the tensor."""
    fields = {
        "name": "double",
        "lesson": "01_patches",
        "difficulty": 1,
        "minutes": 1,
        "solution": doubled,
        "inputs": [(torch.arange(2.0),), (torch.arange(3.0),), (torch.ones(2, 10),)],
        "mistakes": [Mistake(lambda x: 3 * x, "you tripled."), Mistake(lambda x: x, "you did nothing.")],
        "done": "Twice as much.",
    }
    return Exercise(**(fields | changes))


def three_dots(x): ...


def loops(x):
    while True:
        pass


def compute_for(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def sleeps(x):
    time.sleep(60)


def prints(x):
    while True:
        print("again")


class Scale(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x):
        return self.factor * x


class NoFactor(nn.Module):
    def __init__(self, factor):
        super().__init__()

    def forward(self, x):
        return x


class Shift(Scale):
    def forward(self, x):
        return self.factor + x


def has_a_gradient(apply):
    x = torch.ones(2)
    return apply(x, 3.0).requires_grad


scale = toy(
    name="scale",
    solution=Scale,
    inputs=[(torch.arange(2.0), 3.0), (torch.ones(2, 2), 0.5)],
    adapt=lambda cls: lambda x, factor: cls(factor)(x),
    mistakes=[Mistake(NoFactor, "the factor is not used."), Mistake(Shift, "you added.")],
    properties=[Property(has_a_gradient, "the factor learns nothing: make it an nn.Parameter.")],
)
