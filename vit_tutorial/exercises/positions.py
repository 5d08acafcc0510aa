"""Lesson 3: sine and cosine positions."""

import torch

from vit_tutorial import positions
from vit_tutorial.exercises.engine import Exercise, Mistake


def _angles(num_positions: int, dim: int, start: int = 0, step: float = 2, base: float = 10_000):
    i = torch.arange(dim // 2, dtype=torch.float64)
    return torch.arange(start, start + num_positions)[:, None] * base ** (-step * i / dim)


def _interleave(even, odd):
    return torch.stack([even, odd], dim=-1).flatten(1)


def _with(order, **options):
    return lambda num_positions, dim: order(_angles(num_positions, dim, **options))


def _sin_cos(angle):
    return _interleave(angle.sin(), angle.cos())


def _own_wave_per_column(num_positions: int, dim: int):
    angle = _angles(num_positions, 2 * dim)  # [N, D]: exponent j/D in column j
    return _interleave(angle[:, ::2].sin(), angle[:, 1::2].cos())


sincos_1d = Exercise(
    name="sincos_1d",
    solution=positions.sincos_1d,
    inputs=[(2, 4), (3, 6), (1, 8), (10, 16), (50, 64)],
    mistakes=[
        Mistake(
            _with(lambda angle: torch.cat([angle.sin(), angle.cos()], dim=1)),
            "all sines come first and all cosines last. They alternate: sin in columns 0, 2, 4 …, cos in 1, 3, 5 …",
        ),
        Mistake(
            _with(lambda angle: _interleave(angle.cos(), angle.sin())),
            "sine and cosine are swapped. Even columns hold the sine.",
        ),
        Mistake(_with(_sin_cos, start=1), "your first position is 1. Positions are counted from 0."),
        Mistake(
            _with(_sin_cos, step=1),
            "the exponent is i/D, and should be 2i/D: your waves grow half as fast as they should.",
        ),
        Mistake(
            _with(_sin_cos, step=4),
            "the exponent is 4i/D, and should be 2i/D: if your i already counts 0, 2, 4 …, do not double it again.",
        ),
        Mistake(
            _own_wave_per_column,
            "each column has a wave of its own. A sine and the cosine to its right share one: the exponent is 2i/D for "
            "both columns, 2i and 2i+1.",
        ),
        Mistake(
            _with(lambda angle: _interleave(angle.sin(), angle.sin())),
            "all columns are sines. Odd columns hold the cosine.",
        ),
        Mistake(
            lambda num_positions, dim: positions.sincos_1d(num_positions, dim).T,
            "the table lies on its side. Rows are positions, columns are the numbers of each: [N, D].",
        ),
        Mistake(_with(_sin_cos, base=1_000), "the base is 1,000, and should be 10,000."),
        Mistake(
            _with(_sin_cos, step=-2),
            "you multiply by 10,000^(2i/D), and should divide: later columns are slower waves, not faster ones.",
        ),
    ],
    done="Each position has its own vector, and no number was learned.",
)
