"""One picture from a path, an image, an array or a tensor: the same pixels each time, or a sentence."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin
from torchvision.transforms import InterpolationMode, v2

from vit_tutorial.support.pictures import PictureError, as_picture, fit_picture, pixels_of

COLOUR = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = COLOUR[..., 0]
OPAQUE = np.concatenate([COLOUR, np.full((5, 7, 1), 255, dtype=np.uint8)], axis=-1)


def tensor(array):
    return torch.from_numpy(array)


@pytest.mark.parametrize(
    "picture",
    [
        COLOUR,
        COLOUR.transpose(2, 0, 1),
        COLOUR[::-1][::-1],
        OPAQUE,
        COLOUR / 255,
        (COLOUR / 255).astype(np.float32),
        COLOUR / 255 + 5e-5,
        tensor(COLOUR),
        tensor(COLOUR).permute(2, 0, 1),
        tensor(OPAQUE).permute(2, 0, 1),
        tensor(COLOUR).permute(2, 0, 1) / 255,
        (tensor(COLOUR).permute(2, 0, 1) / 255).requires_grad_(),
        Image.fromarray(COLOUR),
        Image.fromarray(OPAQUE),
    ],
)
def test_a_colour_picture_in_every_form_has_the_same_pixels(picture):
    assert np.array_equal(np.asarray(as_picture(picture)), COLOUR)


@pytest.mark.parametrize(
    "picture", [GREY, GREY[None], GREY[..., None], GREY / 255, tensor(GREY), tensor(GREY)[None], Image.fromarray(GREY)]
)
def test_a_grey_picture_in_every_form_has_the_same_pixels(picture):
    assert np.array_equal(np.asarray(as_picture(picture)), GREY)


def test_numbers_of_half_precision(tmp_path):
    picture = torch.tensor([[0.0, 0.5, 1.0]])
    for kind in (torch.float16, torch.bfloat16, torch.float64):
        assert np.asarray(as_picture(picture.to(kind))).tolist() == [[0, 128, 255 if kind else 0]]


def test_where_both_ends_could_be_channels_each_library_has_its_own_order():
    values = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    assert np.array_equal(np.asarray(as_picture(values)), values)
    assert np.array_equal(np.asarray(as_picture(tensor(values))), values.transpose(1, 2, 0))


def test_a_path_as_text_or_from_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    for path in (tmp_path / "a.png", str(tmp_path / "a.png"), "~/a.png"):
        assert np.array_equal(np.asarray(as_picture(path)), COLOUR)


def test_a_value_of_16_bits_that_stands_for_transparent_is_white(tmp_path):
    values = np.array([[0, 1, 257 * 100, 257 * 100 + 1]], dtype=np.uint16)
    for clear, seen in ((0, [255, 0, 100, 100]), (257 * 100, [0, 0, 255, 100]), (None, [0, 0, 100, 100])):
        options = {} if clear is None else {"transparency": clear}
        Image.fromarray(values).save(tmp_path / "picture.png", **options)
        assert np.asarray(as_picture(tmp_path / "picture.png")).tolist() == [seen]
        assert np.asarray(as_picture(Image.open(tmp_path / "picture.png"))).tolist() == [seen]


def test_half_transparent_is_half_white():
    picture = np.zeros((2, 2, 4), dtype=np.uint8)
    picture[..., 3] = 51
    assert np.asarray(as_picture(picture)).tolist() == [[[204] * 3] * 2] * 2


def test_sixteen_bits_keep_their_range():
    values = np.array([[0, 257 * 100 + 50, 65535]], dtype=np.uint16)
    assert np.asarray(as_picture(Image.fromarray(values))).tolist() == [[0, 100, 255]]
    assert np.asarray(as_picture(Image.fromarray(values.astype(np.int32)))).tolist() == [[0, 100, 255]]


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        (np.zeros((2, 3, 8, 8), np.uint8), "shape [2, 3, 8, 8] is not that of one picture; pass [H, W], "),
        (torch.zeros(8), "shape [8] is not that of one picture"),
        (np.zeros((8, 8, 2), np.uint8), "a picture of shape [8, 8, 2] has its channels neither first nor last"),
        (np.zeros((0, 8, 3), np.uint8), "a picture of shape [0, 8, 3] has no pixels"),
        (torch.full((3, 8, 8), -2.1), "real pixels must be from 0 to 1, and these are from -2.1 to -2.1; pass them "),
        (np.full((8, 8), 200.0), "real pixels must be from 0 to 1, and these are from 200 to 200"),
        (np.full((8, 8), np.nan), "real pixels must be from 0 to 1, and these are from nan to nan"),
        (np.array([[0.5, np.nan]]), "real pixels must be from 0 to 1, and these are from nan to nan"),
        (np.zeros((8, 8), np.int64), "pixels are int64; pass uint8 from 0 to 255"),
        (torch.zeros(8, 8, dtype=torch.bool), "pixels are bool; pass uint8"),
        (Image.fromarray(np.zeros((4, 4), np.float32)), "this PIL image holds real numbers of an unknown range; save"),
        (Image.fromarray(np.full((4, 4), -1, np.int32)), "this PIL image has numbers from -1 to -1, which are not"),
    ],
)
def test_what_is_no_picture_is_refused_in_a_sentence(picture, sentence):
    with pytest.raises(PictureError) as caught:
        as_picture(picture)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("thing", [None, 3, [[0, 1]], b"bytes"])
def test_another_thing_is_refused_by_its_type(thing):
    with pytest.raises(TypeError, match=f"a tensor, and this is a {type(thing).__name__}"):
        as_picture(thing)


def test_files_that_are_no_pictures(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nothing.png"):
        as_picture(tmp_path / "nothing.png")
    with pytest.raises(PictureError, match=r"cannot be read \((Is a directory|Permission denied)\)"):
        as_picture(tmp_path)
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(PictureError, match=r"a.png is no picture that Pillow can read; save it as PNG or JPEG"):
        as_picture(tmp_path / "a.png")


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "tiff", "webp"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_file_that_was_cut_off_is_never_a_picture(tmp_path, ending, share):
    path = tmp_path / f"a.{ending}"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PictureError, match=r"cannot be read|no picture"):
            as_picture(path)


def test_a_picture_larger_than_pillow_allows_is_refused(tmp_path, monkeypatch):
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # 35 are one warning, 41 would be an error
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_picture(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(PictureError, match=r"cannot be read .*exceeds limit"):
        as_picture(tmp_path / "a.png")


def test_an_image_that_pillow_has_only_opened_is_turned_and_read(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLOUR).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(np.asarray(as_picture(image)), np.rot90(COLOUR, -1))
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(PictureError, match="this PNG image cannot be read"):
        as_picture(PngImagePlugin.PngImageFile(tmp_path / "a.png"))


@pytest.mark.parametrize("resize", [224, 242, 256])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", [(300, 451), (333, 250), (100, 101), (224, 224)])
def test_resize_and_crop_are_those_of_torchvision(resize, interpolation, shape):
    image = Image.fromarray(np.random.default_rng(2).integers(0, 256, (*shape, 3), dtype=np.uint8))
    theirs = v2.CenterCrop(224)(v2.Resize(resize, InterpolationMode(interpolation))(image))
    ours = fit_picture(image, 224, 224, 224 / resize, interpolation)
    assert torch.equal(pixels_of(ours), pixels_of(theirs))


@pytest.mark.parametrize("shape", [(1, 90_000), (90_000, 1)])
def test_of_a_long_strip_only_the_middle_is_made_large(shape, monkeypatch):
    values = np.zeros((*shape, 3), np.uint8)
    values.reshape(-1, 3)[44_990:45_010] = 255
    sizes, resize = [], Image.Image.resize
    monkeypatch.setattr(
        Image.Image, "resize", lambda self, size, *more: (sizes.append(size), resize(self, size, *more))[1]
    )
    assert np.unique(np.asarray(fit_picture(Image.fromarray(values), 64, 64))).tolist() == [255]
    assert max(sizes[0]) == 16 * 64


@pytest.mark.parametrize("shape", [(5, 7), (2, 80), (80, 2)])
def test_a_picture_of_the_right_size_stays_as_it_is(shape):
    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (*shape, 3), dtype=np.uint8))
    assert torch.equal(pixels_of(fit_picture(image, *shape)), pixels_of(image))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [({"crop": 0}, "crop is 0; it must be above 0"), ({"crop": 1.5}, "1.5"), ({"interpolation": "x"}, "'x'; it must")],
)
def test_a_card_that_makes_no_sense(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        fit_picture(Image.fromarray(COLOUR), 4, 4, **options)
