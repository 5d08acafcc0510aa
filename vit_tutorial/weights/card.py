"""What one must know to use a model."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class ModelCard:
    """What one must know to use a model: classes, mean and std of its input (in 0..1 units), and its record."""

    class_names: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    record: str = ""  # the name of the file in data/results/ that tells how it was trained

    @classmethod
    def of(cls, data: Any, record: str = "") -> "ModelCard":
        """Make the card of a model that is trained on this data set, a datasets.Dataset or the like."""
        return cls(tuple(data.class_names), tuple(data.mean), tuple(data.std), record)

    def normalize(self, images: Tensor) -> Tensor:
        """Turn pixels [B, C, H, W] of 0 to 255 into what the model was trained on: (pixels / 255 - mean) / std."""
        mean, std = (  # brought over without waiting for a GPU to be done with what it was told before
            torch.tensor(values).view(1, -1, 1, 1).to(images.device, non_blocking=True)
            for values in (self.mean, self.std)
        )
        return (images.float() / 255 - mean) / std
