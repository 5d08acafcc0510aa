"""Pictures and models that come in: checked, and as the numbers that a model or a view wants."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from vit_tutorial.cnn import CNN
from vit_tutorial.support.wrapped import unwrapped
from vit_tutorial.vit import ViT

BARS = 10  # classes that are shown of many


def as_array(values, name: str = "the array") -> np.ndarray:
    """Numbers as a numpy array, from an array, a list, or a tensor on any device and in any floating type.

    Raises ValueError with the name for what holds anything but real numbers, or rows of several lengths.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} holds parts of several shapes: {reprlib.repr(values)}; give them all one") from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} is {reprlib.repr(values)}; give numbers, as an array, a tensor or a list")
    return array


def as_picture(image, name: str = "image") -> UInt8[np.ndarray, "C H W"]:
    """A picture as a uint8 array [C, H, W] with C = 1 or 3, from an array or a tensor [C, H, W] or [H, W].

    Raises ValueError for another type, rank or number of channels.
    """
    pixels = as_array(image, name)
    if pixels.dtype != np.uint8:
        raise ValueError(f"{name} holds {pixels.dtype}, not uint8; give the pixels as 0 to 255, before normalising")
    if pixels.ndim == 2:
        pixels = pixels[None]
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3) or pixels.size == 0:
        raise ValueError(f"{name} has shape {list(pixels.shape)}; give [1, H, W], [3, H, W] or [H, W]")
    return np.ascontiguousarray(pixels)


def as_batch(pictures, count: str) -> np.ndarray:
    """Many pictures of one size as one array; raises ValueError if they are not [count, C, H, W] or [count, H, W]."""
    pixels = as_array(pictures, "pictures")
    if pixels.ndim < 3:
        raise ValueError(f"pictures have shape {list(pixels.shape)}; give [{count}, C, H, W]")
    return pixels


def named_pictures(images) -> dict[str, UInt8[np.ndarray, "C H W"]]:
    """Pictures by name, from one or from a dict.

    Raises ValueError if there is no picture, a name is no text, or a picture is not as `as_picture` wants it.
    """
    named = dict(images) if isinstance(images, Mapping) else {"picture": images}
    if wrong := [name for name in named if not isinstance(name, str)]:
        raise ValueError(f"a picture is called {wrong[0]!r}; its name must be a text, such as {str(wrong[0])!r}")
    if not named:
        raise ValueError("there is no picture; give one, or a dict from names to pictures")
    return {name: as_picture(image, f"picture {name!r}") for name, image in named.items()}


def check_network(model: CNN | ViT, kind: type[CNN] | type[ViT] = ViT) -> None:
    """Raise TypeError if the model is of another kind, bare or in what PyTorch puts around it."""
    if not isinstance(unwrapped(model), kind):
        given = f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"
        raise TypeError(f"an explorer of a {kind.__name__} got {given}; give a model, such as load_model(path)")


def check_model(model: CNN | ViT, kind: type[CNN] | type[ViT] = ViT) -> None:
    """Raise TypeError as `check_network` does, and ValueError with the name of a parameter without finite numbers."""
    check_network(model, kind)
    for name, values in model.named_parameters():
        if values.is_meta:
            raise ValueError(f"{name} of the model is on the device meta, where no numbers are; build it on the CPU")
        if not values.detach().isfinite().all():  # undetached, one made in inference_mode cannot be asked
            raise ValueError(
                f"{name} of the model holds numbers that are not finite, as after a training that went astray; show "
                "one from before, or train again at a lower learning rate"
            )


def pictures_for(model: ViT, images) -> dict[str, UInt8[np.ndarray, "C H W"]]:
    """Pictures by name, as `named_pictures` gives them, each of the size that the model takes.

    Raises ValueError if one is not, with its name, and what `check_model` raises.
    """
    check_model(model)
    pictures = named_pictures(images)
    for name, picture in pictures.items():
        try:
            model_input(model, picture)
        except ValueError as error:
            raise ValueError(f"picture {name!r}: {error}") from None
    return pictures


def pack_pictures(pictures: Mapping[str, UInt8[np.ndarray, "C H W"]]) -> dict[str, Any]:
    """Pictures as a view takes them (`unpackPictures` in numbers.js): names, shapes, and all pixels in a row."""
    return {
        "names": list(pictures),
        "shapes": [list(picture.shape) for picture in pictures.values()],
        "pixels": b"".join(picture.tobytes() for picture in pictures.values()),
    }


def model_input(model: ViT, picture: UInt8[np.ndarray, "C H W"]) -> Float[Tensor, "1 C H W"]:
    """The picture as the model wants it: normalised by its card, or as 0 to 1 without one.

    Raises ValueError if the model takes pictures of another size or with other channels.
    """
    wanted = (model.config.in_channels, *(side * model.config.patch_size for side in model.grid_size))
    if picture.shape != wanted:
        raise ValueError(f"the picture is {list(picture.shape)}, and the model takes {list(wanted)}")
    return normalized(model, picture)


def normalized(model: CNN | ViT, picture: UInt8[np.ndarray, "C H W"]) -> Float[Tensor, "1 C H W"]:
    """The picture as a model of any size wants it: normalised by its card, or as 0 to 1 without one."""
    images, card = torch.from_numpy(picture)[None], model.card
    return (card.normalize(images) if card and card.mean else images.float() / 255).to(next(model.parameters()))


def as_names(class_names: Sequence[str]) -> list[str]:
    """The names of classes as texts; raises ValueError if they cannot be counted through."""
    try:
        return list(map(str, class_names))
    except TypeError:
        raise ValueError(f"class_names is {class_names!r}; give a list with one name for each class") from None


def class_names_of(model: ViT, class_names: Sequence[str] | None = None) -> list[str]:
    """The names of the classes: those given, or the card's, or numbers.

    Raises ValueError if there are not as many as the model has classes.
    """
    number = model.config.num_classes
    names = as_names([] if class_names is None else class_names)
    names = names or as_names((model.card and model.card.class_names) or [f"class {i}" for i in range(number)])
    if len(names) != number:
        raise ValueError(f"{len(names)} class names do not fit a model of {number} classes")
    return names


def shown_classes(probabilities: Float[np.ndarray, " classes"]) -> list[int]:
    """The classes whose bars are shown: all, in their order, or the BARS most probable ones."""
    if len(probabilities) <= BARS:
        return list(range(len(probabilities)))
    return sorted(np.argsort(-probabilities, kind="stable")[:BARS].tolist())
