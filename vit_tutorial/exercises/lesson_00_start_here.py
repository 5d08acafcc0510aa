"""The first exercise: count the tokens of an image."""

from vit_tutorial.exercises.builders import number_of_patches
from vit_tutorial.exercises.engine import Exercise, Mistake

LESSON = "00_start_here"
__all__ = ["count_tokens"]

count_tokens = Exercise(
    name="count_tokens",
    lesson=LESSON,
    difficulty=1,
    minutes=3,
    solution=number_of_patches,
    inputs=[(4, 2), (28, 4), (28, 7), (224, 16), (384, 16)],
    mistakes=[
        Mistake(
            lambda image_size, patch_size: image_size // patch_size,
            "you counted the patches in one row. There are as many rows as there are patches in a row.",
        ),
        Mistake(
            lambda image_size, patch_size: 2 * (image_size // patch_size),
            "you doubled the number of patches in a row. There are as many rows as patches in a row: multiply the two.",
        ),
        Mistake(
            lambda image_size, patch_size: image_size // patch_size**2,
            "** comes before //, so you divided by the square of P. Put the number of patches in a row in brackets.",
        ),
        Mistake(
            lambda image_size, patch_size: (image_size // patch_size) ^ 2,
            "you wrote ^, which is no power in Python: it compares bits. The square is ** 2.",
        ),
        Mistake(
            lambda image_size, patch_size: patch_size**2,
            "you counted the pixels in one patch. Count the patches in the image.",
        ),
        Mistake(
            lambda image_size, patch_size: image_size**2 // patch_size,
            "you divided the number of pixels by P. A patch has P times P pixels.",
        ),
        Mistake(
            lambda image_size, patch_size: number_of_patches(image_size, patch_size) + 1,
            "that is one too many. The class token of lesson 2 is not a patch.",
        ),
    ],
    done="You know how checks work now: they wait in every lesson.",
)
