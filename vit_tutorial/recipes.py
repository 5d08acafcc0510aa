"""Recipes: a data set, a model and the settings of a training that go well together, by name.

    python -m vit_tutorial.recipes                       every recipe: its command, how long it takes, what comes out
    python -m vit_tutorial.train --recipe vit_cifar10    run one

PRESETS are to start from, and `forecast_presets` says how long each would take on this machine. RECORDED are the
trainings of which data/results holds a record: each also says where its weights go, so that its name alone is the whole
command. RECIPES has both.
"""

import json
import math
import statistics
from dataclasses import dataclass
from pathlib import Path

import torch

from vit_tutorial.datasets import Dataset
from vit_tutorial.introspection import flops_per_image
from vit_tutorial.support.command_line import print_all_names
from vit_tutorial.support.paths import NEW_DATA, RESULTS, RUNS
from vit_tutorial.support.seeds import seeded
from vit_tutorial.training.config import TrainingConfig
from vit_tutorial.training.devices import choose_device, matrix_rate
from vit_tutorial.training.loop import predict_seconds
from vit_tutorial.vit import ViT, ViTConfig
from vit_tutorial.weights import ModelCard


@dataclass(frozen=True)
class Recipe:
    """What to train, on what and how; a recorded training also says where everything goes."""

    name: str
    what: str  # what it is for, in one sentence
    data: str  # a name that datasets.load knows
    model: dict  # the fields of ViTConfig that the data set does not decide
    training: TrainingConfig
    classes: tuple[int, ...] = ()  # only these of the data; none: all
    out: Path | None = None  # folder of checkpoint, weights and history; None: the person who trains names one
    weights: Path | None = None  # file that gets the weights in half the bytes
    keep: tuple[int, ...] = ()  # epochs after which the weights are kept, also in half the bytes
    keep_in: Path | None = None  # folder of these
    result: str = ""  # name of the record in data/results that tells how long it took, on what, and what came out

    @property
    def recorded(self) -> bool:
        """Whether running this recipe writes its own record."""
        return self.result == self.name

    @property
    def command(self) -> str:
        """The command that trains it."""
        out = "" if self.out else f" --out runs/{self.name}"
        return f"python -m vit_tutorial.train --recipe {self.name}{out}"

    def build(self, data: Dataset) -> ViT:
        """Make the untrained model for this data set, always the same one for one seed."""
        return build_model(data, self.model, self.training.seed)

    def __str__(self) -> str:
        """Describe it: what for, the command, and what the record says of time and result."""
        return f"{self.name}: {self.what}\n    {self.command}\n    {self._past()}"

    def _past(self) -> str:
        if not self.result:
            return f"{self.training.epochs} epochs of {self.data}; there is no record, because it needs a GPU"
        record = json.loads((RESULTS / f"{self.result}.json").read_text(encoding="utf-8"))
        runs = record.get("seeds") or [{"seconds": record["total_seconds"], "test": record["test"]["accuracy"]}]
        seconds, test = (statistics.mean(run[key] for run in runs) for key in ("seconds", "test"))
        time = f"{seconds / 60:.0f} min" if seconds >= 100 else f"{seconds:.0f} s"
        seeds = f" (mean of {len(runs)} seeds)" if len(runs) > 1 else ""
        where = record["environment"]["hardware"]
        if record["environment"]["device"] == "cpu":
            where += f", {record['environment']['threads']} at work"
        return f"{self.training.epochs} epochs of {self.data} in {time} on {where}; test accuracy {test:.1%}{seeds}"


def build_model(data: Dataset, shape: dict, seed: int) -> ViT:
    """Make an untrained ViT whose input and output fit the data; `shape` holds the other fields of ViTConfig."""
    config = ViTConfig(image_size=data.image_size, in_channels=data.in_channels, num_classes=data.num_classes, **shape)
    with seeded(seed):
        model = ViT(config)
    model.card = ModelCard.of(data)
    return model


PRESETS = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="cpu",
            what="the course's own training, for any machine",
            data="fashion_mnist",
            model={"patch_size": 7, "dim": 64, "depth": 4, "num_heads": 4, "mlp_ratio": 2.0},
            training=TrainingConfig(),
            result="benchmark_training",
        ),
        Recipe(
            name="cifar10-small-gpu",
            what="photographs, on any GPU",
            data="cifar10",
            model={"patch_size": 4, "dim": 192, "depth": 6, "num_heads": 3, "pool": "mean", "drop_path": 0.05},
            training=TrainingConfig(
                epochs=60,
                batch_size=500,  # a divisor of 45,000: torch.compile then needs no second program for the rest
                learning_rate=2e-3,
                warmup_epochs=4,
                flip=True,
                max_shift=4,
                distort=0.3,
                erase=0.25,
                cutmix=0.3,
                mixup=0.2,
                plain_epochs=10,
                average=0.998,
            ),
        ),
        Recipe(
            name="cifar10-gpu",
            what="photographs, on a GPU with 16 GB or more",
            data="cifar10",
            model={"patch_size": 4, "dim": 384, "depth": 7, "num_heads": 6, "pool": "mean", "drop_path": 0.1},
            training=TrainingConfig(
                epochs=140,
                batch_size=1000,  # a divisor of 48,000
                learning_rate=2e-3,
                warmup_epochs=5,
                flip=True,
                max_shift=4,
                distort=0.5,
                erase=0.25,
                cutmix=0.5,
                mixup=0.3,
                plain_epochs=15,
                optimizer="muon",
                average=0.999,
                validation_fraction=0.04,
            ),
            result="vit_cifar10_gpu",
        ),
    )
}

PHOTOS_MODEL = {"dim": 128, "depth": 6, "num_heads": 4, "mlp_ratio": 2.0, "pool": "mean"}
PHOTOS_TRAINING = TrainingConfig(
    epochs=24,
    batch_size=128,
    learning_rate=5e-3,
    warmup_epochs=1,
    optimizer="muon",
    average=0.998,
    flip=True,
    max_shift=4,
    validation_fraction=0.04,
    device="cpu",
)
RECORDED = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="vit_fashion_mnist",
            what="the model of clothes that comes with the course, trained on 57,000 pictures of Fashion-MNIST",
            data="fashion_mnist_full",
            model={"patch_size": 4, "dim": 64, "depth": 6, "num_heads": 4, "mlp_ratio": 2.0},
            training=TrainingConfig(
                epochs=12, batch_size=128, learning_rate=2e-3, warmup_epochs=1, validation_fraction=0.05
            ),
            out=RUNS / "vit_fashion_mnist",
            weights=NEW_DATA / "vit_fashion_mnist.safetensors",
            result="vit_fashion_mnist",
        ),
        Recipe(
            name="vit_cifar10",
            what="the model of photographs that comes with the course, and copies of it along the way",
            data="cifar10",
            model={"patch_size": 4, **PHOTOS_MODEL},
            training=PHOTOS_TRAINING,
            out=RUNS / "vit_cifar10",
            weights=NEW_DATA / "vit_cifar10.safetensors",
            keep=(1, 2, 5, 12),
            keep_in=NEW_DATA / "vit_cifar10_epochs",
            result="vit_cifar10",
        ),
        Recipe(
            name="vit_cifar10_patch_8",
            what="the same with patches of 8, for comparison; of its weights nothing is kept in data",
            data="cifar10",
            model={"patch_size": 8, **PHOTOS_MODEL},
            training=PHOTOS_TRAINING,
            out=RUNS / "vit_cifar10_patch_8",
            result="vit_cifar10_patch_8",
        ),
        Recipe(
            name="vit_clothes_six",
            what="six kinds of the clothes that come with the course, for lesson 10 to take to the other four",
            data="fashion_mnist",
            classes=(0, 1, 2, 3, 4, 5),
            model={"patch_size": 7, "dim": 64, "depth": 4, "num_heads": 4, "mlp_ratio": 2.0},
            training=TrainingConfig(device="cpu"),
            out=RUNS / "vit_clothes_six",
            weights=NEW_DATA / "vit_clothes_six.safetensors",
            result="vit_clothes_six",
        ),
    )
}

RECIPES = PRESETS | RECORDED

# --- How long would it take here? ------------------------------------------------------------------------------------

PICTURES = {
    "fashion_mnist": (10_000, 1, 28),
    "fashion_mnist_full": (60_000, 1, 28),
    "cifar10": (50_000, 3, 32),
}  # of a recipe's data: how many, channels, side
LONGEST = 15 * 60.0  # seconds that somebody will wait in a lesson


@dataclass(frozen=True)
class Forecast:
    """How long a recipe would train on this machine."""

    recipe: Recipe
    seconds: float  # infinite where the card has too little memory
    measured: bool = True  # if not, it takes longer: so much for the matrix products alone

    def __str__(self) -> str:
        if math.isinf(self.seconds):
            return f"{self.recipe.name:<18}does not fit the memory of this card"
        return f"{self.recipe.name:<18}{'about' if self.measured else 'more than'} {minutes(self.seconds)} here"


def minutes(seconds: float) -> str:
    """Write a time in minutes: with one decimal below ten, else in whole ones."""
    return f"{seconds / 60:.1f} minutes" if seconds < 600 else f"{seconds / 60:,.0f} minutes"


def forecast_presets(presets: dict[str, Recipe] = PRESETS, longest: float = LONGEST) -> list[Forecast]:
    """Say how long each preset would train on this machine, by some steps with made-up pictures; nothing is downloaded.

    A preset whose matrix products alone would take longer than `longest` seconds is not tried: one step of it could
    take minutes.
    """
    rates: dict[tuple, float] = {}
    forecasts = []
    for recipe in presets.values():
        config = recipe.training
        data = _made_up(recipe.data)
        model = recipe.build(data)
        images = config.epochs * len(data.train_labels) * (1 - config.validation_fraction)
        asked = choose_device(config.device), config.precision
        rates[asked] = rates.get(asked) or matrix_rate(*asked)
        least = 3 * flops_per_image(model.config) * images / rates[asked]
        if least > longest:
            forecasts.append(Forecast(recipe, least, measured=False))
            continue
        try:
            forecasts.append(Forecast(recipe, predict_seconds(model, data, config)))
        except torch.OutOfMemoryError:
            forecasts.append(Forecast(recipe, math.inf))
    return forecasts


def choose_preset(forecasts: list[Forecast], longest: float = LONGEST) -> Recipe:
    """Give the recipe with the most work among those that end within `longest` seconds; if none does, the quickest.

    Raises ValueError if there are no forecasts.
    """
    if not forecasts:
        raise ValueError("there are 0 forecasts; pass the list that forecast_presets() gives")
    fitting = [forecast for forecast in forecasts if forecast.measured and forecast.seconds <= longest]
    if not fitting:
        return min(forecasts, key=lambda forecast: forecast.seconds).recipe
    return max(fitting, key=lambda forecast: forecast.seconds).recipe


def _made_up(name: str) -> Dataset:
    """Make a data set of the same size as the one of this name, which is one picture again and again."""
    count, channels, side = PICTURES[name]
    pixels = torch.arange(channels * side * side).view(1, channels, side, side) % 256
    images, labels = pixels.to(torch.uint8).expand(count, -1, -1, -1), torch.arange(count) % 10
    mean, std = (0.5,) * channels, (0.25,) * channels
    return Dataset(name, images, labels, images[:10], labels[:10], tuple("0123456789"), mean, std)


# --- The list --------------------------------------------------------------------------------------------------------


def main(recorded: bool = False) -> None:
    """List all recipes, each with its command, and with the time and the result of which there is a record.

    Args:
        recorded: print only the names of the recorded trainings, one a line
    """
    print(*(RECORDED if recorded else RECIPES.values()), sep="\n")


if __name__ == "__main__":
    import tyro

    print_all_names()
    tyro.cli(main, prog="python -m vit_tutorial.recipes")
