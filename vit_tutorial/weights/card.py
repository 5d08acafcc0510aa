"""What one must know to use a model."""

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from vit_tutorial.support.normalizing import normalize
from vit_tutorial.vit import ViTConfig

YOUNGER = ("crop", "interpolation")  # entries that older files do not have


@dataclass(frozen=True)
class ModelCard:
    """What one must know to use a model: classes, mean and std of its input (in 0..1 units), record, view.

    Raises ValueError where it is saved or loaded with a model that has other classes or channels.
    """

    class_names: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    record: str = ""  # the name of the file in data/results/ that tells how it was trained
    crop: float = 1.0  # share of a picture's shorter side that the model sees, from the middle
    interpolation: str = "bilinear"  # how a picture is brought to that size: a filter of Pillow's

    @classmethod
    def of(cls, data: Any, record: str = "") -> "ModelCard":
        """Make the card of a model that is trained on this data set, a datasets.Dataset or the like."""
        return cls(tuple(data.class_names), tuple(data.mean), tuple(data.std), record)

    def normalize(self, images: Tensor) -> Tensor:
        """Turn pixels into what the model was trained on: (pixels / 255 - mean) / std.

        Takes uint8 images, one [C,H,W] or many [B,C,H,W], and returns float32 of the same shape on the same device.
        Raises ValueError for another type or number of channels, or if the card has no mean and std.
        """
        if not self.mean:
            raise ValueError(
                "the card has no mean and std, so it is not known how pixels become the model's input; set "
                "model.card = ModelCard(class_names, mean, std)"
            )
        return normalize(images, self.mean, self.std, "the card is of a model of")

    def must_fit(self, config: ViTConfig) -> None:
        """Raise ValueError unless there is one name for each class, one mean and one std for each channel, or none."""
        for what, count, of in (
            ("class_names", config.num_classes, "classes"),
            ("mean", config.in_channels, "channels"),
            ("std", config.in_channels, "channels"),
        ):
            given = len(getattr(self, what))
            if given not in (0, count):
                raise ValueError(f"the card has {given} {what} for {count} {of}; give {count}, or none")
        if bool(self.mean) != bool(self.std):
            raise ValueError(f"the card has {len(self.mean)} mean and {len(self.std)} std; give both, or neither")
        if not 0 < self.crop <= 1:
            raise ValueError(f"the card has crop {self.crop}; it must be above 0, and 1 at most")
        if not all(isinstance(name, str) for name in self.class_names):
            raise ValueError("the card has class_names that are no text; give one word for each class")
        if not all(map(math.isfinite, (*self.mean, *self.std))) or not all(std > 0 for std in self.std):
            raise ValueError(
                f"the card has mean {list(self.mean)} and std {list(self.std)}; they must be finite, and std above 0"
            )
