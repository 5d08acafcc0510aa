"""Lesson 7: put the parts of a ViT together."""

import torch

from vit_tutorial.exercises.engine import Exercise, Mistake
from vit_tutorial.vit import ViT, ViTConfig

__all__ = ["vit_forward"]


def _input(seed: int, **options):
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        shape = {"image_size": 8, "patch_size": 4, "num_classes": 3, "dim": 8, "depth": 2, "num_heads": 2}
        model = ViT(ViTConfig(**(shape | options))).double().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.3)  # so that no part does nothing
        images = torch.rand(2, model.config.in_channels, *[model.config.image_size] * 2, dtype=torch.float64)
    return model, images


def _embed(model, images):
    return model.position(model.class_token(model.patch_embed(images)))


def _encode(model, images):
    return model.norm(model.blocks(_embed(model, images)))


def _no_position(model, images):
    return model.head(model.norm(model.blocks(model.class_token(model.patch_embed(images))))[:, 0])


vit_forward = Exercise(
    name="vit_forward",
    lesson="07_vision_transformer",
    difficulty=3,
    minutes=10,
    solution=lambda model, images: model(images),
    inputs=[_input(0, depth=1), _input(1), _input(2, in_channels=1, image_size=12), _input(3, depth=3, num_heads=4)],
    mistakes=[
        Mistake(
            lambda model, images: model.head(model.blocks(_embed(model, images))[:, 0]),
            "the last norm is missing. In a pre-norm model it comes after all blocks, before the head (equation 4).",
        ),
        Mistake(
            lambda model, images: model.head(model.blocks(model.norm(_embed(model, images)))[:, 0]),
            "the last norm comes before the blocks. It goes after all of them, before the head (equation 4).",
        ),
        Mistake(_no_position, "the positions were never added. They go in after the class token."),
        Mistake(
            lambda model, images: model.head(_encode(model, images).mean(1)),
            "you averaged all tokens. This model's head reads the class token alone: [:, 0].",
        ),
        Mistake(
            lambda model, images: model.head(_encode(model, images)[:, 1:].mean(1)),
            "you averaged the patches. This model's head reads the class token alone: [:, 0].",
        ),
        Mistake(
            lambda model, images: model.head(_encode(model, images)[:, -1]),
            "you read the last token. The class token is the first: [:, 0].",
        ),
        Mistake(
            lambda model, images: model.head(_encode(model, images)[0]),
            "you took the first image of the batch. The class token is the first along axis 1: [:, 0].",
        ),
        Mistake(
            lambda model, images: model.head(_encode(model, images)[:, :1]),
            "the token axis is still there, with length 1. Take the class token with [:, 0] and not with [:, :1].",
        ),
        Mistake(
            lambda model, images: model.head(_encode(model, images)),
            "you classified every token. Pick the class token first, then apply the head: [B, N+1, D] -> [B, D].",
        ),
        Mistake(
            lambda model, images: model.head(model.norm(_embed(model, images))[:, 0]),
            "the blocks were left out, or their result was not kept (x = block(x)), so no token ever saw another.",
        ),
        Mistake(
            lambda model, images: model.head(model.norm(model.blocks[0](_embed(model, images)))[:, 0]),
            "only the first block was used. There are len(model.blocks) of them, one after the other.",
        ),
        Mistake(
            lambda model, images: model.head(model.norm(model.blocks[-1](_embed(model, images)))[:, 0]),
            "only the last block counted. Each block takes what the block before it gave: x = block(x).",
        ),
        Mistake(
            lambda model, images: _encode(model, images)[:, 0],
            "the head is missing: you returned the class token. The head turns its D numbers into one per class.",
        ),
        Mistake(
            lambda model, images: model(images).softmax(-1),
            "you applied softmax. The model returns logits; cross-entropy takes those, and does its own softmax.",
        ),
        Mistake(
            lambda model, images: model(images).argmax(-1),
            "you returned the number of the best class. The model returns logits, one number for every class.",
        ),
    ],
    done="That is the whole Vision Transformer.",
)
