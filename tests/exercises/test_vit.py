"""The check of lesson 7 passes right answers, however they are written, and says of a wrong one what is wrong."""

import pytest
import torch

from vit_tutorial.exercises import check
from vit_tutorial.exercises.vit import vit_forward


def embed(model, images):
    return model.position(model.class_token(model.patch_embed(images)))


def line_by_line(model, images):
    x = model.patch_embed(images)
    x = model.class_token(x)
    x = model.position(x)
    for block in model.blocks:
        x = block(x)
    return model.head(model.norm(x)[:, 0])


def class_token_before_norm(model, images):
    x = model.blocks(embed(model, images))
    return model.head(model.norm(x[:, 0]))


def from_parameters_and_single_images(model, images):
    logits = []
    for image in images:
        patches = model.patch_embed.proj(image[None]).flatten(2).transpose(1, 2)
        x = torch.cat([model.class_token.cls_token, patches], dim=1) + model.position.pos_embed
        for block in model.blocks:
            x = x + block.attn(block.norm1(x))
            x = x + block.mlp(block.norm2(x))
        logits.append(model.norm(x)[0, 0] @ model.head.weight.T + model.head.bias)
    return torch.stack(logits)


def by_classify(model, images):
    return model.classify(model.norm(model.blocks(embed(model, images))))


def no_last_norm(model, images):
    return model.head(model.blocks(embed(model, images))[:, 0])


def norm_before_blocks(model, images):
    return model.head(model.blocks(model.norm(embed(model, images)))[:, 0])


def no_positions(model, images):
    x = model.class_token(model.patch_embed(images))
    for block in model.blocks:
        x = block(x)
    return model.head(model.norm(x)[:, 0])


def mean_of_all(model, images):
    x = model.norm(model.blocks(embed(model, images)))
    return model.head(x.sum(dim=1) / x.shape[1])


def mean_of_patches(model, images):
    return model.head(model.norm(model.blocks(embed(model, images)))[:, 1:].mean(dim=1))


def last_token(model, images):
    return model.head(model.norm(model.blocks(embed(model, images)))[:, -1])


def first_image(model, images):
    return model.head(model.norm(model.blocks(embed(model, images)))[0])


def token_axis_kept(model, images):
    return model.head(model.norm(model.blocks(embed(model, images)))[:, :1])


def every_token(model, images):
    return model.head(model.norm(model.blocks(embed(model, images))))


def result_of_blocks_not_kept(model, images):
    x = embed(model, images)
    for block in model.blocks:
        block(x)
    return model.head(model.norm(x)[:, 0])


def first_block_alone(model, images):
    x = embed(model, images)
    for block in model.blocks:
        x = block(x)
        return model.head(model.norm(x)[:, 0])


def blocks_side_by_side(model, images):
    x = embed(model, images)
    for block in model.blocks:
        y = block(x)
    return model.head(model.norm(y)[:, 0])


def no_head(model, images):
    return model.norm(model.blocks(embed(model, images)))[:, 0]


def softmax(model, images):
    return torch.softmax(line_by_line(model, images), dim=1)


def best_class(model, images):
    return line_by_line(model, images).argmax(dim=1)


WRONG = [
    (no_last_norm, "the last norm is missing."),
    (norm_before_blocks, "the last norm comes before the blocks."),
    (no_positions, "the positions were never added."),
    (mean_of_all, "you averaged all tokens."),
    (mean_of_patches, "you averaged the patches."),
    (last_token, "you read the last token."),
    (first_image, "you took the first image of the batch."),
    (token_axis_kept, "the token axis is still there"),
    (every_token, "you classified every token."),
    (result_of_blocks_not_kept, "the blocks were left out, or their result was not kept"),
    (first_block_alone, "only the first block was used."),
    (blocks_side_by_side, "only the last block counted."),
    (no_head, "the head is missing"),
    (softmax, "you applied softmax."),
    (best_class, "you returned the number of the best class."),
]


@pytest.mark.parametrize(
    "answer",
    [line_by_line, class_token_before_norm, from_parameters_and_single_images, by_classify, vit_forward.solution],
)
def test_right_answers_pass(answer):
    verdict = check.vit_forward(answer)
    assert verdict.passed
    assert repr(verdict) == "✓ vit_forward: right on all 4 inputs tried. That is the whole Vision Transformer."


@pytest.mark.parametrize(("answer", "sentence"), WRONG)
def test_mistake_is_named(answer, sentence):
    verdict = check.vit_forward(answer)
    assert not verdict.passed
    assert f"This looks like: {sentence}" in repr(verdict)


def test_every_listed_mistake_is_tried():
    said = [repr(check.vit_forward(answer)).split("This looks like: ")[1] for answer, _ in WRONG]
    assert sorted(said) == sorted(mistake.sentence for mistake in vit_forward.mistakes)


def test_forgotten_class_token_is_told_by_the_positions():
    verdict = check.vit_forward(lambda model, images: model.head(model.position(model.patch_embed(images)).mean(1)))
    assert not verdict.passed
    assert "your code raised ValueError" in repr(verdict)
    assert "there are positions for tokens [B, 5, 8], but the tokens are [2, 4, 8]" in repr(verdict)


def test_unknown_mistake_shows_the_numbers():
    verdict = check.vit_forward(lambda model, images: model(images) + 1)
    assert not verdict.passed
    assert "wrong on 4 of 4 inputs" in repr(verdict)
    assert "expected a tensor of shape [2, 3]" in repr(verdict)
    assert "This looks like" not in repr(verdict)


def test_answer_that_spoils_its_model_harms_nobody_else():
    def answer(model, images):
        logits = model(images)
        for parameter in model.parameters():
            parameter.data.zero_()
        return logits

    check.vit_forward(answer)
    assert check.vit_forward(line_by_line).passed
    assert not check.vit_forward(no_positions).passed
