"""Augmentation against the plainest reference: one image at a time, padded by reflection, cropped and mirrored."""

import pytest
import torch
from torch.nn import functional as F

from vit_tutorial.augmentation import augment, flip, shift

IMAGES = torch.randint(0, 256, (7, 3, 6, 9), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def crop_of_padded(image, down, right, border=5):
    """Pad one image by reflection, then cut the window that is moved by (down, right)."""
    height, width = image.shape[-2:]
    padded = F.pad(image[None].float(), (border,) * 4, mode="reflect")[0].to(image.dtype)
    return padded[:, border + down : border + down + height, border + right : border + right + width]


def test_shift_equals_padding_and_cropping_each_image():
    offsets = torch.tensor([[0, 0], [1, 0], [0, -1], [5, 5], [-5, 3], [2, -4], [-1, -1]])
    shifted = shift(IMAGES, offsets)
    for image, (down, right), got in zip(IMAGES, offsets.tolist(), shifted, strict=True):
        assert torch.equal(got, crop_of_padded(image, down, right))
    assert shifted.dtype == torch.uint8


def test_flip_mirrors_the_chosen_images_only():
    chosen = torch.tensor([True, False, True, False, False, True, False])
    for image, mirrored, got in zip(IMAGES, chosen.tolist(), flip(IMAGES, chosen), strict=True):
        assert torch.equal(got, torch.stack([row.flip(-1) for row in image]) if mirrored else image)


def test_every_image_gets_its_own_numbers_within_bounds():
    """A picture whose pixels tell their own place says afterwards from where it was taken."""
    place = torch.arange(20 * 20).view(1, 1, 20, 20).expand(400, -1, -1, -1)
    out = augment(place, mirror=True, max_shift=2, generator=torch.Generator().manual_seed(0))
    left, right = out[:, 0, 10, 9], out[:, 0, 10, 10]  # two neighbours, so that the direction shows too
    draws = list(zip((left // 20 - 10).tolist(), (left % 20).tolist(), (left > right).tolist(), strict=True))
    mirrored = [draw for draw in draws if draw[2]]
    assert set(draws) == {
        (down, column, mirror)
        for down in range(-2, 3)
        for mirror, columns in ((False, range(7, 12)), (True, range(8, 13)))
        for column in columns
    }
    assert 160 < len(mirrored) < 240


def test_same_seed_same_pictures_and_another_seed_others():
    first, again, other = (
        augment(IMAGES, mirror=True, max_shift=2, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_nothing_asked_for_changes_nothing():
    assert torch.equal(augment(IMAGES, mirror=False, max_shift=0), IMAGES)


def test_the_input_is_left_as_it_was():
    before = IMAGES.clone()
    augment(IMAGES, mirror=True, max_shift=3)
    assert torch.equal(IMAGES, before)


@pytest.mark.parametrize("max_shift", [-1, 6])
def test_a_shift_that_does_not_fit_gets_a_sentence(max_shift):
    with pytest.raises(ValueError, match=rf"max_shift is {max_shift} pixels, but the images are 6x9; .* from 0 to 5"):
        augment(IMAGES, mirror=False, max_shift=max_shift)
