"""The check of lesson 2 passes right answers, however they are written, and says of a wrong one what is wrong."""

import pytest
import torch
from einops import pack, repeat

from vit_tutorial import ClassToken
from vit_tutorial.exercises import check
from vit_tutorial.exercises.tokens import add_class_token


def by_repeat(tokens, cls_token):
    return torch.hstack([cls_token.repeat(tokens.shape[0], 1, 1), tokens])


def by_einops(tokens, cls_token):
    return pack([repeat(cls_token, "1 1 d -> b 1 d", b=len(tokens)), tokens], "b * d")[0]


def by_loop(tokens, cls_token):
    return torch.stack([torch.vstack([cls_token[0], image]) for image in tokens])


def by_filling(tokens, cls_token):
    batch, num_tokens, dim = tokens.shape
    sequence = tokens.new_zeros(batch, num_tokens + 1, dim)
    sequence[:, 0] = cls_token
    sequence[:, 1:] = tokens
    return sequence


def by_the_module(tokens, cls_token):
    module = ClassToken(tokens.shape[-1])
    module.cls_token.data.copy_(cls_token)
    return module(tokens)  # a result with a gradient


def at_the_end(tokens, cls_token):
    return torch.hstack([tokens, cls_token.repeat(len(tokens), 1, 1)])


def added(tokens, cls_token):
    return tokens + cls_token.repeat(len(tokens), tokens.shape[1], 1)


def one_per_patch(tokens, cls_token):
    return torch.hstack([cls_token.repeat(*tokens.shape[:2], 1), tokens])


def along_the_last_axis(tokens, cls_token):
    return torch.cat([cls_token.repeat(*tokens.shape[:2], 1), tokens], dim=-1)


def along_the_batch(tokens, cls_token):
    return torch.vstack([cls_token.repeat(1, tokens.shape[1], 1), tokens])


def instead_of_the_first_patch(tokens, cls_token):
    sequence = tokens.clone()
    sequence[:, 0] = cls_token
    return sequence


def first_image_only(tokens, cls_token):
    sequence = by_filling(tokens, cls_token)
    sequence[1:, 0] = 0
    return sequence


def zeros_in_front(tokens, cls_token):
    return torch.nn.functional.pad(tokens, (0, 0, 1, 0))


def mean_in_front(tokens, cls_token):
    return torch.hstack([tokens.sum(1, keepdim=True) / tokens.shape[1], tokens])


def class_tokens_alone(tokens, cls_token):
    return cls_token.repeat(len(tokens), 1, 1)


WRONG = [
    (at_the_end, "the class token is at the end."),
    (added, "you added the class token to every patch."),
    (one_per_patch, "there is one class token for each patch."),
    (along_the_last_axis, "you concatenated along the last axis."),
    (along_the_batch, "you concatenated along the batch."),
    (instead_of_the_first_patch, "the class token took the place of the first patch."),
    (first_image_only, "only the first image of the batch got the class token."),
    (zeros_in_front, "there are zeros in front."),
    (mean_in_front, "the mean of the patches is in front."),
    (class_tokens_alone, "you returned the class tokens alone."),
]


@pytest.mark.parametrize("answer", [by_repeat, by_einops, by_loop, by_filling, by_the_module, add_class_token.solution])
def test_right_answers_pass(answer):
    verdict = check.add_class_token(answer)
    assert verdict.passed
    assert repr(verdict) == (
        "✓ add_class_token: right on all 4 inputs tried. Every image got the same vector in front: N tokens became N+1."
    )


@pytest.mark.parametrize(("answer", "sentence"), WRONG)
def test_mistake_is_named(answer, sentence):
    verdict = check.add_class_token(answer)
    assert not verdict.passed
    assert f"This looks like: {sentence}" in repr(verdict)


def test_every_listed_mistake_is_tried():
    said = [repr(check.add_class_token(answer)).split("This looks like: ")[1] for answer, _ in WRONG]
    assert sorted(said) == sorted(mistake.sentence for mistake in add_class_token.mistakes)


def test_wrong_answer_that_is_no_known_mistake():
    verdict = check.add_class_token(lambda tokens, cls_token: by_repeat(tokens, -cls_token))
    assert not verdict.passed
    assert "wrong on 4 of 4 inputs" in repr(verdict)
    assert "expected a tensor of shape [1, 3, 2]: -1, -2, 0, 1, 2, 3" in repr(verdict)
    assert "This looks like" not in repr(verdict)


def test_one_class_token_for_a_whole_batch_raises():
    """The first input has one image, where this still works; the second tells the learner what does not fit."""
    verdict = check.add_class_token(lambda tokens, cls_token: torch.cat([cls_token, tokens], dim=1))
    assert not verdict.passed
    assert "your code raised RuntimeError with a tensor of shape [2, 2, 3]" in repr(verdict)
