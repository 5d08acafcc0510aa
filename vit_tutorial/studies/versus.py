"""The fair comparison of lesson 9: a ViT, a hybrid and a CNN of equal cost, on few pictures and many, short and long.

Of each training, three things are set: how many different pictures it learns from, how many it sees in all, and which
model learns. The budget counts what is seen: x1 is as many pictures as one pass over all of them. All models cost about
the same number of operations a picture, so equal budgets are equal operations too. The pictures that validate are the
same for all, and nobody learns from them: the rate of a model that learns from 500 pictures is chosen as reliably as
that of one that learns from 9,000.

A seed decides which pictures are learned from (the fewer among the more), the first weights, the order and the
augmentation. So the intervals over seeds speak of other pictures too.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, replace

import torch
from torch import Tensor, nn

from vit_tutorial.cnn import CNN, CNNConfig
from vit_tutorial.datasets import Dataset, load
from vit_tutorial.inductive_bias import permute_patches, permute_pixels
from vit_tutorial.introspection import count_parameters, flops_per_image, receptive_distance, receptive_field
from vit_tutorial.support.seeds import seeded
from vit_tutorial.training import History, TrainingConfig, evaluate, fit
from vit_tutorial.training.loop import split_validation
from vit_tutorial.vit import ViT, ViTConfig

SIZES = {"fashion_mnist": (500, 2_000, 9_000), "cifar10": (2_000, 10_000, 45_000)}  # different pictures
UNIT = {task: max(sizes) for task, sizes in SIZES.items()}  # pictures seen in a training of budget x1
RATES = (0.001, 0.003, 0.01, 0.03, 0.1)
VIT = {"patch_size": 4, "num_heads": 2, "mlp_ratio": 2.0, "pool": "mean"}  # the CNN, too, ends in a mean
HYBRID = VIT | {"stem": "hybrid", "stem_layers": ()}
CNN_SMALL = {"stem": "3x3", "width": 8, "layers": (1, 1, 1)}
MODELS: dict[str, dict[str, dict]] = {  # on each data, fields of ViTConfig, or of CNNConfig
    "fashion_mnist": {
        "ViT": VIT | {"dim": 48, "depth": 2},  # 4.6 million operations a picture
        "hybrid": HYBRID | {"dim": 40, "depth": 2},  # 4.8
        "CNN": CNN_SMALL,  # 4.7
    },
    "cifar10": {
        "ViT": VIT | {"dim": 48, "depth": 2},  # 6.6
        "hybrid": HYBRID | {"dim": 32, "depth": 1},  # 6.7
        "CNN": CNN_SMALL,  # 6.5
    },
}
ORDERS = {"as it is": "as it is", "patches": "patches permuted", "pixels": "pixels permuted"}
AUGMENTATION = {  # the same for all models
    "fashion_mnist": {"max_shift": 1},
    "cifar10": {"max_shift": 4, "flip": True},  # He et al. 2016, section 4.2
}


def name_of(model: str, images: int, budget: int) -> str:
    """Name a variant: "ViT, 500 images, x4"."""
    return f"{model}, {images:,} images, x{budget}"


def contests(task: str, budgets: tuple[int, ...], sizes: tuple[int, ...] | None = None) -> dict[str, dict]:
    """Give the settings of every training on these pictures, by name; the smallest budget first."""
    return {
        name_of(model, images, budget): {
            "task": task,
            "images": images,
            "model": {"name": model} | shape,
            "training": _training(task, budget),
        }
        for budget in budgets
        for images in sizes or SIZES[task]
        for model, shape in MODELS[task].items()
    }


def scrambles(task: str, images: int, budget: int) -> dict[str, dict]:
    """Give the settings of the ViT and the CNN on pictures as they are, and with patches or pixels permuted, by name.

    Nothing is shifted or mirrored: of a scrambled picture that would be no augmentation.
    """
    rows = contests(task, (budget,), (images,))
    return {
        f"{model}, {words}": {
            **(row := rows[name_of(model, images, budget)]),
            "order": order,
            "training": row["training"] | {"max_shift": 0, "flip": False},
        }
        for model in ("ViT", "CNN")
        for order, words in ORDERS.items()
    }


def patch_sizes(task: str, images: int, rows: tuple[tuple[int, int], ...]) -> dict[str, dict]:
    """Give the settings of the ViT with other patches, by name: "P = 8, x4"; each row is a patch size and a budget.

    Patches of twice the side are a quarter of the tokens, so they see four times as many pictures for the same
    operations.
    """
    found = {}
    for size, budget in rows:
        row = contests(task, (budget,), (images,))[name_of("ViT", images, budget)]
        found[f"P = {size}, x{budget}"] = row | {"model": row["model"] | {"patch_size": size}}
    return found


def _training(task: str, budget: int) -> dict:
    """Give the settings of a training; an epoch is one unit of the budget, however few pictures come round in it."""
    config = TrainingConfig(
        epochs=budget,
        batch_size=100,
        warmup_epochs=budget / 10,
        validation_fraction=0.0,
        precision="float32",
        device="cpu",
        **AUGMENTATION[task],
    )
    settings = asdict(config)
    del settings["seed"]
    return settings


def make_config(settings: dict, data: Dataset) -> ViTConfig | CNNConfig:
    """Make the config of a contestant; sizes and classes come from the data."""
    kind = CNNConfig if settings["model"]["name"] == "CNN" else ViTConfig
    shape = {key: value for key, value in settings["model"].items() if key != "name"}
    return kind(image_size=data.image_size, in_channels=data.in_channels, num_classes=data.num_classes, **shape)


def make_contestant(settings: dict, data: Dataset, seed: int) -> nn.Module:
    """Make the untrained model, always the same one for one seed."""
    config = make_config(settings, data)
    with seeded(seed):
        return CNN(config) if isinstance(config, CNNConfig) else ViT(config)


def draw_pictures(labels: Tensor, images: int, seen: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw which pictures are learned from, as often as they are seen in one unit, and which validate.

    Shapes: labels [N] -> indices [seen] and [N/10]. Each of so many `images` comes equally often, to within one; the
    pictures that validate are the same for every seed. Raises ValueError if there are fewer pictures to learn from.
    """
    learn, validate = split_validation(labels, 0.1, seed=0)
    if images > len(learn):
        raise ValueError(f"there are {len(learn):,} pictures to learn from, and {images:,} are asked for")
    drawn = learn[torch.randperm(len(learn), generator=torch.Generator().manual_seed(seed))[:images]]
    return drawn.repeat(-(-seen // images))[:seen], validate


def train(settings: dict, seed: int, data: Dataset, **options) -> tuple[nn.Module, History, Tensor]:
    """Train one contestant on pictures drawn for it; give the model, its history, and which pictures validate.

    `options` are those of `fit`.
    """
    rows, validate = draw_pictures(data.train_labels, settings["images"], UNIT[settings["task"]], seed)
    seen = replace(data, train_images=data.train_images[rows], train_labels=data.train_labels[rows])
    model = make_contestant(settings, data, seed)
    return model, fit(model, seen, TrainingConfig(**settings["training"], seed=seed), **options), validate


def compete(settings: dict, seed: int) -> dict:
    """Train one contestant and test it: see `measure`."""
    return measure(settings, seed, load(settings["task"]))


def compete_scrambled(settings: dict, seed: int) -> dict:
    """Train one contestant on pictures whose patches, or pixels, are in another order, and test it on such too."""
    return measure(settings, seed, scrambled(load(settings["task"]), settings["order"]))


def compete_and_reach(settings: dict, seed: int) -> dict:
    """Train one ViT and test it, and measure what a token of it answers to: see `measure` and `reach`."""
    return measure(settings, seed, load(settings["task"]), reach)


def reach(model: nn.Module, data: Dataset) -> dict[str, float]:
    """Measure what the token in the middle answers to after the first block, on 200 test pictures.

    `reach` is its mean distance to the pixels, weighted with how much each moves it, over that of a token that all
    pixels move alike: so patches of other sizes, whose middles lie elsewhere, can be compared. `own_patch` is the share
    of its own patch, and `seen` that of the pixels that move it at all. Both are from 0 to 1; `reach` may pass 1.
    Source of the weights: Luo et al. 2016, section 2 (effective receptive field).
    """
    images = model.card.normalize(data.test_images[:200])
    field, own = (receptive_field(model, images, stage) for stage in ("blocks.0", "patch_embed"))  # [H, W], sum 1
    alike = torch.full_like(field, 1 / field.numel())
    return {
        "reach": round(receptive_distance(field, model.grid_size) / receptive_distance(alike, model.grid_size), 4),
        "own_patch": round(field[own > 0].sum().item(), 4),
        "seen": (field > 0).double().mean().item(),
    }


def scrambled(data: Dataset, order: str) -> Dataset:
    """Put the patches, or the pixels, of every picture in one and the same random order; "as it is" changes nothing."""
    if order == "as it is":
        return data
    generator, size = torch.Generator().manual_seed(0), VIT["patch_size"]
    pixels = data.train_images[0, 0].numel()
    if order == "patches":
        patches = torch.randperm(pixels // size**2, generator=generator)
        images = (permute_patches(images, patches, size) for images in (data.train_images, data.test_images))
    else:
        places = torch.randperm(pixels, generator=generator)
        images = (permute_pixels(images, places) for images in (data.train_images, data.test_images))
    train_images, test_images = images
    return replace(data, name=f"{data.name}, {order} permuted", train_images=train_images, test_images=test_images)


def measure(settings: dict, seed: int, data: Dataset, look: Callable[[nn.Module, Dataset], dict] | None = None) -> dict:
    """Train one contestant and test it, on one thread; the model is that after the last step.

    `flops` are those of one picture forward; a training step takes three times as many: forward, and back to the
    activations and to the weights. `processor_seconds` are those of training, without what other programs took.
    """
    torch.set_num_threads(1)
    started, worked = time.perf_counter(), time.process_time()
    model, history, validate = train(settings, seed, data, progress=False)
    seconds, processor_seconds = time.perf_counter() - started, time.process_time() - worked
    validation = evaluate(model, data.train_images[validate], data.train_labels[validate])
    test = evaluate(model, data.test_images, data.test_labels)
    flops, images_seen = flops_per_image(model.config), history.epochs * history.data["training"]
    return {
        "validation_accuracy": validation.accuracy,
        "test_accuracy": test.accuracy,
        "test_loss": round(test.loss, 4),
        "train_accuracy": round(history.train_accuracy[-1], 4),  # of the last epoch, on augmented pictures
        "images_seen": images_seen,
        "flops": flops,
        "training_flops": 3 * flops * images_seen,
        "parameters": count_parameters(model),
        "seconds": round(seconds, 2),
        "processor_seconds": round(processor_seconds, 2),
        **(look(model, data) if look else {}),
        "data": {"name": data.name, "validation": len(validate), "test": len(data.test_labels)},
        "environment": history.environment,
    }
