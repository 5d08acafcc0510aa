"""What the learner's code does reaches neither the inputs, nor the random numbers, nor the output of the lesson."""

import io
import sys

import numpy as np
import pytest
import torch
from torch import nn

from exercises.toys import doubled, in_time, loops, prints, toy
from vit_tutorial.exercises.attempt import ShortOutput
from vit_tutorial.exercises.engine import Mistake


def test_returning_the_input_itself_is_fine_where_it_is_right():
    assert toy(solution=lambda x: x.clone())(lambda x: x).passed


def adds_one_to_tensor(x, numbers, model):
    x += 1


def appends_within(x, numbers, model):
    numbers[0].append(1)


def changes_array(x, numbers, model):
    numbers[1][0] = 7


def changes_model(x, numbers, model):
    model.weight.data.zero_()


def resizes(x, numbers, model):
    x.resize_(1)


@pytest.mark.parametrize("change", [adds_one_to_tensor, appends_within, changes_array, changes_model, resizes])
def test_a_changed_input_is_told(change):
    def answer(x, numbers, model):
        change(x, numbers, model)
        return 5

    inputs = [(torch.ones(2), [[1, 2], np.ones(2)], nn.Linear(1, 1))]
    exercise = toy(solution=lambda x, numbers, model: 5, inputs=inputs)
    assert exercise(lambda x, numbers, model: 5).passed
    assert str(exercise(answer)) == "✗ double: it changed its input in place. Work on a copy, or on new tensors."
    assert exercise(lambda x, numbers, model: 5).passed
    assert inputs[0][1] == [[1, 2], inputs[0][1][1]]


def test_a_buffer_that_is_used_again_does_not_fool_the_check():
    buffer = torch.zeros(2)

    def answer(x):
        return buffer.copy_(x)

    exercise = toy(inputs=[(torch.ones(2),), (torch.zeros(2),)], mistakes=[Mistake(lambda x: x, "you did nothing.")])
    assert exercise(answer).diagnosis == "you did nothing."


# --------------------------------------------------------------------------------------------------------- surroundings


@pytest.mark.usefixtures("impatient")
def test_random_numbers_stay_those_of_the_lesson():
    def answer(x):
        torch.manual_seed(99)
        return 2 * x

    for tried in (answer, lambda x: torch.rand(()) * x, loops):
        torch.manual_seed(7)
        wanted = torch.rand(3)
        torch.manual_seed(7)
        toy()(tried)
        assert torch.equal(torch.rand(3), wanted)


def test_default_dtype_and_grad_mode_stay_those_of_the_lesson():
    def answer(x):
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        return torch.tensor([2.0]) * x

    assert toy()(answer).passed
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    with torch.no_grad():
        toy()(lambda x: torch.set_grad_enabled(True) and x)
        assert not torch.is_grad_enabled()


def test_a_check_does_not_ask_for_devices_that_are_not_in_use(monkeypatch):
    def fail(*_):
        raise AssertionError("the stack was formatted, as torch.manual_seed does for each kind of device")

    monkeypatch.setattr("traceback.format_stack", fail)
    assert toy()(doubled).passed


def test_random_answers_are_tried_with_the_same_numbers():
    exercise = toy(solution=lambda x: x + torch.rand(()))
    assert exercise(lambda x: torch.rand(()) + x).passed
    first = str(toy()(torch.rand_like))
    torch.rand(1)
    assert str(toy()(torch.rand_like)) == first


# --------------------------------------------------------------------------------------------------------------- output


def test_what_an_answer_prints_is_seen(capsys):
    def answer(x):
        print("here", x.shape)
        return 2 * x

    assert toy()(answer).passed
    assert "here torch.Size([2])" in capsys.readouterr().out


@pytest.mark.usefixtures("impatient")
def test_printing_without_end_is_cut(capsys):
    verdict = in_time(toy(), prints)
    said = capsys.readouterr().out
    assert "was stopped" in str(verdict)
    assert said.startswith("again\nagain\n")
    assert len(said) < 5000
    assert said.endswith("… (your code prints more; the rest is left out)\n")
    print("and now this")
    assert capsys.readouterr().out == "and now this\n"


def test_what_is_flushed_after_its_page_was_closed_is_no_error():
    page = io.TextIOWrapper(io.BytesIO())
    output = ShortOutput(page)
    output.flush()
    page.close()
    output.flush()  # Python does so when it throws a stream away


@pytest.mark.usefixtures("impatient")
def test_the_output_goes_where_it_went(monkeypatch):
    before = io.StringIO()
    monkeypatch.setattr(sys, "stdout", before)
    toy()(prints)
    assert sys.stdout is before
