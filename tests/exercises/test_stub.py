"""An untouched stub is told from an answer whose `return` is missing."""

from dataclasses import replace

import pytest
from torch import nn

from exercises.toys import Scale, scale, three_dots, toy


def only_pass(x):
    pass


def dots_after_a_line(x):
    y = x.shape  # noqa: F841
    ...


def not_implemented(x):
    raise NotImplementedError


@pytest.mark.parametrize("stub", [three_dots, only_pass, dots_after_a_line, not_implemented, lambda x: ...])
def test_an_untouched_stub_is_not_written_yet(stub):
    verdict = toy()(stub)
    assert not verdict.passed
    assert str(verdict).startswith("… double: not written yet (it r")


def test_the_line_that_the_notebooks_store_for_a_stub():
    assert str(toy()(three_dots)) == "… double: not written yet (it returned None). Replace the three dots."


def test_a_forgotten_return_is_no_stub():
    def answer(x):
        y = 2 * x  # noqa: F841

    assert str(toy()(answer)) == (
        "✗ double: it returned None with x = a tensor of shape [2]: 0, 1. Is a `return` missing?"
    )


def test_a_return_that_is_missing_in_one_branch():
    def answer(x):
        if x.ndim == 1:
            return 2 * x

    assert "it returned None with x = a tensor of shape [2, 10]" in str(toy()(answer))


def one_branch_returns_dots(x):
    return 2 * x if x.ndim == 1 else ...


def one_branch_is_dots(x):
    if x.ndim == 1:
        return 2 * x
    else:
        ...


@pytest.mark.parametrize(("answer", "gave"), [(one_branch_returns_dots, "Ellipsis"), (one_branch_is_dots, "None")])
def test_dots_that_are_left_in_one_branch_are_told(answer, gave):
    said = "three dots still stand in your code: with x = a tensor of shape [2, 10]: 1, 1, 1, 1, 1, 1, 1, 1, … it "
    assert toy()(answer).diagnosis == f"{said}returned {gave}."


def test_dots_of_an_index_are_none_that_are_left():
    def answer(x):
        if x[..., 0].ndim == 0:
            return 2 * x

    assert toy()(answer).diagnosis.endswith("Is a `return` missing?")


class StubWithInit(nn.Module):
    def __init__(self, factor):
        super().__init__()
        ...

    def forward(self, x): ...


class StubWithoutForward(nn.Module):
    def __init__(self, factor):
        super().__init__()


def factor_set_from_outside(cls):
    def apply(x, factor):
        module = cls(1.0)
        module.factor.data.fill_(factor)
        return module(x)

    return apply


@pytest.mark.parametrize("stub", [StubWithInit, StubWithoutForward])
@pytest.mark.parametrize("adapt", [scale.adapt, factor_set_from_outside])
def test_an_untouched_class_is_not_written_yet(stub, adapt):
    exercise = replace(scale, adapt=adapt)
    assert exercise(Scale).passed
    assert str(exercise(stub)) == "… scale: not written yet (its forward is empty). Replace the three dots."


def test_a_class_without_its_return_is_not_taken_for_a_stub():
    class ReturnForgotten(Scale):
        def forward(self, x):
            super().forward(x)

    said = str(scale(ReturnForgotten))
    assert said.startswith("✗ scale: it returned None")
    assert said.endswith("Is a `return` missing?")
