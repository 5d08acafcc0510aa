"""Every check names its mistakes and passes right answers; the engine survives whatever it is given."""

import contextlib
import importlib
import io
import pkgutil
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from exercises.answers import gather
from vit_tutorial import exercises
from vit_tutorial.exercises import check, engine
from vit_tutorial.exercises.engine import Exercise, Mistake, Property, Verdict
from vit_tutorial.exercises.limit import OutOfTime, call_within

EXERCISES = {name: getattr(check, name) for name in check.__all__}
TABLES = {name: answers for _, table in gather() for name, answers in table.items()}
PATIENCE = 30  # seconds: a check that is stuck takes for ever; one on a busy machine takes longer than it should


def name_of(answer):
    return getattr(answer, "__name__", type(answer).__name__)


def cases(kind):
    return [
        pytest.param(EXERCISES[name], entry, id=f"{name}-{name_of(entry[0] if kind == 'wrong' else entry)}")
        for name, answers in TABLES.items()
        for entry in getattr(answers, kind)
        if name in EXERCISES
    ]


@pytest.fixture(params=EXERCISES.values(), ids=EXERCISES)
def exercise(request):
    return request.param


@pytest.fixture
def unhurried(monkeypatch):
    """Let no mistake go untried because the machine has other work to do."""
    monkeypatch.setattr(engine, "SECONDS", 5)


def in_time(exercise, answer):
    start = time.monotonic()
    verdict = exercise(answer)
    assert time.monotonic() - start < PATIENCE
    return verdict


# -------------------------------------------------------------------------------------------------------- the exercises


def lesson_modules():
    modules = [
        importlib.import_module(f"vit_tutorial.exercises.{m.name}") for m in pkgutil.iter_modules(exercises.__path__)
    ]
    return [module for module in modules if module is not check and any_exercise(module)]


def any_exercise(module):
    return any(isinstance(value, Exercise) for value in vars(module).values())


def test_every_exercise_of_every_lesson_file_is_in_check_under_its_own_name():
    listed = []
    for module in lesson_modules():
        own = {name for name, value in vars(module).items() if isinstance(value, Exercise)}
        assert own == set(module.__all__), f"{module.__name__}.__all__ does not name its exercises"
        listed += module.__all__
    assert sorted(listed) == sorted(check.__all__), "two lessons share a name, or check.py lacks a lesson file"
    assert [exercise.name for exercise in EXERCISES.values()] == check.__all__
    assert dir(check) == sorted(check.__all__)  # what the Tab key offers


def test_every_exercise_has_a_table_of_answers_in_the_file_of_its_lesson():
    found = {(module, name) for module, table in gather() for name in table}
    wanted = {(m.__name__.rpartition(".")[2], name) for m in lesson_modules() for name in m.__all__}
    assert found == wanted


def test_the_fields_make_sense(exercise):
    assert 1 <= exercise.difficulty <= 5
    assert 1 <= exercise.minutes <= 60
    assert exercise.inputs
    assert all(isinstance(args, tuple) for args in exercise.inputs)
    assert len(set(sentences_of(exercise))) >= 4


def sentences_of(exercise):
    return [known.sentence for known in (*exercise.mistakes, *exercise.properties)]


def test_the_solution_passes(exercise):
    verdict = in_time(exercise, exercise.solution)
    assert verdict.passed, verdict
    several = f" on all {len(exercise.inputs)} inputs tried" if len(exercise.inputs) > 1 else ""
    assert str(verdict) == f"✓ {exercise.name}: right{several}. {exercise.done}"


@pytest.mark.parametrize(("exercise", "answer"), cases("right"))
def test_a_right_answer_written_another_way_passes(exercise, answer):
    verdict = in_time(exercise, answer)
    assert verdict.passed, verdict


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize(("exercise", "entry"), cases("wrong"))
def test_a_wrong_answer_is_named(exercise, entry):
    answer, sentence = entry
    verdict = in_time(exercise, answer)
    assert not verdict.passed
    assert verdict.diagnosis.startswith(sentence), verdict
    assert verdict.diagnosis in str(verdict)


@pytest.mark.parametrize(("exercise", "answer"), cases("unknown"))
def test_a_wrong_answer_that_no_sentence_fits_has_numbers_and_no_diagnosis(exercise, answer):
    verdict = in_time(exercise, answer)
    assert not verdict.passed
    assert not verdict.diagnosis
    assert "got      " in str(verdict) or "your code raised" in str(verdict)


def test_each_sentence_comes_of_an_answer_that_a_learner_would_write(exercise):
    answers = TABLES[exercise.name]
    assert answers.right
    assert len(answers.wrong) >= 4
    known = {id(mistake.answer) for mistake in exercise.mistakes}
    assert not [name_of(answer) for answer, _ in answers.wrong if id(answer) in known]
    said = {sentence for sentence in sentences_of(exercise) for _, start in answers.wrong if sentence.startswith(start)}
    assert sorted(set(sentences_of(exercise)) - said) == []


@pytest.mark.parametrize("answer", [None, 3, "patchify", torch.zeros(2)])
def test_something_that_is_no_function(exercise, answer):
    verdict = exercise(answer)
    assert not verdict.passed
    assert "itself, without brackets" in str(verdict)


# --------------------------------------------------------------------------------------------------- the untouched stub


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


@pytest.mark.parametrize("nothing", [None, ...])
def test_every_check_sees_that_nothing_was_written(exercise, nothing):
    if isinstance(exercise.solution, type):
        verdict = exercise(type("Mine", (nn.Module,), {}))
    else:
        verdict = exercise(lambda *args: nothing)
    assert not verdict.passed
    assert "not written yet" in str(verdict)


def test_a_forgotten_return_is_no_stub():
    def answer(x):
        y = 2 * x  # noqa: F841

    assert str(toy()(answer)) == ("✗ double: it returned None with a tensor of shape [2]: 0, 1. Is a `return` missing?")


def test_a_return_that_is_missing_in_one_branch():
    def answer(x):
        if x.ndim == 1:
            return 2 * x

    assert "it returned None with a tensor of shape [2, 10]" in str(toy()(answer))


# ---------------------------------------------------------------------------------------------- what is wrong, in words


def test_the_smallest_input_is_shown_with_numbers_and_the_mistake():
    assert str(toy()(lambda x: x * 3)) == (
        "✗ double: wrong on 3 of 3 inputs. The smallest:\n"
        "  input    a tensor of shape [2]: 0, 1\n"
        "  expected a tensor of shape [2]: 0, 2\n"
        "  got      a tensor of shape [2]: 0, 3\n"
        "  This looks like: you tripled."
    )


def test_one_input_is_not_counted():
    one = toy(inputs=[(torch.arange(2.0),)])
    assert str(one(doubled)) == "✓ double: right. Twice as much."
    assert str(one(lambda x: x * 3)).startswith("✗ double: wrong:\n  input    a tensor of shape [2]: 0, 1\n")


def test_a_secret_is_not_given_away():
    assert str(toy(secret=True)(lambda x: x * 3)) == (
        "✗ double: wrong on 3 of 3 inputs. The smallest:\n"
        "  input    a tensor of shape [2]: 0, 1\n"
        "  got      a tensor of shape [2]: 0, 3\n"
        "  This looks like: you tripled."
    )


def test_a_long_list_is_shown_from_where_it_differs():
    names = toy(solution=lambda x: [f"name {i}" for i in range(12)], inputs=[(torch.arange(2.0),)], mistakes=[])
    said = str(names(lambda x: [f"name {i + (i > 9)}" for i in range(12)]))
    assert "expected (…; 'name 10'; 'name 11')" in said
    assert "got      (…; 'name 11'; 'name 12')" in said
    assert "expected (…)" in str(names(lambda x: [f"name {i}" for i in range(13)]))


def test_truth_is_shown_as_true_and_false():
    positive = toy(solution=lambda x: x > 0, inputs=[(torch.arange(2.0),)], mistakes=[])
    assert "expected a tensor of shape [2]: False, True\n" in str(positive(lambda x: x >= 0))


def test_a_mistake_is_named_only_if_it_fits_on_every_input():
    verdict = toy()(lambda x: 3 * x if x.ndim == 1 else 4 * x)
    assert not verdict.passed
    assert "looks like" not in str(verdict)


def test_one_wrong_input_is_enough():
    verdict = toy()(lambda x: 2 * x if x.ndim == 1 else x)
    assert "wrong on 1 of 3 inputs" in str(verdict)
    assert "input    a tensor of shape [2, 10]" in str(verdict)


def test_nothing_is_shown_as_none():
    exercise = toy(solution=lambda x, y=None: x, inputs=[(3, None)], mistakes=[])
    assert "  input    3; None\n" in str(exercise(lambda x, y=None: x + 1))


def test_a_difference_far_behind_is_shown():
    def answer(x):
        y = 2 * x
        y[..., 9:] = 7
        return y

    assert "expected a tensor of shape [2, 10], from number 10 on: 2, 2, 2" in str(toy()(answer))
    assert "got      a tensor of shape [2, 10], from number 10 on: 7, 2, 2" in str(toy()(answer))


def test_long_inputs_stand_on_lines_of_their_own():
    exercise = toy(solution=lambda x, y, n: x, inputs=[(torch.zeros(2, 4), torch.ones(9), 3)])
    shown = str(exercise(lambda x, y, n: y))
    zeros = "a tensor of shape [2, 4]: 0, 0, 0, 0, 0, 0, 0, 0"
    assert f"  input    {zeros};\n           a tensor of shape [9]: 1, 1, 1, 1, 1, 1, 1, 1, …;\n           3\n" in shown


def raises_on_a_matrix(x):
    return 3 * x if x.ndim == 1 else x @ x


def test_an_exception_is_told_with_its_line_and_input():
    def answer(x):
        y = x + 1
        return y[100]

    verdict = toy()(answer)
    assert not verdict.passed
    assert str(verdict).startswith("✗ double: your code raised IndexError with a tensor of shape [2]: 0, 1: index 100")
    assert ": return y[100]" in str(verdict)


def test_an_exception_is_part_of_a_mistake():
    exercise = toy(
        mistakes=[Mistake(lambda x: 3 * x, "you tripled."), Mistake(raises_on_a_matrix, "x @ x needs squares.")]
    )
    verdict = exercise(lambda x: x * 3 if len(x.shape) == 1 else x.matmul(x))
    assert verdict.diagnosis == "x @ x needs squares."
    assert "wrong on 3 of 3 inputs" in str(verdict)


def test_another_exception_is_no_part_of_a_mistake():
    exercise = toy(mistakes=[Mistake(raises_on_a_matrix, "x @ x needs squares.")])
    assert not exercise(lambda x: 3 * x if x.ndim == 1 else [][0]).diagnosis


def test_an_answer_that_only_raises_fits_no_mistake():
    exercise = toy(mistakes=[Mistake(lambda x: 1 / 0, "you divided by zero.")])
    assert not exercise(lambda x: 1 // 0).diagnosis


@pytest.mark.parametrize(
    "error", [SystemExit, GeneratorExit, KeyboardInterrupt, BaseException, ValueError, MemoryError]
)
def test_whatever_is_raised_is_told(error):
    def answer(x):
        raise error("enough")

    assert f"your code raised {error.__name__} with" in str(toy()(answer))


def test_an_exception_without_readable_words():
    class Odd(Exception):
        def __str__(self):
            raise RuntimeError

    def answer(x):
        raise Odd

    assert "your code raised Odd" in str(toy()(answer))


def test_a_long_message_is_cut():
    def answer(x):
        raise ValueError("x" * 100_000)

    assert len(str(toy()(answer))) < 1000


def test_other_arguments_are_told():
    assert "raised TypeError" in str(toy()(lambda: None))


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


# --------------------------------------------------------------------------------------------------- inputs and outputs


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


def test_an_input_with_nan_is_unchanged():
    assert toy(inputs=[(torch.tensor([float("nan"), 1]),)])(doubled).passed


# -------------------------------------------------------------------------------------------------- classes, properties


class Scale(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x):
        return self.factor * x


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


class NoFactor(nn.Module):
    def __init__(self, factor):
        super().__init__()

    def forward(self, x):
        return x


class Shift(Scale):
    def forward(self, x):
        return self.factor + x


class StubWithInit(nn.Module):
    def __init__(self, factor):
        super().__init__()
        ...

    def forward(self, x): ...


class StubWithoutForward(nn.Module):
    def __init__(self, factor):
        super().__init__()


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


def test_a_class_is_adapted():
    assert scale(Scale).passed
    assert scale(ScaleByList).passed
    assert scale(Scale).message == "✓ scale: right on all 2 inputs tried. Twice as much."


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


@pytest.mark.parametrize("answer", [Scale(2.0), doubled, 3])
def test_an_object_in_place_of_the_class(answer):
    assert "pass the class itself, without brackets" in str(scale(answer))


def test_a_class_that_cannot_be_made():
    class Broken(Scale):
        def __init__(self):
            super().__init__(1.0)

    assert "your code raised TypeError with a tensor of shape [2]: 0, 1; 3" in str(scale(Broken))


def test_a_property_that_raises_is_not_met():
    exercise = toy(properties=[Property(lambda answer: answer("x", "y"), "it takes one tensor.")])
    verdict = exercise(doubled)
    assert verdict.diagnosis == "it takes one tensor."
    assert "It raised TypeError" in str(verdict)


def test_a_property_that_hangs_is_stopped():
    exercise = toy(properties=[Property(lambda answer: answer(torch.zeros(7)), "")])

    def answer(x):
        while len(x) == 7:
            pass
        return 2 * x

    assert "was stopped after 1.5 s" in str(in_time(exercise, answer))


# ----------------------------------------------------------------------------------------------------------- time limit


def loops(x):
    while True:
        pass


def sleeps(x):
    time.sleep(60)


def counts(x):
    total = 0
    for i in range(10**12):
        total += i
    return total


def catches_exceptions(x):
    while True:
        with contextlib.suppress(Exception):
            time.sleep(0.001)


def catches_everything(x):
    while True:
        try:
            sum(range(100))
        except BaseException:
            continue


def prints(x):
    while True:
        print("again")


def many_threads(x):
    inner = threading.Thread(target=sleeps, args=(x,), daemon=True)
    inner.start()
    inner.join()


@pytest.mark.parametrize("answer", [loops, sleeps, counts, catches_exceptions, catches_everything, many_threads])
def test_a_hang_is_stopped_in_a_sentence(answer):
    verdict = in_time(toy(), answer)
    assert not verdict.passed
    said, place = str(verdict).split("\n")
    given = "a tensor of shape [2]: 0, 1"
    assert said == f"✗ double: your code was stopped after 1.5 s with {given}: is there a loop that never ends?"
    assert place.startswith("  in line ")


@pytest.mark.parametrize(("caught", "wait"), [((), 0.001), (Exception, 0.001), (BaseException, None)])
def test_a_stopped_answer_does_not_go_on_whatever_it_catches(caught, wait):
    turns = [0]

    def answer(x):
        while True:
            try:
                turns[0] += 1
                if wait:
                    time.sleep(wait)
            except caught:
                continue

    toy()(answer)
    before = turns[0]
    time.sleep(0.1)
    assert turns[0] == before > 0


def test_a_hang_on_a_later_input_shows_that_input():
    def answer(x):
        while x.ndim == 2:
            pass
        return 2 * x

    assert "stopped after 1.5 s with a tensor of shape [2, 10]" in str(in_time(toy(), answer))


def test_a_hang_behind_a_wrong_output_tells_the_wrong_output_first():
    def answer(x):
        while x.ndim == 2:
            pass
        return 3 * x

    assert "expected a tensor of shape [2]: 0, 2" in str(in_time(toy(), answer))


def test_all_inputs_share_the_time():
    def answer(x):
        time.sleep(0.6)
        return 2 * x

    assert "was stopped after 1.5 s" in str(in_time(toy(), answer))


def test_a_slow_answer_in_time_passes():
    def answer(x):
        time.sleep(0.2)
        return 2 * x

    assert toy()(answer).passed


def test_a_check_works_in_another_thread():
    verdicts = []
    thread = threading.Thread(target=lambda: verdicts.extend([toy()(doubled), toy()(loops)]))
    thread.start()
    thread.join()
    assert verdicts[0].passed
    assert "was stopped" in str(verdicts[1])


def test_a_call_gives_its_value_or_what_it_raised_or_is_out_of_time():
    assert call_within(1, lambda a, b: a + b, 1, 2) == (3, None)
    value, error = call_within(1, lambda: 1 / 0)
    assert value is None
    assert isinstance(error, ZeroDivisionError)
    with pytest.raises(OutOfTime, match=r"not finished after 0\.1 s"):
        call_within(0.1, loops, 1)
    with pytest.raises(OutOfTime):
        call_within(-1, loops, 1)


SCRIPT = """
import signal, threading, time
from vit_tutorial.exercises import check, engine

def state():
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
    return handlers, signal.getitimer(signal.ITIMER_REAL)

def loops(image_size, patch_size):
    while True: pass

def sleeps(image_size, patch_size):
    time.sleep(600)

before = state()
print(check.count_tokens(loops))
assert state() == before
time.sleep(0.3)
print("threads:", threading.active_count())

press_stop = lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
threading.Timer(0.3, press_stop).start()
engine.SECONDS, limit = 60, engine.SECONDS  # the button is pressed long before, however busy the machine is
try:
    print(check.count_tokens(loops))
except KeyboardInterrupt:
    print("interrupted")
engine.SECONDS = limit
assert state() == before
time.sleep(0.3)
print("threads:", threading.active_count())

print(check.count_tokens(sleeps))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="Windows has no such signals to leave as they were")
def test_a_script_keeps_its_signal_handlers_and_its_stop_button_and_ends():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=300)
    stopped = "✗ count_tokens: your code was stopped after 1.5 s with 4; 2: is there a loop that never ends?"
    assert done.stderr == ""
    assert [re.sub(r"^  in line .*", "  in line", line) for line in done.stdout.splitlines()] == [
        stopped,
        "  in line",
        "threads: 1",
        "interrupted",
        "threads: 1",
        stopped,
        "  in line",
    ]
    assert done.returncode == 0


# --------------------------------------------------------------------------------------------------------- surroundings


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


def test_random_answers_are_tried_with_the_same_numbers():
    exercise = toy(solution=lambda x: x + torch.rand(()))
    assert exercise(lambda x: torch.rand(()) + x).passed
    first = str(toy()(torch.rand_like))
    torch.rand(1)
    assert str(toy()(torch.rand_like)) == first


def test_what_an_answer_prints_is_seen(capsys):
    def answer(x):
        print("here", x.shape)
        return 2 * x

    assert toy()(answer).passed
    assert "here torch.Size([2])" in capsys.readouterr().out


def test_printing_without_end_is_cut(capsys):
    verdict = in_time(toy(), prints)
    said = capsys.readouterr().out
    assert "was stopped" in str(verdict)
    assert said.startswith("again\nagain\n")
    assert len(said) < 5000
    assert said.endswith("… (your code prints more; the rest is left out)\n")
    print("and now this")
    assert capsys.readouterr().out == "and now this\n"


def test_the_output_goes_where_it_went(monkeypatch):
    before = io.StringIO()
    monkeypatch.setattr(sys, "stdout", before)
    toy()(prints)
    assert sys.stdout is before


# ------------------------------------------------------------------------------------------------------------- verdicts


def test_a_verdict_prints_itself_in_words():
    assert repr(toy()(doubled)) == "✓ double: right on all 3 inputs tried. Twice as much."


def test_a_verdict_in_html_says_the_same_words():
    verdict = toy()(lambda x: x * 3)
    shown = verdict._repr_html_()
    assert "✗ double: wrong on 3 of 3 inputs. The smallest:" in shown
    assert "<pre" in shown
    assert "  expected a tensor of shape [2]: 0, 2\n  got      a tensor of shape [2]: 0, 3" in shown
    assert "This looks like: you tripled." in shown.partition("</pre>")[2]


def test_html_takes_the_colours_of_the_theme():
    for verdict in (toy()(doubled), toy()(loops), toy()(three_dots)):
        shown = verdict._repr_html_()
        assert "background: #" not in shown
        assert " color: #" not in shown
        assert shown.count('"') % 2 == 0


def test_html_shows_signs_of_code_as_they_are():
    shown = Verdict(False, "✗ a: x < 1 & y\n  input    <b>bold</b>")._repr_html_()
    assert "x &lt; 1 &amp; y" in shown
    assert "&lt;b&gt;bold&lt;/b&gt;" in shown


def test_an_exercise_says_how_long_it_takes():
    assert repr(toy()) == "double: difficulty 1 of 5, about 1 minute. Call it with your answer."


@pytest.mark.parametrize(("tags", "kept"), [(["solution"], []), (["exercise"], ["double"]), (None, ["double"])])
def test_a_solutions_own_cell_is_no_progress(monkeypatch, tags, kept):
    class Shell:
        def get_parent(self):
            return {"metadata": {} if tags is None else {"tags": tags}}

    seen = []
    monkeypatch.setattr("IPython.get_ipython", Shell)
    monkeypatch.setattr(engine.progress, "keep", lambda name: seen.append(name) or "")
    assert toy()(doubled).passed
    assert not toy()(three_dots).passed
    assert seen == kept
