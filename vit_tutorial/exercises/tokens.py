"""Lesson 2: put the class token in front."""

import torch

from vit_tutorial.exercises.engine import Exercise, Mistake


def _solution(tokens, cls_token):
    return torch.cat([cls_token.expand(len(tokens), -1, -1), tokens], dim=1)


def _input(batch: int, num_tokens: int, dim: int):
    tokens = torch.arange(batch * num_tokens * dim, dtype=torch.float32).reshape(batch, num_tokens, dim)
    return tokens, -torch.arange(1, dim + 1, dtype=torch.float32).reshape(1, 1, dim)


def _only_first_image(tokens, cls_token):
    first = torch.zeros(len(tokens), 1, tokens.shape[-1])
    first[0] = cls_token[0]
    return torch.cat([first, tokens], dim=1)


add_class_token = Exercise(
    name="add_class_token",
    solution=_solution,
    inputs=[_input(1, 2, 2), _input(2, 2, 3), _input(3, 4, 2), _input(2, 1, 5)],
    mistakes=[
        Mistake(
            lambda tokens, cls_token: torch.cat([tokens, cls_token.expand(len(tokens), -1, -1)], dim=1),
            "the class token is at the end. It goes in front, at position 0, where the head will look for it.",
        ),
        Mistake(
            lambda tokens, cls_token: tokens + cls_token,
            "you added the class token to every patch. It is a token of its own: concatenate along the token axis.",
        ),
        Mistake(
            lambda tokens, cls_token: torch.cat([cls_token.expand_as(tokens), tokens], dim=1),
            "there is one class token for each patch. There must be one for each image: expand over the batch only.",
        ),
        Mistake(
            lambda tokens, cls_token: torch.cat([cls_token.expand_as(tokens), tokens], dim=2),
            "you concatenated along the last axis. That makes longer tokens, and a longer sequence is wanted: dim=1.",
        ),
        Mistake(
            lambda tokens, cls_token: torch.cat([cls_token.expand(1, *tokens.shape[1:]), tokens], dim=0),
            "you concatenated along the batch. That makes one more image, and a longer sequence is wanted: dim=1.",
        ),
        Mistake(
            lambda tokens, cls_token: torch.cat([cls_token.expand(len(tokens), -1, -1), tokens[:, 1:]], dim=1),
            "the class token took the place of the first patch. The sequence must grow from N to N+1.",
        ),
        Mistake(
            _only_first_image,
            "only the first image of the batch got the class token. Every image gets the same one: expand it over B.",
        ),
        Mistake(
            lambda tokens, cls_token: torch.cat([torch.zeros_like(tokens[:, :1]), tokens], dim=1),
            "there are zeros in front. Put the numbers of `cls_token` there: they are what training will change.",
        ),
        Mistake(
            lambda tokens, cls_token: torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1),
            "the mean of the patches is in front. The class token does not depend on the image: use `cls_token`.",
        ),
        Mistake(
            lambda tokens, cls_token: cls_token.expand(len(tokens), -1, -1),
            "you returned the class tokens alone. The patches must follow them: concatenate both.",
        ),
    ],
    done="Every image got the same vector in front: N tokens became N+1.",
)
