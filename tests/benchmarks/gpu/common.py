"""What several steps need: the device, the preset, the data, one training step, memory, and errors without units."""

import os
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from vit_tutorial.datasets import Dataset, channel_statistics, load
from vit_tutorial.recipes import PRESETS, Recipe
from vit_tutorial.training import TrainingConfig
from vit_tutorial.training.augmentation import draw
from vit_tutorial.training.devices import choose_device
from vit_tutorial.training.loop import Learner, augmentation_options

PRESET = "cifar10-gpu"
TINY = {"patch_size": 8, "dim": 24, "depth": 2, "num_heads": 2}  # the model of a rehearsal; the rest as in the preset


def device_of(settings: dict) -> torch.device:
    """Give the device that the settings name; the processor computes with one thread if others use it too."""
    if "OMP_NUM_THREADS" in os.environ:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    return choose_device(settings["device"])


def preset_of(settings: dict) -> Recipe:
    """Give the large preset, or a tiny one that differs in size alone."""
    preset = PRESETS[PRESET]
    if not settings["rehearse"]:
        return preset
    few = replace(preset.training, epochs=3, batch_size=96, warmup_epochs=1, plain_epochs=1, average=0.9)
    return replace(preset, model=preset.model | TINY, training=few)


def data_of(settings: dict) -> Dataset:
    """Read CIFAR-10 from the disk; for a rehearsal make pictures of its size, whose class is where they are bright."""
    if not settings["rehearse"]:
        return load("cifar10", settings["data_root"], download=False)
    generator, parts = torch.Generator().manual_seed(0), []
    for count in (400, 100):
        labels = torch.arange(count) % 10
        images = torch.randint(0, 120, (count, 3, 32, 32), generator=generator, dtype=torch.uint8)
        for image, label in zip(images, labels.tolist(), strict=True):
            image[label % 3, 3 * label : 3 * label + 5] += 100
        parts += [images, labels]
    mean, std = channel_statistics(parts[0])
    return Dataset("made up", *parts, tuple("abcdefghij"), mean, std)


def step_of(
    model: nn.Module, data: Dataset, config: TrainingConfig, forward: Callable | None = None
) -> tuple[Callable[[], None], Learner]:
    """Give a function that takes one training step with the first images of `data`, and what holds its state.

    `forward` stands in for the model where a compiled one is there already.
    """
    learner = Learner(model.train(), data, replace(config, compile=False))
    if forward is not None:
        learner.forward = forward
    count = min(config.batch_size, len(data.train_labels))
    images, labels = (part[:count].to(learner.device) for part in (data.train_images, data.train_labels))
    generator, options = torch.Generator().manual_seed(0), augmentation_options(config, 0)

    def step() -> None:
        draws = draw(count, images.shape[-2:], **options, generator=generator)
        learner.forward_backward(images, labels, draws, count)
        learner.step(1e-3)

    return step, learner


def forget_peak(device: torch.device) -> None:
    """Let the peak of a card's memory begin anew, so that the next one is that of what comes now."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def error(found: Tensor, exact: Tensor) -> float:
    """Compute the length of the difference over the length of what is exact, both on the CPU in float64."""
    found, exact = (tensor.detach().to("cpu", torch.float64) for tensor in (found, exact))
    length = exact.norm().item()
    return (found - exact).norm().item() / (length or 1.0)
