"""Values and exceptions of every kind are shown in few words."""

import numpy as np
import pytest
import torch
from torch import nn

from exercises.toys import in_time, toy


def test_a_long_list_is_shown_from_where_it_differs():
    names = toy(solution=lambda x: [f"name {i}" for i in range(12)], inputs=[(torch.arange(2.0),)], mistakes=[])
    said = str(names(lambda x: [f"name {i + (i > 9)}" for i in range(12)]))
    assert "expected (…; ['name 10']; 'name 11')" in said
    assert "got      (…; ['name 11']; 'name 12')" in said
    assert "expected (…)" in str(names(lambda x: [f"name {i}" for i in range(13)]))


def test_truth_is_shown_as_true_and_false():
    positive = toy(solution=lambda x: x > 0, inputs=[(torch.arange(2.0),)], mistakes=[])
    assert "expected a tensor of shape [2]: [False], True\n" in str(positive(lambda x: x >= 0))


def test_nothing_is_shown_as_none():
    exercise = toy(solution=lambda x, y=None: x, inputs=[(3, None)], mistakes=[])
    assert "  input    x = 3, y = None\n" in str(exercise(lambda x, y=None: x + 1))


def test_a_difference_far_behind_is_shown():
    def answer(x):
        y = 2 * x
        y[..., 9:] = 7
        return y

    assert "expected a tensor of shape [2, 10], from number 10 on: [2], 2, 2" in str(toy()(answer))
    assert "got      a tensor of shape [2, 10], from number 10 on: [7], 2, 2" in str(toy()(answer))


def test_long_inputs_stand_on_lines_of_their_own():
    exercise = toy(solution=lambda x, y, n: x, inputs=[(torch.zeros(2, 4), torch.ones(9), 3)])
    shown = str(exercise(lambda x, y, n: y))
    assert shown.splitlines()[1:6] == [
        "  input    x = a tensor of shape [2, 4]:",
        "            0  0  0  0",
        "            0  0  0  0",
        "           y = a tensor of shape [9]: 1, 1, 1, 1, 1, 1, 1, 1, …",
        "           n = 3",
    ]


def test_a_small_matrix_stands_row_by_row_with_the_first_difference_in_brackets():
    exercise = toy(solution=lambda x: x, inputs=[(torch.eye(3),)], mistakes=[])
    shown = str(exercise(lambda x: x + torch.eye(3).roll(1, 0)))
    assert shown.splitlines()[5:13] == [
        "  expected a tensor of shape [3, 3]:",
        "            1  0 [0]",
        "            0  1  0",
        "            0  0  1",
        "  got      a tensor of shape [3, 3]:",
        "            1  0 [1]",
        "            1  1  0",
        "            0  1  1",
    ]


def test_a_mask_stands_row_by_row():
    exercise = toy(solution=lambda x: x > 0, inputs=[(torch.eye(2),)], mistakes=[])
    shown = str(exercise(lambda x: x < 0)).splitlines()
    assert [line.split() for line in shown[5:7]] == [["[True]", "False"], ["False", "True"]]


def test_an_exception_without_readable_words():
    class Odd(Exception):
        def __str__(self):
            raise RuntimeError

    def answer(x):
        raise Odd

    assert "your code raised Odd" in str(toy()(answer))


@pytest.mark.parametrize("kind", [ValueError, TypeError, AssertionError, RuntimeError, AttributeError])
def test_a_long_message_is_cut(kind):
    def answer(x):
        raise kind("x" * 100_000)

    assert len(str(toy()(answer))) < 1000


def endless():
    while True:
        yield 1


class Hostile:
    def __repr__(self):
        raise RuntimeError

    __array__ = __float__ = __len__ = __eq__ = __repr__
    __hash__ = None


RECURSIVE = []
RECURSIVE.append(RECURSIVE)
OUTPUTS = {
    "a word": "word",
    "an object": object(),
    "a mixed list": [1, 2, "x"],
    "a dictionary": {"a": 1},
    "an empty tensor": torch.zeros(0),
    "not a number": float("nan"),
    "an empty tuple": (),
    "a generator": endless(),
    "a class": dict,
    "a module": nn.Linear(2, 2),
    "a hostile object": Hostile(),
    "a list that holds itself": RECURSIVE,
    "complex": torch.ones(2, dtype=torch.complex64) * 1j,
    "sparse": torch.eye(2).to_sparse(),
    "without numbers": torch.zeros(2, device="meta"),
    "a number too large": 10**5000,
    "a tensor without end": torch.zeros(1).expand(10**12),
    "a range": range(10**12),
    "a long text": "x" * 10**7,
    "a long list": [0.0] * 10**6,
    "an array": np.zeros((2, 2)),
    "an array of objects": np.array([None, "x"]),
}


@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
def test_an_output_of_another_kind_is_wrong(output):
    verdict = in_time(toy(), lambda x: output)
    assert not verdict.passed
    assert "wrong on" in str(verdict) or "raised RecursionError" in str(verdict)
    assert len(str(verdict)) < 1000


def test_a_generator_is_told_so():
    def answer(x):
        yield 2 * x

    assert "got      a generator: use `return` in place of `yield`" in str(toy()(answer))


def test_a_generator_in_brackets_is_not_said_to_come_of_yield():
    said = str(toy()(lambda x: (2 * number for number in x)))
    assert "In words: you returned a generator: round brackets with `for` make one, and square ones a list: use" in said
    assert "yield" not in said


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda x: map(float, 2 * x), "map"),
        (lambda x: reversed([3, 2, 1]), "reversed"),
        (lambda x: reversed((3, 2, 1)), "reversed"),
        (lambda x: zip(x, x, strict=True), "zip"),
        (lambda x: filter(bool, [1, 2]), "filter"),
        (lambda x: {1: 2}.values(), "dict_values"),
        (lambda x: range(2), "range"),
    ],
)
def test_what_is_no_list_yet_is_told_so(make, name):
    assert toy()(make).diagnosis == f"what `{name}` gives is no list yet: put list(…) around it."
