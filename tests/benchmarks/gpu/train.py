"""Step `train`: the large preset with several seeds, with as many epochs as let all of them fit the time that is left.

All seeds get the same number of epochs, at most the preset's. A later seed begins only if it will probably end in time.
Each one reads the test images once, when it has ended, and once more with their mirror images, which is told apart.
"""

import statistics
import time
from dataclasses import replace
from pathlib import Path

import torch
from gpu.common import data_of, device_of, forget_peak, preset_of
from gpu.journal import Journal, OutOfTime
from gpu.weights import write_pieces

from vit_tutorial.datasets import Dataset
from vit_tutorial.recipes import Recipe, build_model
from vit_tutorial.training import History, TrainingConfig, evaluate, fit, predict_seconds
from vit_tutorial.training.devices import can_compile, describe_environment

SPARE = 1.2  # of the predicted time: on an H200 an epoch took 1.14 times what the speed of its steps predicts
COMPILING = 40.0  # seconds, where none were measured
END = 6.0  # seconds for reading the test images and writing the weights


def run(settings: dict, journal: Journal) -> None:
    """Plan, train and write down one seed after the other."""
    device, preset, data = device_of(settings), preset_of(settings), data_of(settings)
    journal.write(environment=describe_environment(device))
    config = replace(preset.training, device=device.type)
    plan = plan_for(preset, data, config, settings, journal.left)
    journal.write(plan=plan)
    config = with_epochs(config, plan["epochs"], compile=plan["compile"])
    last = plan["seconds_a_seed"]
    for number, seed in enumerate(settings["seeds"]):
        if number and journal.left < last * 1.02:
            journal.write(not_begun=settings["seeds"][number:], needed=last, left=journal.left)
            break
        started = time.perf_counter()
        train_one(f"seed {seed}", preset.model, data, replace(config, seed=seed), journal, Path(settings["out"]))
        last = time.perf_counter() - started
        tests = [run["test"] for run in journal.found["runs"] if run["ended"] == "done"]
        journal.write(mean_test=statistics.mean(tests), spread_test=statistics.stdev(tests) if len(tests) > 1 else 0.0)


def plan_for(preset: Recipe, data: Dataset, config: TrainingConfig, settings: dict, left: float) -> dict:
    """Choose the number of epochs, and whether to compile, from what the step `speed` has measured or, else, now."""
    images = len(data.train_labels) * (1 - config.validation_fraction)
    looks = 1 + config.validation_fraction / (1 - config.validation_fraction) / 3  # forward is a third of a step
    ways = {}
    for row in settings["found"].get("speed", {}).get("variants", []):
        if row["name"] in ("eager, muon", "compiled, muon") and "images_per_second" in row:
            first = row["first_step_seconds"] if row["compiled"] else 0.0
            ways[row["compiled"]] = (images / row["images_per_second"] * looks, first)
    if not ways:
        compiled = can_compile(torch.device(config.device))
        an_epoch = predict_seconds(preset.build(data), data, config) / config.epochs  # eager: compiled it is less
        ways[compiled] = (an_epoch, COMPILING if compiled else 0.0)
    seeds, plans = len(settings["seeds"]), []
    for compiled, (an_epoch, compiling) in ways.items():
        an_epoch = SPARE * (an_epoch + 0.05)
        fitting = int((left - compiling - seeds * END) / (seeds * an_epoch))
        epochs = max(1, min(settings.get("epochs") or config.epochs, fitting))
        needed = compiling + seeds * (epochs * an_epoch + END)
        plans.append({"epochs": epochs, "compile": compiled, "seconds": needed, "seconds_a_seed": needed / seeds})
    return max(plans, key=lambda plan: (plan["epochs"], -plan["seconds"])) | {
        "ways": {str(k): v for k, v in ways.items()}
    }


def with_epochs(config: TrainingConfig, epochs: int, **changes) -> TrainingConfig:
    """Shorten a recipe: warm-up and the last, plain epochs keep their share."""
    share = epochs / config.epochs
    plain = round(config.plain_epochs * share)
    return replace(
        config, epochs=epochs, warmup_epochs=min(epochs, config.warmup_epochs * share), plain_epochs=plain, **changes
    )


def train_one(
    name: str, shape: dict, data: Dataset, config: TrainingConfig, journal: Journal, out: Path | None = None
) -> dict:
    """Train once and write everything down; with `out` also read the test images and keep the weights there.

    Raises OutOfTime if the time ends first; what there is then is written down too.
    """
    started = time.perf_counter()
    forget_peak(torch.device(config.device))
    model = build_model(data, shape, config.seed)
    entry: dict = {"name": name, "epochs": config.epochs, "epochs_done": 0, "seconds": 0.0, "ended": "begun"}
    journal.add("runs", entry)

    def note(history: History | None = None, **more) -> None:
        if history is not None:
            entry.update(history=vars(history), epochs_done=history.epochs)
            if history.validation_accuracy:
                entry["validation"] = history.validation_accuracy[-1]
        entry.update(more, seconds=round(time.perf_counter() - started, 2))
        journal.save()

    def on_epoch(history: History) -> None:
        note(history, ended="stopped by the clock")
        journal.check_time(history.seconds[-1] if history.epochs < config.epochs else 0.0)

    try:
        history = fit(model, data, config, progress=False, on_epoch=on_epoch)
    except OutOfTime:
        note(ended="stopped by the clock")
        raise
    except Exception as problem:
        note(ended=f"failed: {type(problem).__name__}: {problem}"[:400])
        raise
    note(history, images_per_second=history.images_per_second)
    if out is not None:
        note(weights=write_pieces(model, out, f"seed_{config.seed}"))  # first: what is written cannot be lost
        for key, mirrored in (("test", False), ("mirrored_test", True)):
            result = evaluate(model, data.test_images, data.test_labels, mirrored=mirrored)
            note(**{key: result.accuracy, f"{key}_loss": result.loss, f"{key}_images": len(data.test_labels)})
            if not mirrored:
                note(confusion=result.confusion.tolist())
    if torch.cuda.is_available():
        note(memory=torch.cuda.max_memory_allocated())
    note(ended="done")
    return entry
