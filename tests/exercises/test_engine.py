"""Every check: fails on the stub, names its mistakes, passes right answers, survives whatever it is given."""

import math

import pytest
import torch
from torch.nn import functional as F

from vit_tutorial.exercises import check

EXERCISES = [getattr(check, name) for name in check.__all__]
MISTAKES = [pytest.param(e, m, id=f"{e.name}-{i}") for e in EXERCISES for i, m in enumerate(e.mistakes)]


@pytest.fixture(params=EXERCISES, ids=lambda exercise: exercise.name)
def exercise(request):
    return request.param


def test_each_exercise_is_reached_by_its_name():
    assert [e.name for e in EXERCISES] == check.__all__


def test_the_solution_passes(exercise):
    verdict = exercise(exercise.solution)
    assert verdict.passed
    assert str(verdict) == f"✓ {exercise.name}: right on all {len(exercise.inputs)} inputs tried. {exercise.done}"


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES)
def test_a_known_mistake_is_named(exercise, mistake):
    verdict = exercise(mistake.answer)
    assert not verdict.passed
    assert f"This looks like: {mistake.sentence}" in verdict.message
    assert "expected" in verdict.message
    assert "got" in verdict.message


def test_there_are_at_least_four_mistakes_with_different_sentences(exercise):
    sentences = {mistake.sentence for mistake in exercise.mistakes}
    assert len(sentences) == len(exercise.mistakes) >= 4


@pytest.mark.parametrize("nothing", [None, ...])
def test_the_stub_is_not_written_yet(exercise, nothing):
    verdict = exercise(lambda *args: nothing)
    assert not verdict.passed
    assert "not written yet" in verdict.message


@pytest.mark.parametrize("answer", [None, 3, "patchify", torch.zeros(2)])
def test_something_that_is_no_function(exercise, answer):
    assert not exercise(answer).passed
    assert "pass the function itself" in exercise(answer).message


def test_an_answer_that_raises_is_told_so(exercise):
    def answer(*args):
        raise IndexError("list index out of range")

    verdict = exercise(answer)
    assert not verdict.passed
    assert "raised IndexError" in verdict.message
    assert "list index out of range" in verdict.message


def test_an_answer_that_takes_other_arguments_is_told_so(exercise):
    assert "raised TypeError" in exercise(lambda: None).message


@pytest.mark.parametrize("output", ["a word", object(), [1, 2, "x"], {"a": 1}, torch.zeros(0), float("nan"), (), []])
def test_an_output_of_another_kind_is_wrong(exercise, output):
    verdict = exercise(lambda *args: output)
    assert not verdict.passed
    assert "wrong on" in verdict.message


def test_an_unknown_mistake_has_numbers_and_no_diagnosis():
    verdict = check.count_tokens(lambda image_size, patch_size: -7)
    assert not verdict.passed
    assert "input    4; 2" in verdict.message
    assert "expected 4" in verdict.message
    assert "got      -7" in verdict.message
    assert "looks like" not in verdict.message


def test_changing_the_input_in_place_is_told():
    def answer(tokens, cls_token):
        out = check.add_class_token.solution(tokens, cls_token)
        tokens.zero_()
        return out

    verdict = check.add_class_token(answer)
    assert not verdict.passed
    assert "changed its input" in verdict.message


def test_an_answer_right_on_all_but_one_input_fails():
    def answer(image_size, patch_size):
        return 0 if image_size == 384 else (image_size // patch_size) ** 2

    verdict = check.count_tokens(answer)
    assert not verdict.passed
    assert "wrong on 1 of 5 inputs" in verdict.message


def unfold_patchify(images, p):
    columns = F.unfold(images, kernel_size=p, stride=p)  # [B, C*P*P, N]
    return columns.unflatten(1, (images.shape[1], p * p)).permute(0, 3, 2, 1).flatten(2)


def loop_patchify(images, p):
    _, _, height, width = images.shape
    rows = [
        images[:, :, y : y + p, x : x + p].permute(0, 2, 3, 1).flatten(1)
        for y in range(0, height, p)
        for x in range(0, width, p)
    ]
    return torch.stack(rows, dim=1)


def einsum_attention(q, k, v):
    scores = torch.einsum("...nd,...md->...nm", q, k) * q.shape[-1] ** -0.5
    exponentials = scores.exp()
    return torch.einsum("...nm,...mv->...nv", exponentials / exponentials.sum(-1, keepdim=True), v)


def cosine_of_torch(step, steps, warmup, peak):
    if step < warmup:
        return torch.linspace(0, peak, warmup + 1, dtype=torch.float64)[step + 1].item()
    return peak * math.cos(math.pi / 2 * (step - warmup) / (steps - warmup)) ** 2


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        (check.patchify, unfold_patchify),
        (check.patchify, loop_patchify),
        (check.attention, F.scaled_dot_product_attention),
        (check.attention, einsum_attention),
        (check.learning_rate, cosine_of_torch),
        (check.count_tokens, lambda image_size, patch_size: len(range(0, image_size, patch_size)) ** 2),
    ],
)
def test_a_right_answer_written_another_way_passes(exercise, answer):
    verdict = exercise(answer)
    assert verdict.passed, verdict
