"""What stays of a training: weights along the way, and a record that says what came out and how to repeat it."""

import copy
from dataclasses import asdict
from pathlib import Path

import torch

from vit_tutorial.datasets import Dataset, load
from vit_tutorial.introspection import flops_per_image
from vit_tutorial.training.checkpoint import weights_after_an_epoch
from vit_tutorial.training.devices import describe_environment, matrix_rate
from vit_tutorial.training.evaluation import evaluate
from vit_tutorial.training.history import History
from vit_tutorial.vit import ViT, ViTConfig
from vit_tutorial.weights import save_model

EMBEDDED = {"fashion_mnist_full": "fashion_mnist"}  # data sets of which a part comes with the course


def make_record(
    model: ViT,
    data: Dataset,
    history: History,
    device: torch.device,
    *,
    name: str | None,
    command: str,
    rate: float | None = None,
) -> dict:
    """Test a trained model once, and gather what somebody needs to believe the training and to repeat it.

    `rate` is how fast the device multiplies, in FLOP/s; None: it is measured now. A model that learned from mirror
    images is also asked about them. A record that gets a name also says how the model does on the test images that come
    with the course. Accuracies are 0 to 1.
    """
    test = evaluate(model, data.test_images, data.test_labels)
    record = {
        "name": name,
        "what": f"a ViT trained on {data.name}",
        "command": command,
        **{key: _rounded(value) for key, value in asdict(history).items()},
        "total_seconds": round(sum(history.seconds), 1),
        "images_per_second": round(history.images_per_second, 1),
        "class_names": data.class_names,
        "test": {
            "images": len(data.test_labels),
            "accuracy": round(test.accuracy, 5),
            "loss": round(test.loss, 5),
            "confusion": test.confusion.tolist(),
        },
    }
    record |= measure_utilisation(history, model.config, device, rate)
    if history.config["flip"]:
        record["mirrored_test"] = score(model, data, mirrored=True)
    if name and data.name in EMBEDDED:
        record["embedded_test"] = score(model, load(EMBEDDED[data.name]))
    return record


def _rounded(value: object) -> object:
    return [float(f"{x:.5g}") for x in value] if isinstance(value, list) else value


def score(model: ViT, data: Dataset, mirrored: bool = False) -> dict:
    """Give what a record says of one more look at test images: how many, and the share that is classified rightly."""
    accuracy = evaluate(model, data.test_images, data.test_labels, mirrored=mirrored).accuracy
    return {"images": len(data.test_labels), "accuracy": round(accuracy, 5)}


def measure_utilisation(history: History, config: ViTConfig, device: torch.device, rate: float | None = None) -> dict:
    """Compare the speed of a training with that of large matrix products on the same device: its MFU, 0 to 1.

    `rate` is that speed in FLOP/s; None: it is measured now, and where the training ended on another device nothing is
    given, since that speed says nothing of it. A training step takes three times the operations of the way forward;
    with parts that are frozen it takes fewer, nobody counts them, and there is no MFU. Of a run that went on elsewhere,
    what was trained before does not count.
    Source: Chowdhery et al. 2022, "PaLM", appendix B (model FLOPs utilisation); here against the measured rate of the
    device, not against its data sheet.
    """
    here = describe_environment(device)
    if not rate and any(history.environment.get(what) != here[what] for what in ("device", "hardware", "threads")):
        return {}
    flops = flops_per_image(config)
    rate = rate or matrix_rate(device, history.config["precision"])
    found = {"flops_per_image": flops, "matrix_rate": float(f"{rate:.3g}")}
    if history.config.get("freeze"):
        return found
    mfu = 3 * flops * history.images_per_second / (rate * history.environment["processes"])
    return found | {"mfu": round(mfu, 3)}


def keep_weights(model: ViT, run: Path, epochs: tuple[int, ...], folder: Path) -> None:
    """Write the weights of the checkpoint in `run` to `folder`, in half the bytes, if it ends one of these epochs.

    The file is epoch_012.safetensors or the like, in place of one that another run may have left there; the same run
    gives the same bytes. `model` gives shape and card alone.
    """
    if not epochs or (found := weights_after_an_epoch(run)) is None or found[0] not in epochs:
        return
    epoch, weights = found
    twin = copy.deepcopy(model)
    twin.load_state_dict(weights)
    save_model(twin, kept_file(folder, epoch), dtype=torch.float16)


def kept_file(folder: Path, epoch: int) -> Path:
    """Give the file of the weights that are kept after an epoch."""
    return folder / f"epoch_{epoch:03}.safetensors"
