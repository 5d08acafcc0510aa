"""The engine tells what is wrong and names the mistake: in functions, in classes, in properties and in exceptions."""

import functools
import io
import re
import sys
import threading
import warnings

import pytest
import torch
from learners import default_type
from torch import nn

from exercises.toys import NoFactor, Scale, Shift, compute_for, doubled, loops, scale, three_dots, toy
from vit_tutorial.exercises import engine
from vit_tutorial.exercises.attempt import ChangedInput
from vit_tutorial.exercises.difference import Hints, Said
from vit_tutorial.exercises.engine import Mistake, Property, Unsolved


def test_the_smallest_input_is_shown_with_numbers_and_the_mistake():
    assert str(toy()(lambda x: x * 3)) == (
        "✗ double: wrong on 3 of 3 inputs. The smallest:\n"
        "  input    x = a tensor of shape [2]: 0, 1\n"
        "  expected a tensor of shape [2]: 0, [2]\n"
        "  got      a tensor of shape [2]: 0, [3]\n"
        "  This looks like: you tripled."
    )


def test_one_input_is_not_counted():
    one = toy(inputs=[(torch.arange(2.0),)])
    assert str(one(doubled)) == "✓ double: right. Twice as much."
    assert str(one(lambda x: x * 3)).startswith("✗ double: wrong:\n  input    x = a tensor of shape [2]: 0, 1\n")


def test_a_secret_is_not_given_away():
    assert str(toy(secret=True)(lambda x: x * 3)) == (
        "✗ double: wrong on 3 of 3 inputs. The smallest:\n"
        "  input    x = a tensor of shape [2]: 0, 1\n"
        "  got      a tensor of shape [2]: 0, 3\n"
        "  This looks like: you tripled."
    )


def test_a_mistake_is_named_only_if_it_fits_on_every_input():
    verdict = toy()(lambda x: 3 * x if x.ndim == 1 else 4 * x)
    assert not verdict.passed
    assert "looks like" not in str(verdict)


@pytest.mark.parametrize("factor", [3, 4])
def test_a_mistake_may_be_made_by_several_wrong_answers(factor):
    exercise = toy(mistakes=[Mistake([lambda x: 3 * x, lambda x: 4 * x], "twice is enough.")])
    assert exercise(lambda x: factor * x).diagnosis == "twice is enough."
    assert exercise(lambda x: 5 * x).diagnosis != "twice is enough."


def test_one_wrong_input_is_enough():
    verdict = toy()(lambda x: 2 * x if x.ndim == 1 else x)
    assert "wrong on 1 of 3 inputs" in str(verdict)
    assert "input    x = a tensor of shape [2, 10]" in str(verdict)


def raises_on_a_matrix(x):
    return 3 * x if x.ndim == 1 else x @ x


def test_an_exception_is_told_with_its_line_and_input():
    def answer(x):
        y = x + 1
        return y[100]

    verdict = toy()(answer)
    assert not verdict.passed
    title, place, near, words, given = str(verdict).split("\n")
    assert title.startswith("✗ double: your code raised IndexError: index 100 is out of bounds")
    assert re.fullmatch(r"  in       line \d+: return y\[100\]", place)
    assert near == "  where    y is [2]"
    assert words == "  In words: there is no place 100 along this axis: it has 2, counted from 0 to 1."
    assert given == "  input    x = a tensor of shape [2]: 0, 1"


def test_an_exception_is_part_of_a_mistake():
    exercise = toy(
        mistakes=[Mistake(lambda x: 3 * x, "you tripled."), Mistake(raises_on_a_matrix, "x @ x needs squares.")]
    )
    verdict = exercise(lambda x: x * 3 if len(x.shape) == 1 else x.matmul(x))
    assert verdict.diagnosis == "x @ x needs squares."
    assert "wrong on 3 of 3 inputs" in str(verdict)


def test_another_exception_is_no_part_of_a_mistake():
    exercise = toy(mistakes=[Mistake(raises_on_a_matrix, "x @ x needs squares.")])
    assert "x @ x" not in exercise(lambda x: 3 * x if x.ndim == 1 else [][0]).diagnosis


def stacked(x):
    return torch.arange(24.0).reshape(2, 3, 4) * x[0]


@pytest.mark.filterwarnings("ignore:The use of `x.T`")
def test_a_product_of_matrices_is_not_said_to_join_numbers_and_a_turned_batch_is_told():
    def batches(x):
        stack = stacked(x)
        return stack @ stack.reshape(3, 4, 2)

    def turned(x):
        stack = stacked(x)
        return stack @ stack.T

    assert toy()(batches).diagnosis.startswith("two tensors do not fit: along axis 0 one has 2 and the other 3.")
    assert toy()(turned).diagnosis.endswith(
        "`stack.T` turns all 3 axes around: stack.transpose(-2, -1) exchanges the last two."
    )


def test_numbers_that_are_joined_are_said_to_be():
    assert toy()(lambda x: x + torch.zeros(3)).diagnosis.startswith("two tensors are joined number by number, and")


def test_a_mistake_that_only_raises_is_named_if_it_raises_the_same():
    exercise = toy(mistakes=[Mistake(lambda x: 2 * x if x.ndim == 1 else x @ x, "your matrices do not fit.")])
    assert exercise(lambda x: x + x if x.ndim == 1 else torch.mm(x, x)).diagnosis == "your matrices do not fit."
    assert "your matrices" not in exercise(lambda x: x + x if x.ndim == 1 else x.reshape(3, 7)).diagnosis


def test_what_a_check_tries_by_itself_warns_nobody():
    def careful(x):
        if (x < 0).any():  # no input is: a question turns its sign
            warnings.warn("this is negative", stacklevel=1)
        return 2 * x

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert not toy(solution=careful)(lambda x: x**3 + x.flip(-1) + 5).passed
    assert said == []


def test_what_a_mistake_gives_is_computed_once():
    calls = []

    def tripled(x):
        calls.append(len(x))
        return 3 * x

    exercise = toy(mistakes=[Mistake(tripled, "you tripled.")])
    for _ in range(3):
        assert exercise(lambda x: x + x + x).diagnosis == "you tripled."
        assert exercise(lambda x: 4 * x).diagnosis != "you tripled."
    assert len(calls) == len(exercise.inputs)


def test_an_answer_that_only_raises_fits_no_mistake():
    exercise = toy(mistakes=[Mistake(lambda x: 1 / 0, "you divided by zero.")])
    assert exercise(lambda x: 1 // 0).diagnosis == "something is divided by 0."


@pytest.mark.parametrize(
    "error", [SystemExit, GeneratorExit, KeyboardInterrupt, BaseException, ValueError, MemoryError]
)
def test_whatever_is_raised_is_told(error):
    def answer(x):
        raise error("enough")

    assert f"your code raised {error.__name__}: enough" in str(toy()(answer))


def test_other_arguments_are_told():
    assert "raised TypeError" in str(toy()(lambda: None))


@pytest.mark.parametrize(
    ("other", "said"), [(ValueError, "raises ValueError: "), (KeyError, "raises an exception, such as ValueError: ")]
)
def test_what_is_raised_on_most_inputs_is_named_where_it_is_one_kind(other, said):
    def answer(x):
        if x.ndim == 2:
            raise other("twice")
        if len(x) == 3:
            raise ValueError("once")
        return 3 * x

    assert toy(mistakes=[])(answer).diagnosis == f"on most inputs it {said}once"


def test_a_check_that_stands_inside_of_the_answer_is_told():
    exercise = toy()

    def answer(x):
        exercise(answer)
        return 2 * x

    assert exercise(answer).diagnosis == "a check stands inside of your code: move it out, to the left margin."
    assert exercise(doubled).passed


def test_two_checks_at_once_leave_output_and_settings_as_they_were(monkeypatch):
    monkeypatch.setattr(sys, "stdout", before := io.StringIO())
    begun, over = threading.Event(), threading.Event()

    def first(x):
        begun.wait(0.1)
        return 2 * x

    def second(x):
        begun.set()
        over.wait(0.1)
        return 2 * x

    found = []
    with default_type(torch.float64):
        threads = [
            threading.Thread(target=lambda: (found.append(toy()(first).passed), over.set())),
            threading.Thread(target=lambda: found.append(toy()(second).passed)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert torch.get_default_dtype() == torch.float64
    assert sys.stdout is before
    assert found == [True, True]


class ScaleByList(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x):
        return torch.stack([self.factor * row for row in x])


class Constant(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return self.factor * x


def test_a_class_is_adapted():
    assert scale(Scale).passed
    assert scale(ScaleByList).passed
    assert scale(Scale).message == "✓ scale: right on all 2 inputs tried. Twice as much."


@pytest.mark.parametrize(("wrap", "said"), [(list, "a list"), (lambda out: out.detach().numpy(), "a NumPy array")])
def test_what_a_layer_returns_is_one_tensor(wrap, said):
    class Wrapped(Scale):
        def forward(self, x):
            return wrap(super().forward(x))

    verdict = scale(Wrapped)
    assert not verdict.passed
    assert verdict.diagnosis.startswith(f"your forward returns {said}")
    assert toy()(lambda x: wrap(2 * x)).passed  # of a function that is another wrapping of the same numbers


def test_a_mistake_that_returns_several_things_is_told_from_one_with_the_same_numbers():
    stacked, apart = (
        Mistake(make, words) for make, words in ((lambda x: torch.stack([x, x]), "stacked."), (pair, "two."))
    )
    for mistakes in ((stacked, apart), (apart, stacked)):
        assert toy(mistakes=mistakes)(pair).diagnosis == "two."
        assert toy(mistakes=mistakes)(lambda x: torch.stack([x, x])).diagnosis == "stacked."
    assert toy(mistakes=[stacked])(lambda x: [x, x]).diagnosis == "stacked."


def pair(x):
    return x, x


def test_an_output_whose_other_part_is_wrong_has_no_words_and_is_shown():
    verdict = toy(solution=lambda x: (2 * x, True), hints=Hints(part=0))(lambda x: (2 * x, False))
    assert str(verdict).startswith("✗ double: wrong on 3 of 3 inputs.")
    assert "False" in str(verdict)
    assert verdict.diagnosis == ""


@pytest.mark.parametrize(
    ("answer", "told"), [(lambda n: n ^ 2, True), (lambda n: n**3, False), (functools.partial(pow, exp=3), False)]
)
def test_a_caret_is_told_where_numbers_are_worked_out(answer, told):
    verdict = toy(solution=lambda n: n**2, inputs=[(2,), (3,), (7,)], mistakes=[])(answer)
    assert verdict.diagnosis.startswith("your code has ^") == told


def test_a_caret_between_masks_is_not_told():
    verdict = toy(solution=lambda x: x & (x > 1), inputs=[(torch.arange(4),)], mistakes=[])(lambda x: x ^ (x > 1))
    assert not verdict.passed
    assert "^" not in verdict.diagnosis


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [(NoFactor, "the factor is not used."), (Shift, "you added."), (Constant, "the factor learns")],
)
def test_the_mistakes_of_a_class_are_named(answer, sentence):
    verdict = scale(answer)
    assert not verdict.passed
    assert verdict.diagnosis.startswith(sentence)
    assert sentence in str(verdict)


def test_a_property_speaks_only_when_the_numbers_are_right():
    assert str(scale(Constant)) == (
        "✗ scale: right on all 2 inputs tried, and yet: the factor learns nothing: make it an nn.Parameter."
    )


@pytest.mark.parametrize("answer", [Scale(2.0), doubled, 3])
def test_an_object_in_place_of_the_class(answer):
    assert "pass the class itself, without brackets" in str(scale(answer))


def test_a_class_that_cannot_be_made():
    class Broken(Scale):
        def __init__(self):
            super().__init__(1.0)

    assert "your code raised TypeError" in str(scale(Broken))


def test_a_property_that_raises_is_not_met():
    exercise = toy(properties=[Property(lambda answer: answer("x", "y"), "it takes one tensor.")])
    verdict = exercise(doubled)
    assert verdict.diagnosis == "it takes one tensor."
    assert "It raised TypeError" in str(verdict)


@pytest.mark.parametrize(
    ("found", "said"), [(False, "it is not even."), (Said("it is odd: 3."), "it is odd: 3."), (0, "it is not even.")]
)
def test_a_property_may_say_more_than_its_sentence(found, said):
    verdict = toy(properties=[Property(lambda answer: found, "it is not even.")])(doubled)
    assert not verdict.passed
    assert verdict.diagnosis == said
    assert str(verdict) == f"✗ double: right on all 3 inputs tried, and yet: {said}"


def test_a_misspelled_init_is_told():
    class Misspelled(nn.Module):
        def __int__(self, factor):
            super().__init__()
            self.factor = nn.Parameter(torch.tensor(factor))

        def forward(self, x):
            return self.factor * x

    class Inherited(Scale):
        def _init_weights(self):
            pass

    said = "your class has `__int__` in place of `__init__`. Is it misspelled?"
    assert scale(Misspelled).diagnosis == said
    assert scale(Inherited).passed


def test_an_exercise_says_how_long_it_takes():
    assert repr(toy()) == "double: difficulty 1 of 5, about 1 minute. Call it with your answer."


@pytest.mark.parametrize(("tags", "kept"), [(["solution"], []), (["exercise"], ["double"]), (None, ["double"])])
def test_a_solutions_own_cell_is_no_progress(monkeypatch, tags, kept):
    class Shell:
        def get_parent(self):
            return {"metadata": {} if tags is None else {"tags": tags}}

    seen = []
    monkeypatch.setattr("IPython.get_ipython", Shell)
    monkeypatch.setattr(engine.store, "keep", lambda name: seen.append(name) or "")
    assert toy()(lambda x: x + x).passed
    assert not toy()(three_dots).passed
    assert seen == kept


class Doubles:
    __slots__ = ()  # it has no hash, and nothing can refer to it weakly

    def __call__(self, x):
        return 2 * x

    def __eq__(self, other):
        raise AssertionError("compared")


def test_a_solution_is_no_progress_in_the_cells_below_either(monkeypatch):
    class Shell:
        tags = ("solution",)

        def get_parent(self):
            return {"metadata": {"tags": self.tags}}

    seen = []
    monkeypatch.setattr("IPython.get_ipython", Shell)
    monkeypatch.setattr(engine.store, "keep", lambda name: seen.append(name) or "")
    solution, another = (functools.partial(lambda factor, x: factor * x, 2) for _ in range(2))
    assert toy()(solution).passed
    assert toy()(Doubles()).passed
    Shell.tags = ()
    assert toy()(solution).passed
    assert seen == []
    assert toy()(another).passed  # the same words, written by the learner
    assert seen == ["double"]
    assert toy()(Doubles()).passed
    assert seen == ["double", "double"]


# ----------------------------------------------------------------------------------------- what went wrong, in words


def generates(x):
    yield 2 * x


def changes_its_input(x):
    return x.mul_(2)


def raises_something_rare(x):
    raise LookupError("nothing of the kind")


def returns_nothing(x):
    y = 2 * x  # noqa: F841


@pytest.mark.usefixtures("nearly_patient")
@pytest.mark.parametrize(
    ("answer", "diagnosis"),
    [
        (3, "pass the function itself, without brackets."),
        (three_dots, "not written yet (it returned None). Replace the three dots."),
        (returns_nothing, "it returned None with x = a tensor of shape [2]: 0, 1. Is a `return` missing?"),
        (changes_its_input, "it changed its input in place. Work on a copy, or on new tensors."),
        (generates, "your function is a generator: use `return` in place of `yield`."),
        (loops, "your code was stopped after 0.3 s of computing: is there a loop that never ends?"),
        (lambda x: x, "you did nothing."),
        (lambda x: 5 * x, "every number is 2.5 times as large as it should be, on each of these inputs."),
        (lambda x: x.no_such_thing, "a tensor has no `no_such_thing`."),
        (lambda x: (x**3).sum() + x, ""),  # shown in numbers
        (raises_something_rare, ""),  # shown in Python's own words
        (doubled, ""),
    ],
)
def test_the_diagnosis_is_there_whenever_words_say_what_went_wrong(answer, diagnosis):
    assert toy()(answer).diagnosis == diagnosis


@pytest.mark.parametrize(
    ("solution", "fault"), [(lambda x: x / (1 // 0), ZeroDivisionError), (changes_its_input, ChangedInput)]
)
def test_no_answer_is_judged_by_a_solution_that_fails(solution, fault):
    with pytest.raises(Unsolved, match="double: the solution fails") as raised:
        toy(solution=solution)(doubled)
    assert isinstance(raised.value.__cause__, fault)


def test_the_solution_computes_each_output_once_however_often_an_answer_is_checked():
    computed = []
    exercise = toy(solution=lambda x: computed.append(len(x)) or 2 * x)
    assert [exercise(doubled).passed for _ in range(3)] == [True] * 3
    assert computed == [2, 3, 2]


def test_the_search_for_a_mistake_ends_in_time_and_is_not_the_learners(monkeypatch):
    def slow(x):
        compute_for(0.05)
        return 7 * x

    monkeypatch.setattr(engine, "SEARCH_SECONDS", 0.2)
    tried = []
    slow_ones = [Mistake(lambda x: tried.append(x) or slow(x), "you took your time.") for _ in range(200)]
    verdict = toy(mistakes=slow_ones)(lambda x: 5 * x)
    assert not verdict.passed
    assert 0 < len(tried) < 20
    assert "wrong on 3 of 3 inputs" in str(verdict)


def test_an_exception_that_comes_of_one_kind_of_input_alone_says_of_which():
    def masked(x, mask):
        return x if mask is None else x * mask

    def answer(x, mask):
        return x if mask is None else torch.ones(2, 3) @ torch.ones(2, 3)

    inputs = [(torch.arange(2.0), None), (torch.arange(2.0), torch.ones(2)), (torch.arange(3.0), torch.zeros(3))]
    verdict = toy(solution=masked, inputs=inputs, mistakes=[])(answer)
    assert "your code raised RuntimeError" in str(verdict)
    assert verdict.diagnosis.startswith("where there is a `mask`: ")
