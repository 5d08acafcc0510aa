"""What the tests of training share: a small data set, a small model, and settings that take a second."""

from dataclasses import replace

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from vit_tutorial import ViT, ViTConfig
from vit_tutorial.datasets import Dataset, channel_statistics
from vit_tutorial.training import TrainingConfig, fit

CLASSES = ("bright top", "bright bottom", "bright left", "bright right")
CONFIG = TrainingConfig(
    epochs=3, batch_size=16, learning_rate=0.002, warmup_epochs=1, validation_fraction=0.25, flip=True, device="cpu"
)
ALL_AT_ONCE = replace(
    CONFIG, optimizer="muon", average=0.9, distort=0.5, erase=0.5, cutmix=0.4, mixup=0.4, plain_epochs=1
)


def make_data(per_class=16, size=8):
    """Small noisy pictures whose class is the side that is brighter."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(4).repeat(per_class)
    images = torch.randint(0, 120, (len(labels), 1, size, size), generator=generator, dtype=torch.uint8)
    half = size // 2
    sides = [(slice(half), slice(None)), (slice(half, None), slice(None))]
    sides += [(slice(None), slice(half)), (slice(None), slice(half, None))]
    for image, label in zip(images, labels.tolist(), strict=True):
        image[0][sides[label]] += 100
    mean, std = channel_statistics(images)
    return Dataset("sides", images, labels, images[:8], labels[:8], CLASSES, mean, std)


def make_model(seed=0, **options):
    torch.manual_seed(seed)
    shape = {"image_size": 8, "patch_size": 4, "in_channels": 1, "num_classes": 4, "dim": 16, "depth": 2}
    return ViT(ViTConfig(**(shape | {"num_heads": 2, "dropout": 0.1, "drop_path": 0.1} | options)))


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class step_hook:
    """Call `look` with the optimizer just before each step of any optimizer."""

    def __init__(self, look):
        self.look = look

    def __enter__(self):
        self.handle = register_optimizer_step_pre_hook(lambda optimizer, args, kwargs: self.look(optimizer))

    def __exit__(self, *_):
        self.handle.remove()


class Stop(Exception):
    pass


def fit_until(epoch, model, data, config, folder):
    """Train up to the end of an epoch, and leave a checkpoint."""

    def stop(history):
        if history.epochs == epoch:
            raise Stop

    with pytest.raises(Stop):
        fit(model, data, config, checkpoint=folder, on_epoch=stop)


def fit_steps(steps, model, data, config, folder):
    """Take so many steps, and leave a checkpoint after each."""
    taken = []

    def stop(module, args):
        taken.extend([1] * module.training)
        if len(taken) > steps:
            raise Stop

    model.register_forward_pre_hook(stop)
    with pytest.raises(Stop):
        fit(model, data, config, checkpoint=folder, checkpoint_seconds=0)
