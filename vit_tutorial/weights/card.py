"""What one must know to use a model."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from vit_tutorial.support.normalizing import normalize
from vit_tutorial.vit import ViTConfig

YOUNGER = ("crop", "interpolation")  # entries that older files do not have


@dataclass(frozen=True)
class ModelCard:
    """What one must know to use a model: classes, mean and std of its input (in 0..1 units), record, view.

    Numbers of NumPy and PyTorch become Python's, which a file can hold. Raises ValueError for what is none of these,
    and where the card is saved or loaded with a model that has other classes or channels.
    """

    class_names: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    record: str = ""  # the name of the file in data/results/ that tells how it was trained
    crop: float = 1.0  # share of a picture's shorter side that the model sees, from the middle
    interpolation: str = "bilinear"  # how a picture is brought to that size: a filter of Pillow's

    def __post_init__(self):
        names = tuple(self.class_names) if isinstance(self.class_names, Iterable) else (None,)
        if isinstance(self.class_names, str) or not all(isinstance(name, str) for name in names):
            raise ValueError("the card has class_names that are no text; give one word for each class")
        if not isinstance(self.record, str):
            raise ValueError(f"the card has record {self.record!r}; give the name of a file as text")
        object.__setattr__(self, "class_names", names)
        for name in ("mean", "std"):
            object.__setattr__(self, name, _numbers(name, getattr(self, name), "real numbers, one for each channel"))
        self._check_statistics()
        object.__setattr__(self, "crop", _numbers("crop", (self.crop,), "one above 0, and 1 at most")[0])
        self._check_view()

    def _check_statistics(self) -> None:
        if len(self.mean) != len(self.std):
            raise ValueError(
                f"the card has {len(self.mean)} mean and {len(self.std)} std; give one of both for each channel, or "
                "neither"
            )
        if not all(map(math.isfinite, (*self.mean, *self.std))) or not all(std > 0 for std in self.std):
            raise ValueError(
                f"the card has mean {list(self.mean)} and std {list(self.std)}; they must be finite, and std above 0"
            )

    def _check_view(self) -> None:
        from vit_tutorial.support.pictures import INTERPOLATIONS  # with Pillow, which `import vit_tutorial` leaves out

        if not 0 < self.crop <= 1:
            raise ValueError(f"the card has crop {self.crop!r}; it must be a number above 0, and 1 at most")
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"the card has interpolation {self.interpolation!r}; it must be one of {', '.join(INTERPOLATIONS)}"
            )

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
        ):
            given = len(getattr(self, what))
            if given not in (0, count):
                raise ValueError(f"the card has {given} {what} for {count} {of}; give {count}, or none")


def _numbers(name: str, values: Iterable[Any], wanted: str) -> tuple[float, ...]:
    try:
        return tuple(float(value - 0) for value in values)  # less 0, or float would read text
    except (TypeError, ValueError):
        raise ValueError(f"the card has {name} {values!r}; give {wanted}") from None
