"""Pixels as a model takes them: each channel by its own mean and std, and nothing that would be spoilt."""

import re

import numpy as np
import pytest
import torch

from vit_tutorial.support.normalizing import normalize

MEAN, STD = (0.5, 0.4), (0.2, 0.25)


@pytest.mark.parametrize("shape", [(2, 3, 4), (5, 2, 3, 4)])
def test_it_is_what_the_formula_says_pixel_by_pixel(shape):
    images = torch.randint(0, 256, shape, dtype=torch.uint8)
    out = normalize(images, MEAN, STD, "the toy has")
    assert (out.shape, out.dtype) == (images.shape, torch.float32)
    for channel, (mean, std) in enumerate(zip(MEAN, STD, strict=True)):
        expected = (images.double() / 255 - mean) / std
        torch.testing.assert_close(out.select(-3, channel).double(), expected.select(-3, channel), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (
            np.zeros((5, 2, 4, 4), np.uint8),
            "images are a numpy.ndarray; pass a tensor, such as torch.as_tensor(images)",
        ),
        (torch.zeros(5, 2, 4, 4), "normalize takes uint8 pixels from 0 to 255, got torch.float32; pass the images"),
        (torch.zeros(5, 1, 4, 4, dtype=torch.uint8), "the toy has images of shape [B,2,H,W], got [5, 1, 4, 4]; put"),
        (torch.zeros(2, 4, dtype=torch.uint8), "got [2, 4]; put the 2 channel(s) third from the end"),
    ],
)
def test_what_it_would_spoil_is_refused(images, sentence):
    with pytest.raises((TypeError, ValueError), match=re.escape(sentence)):
        normalize(images, MEAN, STD, "the toy has")
