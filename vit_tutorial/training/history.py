"""What a training wrote down: one number an epoch, and where and how it ran."""

import json
import os
import zlib
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path

from torch import nn

from vit_tutorial.datasets import Dataset
from vit_tutorial.support.files import write_json
from vit_tutorial.training.config import TrainingConfig
from vit_tutorial.vit import ViT
from vit_tutorial.weights.metadata import unusual_parts

LATER = ("frozen", "parts", "normalized_with")  # what a run says of itself, and one of an older version did not


@dataclass
class History:
    """What a training run wrote down: one number an epoch, and where and how it ran."""

    train_loss: list[float] = field(default_factory=list)  # mean over the epoch, with label smoothing, as minimised
    train_accuracy: list[float] = field(default_factory=list)  # 0..1, on the augmented images as they went by
    validation_loss: list[float] = field(default_factory=list)  # the same loss after the epoch; empty without a split
    validation_accuracy: list[float] = field(default_factory=list)  # 0..1
    learning_rate: list[float] = field(default_factory=list)  # of the epoch's last step
    seconds: list[float] = field(default_factory=list)  # of the epoch, with validation
    training_seconds: list[float] = field(default_factory=list)  # of the epoch, without validation
    skipped_steps: int = 0  # that float16 left out, because a gradient was infinite
    config: dict = field(default_factory=dict)  # the TrainingConfig
    model: dict = field(default_factory=dict)  # the ViTConfig
    data: dict = field(default_factory=dict)  # name, number of training and of validation images, checksum
    environment: dict = field(default_factory=dict)  # hardware, versions, git revision

    @classmethod
    def begin(
        cls, model: nn.Module, data: Dataset, config: TrainingConfig, training: int, validation: int
    ) -> "History":
        """Describe a run before its first epoch; `training` and `validation` are the numbers of images.

        The checksum is over the training images and labels, so that a checkpoint notices other ones.
        """
        shape = getattr(model, "config", None)
        described = _as_json(asdict(shape)) if is_dataclass(shape) else {"class": type(model).__name__}
        described["parameters"] = sum(parameter.numel() for parameter in model.parameters())
        described["frozen"] = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
        if isinstance(model, ViT):
            modules = dict(model.named_modules())  # a part of the model's own is told as print shows it, on one line
            described["parts"] = {
                name: " ".join(str(modules.get(name, words)).split())
                for name, words in unusual_parts(model, rates=True).items()
            }
        checksum = 0
        for part in (data.train_images, data.train_labels):
            checksum = zlib.crc32(part.cpu().contiguous().numpy(), checksum)
        counts = {"name": data.name, "training": training, "validation": validation, "crc32": checksum}
        return cls(config=_as_json(asdict(config)), model=described, data=counts)

    @property
    def epochs(self) -> int:
        """How many epochs are written down."""
        return len(self.train_loss)

    @property
    def images_per_second(self) -> float:
        """Training images per second of training, by all processes together; the time for validation is left out.

        Of a run that went on elsewhere, what was trained before does not count.
        """
        if not self.training_seconds:
            return 0.0
        before = self.environment.get("before", {"images": 0, "seconds": 0.0})
        images = len(self.training_seconds) * self.data["training"] - before["images"]
        return images / (sum(self.training_seconds) - before["seconds"]) if images else 0.0

    def to_json(self, path: str | os.PathLike) -> Path:
        """Write everything to a JSON file, all or nothing, and return its path."""
        write_json(path, asdict(self) | {"images_per_second": round(self.images_per_second, 1)})
        return Path(path)

    @classmethod
    def from_json(cls, path: str | os.PathLike) -> "History":
        """Read what `to_json` wrote."""
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        return cls(**{f.name: content[f.name] for f in fields(cls) if f.name in content})


def _as_json(settings: dict) -> dict:
    """Give settings as a file gives them back: lists where there were tuples."""
    return json.loads(json.dumps(settings))
