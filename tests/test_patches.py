"""Patches: cut and reassembled without loss, in reading order; the convolution is one linear layer on each patch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from references import assert_same, exactly, patchify_by_loops, randomize
from torch._subclasses import FakeTensorMode

from vit_tutorial import PatchEmbedding, patchify, unpatchify

sizes = st.integers(1, 4)
dtypes = st.sampled_from(
    [torch.uint8, torch.bool, torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64]
)


def pixels(shape, dtype):
    return torch.randint(0, 256, shape).to(dtype)


# ---------------------------------------------------------------------------------------------- patchify


def test_patchify_by_hand():
    """Two channels, four patches of 2x2: every number can be found with a finger."""
    red = torch.arange(16).view(4, 4)
    images = torch.stack([red, red + 100])[None]
    expected = [
        [0, 100, 1, 101, 4, 104, 5, 105],
        [2, 102, 3, 103, 6, 106, 7, 107],
        [8, 108, 9, 109, 12, 112, 13, 113],
        [10, 110, 11, 111, 14, 114, 15, 115],
    ]
    assert patchify(images, 2).tolist() == [expected]


@given(sizes, sizes, sizes, sizes, st.integers(1, 5), dtypes)
@settings(max_examples=40)
def test_patchify_equals_the_loops(batch, channels, rows, columns, patch_size, dtype):
    images = pixels((batch, channels, rows * patch_size, columns * patch_size), dtype)
    assert torch.equal(patchify(images, patch_size), patchify_by_loops(images, patch_size))


@given(sizes, sizes, sizes, sizes, st.integers(1, 5), dtypes)
@settings(max_examples=40)
def test_round_trip_is_exact(batch, channels, rows, columns, patch_size, dtype):
    size = (rows * patch_size, columns * patch_size)
    images = pixels((batch, channels, *size), dtype)
    patches = patchify(images, patch_size)
    assert patches.shape == (batch, rows * columns, patch_size * patch_size * channels)
    assert patches.dtype == dtype
    assert torch.equal(unpatchify(patches, size, channels), images)


def test_round_trip_the_other_way_and_with_a_whole_number_as_size():
    patches = torch.randn(2, 9, 4 * 4 * 3)
    assert torch.equal(patchify(unpatchify(patches, 12), 4), patches)


def test_patches_are_in_reading_order():
    """Each pixel holds the number of its patch: 0 1 2 in the first row of patches, 3 4 5 in the second."""
    rows, columns, patch_size = 2, 3, 4
    index = torch.arange(rows * columns).view(rows, columns)
    images = index.repeat_interleave(patch_size, 0).repeat_interleave(patch_size, 1)[None, None]
    expected = torch.arange(6)[None, :, None].expand(1, 6, patch_size**2)
    assert torch.equal(patchify(images, patch_size), expected)


def test_nan_and_infinity_are_moved_unchanged():
    images = torch.tensor([0.0, -0.0, torch.nan, torch.inf]).view(1, 1, 2, 2)
    back = unpatchify(patchify(images, 1), 2, channels=1)
    assert torch.equal(back.view(torch.int32), images.view(torch.int32))


def test_any_memory_layout_works():
    images = torch.randn(2, 3, 8, 8)
    expected = patchify(images, 4)
    assert torch.equal(patchify(images.to(memory_format=torch.channels_last), 4), expected)
    assert torch.equal(patchify(images.mT.contiguous().mT, 4), expected)


# ---------------------------------------------------------------------------------------------- PatchEmbedding


@given(sizes, sizes, sizes, sizes, st.integers(1, 5), st.integers(1, 6))
@settings(max_examples=30)
def test_the_convolution_is_a_linear_layer_on_patches(batch, channels, rows, columns, patch_size, dim):
    size = (rows * patch_size, columns * patch_size)
    embedding = randomize(PatchEmbedding(size, patch_size, channels, dim).double())
    images = torch.randn(batch, channels, *size, dtype=torch.float64)
    matrix = embedding.proj.weight.permute(0, 2, 3, 1).flatten(1)  # [D, C, P, P] -> [D, P*P*C]
    expected = patchify_by_loops(images, patch_size) @ matrix.T + embedding.proj.bias
    assert_same(embedding(images), expected)


def test_grid_of_a_wide_image():
    embedding = PatchEmbedding((32, 64), 16, dim=8)
    assert embedding.grid_size == (2, 4)
    assert embedding.num_patches == 8
    assert embedding(torch.zeros(1, 3, 32, 64)).shape == (1, 8, 8)


def test_a_token_sees_its_own_patch_only():
    embedding = PatchEmbedding(12, 4, dim=8)
    images = torch.randn(1, 3, 12, 12)
    changed = images.clone()
    changed[:, :, 4:8, 8:12] += 1  # row 1, column 2 of the grid: patch 5
    different = (embedding(images) != embedding(changed)).any(dim=-1)[0]
    assert different.nonzero().flatten().tolist() == [5]


def test_a_new_embedding_keeps_the_size_of_its_input():
    """With LeCun's initial weights, pixels of variance 1 become numbers of variance 1."""
    embedding = PatchEmbedding(32, 8, dim=512)
    assert 0.95 < embedding(torch.randn(8, 3, 32, 32)).var().item() < 1.05
    assert not embedding.proj.bias.any()


def test_large_but_finite_images_pass():
    """The sum of the pixels may overflow where no pixel does; that is no reason to complain."""
    half = PatchEmbedding(224, 16, 3, 4).half()
    assert half(torch.ones(1, 3, 224, 224, dtype=torch.float16)).isfinite().all()
    single = PatchEmbedding(4, 2, 1, 4)
    single(torch.full((1, 1, 4, 4), torch.finfo(torch.float32).max))


# ---------------------------------------------------------------------------------------------- wrong input


@pytest.mark.parametrize(
    ("shape", "patch_size", "message"),
    [
        ((1, 3, 30, 32), 4, "image height 30 is not a multiple of patch_size 4; resize or pad to 28 or 32"),
        ((1, 3, 32, 30), 4, "image width 30 is not a multiple of patch_size 4; resize or pad to 28 or 32"),
        ((1, 3, 2, 32), 4, "image height 2 is not a multiple of patch_size 4; resize or pad to 4"),
        ((1, 3, 8, 8), 0, "patch_size is 0; it must be 1 or more"),
        ((1, 3, 8, 8), -2, "patch_size is -2; it must be 1 or more"),
        ((1, 3, 8, 8), True, "patch_size is True; it must be one whole number"),
        ((3, 8, 8), 4, "got rank 3, shape [3, 8, 8]; add the batch axis with images[None]"),
        ((8, 8), 4, "images must have rank 4 [B, C, H, W]; got rank 2, shape [8, 8]"),
        ((1, 1, 3, 8, 8), 4, "got rank 5, shape [1, 1, 3, 8, 8]"),
        ((0, 3, 8, 8), 4, "the batch is empty: shape [0, 3, 8, 8]; pass at least one image"),
    ],
)
def test_patchify_refuses(shape, patch_size, message):
    with pytest.raises(ValueError, match=exactly(message)):
        patchify(torch.zeros(shape), patch_size)


def test_the_hint_about_the_batch_axis_is_for_single_images_only():
    with pytest.raises(ValueError, match=r"shape \[8, 8\]$"):
        patchify(torch.zeros(8, 8), 4)


@pytest.mark.parametrize(
    ("shape", "size", "channels", "message"),
    [
        ((4, 12), 4, 3, "patches must have rank 3 [B, N, P*P*C]; got rank 2, shape [4, 12]"),
        ((1, 4, 13), 4, 3, "13 numbers per patch are not P*P*3 for any whole P; check channels=3"),
        ((1, 4, 12), 4, 1, "12 numbers per patch are not P*P*1 for any whole P; check channels=1"),
        ((1, 4, 2), 4, 3, "2 numbers per patch are not P*P*3 for any whole P; check channels=3"),
        ((1, 4, 12), 4, 0, "channels is 0; it must be 1 or more"),
        ((1, 4, 12), 4, 3.0, "channels is 3.0; it must be one whole number"),
        ((1, 4, 12), 0, 3, "a side of the size is 0; it must be 1 or more"),
        ((1, 4, 12), 5, 3, "image height 5 is not a multiple of patch_size 2; resize or pad to 4 or 6"),
        ((1, 4, 12), (4, 7), 3, "image width 7 is not a multiple of patch_size 2; resize or pad to 6 or 8"),
        ((1, 5, 12), 4, 3, "5 patches do not fill a 4x4 image: with P=2 it takes 2x2 = 4; check image_size"),
        ((1, 4, 12), (4, 6), 3, "4 patches do not fill a 4x6 image: with P=2 it takes 2x3 = 6; check image_size"),
    ],
)
def test_unpatchify_refuses(shape, size, channels, message):
    with pytest.raises(ValueError, match=exactly(message)):
        unpatchify(torch.zeros(shape), size, channels)


def test_patches_are_a_tensor():
    with pytest.raises(TypeError, match=exactly("patches must be a Tensor; got list")):
        unpatchify([[1, 2, 3]], 1)


@pytest.mark.parametrize(
    ("image_size", "patch_size", "message"),
    [
        (30, 4, "image height 30 is not a multiple of patch_size 4; resize or pad to 28 or 32"),
        ((32, 30), 4, "image width 30 is not a multiple of patch_size 4; resize or pad to 28 or 32"),
        (32, 0, "patch_size is 0; it must be 1 or more"),
        (0, 4, "a side of the size is 0; it must be 1 or more"),
        (8, True, "patch_size is True; it must be one whole number"),
    ],
)
def test_patch_embedding_refuses_to_be_built(image_size, patch_size, message):
    with pytest.raises(ValueError, match=exactly(message)):
        PatchEmbedding(image_size, patch_size)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 8), "in_channels is 0; it must be 1 or more"),
        ((-1, 8), "in_channels is -1; it must be 1 or more"),
        ((3.5, 8), "in_channels is 3.5; it must be one whole number"),
        ((3, 0), "dim is 0; it must be 1 or more"),
        ((3, -8), "dim is -8; it must be 1 or more"),
    ],
)
def test_patch_embedding_has_channels_and_a_width(sizes, message):
    with pytest.raises(ValueError, match=exactly(message)):
        PatchEmbedding(16, 4, *sizes)


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (torch.zeros(3, 8, 8), ValueError, "got rank 3, shape [3, 8, 8]; add the batch axis with images[None]"),
        (torch.zeros(0, 3, 8, 8), ValueError, "the batch is empty: shape [0, 3, 8, 8]; pass at least one image"),
        (
            torch.zeros(2, 1, 8, 8),
            ValueError,
            "images have 1 channels but in_channels is 3; convert them, or build the model with in_channels=1",
        ),
        (
            torch.zeros(2, 3, 8, 12),
            ValueError,
            "images are 8x12 but the model was built for 8x8; resize them, or build another with image_size=(8, 12) "
            "and load_weights(another, model.state_dict()), which stretches the positions",
        ),
        (
            torch.zeros(2, 3, 8, 8, dtype=torch.uint8),
            TypeError,
            "images are torch.uint8, but a model computes with real numbers; convert with images.float() / 255 "
            "and normalise",
        ),
        (torch.zeros(2, 3, 8, 8, dtype=torch.int64), TypeError, "images are torch.int64"),
        (
            torch.zeros(2, 8, 8, 3),
            ValueError,
            "images have shape [2, 8, 8, 3], with their 3 channels last; a model takes [B, C, H, W]: turn them with "
            "images.permute(0, 3, 1, 2)",
        ),
        (
            torch.zeros(2, 3, 8, 8, dtype=torch.float16),
            TypeError,
            "images are torch.float16 and the weights torch.float32; convert them with images.to(torch.float32), or "
            "the model with model.to(torch.float16)",
        ),
        (torch.zeros(2, 3, 8, 8, dtype=torch.float64), TypeError, "images are torch.float64 and the weights torch.flo"),
        (np.zeros((2, 3, 8, 8)), TypeError, "images are a numpy.ndarray; pass a tensor [B, C, H, W], such as torch.as"),
        (Image.new("RGB", (8, 8)), TypeError, "images are a PIL.Image.Image; pass a tensor [B, C, H, W]"),
        ([torch.zeros(3, 8, 8)], TypeError, "images are a builtins.list; pass a tensor [B, C, H, W]"),
    ],
)
def test_patch_embedding_refuses_images(images, error, message):
    with pytest.raises(error, match=exactly(message)):
        PatchEmbedding(8, 4)(images)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_autocast_takes_images_of_another_precision(dtype):
    images = torch.randn(2, 3, 8, 8)
    part = PatchEmbedding(8, 4)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(part(images.to(dtype)).float(), part(images).float(), rtol=0.02, atol=0.02)
        with pytest.raises(TypeError, match=r"images are torch\.float64 and the weights torch\.float32"):
            part(images.double())


def test_shapes_without_numbers_go_through():
    part = PatchEmbedding(8, 4).to("meta")
    assert part(torch.zeros(2, 3, 8, 8, device="meta")).shape == (2, 4, 768)
    with pytest.raises(TypeError, match=r"images are torch\.float16 and the weights torch\.float32"):
        part(torch.zeros(2, 3, 8, 8, device="meta").half())


def test_images_on_another_device_are_refused():
    """A fake tensor says that it is on a GPU, where there is none."""
    message = (
        "images are on cuda:0 and the weights on cpu; move them with images.to('cpu'), or the model with "
        "model.to('cuda:0')"
    )
    part = PatchEmbedding(8, 4)
    with FakeTensorMode(allow_non_fake_inputs=True), pytest.raises(ValueError, match=exactly(message)):
        part(torch.empty(2, 3, 8, 8, device="cuda:0"))


@pytest.mark.parametrize("patch_size", [(16, 8), 4.0, "4", None])
def test_a_patch_size_is_one_whole_number(patch_size):
    message = f"patch_size is {patch_size!r}; it must be one whole number"
    for use in (lambda: PatchEmbedding(16, patch_size), lambda: patchify(torch.zeros(1, 3, 16, 16), patch_size)):
        with pytest.raises(ValueError, match=exactly(message)):
            use()


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ("32", "a side of the size is '32'; it must be one whole number"),
        (32.0, "a side of the size is 32.0; it must be one whole number"),
        ((32, 16.5), "a side of the size is 16.5; it must be one whole number"),
        ((32,), "the size is (32,); give one whole number, or two as (height, width)"),
        ((3, 32, 32), "the size is (3, 32, 32); give one whole number, or two as (height, width)"),
    ],
)
def test_an_image_size_is_one_whole_number_or_two(size, message):
    with pytest.raises(ValueError, match=exactly(message)):
        PatchEmbedding(size, 4)
    with pytest.raises(ValueError, match=exactly(message)):
        unpatchify(torch.zeros(1, 4, 48), size)


@pytest.mark.parametrize("bad", [[torch.nan], [torch.inf], [-torch.inf], [torch.inf, -torch.inf], [torch.nan] * 7])
def test_patch_embedding_refuses_nan_and_infinity(bad):
    images = torch.zeros(2, 3, 8, 8)
    images.view(-1)[: len(bad)] = torch.tensor(bad)
    with pytest.raises(ValueError, match=rf"NaN or infinity in {len(bad)} of 384 values; .*images.nan_to_num\(\)"):
        PatchEmbedding(8, 4)(images)
