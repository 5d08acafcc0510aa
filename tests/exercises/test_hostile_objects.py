"""An object of the learner's own may raise, exit or hang when the check looks at it: that is told as everything is."""

import threading

import pytest
import torch
from torch import nn

from exercises.toys import in_time, scale, toy
from vit_tutorial.exercises import engine

LOOKS = ("__class__", "__getattribute__", "__len__", "__iter__", "__getitem__", "__array__", "__eq__", "__repr__")
ERRORS = (SystemExit, KeyboardInterrupt, GeneratorExit, KeyError)


def raiser(error):
    def looked_at(*_, **__):
        raise error("enough")

    return looked_at


@pytest.mark.parametrize("base", [object, list, int])
@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("error", ERRORS)
def test_an_output_that_raises_when_it_is_looked_at_is_wrong(error, look, base):
    method = raiser(error)
    hostile = type("Hostile", (base,), {look: property(method) if look == "__class__" else method})
    for exercise in (toy(), toy(solution=lambda x: [x, x]), toy(solution=lambda x: len(x))):
        assert not exercise(lambda x: hostile()).passed
        assert not exercise(lambda x: [x, hostile()]).passed


@pytest.mark.parametrize("error", ERRORS)
def test_a_tensor_that_raises_at_each_function_is_wrong(error):
    hostile = type("Hostile", (torch.Tensor,), {"__torch_function__": classmethod(raiser(error))})
    assert not toy()(lambda x: torch.Tensor._make_subclass(hostile, 2 * x)).passed


@pytest.mark.parametrize("error", ERRORS)
def test_an_answer_and_an_error_that_raise_when_they_are_looked_at_are_wrong(error):
    class Answer:
        __class__ = property(raiser(error))

        def __call__(self, x):
            return 3 * x

    class Silent(Exception):
        __str__ = raiser(error)

    def fails(x):
        raise Silent

    class Module(nn.Module):
        def __init__(self, factor):
            super().__init__()

        def forward(self, x):
            return x

        named_parameters = named_modules = state_dict = parameters = raiser(error)

    assert f"raises {error.__name__}: " in str(toy()(Answer()))
    assert not toy()(fails).passed
    assert not scale(Module).passed


@pytest.mark.usefixtures("impatient")
def test_an_output_that_hangs_when_it_is_looked_at_is_stopped(monkeypatch):
    class Endless(list):
        def __len__(self):
            while True:
                pass

    monkeypatch.setattr(engine, "LOOKING", 0.3)
    verdict = in_time(toy(solution=lambda x: [x]), lambda x: Endless())
    assert verdict.diagnosis == "looking at what your code gave does not come to an end."
    assert not [thread.name for thread in threading.enumerate() if "(_work)" in thread.name]
