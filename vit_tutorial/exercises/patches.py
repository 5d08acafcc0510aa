"""Lesson 1: cut an image into patches."""

import torch
from einops import rearrange

from vit_tutorial import patches
from vit_tutorial.exercises.engine import Exercise, Mistake


def _numbered(*shape: int) -> torch.Tensor:
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float32).reshape(shape)


def _as(pattern: str):
    return lambda images, p: rearrange(images, pattern, p1=p, p2=p)


patchify = Exercise(
    name="patchify",
    solution=patches.patchify,
    inputs=[
        (_numbered(1, 1, 4, 4), 2),
        (_numbered(1, 3, 4, 4), 2),
        (_numbered(2, 3, 4, 6), 2),
        (_numbered(2, 1, 6, 3), 3),
        (_numbered(1, 3, 4, 4), 1),
        (_numbered(3, 2, 8, 12), 4),
    ],
    mistakes=[
        Mistake(
            _as("b c (h p1) (w p2) -> b (w h) (p1 p2 c)"),
            "the patches come column by column. Reading order is row by row: your h and w are swapped in the grid.",
        ),
        Mistake(
            _as("b c (h p1) (w p2) -> b (h w) (c p1 p2)"),
            "you flattened channels before pixels. Within a patch the order is (row, column, channel).",
        ),
        Mistake(
            _as("b c (h p1) (w p2) -> b (h w) (p2 p1 c)"),
            "each patch is turned on its side: inside the patch, rows come before columns.",
        ),
        Mistake(
            lambda images, p: images.reshape(len(images), -1, p * p * images.shape[1]),
            "you reshaped without moving anything. A patch's pixels do not lie side by side in memory: "
            "split H and W first, then permute, then reshape.",
        ),
        Mistake(
            _as("b c (p1 h) (p2 w) -> b (h w) (p1 p2 c)"),
            "each patch holds pixels from all over the image. Split H into (h, P): the grid index h comes first.",
        ),
    ],
    done="Your patches are in reading order, with channels last inside each patch.",
)
