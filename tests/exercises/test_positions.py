"""The check of lesson 3 passes right answers, however they are written, and says of a wrong one what is wrong."""

import math

import numpy as np
import pytest
import torch
from references import sincos_1d_by_loops

from vit_tutorial.exercises import check
from vit_tutorial.exercises.positions import sincos_1d


def by_strides(num_positions, dim):
    angle = torch.arange(num_positions)[:, None] / 10_000 ** (torch.arange(0, dim, 2) / dim)
    table = torch.zeros(num_positions, dim)
    table[:, ::2], table[:, 1::2] = angle.sin(), angle.cos()
    return table


def by_exponentials(num_positions, dim):
    """As in many tutorials: the power of 10,000 as an exponential of a logarithm, in float32."""
    wave = torch.exp(torch.arange(0, dim, 2).float() * (-math.log(10_000.0) / dim))
    angle = torch.arange(num_positions).float()[:, None] * wave
    return torch.stack([angle.sin(), angle.cos()], dim=2).reshape(num_positions, dim)


def by_phase(num_positions, dim):
    """A cosine is a sine a quarter of a turn later."""
    j = torch.arange(dim)
    angle = torch.arange(num_positions)[:, None] / 10_000.0 ** (2 * (j // 2) / dim)
    return torch.sin(angle + math.pi / 2 * (j % 2))


def by_numpy(num_positions, dim):
    return np.asarray(sincos_1d_by_loops(num_positions, dim))


def by_lists(num_positions, dim):
    return sincos_1d_by_loops(num_positions, dim).tolist()


def _by_formula(angle, even=math.sin, odd=math.cos, start=0):
    """A table whose column j at position pos is even or odd of angle(pos, j, dim)."""
    return lambda num_positions, dim: torch.tensor(
        [
            [(odd if j % 2 else even)(angle(pos, j, dim)) for j in range(dim)]
            for pos in range(start, start + num_positions)
        ]
    )


def _right_angle(pos, j, dim):
    return pos / 10_000 ** (2 * (j // 2) / dim)


def sines_first(num_positions, dim):
    table = by_strides(num_positions, dim)
    return torch.hstack([table[:, ::2], table[:, 1::2]])


WRONG = {
    "sines first": (sines_first, "all sines come first and all cosines last."),
    "swapped": (_by_formula(_right_angle, math.cos, math.sin), "sine and cosine are swapped."),
    "from 1": (_by_formula(_right_angle, start=1), "your first position is 1."),
    "i/D": (_by_formula(lambda pos, j, dim: pos / 10_000 ** (j // 2 / dim)), "the exponent is i/D,"),
    "4i/D": (_by_formula(lambda pos, j, dim: pos / 10_000 ** (4 * (j // 2) / dim)), "the exponent is 4i/D,"),
    "own wave": (_by_formula(lambda pos, j, dim: pos / 10_000 ** (j / dim)), "each column has a wave of its own."),
    "only sines": (_by_formula(_right_angle, math.sin, math.sin), "all columns are sines."),
    "turned": (lambda num_positions, dim: by_strides(num_positions, dim).T, "the table lies on its side."),
    "base": (_by_formula(lambda pos, j, dim: pos / 1_000 ** (2 * (j // 2) / dim)), "the base is 1,000,"),
    "multiplied": (_by_formula(lambda pos, j, dim: pos * 10_000 ** (2 * (j // 2) / dim)), "you multiply by 10,000"),
}


@pytest.mark.parametrize(
    "answer", [by_strides, by_exponentials, by_phase, by_numpy, by_lists, sincos_1d_by_loops, sincos_1d.solution]
)
def test_right_answers_pass(answer):
    verdict = check.sincos_1d(answer)
    assert verdict.passed
    assert repr(verdict) == (
        "✓ sincos_1d: right on all 5 inputs tried. Each position has its own vector, and no number was learned."
    )


@pytest.mark.parametrize(("answer", "sentence"), WRONG.values(), ids=WRONG)
def test_mistake_is_named(answer, sentence):
    verdict = check.sincos_1d(answer)
    assert not verdict.passed
    assert f"This looks like: {sentence}" in repr(verdict)


def test_every_listed_mistake_is_tried():
    said = [repr(check.sincos_1d(answer)).split("This looks like: ")[1] for answer, _ in WRONG.values()]
    assert sorted(said) == sorted(mistake.sentence for mistake in sincos_1d.mistakes)


def test_wrong_answer_that_is_no_known_mistake():
    verdict = check.sincos_1d(lambda num_positions, dim: -by_strides(num_positions, dim))
    assert not verdict.passed
    assert "wrong on 5 of 5 inputs" in repr(verdict)
    assert "input    2; 4" in repr(verdict)
    assert "expected a tensor of shape [2, 4]: 0, 1, 0, 1" in repr(verdict)
    assert "This looks like" not in repr(verdict)


def test_zeros_are_not_enough():
    verdict = check.sincos_1d(torch.zeros)
    assert not verdict.passed
    assert "wrong on 5 of 5 inputs" in repr(verdict)
