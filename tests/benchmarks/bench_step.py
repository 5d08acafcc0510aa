"""Images per second of a whole training step: our engine and model, beside timm's model in a plain loop.

    python tests/benchmarks/bench_step.py [--threads 2] [--device cpu] [--preset cpu] [--rounds 15] [--record]

A step of the engine draws and applies the augmentation of the preset, normalises, computes loss and gradients, clips
them and moves the weights. The plain loop gets batches that are ready, and does the rest with timm's model of the same
config, torch's AdamW and the same number format. So the difference holds the price of augmentation. The second table
gives that price alone: a whole batch at once, or one image after the other by transforms of torchvision.

In each round every candidate runs once, in a new order. A figure is the median over the rounds.
"""

import argparse
import random
import statistics
import time

import timm
import torch
from torch.nn import functional as F
from torchvision.transforms import v2

from vit_tutorial.datasets import DATA_FOLDER, Dataset
from vit_tutorial.recipes import PRESETS
from vit_tutorial.support.files import write_json
from vit_tutorial.training.augmentation import augment, draw, erase
from vit_tutorial.training.devices import autocast, choose_device, describe_environment, wait_for
from vit_tutorial.training.loop import Learner, augmentation_options

EVERYTHING = {"flip": True, "max_shift": 4, "distort": 0.5, "erase": 0.25}


def make_data(preset: str, count: int) -> Dataset:
    """Make random pictures of the preset's size; their content is of no importance here."""
    channels, size = (3, 32) if PRESETS[preset].data == "cifar10" else (1, 28)
    images = torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8)
    labels = torch.randint(0, 10, (count,))
    names = tuple(map(str, range(10)))
    return Dataset("noise", images, labels, images[:1], labels[:1], names, (0.5,) * channels, (0.25,) * channels)


def timm_model(config, images_shape: tuple[int, ...]) -> torch.nn.Module:
    """Make timm's model of the same config; it pools as ours does."""
    return timm.models.VisionTransformer(
        img_size=images_shape[-1],
        in_chans=images_shape[-3],
        patch_size=config.patch_size,
        num_classes=config.num_classes,
        embed_dim=config.dim,
        depth=config.depth,
        num_heads=config.num_heads,
        mlp_ratio=config.mlp_ratio,
        drop_path_rate=config.drop_path,
        class_token=config.pool == "cls",
        global_pool="token" if config.pool == "cls" else "avg",
        fc_norm=False,
    )


def one_by_one(images: torch.Tensor) -> torch.Tensor:
    """Augment as EVERYTHING does, by torchvision's transforms, each image with numbers of its own."""
    transform = v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomCrop(images.shape[-1], padding=4, padding_mode="reflect"),
            v2.RandomAffine(degrees=30, shear=20, interpolation=v2.InterpolationMode.BILINEAR),
            v2.ColorJitter(brightness=0.5),
            v2.ToDtype(torch.float32),
            v2.RandomErasing(p=0.25),
        ]
    )
    return torch.stack([transform(image) for image in images])


def at_once(images: torch.Tensor) -> torch.Tensor:
    """Augment a whole batch, as the engine does."""
    draws = draw(len(images), images.shape[-2:], **EVERYTHING)
    return erase(augment(images, draws).float(), draws.erased)


def measure(candidates: dict, device: torch.device, rounds: int) -> dict[str, float]:
    """Time each candidate once a round, after two rounds that do not count; give the median seconds."""
    seconds, order = {name: [] for name in candidates}, list(candidates)
    for i in range(rounds + 2):
        random.Random(i).shuffle(order)
        for name in order:
            wait_for(device)
            started = time.perf_counter()
            candidates[name]()
            wait_for(device)
            if i >= 2:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="auto")
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--batch", type=int, help="images per step (default: that of the preset)")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--record", action="store_true", help="write data/results/benchmark_step.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    preset, device = PRESETS[options.preset], choose_device(options.device)
    config, count = preset.training, options.batch or preset.training.batch_size
    data = make_data(options.preset, count)
    ours = preset.build(data)
    learner = Learner(ours.train(), data, config)
    images, labels = data.train_images.to(device), data.train_labels.to(device)

    def engine() -> None:
        draws = draw(count, images.shape[-2:], **augmentation_options(config, 0))
        learner.forward_backward(images, labels, draws, count)
        learner.step(1e-3)

    theirs = timm_model(ours.config, images.shape).to(device).train()
    assert sum(p.numel() for p in theirs.parameters()) == sum(p.numel() for p in ours.parameters())
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=1e-3, fused=True)
    ready = ours.card.normalize(images)

    def plain() -> None:
        optimizer.zero_grad()
        with autocast(device, config.precision):
            loss = F.cross_entropy(theirs(ready), labels, label_smoothing=config.label_smoothing)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), config.clip_norm)
        optimizer.step()

    environment = describe_environment(device) | {"timm": timm.__version__}
    print(f"{environment['hardware']}, {options.threads} threads, torch {environment['torch']}, batches of {count}")
    steps = measure({"engine": engine, "timm in a plain loop": plain}, device, options.rounds)
    for name, seconds in steps.items():
        print(f"{name:22} {1e3 * seconds:8.1f} ms a step {count / seconds:10,.0f} images/s")
    price = measure({"at once": lambda: at_once(images), "one by one": lambda: one_by_one(images)}, device, 5)
    for name, seconds in price.items():
        print(f"augmentation {name:10} {1e3 * seconds:7.1f} ms a batch")
    if options.record:
        content = {
            "environment": environment | {"threads": options.threads},
            "preset": options.preset,
            "batch": count,
            "step_seconds": {name: float(f"{value:.3g}") for name, value in steps.items()},
            "augmentation_seconds": {name: float(f"{value:.3g}") for name, value in price.items()},
        }
        write_json(DATA_FOLDER / "results" / "benchmark_step.json", content)


if __name__ == "__main__":
    main()
