"""Augmentation against torchvision, one image at a time with its own numbers, and against padding and cropping."""

import math

import pytest
import shapes
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as reference

from vit_tutorial.training.augmentation import (
    COLOUR_OPERATIONS,
    SHAPE_OPERATIONS,
    Draws,
    augment,
    change_colour,
    change_shape,
    draw,
    erase,
    flip,
    mix,
    partners,
    shape_matrices,
    shift,
)
from vit_tutorial.weights import ModelCard

IMAGES = torch.randint(0, 256, (7, 3, 6, 9), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def smooth_images(count, channels=3, size=(20, 28), seed=0):
    """Pictures without hard edges between neighbours, as photographs are, with their full range from 20 to 230."""
    noise = torch.rand(count, channels, 4, 5, generator=torch.Generator().manual_seed(seed))
    return (20 + 210 * F.interpolate(noise, size, mode="bicubic").clamp(0, 1)).to(torch.uint8)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# --- Flip and shift --------------------------------------------------------------------------------------------------


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
        assert torch.equal(got, reference.horizontal_flip(image) if mirrored else image)


@shapes.not_while_checking
def test_every_image_gets_its_own_numbers_within_bounds():
    """A picture whose pixels tell their own place says afterwards from where it was taken."""
    place = torch.arange(20 * 20).view(1, 1, 20, 20).expand(400, -1, -1, -1)
    out = augment(place, draw(400, (20, 20), flip=True, max_shift=2, generator=seeded()))
    left, right = out[:, 0, 10, 9], out[:, 0, 10, 10]  # two neighbours, so that the direction shows too
    seen = list(zip((left // 20 - 10).tolist(), (left % 20).tolist(), (left > right).tolist(), strict=True))
    mirrored = [one for one in seen if one[2]]
    assert set(seen) == {
        (down, column, mirror)
        for down in range(-2, 3)
        for mirror, columns in ((False, range(7, 12)), (True, range(8, 13)))
        for column in columns
    }
    assert 160 < len(mirrored) < 240


# --- Changes of shape and colour, sample by sample against torchvision ------------------------------------------------

AMOUNTS = torch.tensor([-1.0, -0.61, -0.25, 0.0, 0.1, 0.37, 0.8, 1.0])


def affine(image, **changes):
    still = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}
    return reference.affine(image, **(still | changes), interpolation=v2.InterpolationMode.BILINEAR)


SHAPES = {
    "none": lambda image, a: image,
    "shear across": lambda image, a: affine(image, shear=[math.degrees(math.atan(0.99 * a)), 0.0]),
    "shear down": lambda image, a: affine(image, shear=[0.0, math.degrees(math.atan(0.99 * a))]),
    "rotate": lambda image, a: affine(image, angle=135.0 * a),
}
COLOURS = {
    "none": lambda image, a: image,
    "brightness": lambda image, a: reference.adjust_brightness(image, 1 + 0.99 * a),
    "colour": lambda image, a: reference.adjust_saturation(image, 1 + 0.99 * a),
    "contrast": lambda image, a: reference.adjust_contrast(image, 1 + 0.99 * a),
    "sharpness": lambda image, a: reference.adjust_sharpness(image, 1 + 0.99 * a),
    "posterize": lambda image, a: reference.posterize(image, 8 - round(6 * abs(a))),
    "solarize": lambda image, a: reference.solarize(image, 255 * (1 - abs(a))),
    "autocontrast": lambda image, a: reference.autocontrast(image),
    "equalize": lambda image, a: reference.equalize(image),
}


def one_each(operations, name):
    return torch.full((len(AMOUNTS),), list(operations).index(name))


@pytest.mark.parametrize("name", SHAPES)
def test_a_change_of_shape_equals_torchvisions_with_the_images_own_amount(name):
    images = smooth_images(len(AMOUNTS))
    got = change_shape(images, one_each(SHAPE_OPERATIONS, name), AMOUNTS)
    assert got.dtype == torch.uint8
    for image, amount, changed in zip(images, AMOUNTS.tolist(), got, strict=True):
        difference = (changed.int() - SHAPES[name](image, amount).int()).abs()
        assert difference.max() <= 1  # of 255: what is half-way may round either way
        assert difference.float().mean() < 0.02
        if name != "none" and abs(amount) > 0.2:
            assert not torch.equal(changed, image)


@pytest.mark.parametrize(("name", "axis"), [("move across", 2), ("move down", 1)])
def test_a_move_shows_what_is_beside_and_black_beyond_the_edge(name, axis):
    images = smooth_images(len(AMOUNTS))
    got = change_shape(images, one_each(SHAPE_OPERATIONS, name), AMOUNTS)
    side = images.shape[axis + 1]
    for image, amount, changed in zip(images, AMOUNTS.tolist(), got, strict=True):
        pixels = amount * side / 2
        translate = [-pixels, 0] if axis == 2 else [0, -pixels]
        if pixels == round(pixels):  # torchvision's affine moves by whole pixels only
            assert torch.equal(changed, affine(image, translate=[round(part) for part in translate]))
        low, share = math.floor(pixels), pixels - math.floor(pixels)
        padded = F.pad(image.float(), (side, side, 0, 0) if axis == 2 else (0, 0, side, side))
        near, far = (padded.narrow(axis, side + low + step, side) for step in (0, 1))
        assert (changed - ((1 - share) * near + share * far)).abs().max() < 0.51


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", COLOURS)
def test_a_change_of_colour_equals_torchvisions_with_the_images_own_amount(name, channels):
    images = smooth_images(len(AMOUNTS), channels)
    got = change_colour(images, one_each(COLOUR_OPERATIONS, name), AMOUNTS)
    assert got.dtype == torch.uint8
    for image, amount, changed in zip(images, AMOUNTS.tolist(), got, strict=True):
        assert (changed.int() - COLOURS[name](image, amount).int()).abs().max() <= 1  # of 255: rounding


class NothingWaits(TorchDispatchMode):
    """Refuse what makes the host wait for a device; a meta tensor, which has no numbers, refuses to be read itself."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.overloadpacket
        if name in (torch.ops.aten.index, torch.ops.aten.index_put_) and args[0].device.type == "meta":
            assert all(index is None or index.dtype != torch.bool for index in args[1]), "how many are there?"
        if name in (torch.ops.aten.copy_, torch.ops.aten.fill_) and isinstance(args[1], torch.Tensor):
            assert args[0].device.type != "meta" or args[1].ndim, "one number is sent"
        return operation(*args, **(kwargs or {}))


def everything_on_a_device():
    images = torch.empty(200, 3, 32, 32, dtype=torch.uint8, device="meta")
    options = {"flip": True, "max_shift": 4, "distort": 0.5, "erase": 0.25, "cutmix": 0.4, "mixup": 0.3}
    draws = draw(200, (32, 32), **options, generator=seeded())
    with NothingWaits():
        x = ModelCard(("a",), (0.5,) * 3, (0.25,) * 3).normalize(augment(images, draws))
        return mix(erase(x, draws.erased), draws)


def test_the_host_waits_for_no_device():
    assert everything_on_a_device().shape == (200, 3, 32, 32)


def one_number_is_sent(images, amount):
    kernel = torch.ones(3, 3, device=images.device)
    kernel[1, 1] = 5
    return images


@pytest.mark.parametrize("spoiled", [one_number_is_sent, lambda images, amount: reference.autocontrast(images)])
def test_that_the_host_waits_would_be_noticed(spoiled, monkeypatch):
    monkeypatch.setitem(COLOUR_OPERATIONS, "sharpness", spoiled)
    with pytest.raises(AssertionError, match=r"one number is sent|how many are there"):
        everything_on_a_device()


def test_the_lists_hold_all_operations_of_trivial_augment():
    names = {"Identity", *v2.TrivialAugmentWide._AUGMENTATION_SPACE}
    assert len(names) == len(SHAPE_OPERATIONS) + len(COLOUR_OPERATIONS) - 1  # "none" is in both
    assert set(COLOURS) == set(COLOUR_OPERATIONS)
    assert {*SHAPES, "move across", "move down"} == set(SHAPE_OPERATIONS)


def test_each_image_gets_the_operation_drawn_for_it():
    images = smooth_images(54)
    shape, colour = torch.arange(54) % 6, torch.arange(54) % 9
    amount = torch.rand(54, generator=seeded()) * 2 - 1
    together = change_colour(change_shape(images, shape, amount), colour, amount)
    for i in range(54):
        one = slice(i, i + 1)
        alone = change_colour(change_shape(images[one], shape[one], amount[one]), colour[one], amount[one])
        assert torch.equal(alone[0], together[i])


def slow_matrix(name, amount):
    """The matrix of one image's change of shape, by Python's own arithmetic."""
    angle, matrix = math.radians(135) * amount, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    if name == "rotate":
        matrix = [[math.cos(angle), math.sin(angle), 0.0], [-math.sin(angle), math.cos(angle), 0.0]]
    elif name != "none":
        places = {"shear across": (0, 1), "shear down": (1, 0), "move across": (0, 2), "move down": (1, 2)}
        row, column = places[name]
        share = 0.99 if name.startswith("shear") else 0.5
        matrix[row][column] = share * amount
    return matrix


def test_the_matrices_of_a_batch_equal_those_made_one_by_one():
    draws = draw(3000, (8, 8), distort=1.0, generator=seeded())
    names = list(SHAPE_OPERATIONS)
    slow = [slow_matrix(names[i], a) for i, a in zip(draws.shape.tolist(), draws.shape_amount.tolist(), strict=True)]
    assert torch.equal(shape_matrices(draws.shape, draws.shape_amount), torch.tensor(slow))


@pytest.mark.parametrize("count", [1, 5, 300])
def test_colours_changed_in_blocks_equal_those_changed_image_by_image(count):
    images = smooth_images(count, size=(10, 12))
    draws = draw(count, (10, 12), distort=1.0, generator=seeded(count))
    together, operations = change_colour(images, draws.colour, draws.colour_amount), list(COLOUR_OPERATIONS.values())
    for image, which, amount, got in zip(images, draws.colour, draws.colour_amount, together, strict=True):
        operation, alone = operations[which], image[None]
        expected = alone if operation is None else operation(alone, amount.view(1, 1, 1, 1)).to(torch.uint8)
        assert torch.equal(got, expected[0])


def test_all_operations_are_drawn_and_their_amounts_fill_the_range():
    draws = draw(2000, (8, 8), distort=0.5, generator=seeded())
    assert draws.shape.bincount().min() > 2000 / 6 * 0.8
    assert draws.colour.bincount(minlength=9).min() > 2000 / 9 * 0.8
    for amount in (draws.shape_amount, draws.colour_amount):
        assert -0.5 <= amount.min() < -0.49
        assert 0.49 < amount.max() <= 0.5


# --- Erasing and mixing ----------------------------------------------------------------------------------------------


def test_erasing_equals_torchvisions_with_each_images_own_box():
    x = torch.randn(5, 3, 12, 9, generator=seeded())
    boxes = torch.tensor([[0, 0, 4, 3], [2, 5, 12, 9], [11, 8, 12, 9], [0, 0, 12, 9], [0, 0, 0, 0]])
    for image, (top, left, bottom, right), got in zip(x, boxes.tolist(), erase(x, boxes), strict=True):
        assert torch.equal(got, reference.erase(image, top, left, bottom - top, right - left, torch.tensor(0.0)))


def test_boxes_to_erase_have_torchvisions_range_of_areas_and_ratios():
    draws = draw(4000, (32, 32), erase=0.25, generator=seeded())
    boxes = draws.erased[(draws.erased[:, 2] > 0)]
    assert 0.22 < len(boxes) / 4000 < 0.28
    assert draws.erased.min() >= 0
    assert draws.erased.max() <= 32
    tall, wide = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    area = (tall * wide) / 32**2
    transform = v2.RandomErasing(p=1.0)
    torch.manual_seed(0)
    theirs = [transform.make_params([torch.zeros(3, 32, 32)]) for _ in range(1000)]
    their_area = torch.tensor([params["h"] * params["w"] for params in theirs if params["v"] is not None]) / 32**2
    assert area.quantile(0.5) == pytest.approx(their_area.quantile(0.5).item(), abs=0.03)
    assert area.min() >= 0.015
    assert area.max() <= 0.36
    assert (tall.float() / wide).log().mean().abs() < 0.1
    for axis in (0, 1):  # any place
        assert boxes[:, axis].unique().numel() > 20


def test_even_in_a_tiny_picture_a_box_to_erase_has_a_pixel_and_may_have_only_one():
    draws = draw(400, (3, 3), erase=1.0, generator=seeded())
    tall, wide = draws.erased[:, 2] - draws.erased[:, 0], draws.erased[:, 3] - draws.erased[:, 1]
    assert (tall.min(), wide.min()) == (1, 1)
    assert tall.max() <= 3 >= wide.max()


@pytest.mark.parametrize("kind", ["cutmix", "mixup"])
def test_mixing_a_pair_equals_torchvisions(kind):
    """torchvision has one set of numbers for a batch, and takes the image before as partner: in a pair, the other."""
    x = torch.randn(40, 3, 10, 12, generator=seeded())
    labels = torch.randint(0, 4, (40,), generator=seeded())
    draws = draw(40, (10, 12), **{kind: 1.0}, generator=seeded())
    mixed, one_hot = mix(x, draws), F.one_hot(labels, 4).float()
    share = draws.own_share[:, None]
    targets = share * one_hot + (1 - share) * partners(one_hot)
    for i in range(40):
        pair = slice(i // 2 * 2, i // 2 * 2 + 2)
        both = labels[pair]
        top, left, bottom, right = draws.pasted[i].tolist()
        lam = draws.own_share[i].item()
        params = {"labels": both, "batch_size": 2, "lam": lam, "box": (left, top, right, bottom)}
        transform = (v2.CutMix if kind == "cutmix" else v2.MixUp)(num_classes=4)
        params["lam_adjusted"] = lam
        their_image = transform.transform(x[pair], params)[i % 2]
        torch.testing.assert_close(mixed[i], their_image, atol=1e-6, rtol=0)
        torch.testing.assert_close(targets[i], transform.transform(both, params)[i % 2], atol=1e-6, rtol=0)


def test_the_label_is_mixed_as_the_pixels_are():
    draws = draw(600, (16, 16), cutmix=0.5, mixup=0.3, generator=seeded())
    own = torch.arange(600) % 2  # every image is all 0 or all 1, and its partner the other
    x = own.float()[:, None, None, None].expand(-1, 1, 16, 16).contiguous()
    share = (mix(x, draws) == x).float().mean(dim=(1, 2, 3))
    blended = draws.kept < 1
    torch.testing.assert_close(share[~blended], draws.own_share[~blended])
    brightness = mix(x, draws).mean(dim=(1, 2, 3))
    expected = torch.where(own == 1, draws.own_share, 1 - draws.own_share)
    torch.testing.assert_close(brightness, expected)
    pasted = (draws.pasted[:, 2] > draws.pasted[:, 0]) & (draws.pasted[:, 3] > draws.pasted[:, 1])
    assert 0.40 < pasted.float().mean() <= 0.55  # a share near 1 leaves no whole pixel to paste
    assert 0.25 < blended.float().mean() < 0.35
    assert not (pasted & blended).any()
    assert 0.15 < ((draws.own_share == 1).float().mean()) < 0.35


def test_boxes_to_paste_are_as_large_as_torchvisions():
    draws = draw(4000, (32, 32), cutmix=1.0, generator=seeded())
    images = torch.zeros(2, 3, 32, 32)
    transform = v2.CutMix(num_classes=2)
    theirs = torch.tensor([transform.make_params([images])["lam_adjusted"] for _ in range(4000)])
    at = torch.tensor([0.1, 0.25, 0.5, 0.75, 0.9])
    torch.testing.assert_close(draws.own_share.quantile(at), theirs.quantile(at), atol=0.04, rtol=0)


def test_the_share_of_the_partner_is_uniform():
    draws = draw(4000, (32, 32), mixup=1.0, generator=seeded())
    assert torch.histc(draws.own_share, 4, 0, 1).min() > 900


def test_partners_are_neighbours_and_the_last_of_an_odd_number_is_alone():
    assert partners(torch.arange(6)).tolist() == [1, 0, 3, 2, 5, 4]
    assert partners(torch.arange(5)).tolist() == [1, 0, 3, 2, 4]
    assert partners(torch.arange(1)).tolist() == [0]
    x = torch.randn(1, 3, 8, 8)
    torch.testing.assert_close(mix(x, draw(1, (8, 8), mixup=1.0)), x)


# --- Draws -----------------------------------------------------------------------------------------------------------

EVERYTHING = {"flip": True, "max_shift": 2, "distort": 0.5, "erase": 0.5, "cutmix": 0.4, "mixup": 0.4}


def test_same_seed_same_pictures_and_another_seed_others():
    first, again, other = (augment(IMAGES, draw(7, (6, 9), **EVERYTHING, generator=seeded(seed))) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_part_of_a_batch_is_changed_as_in_the_whole():
    """So that several machines, each with a part of the batch, see what one machine would see."""
    images = smooth_images(10)
    draws = draw(10, images.shape[-2:], **EVERYTHING, generator=seeded(3))

    def change(images, draws):
        return mix(erase(augment(images, draws).float() / 255, draws.erased), draws)

    whole = change(images, draws)
    parts = [change(images[rows], draws.shard(rows)) for rows in (slice(0, 4), slice(4, 10))]
    assert torch.equal(torch.cat(parts), whole)


def test_nothing_asked_for_draws_and_changes_nothing():
    generator = seeded()
    before = generator.get_state()
    draws = draw(7, (6, 9), generator=generator)
    assert torch.equal(generator.get_state(), before)
    assert all(values is None for values in vars(draws).values())
    assert torch.equal(augment(IMAGES, draws), IMAGES)
    assert torch.equal(augment(IMAGES, Draws()), IMAGES)


def test_the_input_is_left_as_it_was():
    images = smooth_images(12)
    x = images.float()
    before, before_x = images.clone(), x.clone()
    draws = draw(12, images.shape[-2:], **EVERYTHING, generator=seeded())
    augment(images, draws)
    mix(erase(x, draws.erased), draws)
    assert torch.equal(images, before)
    assert torch.equal(x, before_x)


@pytest.mark.parametrize("max_shift", [-1, 6])
def test_a_shift_that_does_not_fit_gets_a_sentence(max_shift):
    with pytest.raises(ValueError, match=rf"max_shift is {max_shift} pixels, but the images are 6x9; .* from 0 to 5"):
        draw(7, (6, 9), max_shift=max_shift)


@pytest.mark.parametrize("name", ["distort", "erase", "cutmix", "mixup"])
@pytest.mark.parametrize("share", [-1, -0.1, 1.1, math.nan, math.inf])
def test_a_share_that_is_none_gets_a_sentence(name, share):
    with pytest.raises(ValueError, match=rf"^{name} is {share}; it must be from 0 to 1$"):
        draw(4, (6, 6), **{name: share})


def test_more_mixed_images_than_there_are_get_a_sentence():
    with pytest.raises(ValueError, match=r"^cutmix is 0\.8 and mixup 0\.8, which are shares of the same images; "):
        draw(4, (6, 6), cutmix=0.8, mixup=0.8)
    draw(4, (6, 6), cutmix=0.9, mixup=0.1)


@pytest.mark.parametrize("size", [(1, 1), (2, 8), (8, 2)])
def test_pictures_without_a_middle_are_distorted_too(size):
    images = torch.randint(0, 256, (200, 3, *size), dtype=torch.uint8)
    changed = augment(images, draw(len(images), size, distort=1.0, generator=torch.Generator().manual_seed(0)))
    assert changed.shape == images.shape
