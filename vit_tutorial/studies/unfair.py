"""The trainings of lesson 9's bug clinic: what six comparisons of a ViT and a CNN picked from, fair and unfair.

All learn from 500 pictures of clothes, and each training is followed: after every epoch it is tested, on pictures that
validate and on pictures that test. What a comparison then shows of it is its own affair.
"""

import time
from dataclasses import replace

import torch

from vit_tutorial.datasets import load
from vit_tutorial.introspection import flops_per_image
from vit_tutorial.studies import versus
from vit_tutorial.training import History, TrainingConfig, evaluate, fit

IMAGES = 500  # different pictures
EPOCH = 3_000  # pictures seen in an epoch: each of the 500 six times
BUDGET = 4  # in units of `versus`
EPOCHS = BUDGET * versus.UNIT["fashion_mnist"] // EPOCH
RATES = {"ViT": 0.01, "CNN": 0.1}  # the best of five on validation pictures, found by the search of `versus`


def trainings() -> dict[str, dict]:
    """Give the settings of every training, by name: "ViT", "ViT, the other's rate", and so on."""
    return {
        f"{model}{words}": row
        for model in ("ViT", "CNN")
        for words, row in {
            "": _settings(model, RATES[model]),
            ", the other's rate": _settings(model, RATES["CNN" if model == "ViT" else "ViT"]),
            ", nothing augmented": _settings(model, RATES[model], max_shift=0),
            ", a quarter of the budget": _settings(model, RATES[model], epochs=EPOCHS // BUDGET),
        }.items()
    }


def _settings(model: str, rate: float, epochs: int = EPOCHS, **changed) -> dict:
    name = versus.name_of(model, IMAGES, BUDGET)
    settings = versus.contests("fashion_mnist", (BUDGET,), (IMAGES,))[name]
    timing = {"learning_rate": rate, "epochs": epochs, "warmup_epochs": epochs / 10}
    return settings | {"training": settings["training"] | timing | changed}


def follow(settings: dict, seed: int) -> dict:
    """Train one model on one thread, and test it after every epoch: shares of right answers, one for each epoch."""
    torch.set_num_threads(1)
    started, worked = time.perf_counter(), time.process_time()
    data = load(settings["task"])
    rows, validate = versus.draw_pictures(data.train_labels, settings["images"], EPOCH, seed)
    seen = replace(data, train_images=data.train_images[rows], train_labels=data.train_labels[rows])
    looked_at = {
        "validation_curve": (data.train_images[validate], data.train_labels[validate]),
        "test_curve": (data.test_images, data.test_labels),
    }
    curves: dict[str, list[float]] = {key: [] for key in looked_at}
    model = versus.make_contestant(settings, data, seed)

    def look(history: History) -> None:
        for key, pictures in looked_at.items():
            curves[key].append(round(evaluate(model, *pictures).accuracy, 4))

    history = fit(model, seen, TrainingConfig(**settings["training"], seed=seed), progress=False, on_epoch=look)
    return curves | {
        "train_accuracy": round(history.train_accuracy[-1], 4),  # of the last epoch, on what was learned from
        "images_seen": history.epochs * EPOCH,
        "flops": flops_per_image(model.config),
        "seconds": round(time.perf_counter() - started, 2),
        "processor_seconds": round(time.process_time() - worked, 2),
        "data": {"name": data.name, "validation": len(validate), "test": len(data.test_labels)},
        "environment": history.environment,
    }
