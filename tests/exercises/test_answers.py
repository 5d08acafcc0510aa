"""Every check passes its solution and right answers written in other ways, and names each of its mistakes."""

import functools
import importlib
import pkgutil

import pytest
import torch
from torch import nn

from exercises.answers import gather
from exercises.toys import in_time
from vit_tutorial import exercises
from vit_tutorial.exercises import check, engine
from vit_tutorial.exercises.engine import Exercise

EXERCISES = {name: getattr(check, name) for name in check.__all__}
TABLES = {name: answers for _, table in gather() for name, answers in table.items()}


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
    monkeypatch.setattr(engine, "SEARCH_SECONDS", 5)


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


def test_every_lesson_file_is_named_after_the_notebook_of_its_exercises():
    for module in lesson_modules():
        name = module.__name__.rpartition(".")[2]
        assert {f"lesson_{getattr(module, exercise).lesson}" for exercise in module.__all__} == {name}


def test_every_exercise_has_a_table_of_answers_in_the_file_of_its_lesson():
    found = {(module, name) for module, table in gather() for name in table}
    wanted = {(m.__name__.rpartition(".")[2], name) for m in lesson_modules() for name in m.__all__}
    missing, foreign = sorted(wanted - found), sorted(found - wanted)
    assert not missing, f'add "{missing[0][1]}": Answers(…) to ANSWERS in tests/exercises/answers/{missing[0][0]}.py'
    assert not foreign, (
        f"tests/exercises/answers/{foreign[0][0]}.py answers {foreign[0][1]}, no exercise of that lesson"
    )


def test_the_fields_make_sense(exercise):
    assert 1 <= exercise.difficulty <= 5
    assert 1 <= exercise.minutes <= 60
    assert exercise.inputs
    assert all(isinstance(args, tuple) for args in exercise.inputs)
    assert len(set(sentences_of(exercise))) >= 4, f"{exercise.name} knows too few mistakes; give four sentences or more"


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


@functools.cache  # two tests ask
def verdict_on(name, answer):
    return in_time(EXERCISES[name], answer)


@pytest.mark.parametrize(("exercise", "answer"), cases("unknown"))
def test_a_wrong_answer_that_no_listed_sentence_fits_is_shown_and_has_words_of_its_own_or_none(exercise, answer):
    verdict = verdict_on(exercise.name, answer)
    assert not verdict.passed
    assert "looks like" not in str(verdict)
    assert not [sentence for sentence in sentences_of(exercise) if sentence == verdict.diagnosis]
    assert ("In words: " in str(verdict)) == bool(verdict.diagnosis)
    assert "got      " in str(verdict) or "your code raised" in str(verdict)


def test_nearly_all_of_these_have_words():
    said = [verdict_on(name, answer).diagnosis for name, answers in TABLES.items() for answer in answers.unknown]
    assert len([words for words in said if words]) > 0.9 * len(said)


def test_each_sentence_comes_of_an_answer_that_a_learner_would_write(exercise):
    assert exercise.name in TABLES, f"{exercise.name} has no answers in tests/exercises/answers/"
    answers = TABLES[exercise.name]
    assert answers.right, f"{exercise.name} has no right answer that is written in another way than its solution"
    assert len(answers.wrong) >= 4, f"{exercise.name} has {len(answers.wrong)} wrong answers; give four or more"
    known = {id(answer) for mistake in exercise.mistakes for answer in mistake.answers}
    assert not [name_of(answer) for answer, _ in answers.wrong if id(answer) in known]
    said = {sentence for sentence in sentences_of(exercise) for _, start in answers.wrong if sentence.startswith(start)}
    unsaid = sorted(set(sentences_of(exercise)) - said)
    assert unsaid == [], f"no wrong answer to {exercise.name} has these sentences; write one for each"


@pytest.mark.parametrize("answer", [None, 3, "patchify", torch.zeros(2)])
def test_something_that_is_no_function(exercise, answer):
    verdict = exercise(answer)
    assert not verdict.passed
    assert "itself, without brackets" in str(verdict)


@pytest.mark.parametrize("nothing", [None, ...])
def test_every_check_sees_that_nothing_was_written(exercise, nothing):
    if isinstance(exercise.solution, type):
        verdict = exercise(type("Mine", (nn.Module,), {}))
    else:
        verdict = exercise(lambda *args: nothing)
    assert not verdict.passed
    assert "not written yet" in str(verdict)
