"""Outputs are equal if their numbers are, however they are wrapped; an input is unchanged if each bit is."""

import pytest
import torch
from torch import nn

from exercises.toys import doubled, toy


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: 2 * x.numpy(),
        lambda x: (2 * x).tolist(),
        lambda x: (2 * x).double(),
        lambda x: (2 * x).int(),
        lambda x: nn.Parameter(2 * x),
        lambda x: (2 * x).t().contiguous().t() if x.ndim == 2 else 2 * x,
    ],
)
def test_the_same_numbers_in_another_wrapping_are_right(answer):
    assert toy()(answer).passed


def test_words_and_numbers_as_right_answers():
    exercise = toy(solution=lambda n: "odd" if n % 2 else "even", inputs=[(1,), (2,)])
    assert exercise(lambda n: ["even", "odd"][n % 2]).passed
    assert not exercise(lambda n: "odd").passed


def test_an_input_with_nan_is_unchanged():
    assert toy(inputs=[(torch.tensor([float("nan"), 1]),)])(doubled).passed
