"""What is looked at before a model learns from pictures or is judged by them: that they are bytes, and their labels."""

import torch
from torch import Tensor


def check_images(images: Tensor) -> None:
    """Raise ValueError unless images are bytes: whoever has divided them by 255 would have it done twice.

    Raises TypeError for what is no tensor.
    """
    check_tensor("images", images)
    if images.dtype != torch.uint8:
        raise ValueError(f"images are {images.dtype}; pass pixels as they are, uint8 from 0 to 255")


def check_labels(labels: Tensor, images: int, classes: int) -> None:
    """Raise TypeError for labels of another type than int64, ValueError unless each image has one of 0..K-1."""
    check_tensor("labels", labels)
    if labels.dtype != torch.int64:
        raise TypeError(f"labels are {labels.dtype}; pass torch.int64, labels.long()")
    if labels.shape != (images,):
        raise ValueError(f"labels have shape {list(labels.shape)} for {images} images; pass one number for each image")
    if not images:
        raise ValueError("there are 0 images; give 1 or more")
    least, most = int(labels.min()), int(labels.max())
    if least < 0 or most >= classes:
        raise ValueError(
            f"labels go from {least} to {most}, and a model of {classes} classes takes 0 to {classes - 1}; number them "
            "anew from 0, or build a model with more classes"
        )


def check_tensor(name: str, values: object) -> None:
    """Raise TypeError unless values are a tensor; the types of NumPy have the same names, and are others."""
    if not isinstance(values, Tensor):
        kind = f"{type(values).__module__}.{type(values).__qualname__}".removeprefix("builtins.")
        raise TypeError(f"{name} are a {kind}; pass a tensor, such as torch.as_tensor({name})")
