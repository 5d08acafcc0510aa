"""What lesson 10 measures on clothes: a small ViT that knows six kinds is taken to the other four.

The first training is the one whose weights are shipped, data/vit_clothes_six.safetensors. Each job takes 1 to 100
pictures of each of the other four kinds, by one method, and is judged on all test pictures of these four. Seeds, and
how a rate is chosen, are as in the study of photographs. The trainings are so long that twice the epochs should change
little: with the most pictures, where they would change most, that is tried.

For a second look at the choice of the kinds, the last six are learned first, in the same way, and kept in
runs/transfer_clothes.
"""

import hashlib
import json
import time
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import torch
from filelock import FileLock

from vit_tutorial.datasets import DATA_FOLDER, Dataset, load
from vit_tutorial.recipes import RECORDED, build_model
from vit_tutorial.studies.transfer import SEARCH_SEEDS, draw_few, features_of, linear_probe
from vit_tutorial.support.paths import RUNS
from vit_tutorial.training import TrainingConfig, evaluate, fit, reset_head
from vit_tutorial.vit import ViT
from vit_tutorial.weights import load_model, save_model

RECIPE = RECORDED["vit_clothes_six"]  # of the first training
LEARNED_FIRST = {"first six": RECIPE.classes, "last six": (4, 5, 6, 7, 8, 9)}
SIZES = (1, 5, 20, 100)  # pictures of each kind
SECOND_LOOK = 20  # pictures of each kind
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
    """Give each method with each number of pictures, "METHOD, N a kind"; some in twice their epochs, or other kinds."""
    found = {}
    for images in SIZES:
        epochs, batch_size = BUDGETS[images]
        for name, (start, learns, _) in METHODS.items():
            long = {} if learns == "one layer" else {"epochs": epochs, "batch_size": batch_size}
            found[f"{name}, {images} a kind"] = {"images": images, "start": start, "learns": learns} | long
    for name in ("all weights", "from scratch"):
        once = found[f"{name}, {SIZES[-1]} a kind"]
        found[f"{name}, {SIZES[-1]} a kind, twice as long"] = once | {"epochs": 2 * once["epochs"]}
    for name in METHODS:
        found[f"{name}, {SECOND_LOOK} a kind, other kinds"] = found[f"{name}, {SECOND_LOOK} a kind"] | {
            "learned_first": "last six"
        }
    return {name: settings | {"learning_rate": None} for name, settings in found.items()}


def rates() -> dict[str, tuple[float, ...]]:
    """Give the learning rates that each variant tries: those of its method."""
    return {name: METHODS[name.split(",")[0]][2] for name in variants()}


def first_training(learned_first: str) -> Path:
    """Give the weights of the model that has learned these six kinds; the last six are learned once, and kept."""
    if learned_first == "first six":
        return DATA_FOLDER / RECIPE.weights.name
    about = json.dumps([LEARNED_FIRST[learned_first], RECIPE.model, asdict(RECIPE.training)])
    digest = hashlib.sha256(about.encode()).hexdigest()[:8]  # with other settings it is another file
    file = RUNS / "transfer_clothes" / f"{learned_first.replace(' ', '_')}-{digest}.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        if not file.exists():
            data = load("fashion_mnist").of_classes(LEARNED_FIRST[learned_first])
            model = RECIPE.build(data)
            fit(model, data, RECIPE.training, progress=False)
            save_model(model, file)
    return file


@cache
def other_four(learned_first: str) -> Dataset:
    """Give the clothes of the four kinds that the first training has not seen, with its mean and std."""
    card = load_model(first_training(learned_first)).card
    new = [kind for kind in range(10) if kind not in LEARNED_FIRST[learned_first]]
    return replace(load("fashion_mnist").of_classes(new), mean=card.mean, std=card.std)


def begin(start: str, learned_first: str, seed: int) -> ViT:
    """Give the model of a job, with a new head: the one that has learned six kinds, or an untrained one like it."""
    data = other_four(learned_first)
    if start == "labels":
        return reset_head(load_model(first_training(learned_first)), data.num_classes, seed)
    return build_model(data, RECIPE.model, seed)


def transfer_clothes(settings: dict, seed: int) -> dict:
    """Take one model to the four kinds by one method; a seed of the search is judged on held-out pictures.

    `settings` are those of `variants`. The result has `validation_accuracy` for such a seed, `test_accuracy` else.
    """
    torch.set_num_threads(1)
    learned_first = settings.get("learned_first", "first six")
    data = other_four(learned_first)
    few, held_out, held_out_labels = draw_few(data, settings["images"], seed)
    judge = seed not in SEARCH_SEEDS
    asked, truth = (data.test_images, data.test_labels) if judge else (held_out, held_out_labels)
    worked = time.process_time()
    if settings["learns"] == "one layer":
        model = None if settings["start"] == "pixels" else begin(settings["start"], learned_first, seed).eval()
        seen, shown = (features_of(model, data, pictures) for pictures in (few.train_images, asked))
        layer = linear_probe(seen, few.train_labels, data.num_classes, settings["learning_rate"])
        accuracy = (layer(shown).argmax(dim=1) == truth).double().mean().item()
    else:
        model = begin(settings["start"], learned_first, seed)
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
