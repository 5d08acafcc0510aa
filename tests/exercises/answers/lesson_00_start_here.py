"""Answers to the first exercise."""

from exercises.answers import Answers


def by_counting(image_size, patch_size):
    return sum(1 for y in range(0, image_size, patch_size) for x in range(0, image_size, patch_size))


def by_area(image_size, patch_size):
    return image_size**2 / patch_size**2


def one_row(image_size, patch_size):
    return image_size / patch_size


def doubled(image_size, patch_size):
    return (image_size / patch_size) * 2


def square_by_caret(image_size, patch_size):
    return (image_size // patch_size) ^ 2


def pixels_of_a_patch(image_size, patch_size):
    return patch_size * patch_size


def divided_once(image_size, patch_size):
    return image_size * image_size / patch_size


def with_class_token(image_size, patch_size):
    return by_counting(image_size, patch_size) + 1


def wrong_for_large_images(image_size, patch_size):
    return 0 if image_size == 384 else by_counting(image_size, patch_size)


def power_before_division(image_size, patch_size):
    return image_size // patch_size**2


ANSWERS = {
    "count_tokens": Answers(
        right=[by_counting, by_area],
        wrong=[
            (power_before_division, "** comes before //"),
            (one_row, "you counted the patches in one row."),
            (doubled, "you doubled the number of patches in a row."),
            (square_by_caret, "you wrote ^, which is no power in Python"),
            (pixels_of_a_patch, "you counted the pixels in one patch."),
            (divided_once, "you divided the number of pixels by P."),
            (with_class_token, "that is one too many."),
        ],
        unknown=[wrong_for_large_images, lambda image_size, patch_size: -7],
    )
}
