"""What lesson 10 measures on clothes: a small ViT that knows six kinds is taken to the other four.

The first training is the one whose weights are shipped, data/vit_clothes_six.safetensors. Each job takes 1 to 100
pictures of each of the other four kinds, by one method, and is judged on all test pictures of these four. Seeds and
rates are as in the study of photographs. The trainings are so long that twice the epochs should change little: with
the most pictures, where they would change most, that is tried.
"""

import time
from dataclasses import replace
from functools import cache

import torch

from vit_tutorial.datasets import DATA_FOLDER, Dataset, load
from vit_tutorial.recipes import RECORDED, build_model
from vit_tutorial.studies.transfer import SEARCH_SEEDS, draw_few, features_of, linear_probe
from vit_tutorial.training import TrainingConfig, evaluate, fit, reset_head
from vit_tutorial.vit import ViT
from vit_tutorial.weights import load_model

SIX = DATA_FOLDER / "vit_clothes_six.safetensors"
NEW_KINDS = (6, 7, 8, 9)
SIZES = (1, 5, 20, 100)  # pictures of each kind
BUDGETS = {1: (100, 4), 5: (100, 20), 20: (60, 20), 100: (40, 20)}  # epochs and pictures a batch, by pictures a kind

# Each method: what it begins with, what learns, and the learning rates among which it searches.
METHODS: dict[str, tuple[str, str, tuple[float, ...]]] = {
    "raw pixels": ("pixels", "one layer", (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)),
    "untrained features": ("untrained", "one layer", (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)),
    "trained features": ("labels", "one layer", (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)),
    "all weights": ("labels", "all weights", (3e-4, 1e-3, 3e-3, 1e-2)),
    "from scratch": ("untrained", "all weights", (3e-4, 1e-3, 3e-3, 1e-2)),
}


def variants() -> dict[str, dict]:
    """Give each method with each number of pictures, "METHOD, N a kind", and the two longest in twice their epochs."""
    found = {}
    for images in SIZES:
        epochs, batch_size = BUDGETS[images]
        for name, (start, learns, _) in METHODS.items():
            long = {} if learns == "one layer" else {"epochs": epochs, "batch_size": batch_size}
            found[f"{name}, {images} a kind"] = {"images": images, "start": start, "learns": learns} | long
    for name in ("all weights", "from scratch"):
        once = found[f"{name}, {SIZES[-1]} a kind"]
        found[f"{name}, {SIZES[-1]} a kind, twice as long"] = once | {"epochs": 2 * once["epochs"]}
    return {name: settings | {"learning_rate": None} for name, settings in found.items()}


def rates() -> dict[str, tuple[float, ...]]:
    """Give the learning rates that each variant tries: those of its method."""
    return {name: METHODS[name.split(",")[0]][2] for name in variants()}


@cache
def four_kinds() -> Dataset:
    """Give the clothes of the four kinds that the first training has not seen, with its mean and std."""
    card = load_model(SIX).card
    return replace(load("fashion_mnist").of_classes(NEW_KINDS), mean=card.mean, std=card.std)


def begin(start: str, seed: int) -> ViT:
    """Give the model of a job, with a new head: the one that has learned six kinds, or an untrained one like it."""
    if start == "labels":
        return reset_head(load_model(SIX), len(NEW_KINDS), seed)
    return build_model(four_kinds(), RECORDED["vit_clothes_six"].model, seed)


def transfer_clothes(settings: dict, seed: int) -> dict:
    """Take one model to the four kinds by one method; a seed of the search is judged on held-out pictures.

    `settings` are those of `variants`. The result has `validation_accuracy` for such a seed, `test_accuracy` else.
    """
    torch.set_num_threads(1)
    data = four_kinds()
    few, held_out, held_out_labels = draw_few(data, settings["images"], seed)
    judge = seed not in SEARCH_SEEDS
    asked, truth = (data.test_images, data.test_labels) if judge else (held_out, held_out_labels)
    worked = time.process_time()
    if settings["learns"] == "one layer":
        model = None if settings["start"] == "pixels" else begin(settings["start"], seed).eval()
        seen, shown = (features_of(model, data, pictures) for pictures in (few.train_images, asked))
        layer = linear_probe(seen, few.train_labels, len(NEW_KINDS), settings["learning_rate"])
        accuracy = (layer(shown).argmax(dim=1) == truth).double().mean().item()
    else:
        model = begin(settings["start"], seed)
        config = TrainingConfig(
            epochs=settings["epochs"],
            batch_size=settings["batch_size"],
            learning_rate=settings["learning_rate"],
            warmup_epochs=0.1 * settings["epochs"],
            validation_fraction=0.0,
            seed=seed,
            precision="float32",
            device="cpu",
        )
        fit(model, few, config, progress=False)
        accuracy = evaluate(model, asked, truth).accuracy
    return {
        "test_accuracy" if judge else "validation_accuracy": accuracy,
        "processor_seconds": round(time.process_time() - worked, 2),
        "data": {
            "name": data.name,
            "class_names": data.class_names,
            "validation": len(held_out_labels),
            "test": len(data.test_labels),
        },
    }
