"""One picture, from wherever it comes, as pixels: upright, on white, brought to a size and cut to its middle."""

import contextlib
import math
import os
import warnings
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from vit_tutorial.support.paths import at_home

CHANNELS = (1, 3, 4)  # grey, red-green-blue, and these with an opacity
INTERPOLATIONS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")  # Pillow's
STRIP = 16  # times that a picture may be longer than it needs to be, before its ends are cut off
NEARLY = 1e-4  # how far real numbers may lie outside 0 to 1, as what resizing leaves over


class PictureError(ValueError):
    """This cannot be taken for a picture: what is wrong with it, and the way out."""

    def __init__(self, fault: str, way_out: str):
        super().__init__(f"{fault}; {way_out}")
        self.fault, self.way_out = fault, way_out


def as_picture(source: str | os.PathLike | Image.Image | np.ndarray | Tensor) -> Image.Image:
    """Make an 8-bit picture, grey (mode L) or colour (RGB), of a path, a PIL image, an array or a tensor.

    What has an EXIF rotation is turned upright, and what is transparent is laid on white. Arrays and tensors are
    [H, W], [H, W, C] or [C, H, W] with 1, 3 or 4 channels: whole numbers of 0 to 255 (uint8), or real ones of 0 to 1.
    Where the first and the last axis could both be the channels, a tensor has them first, and an array last.
    Raises FileNotFoundError, TypeError for anything else, and PictureError for what is no picture or a damaged one.
    """
    if isinstance(source, str | os.PathLike):
        with pillow_is_quiet():
            return read_picture(source)
    if isinstance(source, Image.Image):
        with pillow_is_quiet(), _damage(f"this {source.format or 'PIL'} image"):
            return _flat(ImageOps.exif_transpose(source))
    if isinstance(source, Tensor):
        values = source.detach().cpu()
        return _from_numbers((values.float() if values.is_floating_point() else values).numpy(), channels_first=True)
    if isinstance(source, np.ndarray):
        return _from_numbers(source, channels_first=False)
    raise TypeError(
        f"a picture is a path, a PIL image, a NumPy array or a tensor, and this is a {type(source).__name__}"
    )


def read_picture(path: str | os.PathLike) -> Image.Image:
    """Read a file as `as_picture` does; Pillow's warnings are the caller's."""
    path = at_home(path)
    with _damage(str(path)), Image.open(path) as image:
        image.load()
        return _flat(ImageOps.exif_transpose(image))


@contextlib.contextmanager
def pillow_is_quiet() -> Iterator[None]:
    """Leave out Pillow's warnings about large pictures and odd metadata; for one thread at a time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _damage(what: str) -> Iterator[None]:
    """Turn what Pillow raises into one sentence about this picture."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no file {what}") from error
    except UnidentifiedImageError as error:
        raise PictureError(f"{what} is no picture that Pillow can read", "save it as PNG or JPEG") from error
    except PictureError as error:
        raise PictureError(f"{what} {error.fault}", error.way_out) from error
    except Exception as error:  # each of Pillow's decoders has its own errors for a damaged file
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        raise PictureError(f"{what} cannot be read ({reason})", "give an intact picture") from error


def _flat(image: Image.Image) -> Image.Image:
    """Make 8 bits of 16, lay what is transparent on white, and give mode L for grey and RGB for all else."""
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise PictureError(
                f"has numbers from {values.min()} to {values.max()}, which are not those of 16 bits",
                "save it with 8 bits a channel",
            )
        pixels = (values / 257).round().astype(np.uint8)  # Pillow's own convert cuts off at 255
        if "transparency" in image.info:  # the value that stands for no pixel, which 8 bits cannot tell from others
            pixels[values == image.info["transparency"]] = 255
        image = Image.fromarray(pixels)
    elif image.mode == "F":
        raise PictureError("holds real numbers of an unknown range", "save it with 8 bits a channel")
    mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    if image.has_transparency_data:
        over = image.convert("LA" if image.mode == "La" else image.mode).convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), over)
    return image.convert(mode)


def _from_numbers(values: np.ndarray, channels_first: bool) -> Image.Image:
    shape = list(values.shape)
    if values.ndim not in (2, 3):
        raise PictureError(
            f"shape {shape} is not that of one picture",
            "pass [H, W], [H, W, C] or [C, H, W], such as pictures[0] of several",
        )
    if values.size == 0:
        raise PictureError(f"a picture of shape {shape} has no pixels", "pass one with 1 or more in each direction")
    if values.ndim == 3:
        first, last = shape[0] in CHANNELS, shape[-1] in CHANNELS
        if not first and not last:
            raise PictureError(
                f"a picture of shape {shape} has its channels neither first nor last", "pass 1, 3 or 4 of them there"
            )
        if first and (channels_first or not last):
            values = np.moveaxis(values, 0, -1)
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or values.min() < -NEARLY or values.max() > 1 + NEARLY:
            raise PictureError(
                f"real pixels must be from 0 to 1, and these are from {values.min():.3g} to {values.max():.3g}",
                "pass them before they are normalised, or as uint8 from 0 to 255",
            )
        values = (values.clip(0, 1) * 255).round().astype(np.uint8)
    elif values.dtype != np.uint8:
        raise PictureError(f"pixels are {values.dtype}", "pass uint8 from 0 to 255, or real numbers from 0 to 1")
    return _flat(Image.fromarray(np.ascontiguousarray(values[..., 0] if values.shape[2:] == (1,) else values)))


def fit_picture(
    image: Image.Image, height: int, width: int, crop: float = 1.0, interpolation: str = "bilinear"
) -> Image.Image:
    """Bring a picture to height x width pixels without distortion, and keep its middle.

    It is shrunk or enlarged until it just covers (height / crop) x (width / crop) pixels; of that, the middle is cut
    out. Sizes and places are rounded as torchvision's Resize and CenterCrop do it.
    Raises ValueError for a crop that is not above 0 and up to 1, or an interpolation that Pillow does not know.
    """
    if not 0 < crop <= 1:
        raise ValueError(f"crop is {crop}; it must be above 0, and 1 at most for the whole shorter side")
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"interpolation is {interpolation!r}; it must be one of {', '.join(INTERPOLATIONS)}")
    longest = math.ceil(STRIP * max(height / width, width / height) * min(image.size))
    if max(image.size) > longest:  # or a strip would be made huge before nearly all of it is cut away
        image = _middle(image, *(min(side, longest) for side in (image.height, image.width)))
    least_height, least_width = (math.floor(side / crop + 1e-6) for side in (height, width))
    if least_height * image.width >= least_width * image.height:
        whole = least_height * image.width // image.height, least_height
    else:
        whole = least_width, least_width * image.height // image.width
    return _middle(image.resize(whole, Image.Resampling[interpolation.upper()]), height, width)


def _middle(image: Image.Image, height: int, width: int) -> Image.Image:
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))


def pixels_of(image: Image.Image) -> UInt8[Tensor, "C H W"]:
    """Give the pixels of a grey or colour picture, 0 to 255: one channel or three."""
    values = torch.from_numpy(np.array(image))
    return values[None] if values.ndim == 2 else values.permute(2, 0, 1).contiguous()
