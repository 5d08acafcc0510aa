"""Answers to the exercise of lesson 7."""

import torch

from exercises.answers import Answers


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


def one_too_much(model, images):
    return model(images) + 1


def forgets_the_class_token(model, images):
    return model.head(model.position(model.patch_embed(images)).mean(1))


ANSWERS = {
    "vit_forward": Answers(
        right=[line_by_line, class_token_before_norm, from_parameters_and_single_images, by_classify],
        wrong=[
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
        ],
        unknown=[one_too_much, forgets_the_class_token],
    )
}
