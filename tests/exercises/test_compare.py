"""Outputs are equal if their numbers are, however they are wrapped; an input is unchanged if each bit is."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from exercises.toys import doubled, toy
from vit_tutorial.exercises.compare import first_difference, same, unchanged


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: 2 * x.numpy(),
        lambda x: (2 * x).tolist(),
        lambda x: (2 * x).double(),
        lambda x: (2 * x).int(),
        lambda x: nn.Parameter(2 * x),
        lambda x: list(2 * x),
        lambda x: [list(row) for row in 2 * x] if x.ndim == 2 else list((2 * x).numpy()),
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


ONE = torch.ones(2)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (ONE, [1, 1.0]),
        (ONE, ONE + 1e-6),
        (torch.tensor([1000.0, 1e-4]), [1000.0, 0.0]),
        ([ONE, 2], (ONE.double(), 2.0)),
        ([ONE, 2 * ONE], torch.tensor([[1.0, 1.0], [2.0, 2.0]])),
        ([torch.tensor([1.0]), torch.tensor([2.0])], torch.tensor([[1.0], [2.0]])),
        ([[ONE, [1, 1]], [ONE, np.ones(2)]], torch.ones(2, 2, 2)),
        ([Fraction(1, 2), Decimal("0.25")], [0.5, 0.25]),
        (2**24 + 1, torch.tensor(2**24 + 1)),
        (float("nan"), torch.tensor(float("nan"))),
        (1 + 2j, torch.tensor(1 + 2j)),
        ("a", "a"),
        (None, None),
    ],
)
def test_same(a, b):
    assert same(a, b)
    assert same(b, a)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([ONE, ONE], ONE),
        ([ONE, ONE[:1]], torch.ones(2, 2)),
        (2**31, 2**31 + 2**20),
        (ONE, ONE + 1e-4),
        (ONE, ONE[:1]),
        (ONE, ONE[None]),
        ([ONE], [ONE, ONE]),
        ("1", 1),
        (None, 0),
        (1j, 1),
        ({}, []),
    ],
)
def test_not_same(a, b):
    assert not same(a, b)
    assert not same(b, a)


@pytest.mark.parametrize(
    ("a", "b", "place"),
    [
        (torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0, 2.0], [0.0, 4.0]]), 2),
        ([1, 2, 3], torch.tensor([1.0, 2.0, 0.0]), 2),
        ([1, 2, 3], [1, 0, 3], 1),
        ([1, 2], [1, 2, 3], 2),
        (ONE, torch.ones(3), None),
        ("word", ONE, None),
    ],
)
def test_where_two_outputs_begin_to_differ(a, b, place):
    assert first_difference(a, b) == place


def test_an_input_is_changed_if_a_bit_is():
    assert unchanged({"a": [ONE, np.ones(2)]}, {"a": [ONE.clone(), np.ones(2)]})
    assert not unchanged(torch.tensor([0.0]), torch.tensor([-0.0]))
    assert not unchanged(ONE, ONE.double())
    assert not unchanged(nn.Linear(1, 1), nn.Linear(1, 1))
