"""The command line: train a Vision Transformer, stop and go on at any time, and keep what came of it.

    python -m vit_tutorial.train --data fashion_mnist --out runs/first
    python -m vit_tutorial.train --preset cifar10-gpu --out runs/cifar10
    torchrun --nproc-per-node 4 -m vit_tutorial.train --preset cifar10-gpu --out runs/four_gpus

The folder of --out receives the checkpoint while training, then the weights (model.safetensors) and history.json.
The same command again goes on where the last one was stopped. torchrun starts several processes that share each batch.
"""

import argparse
import copy
import inspect
import re
import shlex
import sys
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import UnionType
from typing import Literal, get_origin

import torch
from tqdm import tqdm

from vit_tutorial.datasets import DATA_FOLDER, READERS, DataError, Dataset, load
from vit_tutorial.introspection import flops_per_image
from vit_tutorial.support.files import write_json
from vit_tutorial.training import Evaluation, History, TrainingConfig, evaluate, fit
from vit_tutorial.training.checkpoint import TrainingError, weights_after_an_epoch
from vit_tutorial.training.devices import choose_device, matrix_rate
from vit_tutorial.training.distributed import joined
from vit_tutorial.vit import ViT, ViTConfig
from vit_tutorial.weights import ModelCard, save_model


@dataclass(frozen=True)
class Preset:
    """A data set with a model and a recipe that go well together; sizes and classes come from the data."""

    data: str
    model: dict
    training: TrainingConfig

    def build(self, data: Dataset) -> ViT:
        """Make the untrained model for this data set, always the same one for one seed."""
        return build_model(data, self.model, self.training.seed)


PRESETS = {
    "cpu": Preset(
        data="fashion_mnist",
        model={"patch_size": 7, "dim": 64, "depth": 4, "num_heads": 4, "mlp_ratio": 2.0},
        training=TrainingConfig(),
    ),
    "cifar10-small-gpu": Preset(
        data="cifar10",
        model={"patch_size": 4, "dim": 192, "depth": 6, "num_heads": 3, "pool": "mean", "drop_path": 0.05},
        training=TrainingConfig(
            epochs=60,
            batch_size=512,
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
    "cifar10-gpu": Preset(
        data="cifar10",
        model={"patch_size": 4, "dim": 384, "depth": 7, "num_heads": 6, "pool": "mean", "drop_path": 0.1},
        training=TrainingConfig(
            epochs=150,
            batch_size=1024,
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
        ),
    ),
}
EMBEDDED = {"fashion_mnist_full": "fashion_mnist"}  # data sets of which a part comes with the course
FROM_DATA = ("image_size", "in_channels", "num_classes")  # fields of ViTConfig that the data set decides


def build_model(data: Dataset, shape: dict, seed: int) -> ViT:
    """Make an untrained ViT whose input and output fit the data; `shape` holds the other fields of ViTConfig."""
    config = ViTConfig(image_size=data.image_size, in_channels=data.in_channels, num_classes=data.num_classes, **shape)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = ViT(config)
    model.card = ModelCard(data.class_names, data.mean, data.std)
    return model


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors that a person can mend end it with one sentence and exit status 1."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse(arguments)
    try:
        run(options, shlex.join(arguments))
    except (DataError, TrainingError, ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(f"stopped; the same command goes on from the last checkpoint in {options.out}")


def run(options: argparse.Namespace, command: str) -> None:
    """Train, write everything down, and look at the test images once, at the very end."""
    config = TrainingConfig(**{f.name: getattr(options, f.name) for f in fields(TrainingConfig)})
    device = choose_device(config.device)
    with joined(device) as world:
        if world.leads:  # the others wait, so that only one process downloads
            data = load(options.data, root=options.data_root)
        world.from_first(None)
        if not world.leads:
            data = load(options.data, root=options.data_root)
        shape = {f.name: getattr(options, f.name) for f in fields(ViTConfig) if f.name not in FROM_DATA}
        model = build_model(data, shape, config.seed)
        if world.leads:
            print(data)
            keep(options, model)  # the run may have been killed just before it did

        def after_epoch(history: History) -> None:
            if history.epochs in options.keep:  # or the checkpoint need not be read
                keep(options, model)
            if not options.quiet:
                print_epoch(history)

        started = time.perf_counter()
        history = fit(model, data, config, checkpoint=options.out, on_epoch=after_epoch)
        seconds = time.perf_counter() - started
    if world.leads:
        finish(options, command, model, data, history, seconds, device)


def keep(options: argparse.Namespace, model: ViT) -> None:
    """Write the weights of the last checkpoint down for good, in half the bytes, if --keep names its epoch."""
    if not options.keep or (found := weights_after_an_epoch(options.out)) is None or found[0] not in options.keep:
        return
    epoch, weights = found
    path = (options.keep_in or options.out / "epochs") / f"epoch_{epoch:03}.safetensors"
    if not path.exists():
        twin = copy.deepcopy(model)
        twin.load_state_dict(weights)
        save_model(twin, path, dtype=torch.float16)


def finish(
    options: argparse.Namespace,
    command: str,
    model: ViT,
    data: Dataset,
    history: History,
    seconds: float,
    device: torch.device,
) -> None:
    """Write weights, history and record, and test."""
    if options.record:
        model.card = ModelCard(data.class_names, data.mean, data.std, record=f"{options.record}.json")
    history.to_json(options.out / "history.json")
    weights = save_model(model, options.out / "model.safetensors")
    if options.float16:
        save_model(model, options.float16, dtype=torch.float16)
    print(f"{seconds:.0f} s, {history.images_per_second:,.0f} images/s; weights in {weights}")
    speed = measure_utilisation(history, model.config, device)
    print(
        f"{speed['mfu']:.0%} of the {speed['matrix_rate'] / 1e12:.3g} TFLOP/s that matrix products reach here (MFU), "
        f"with {speed['flops_per_image'] / 1e6:,.0f} MFLOP an image forward"
    )
    if history.validation_accuracy:
        print(f"validation accuracy {history.validation_accuracy[-1]:.2%}")
    test = evaluate(model, data.test_images, data.test_labels)
    print(f"test accuracy {test.accuracy:.2%}")
    others = {}
    if options.flip:  # the model has learned from mirror images, so it can be asked about them too
        others["mirrored_test"] = score(model, data, mirrored=True)
        print(f"averaged with the mirror image of each {others['mirrored_test']['accuracy']:.2%}")
    if options.record:
        path = options.records / f"{options.record}.json"
        if data.name in EMBEDDED:
            others["embedded_test"] = score(model, load(EMBEDDED[data.name]))
        write_json(path, make_record(options.record, command, history, test, data) | speed | others)
        print(f"record in {path}")


def score(model: ViT, data: Dataset, mirrored: bool = False) -> dict:
    """Give what a record says of one more look at test images: how many, and the share that is classified rightly."""
    accuracy = evaluate(model, data.test_images, data.test_labels, mirrored=mirrored).accuracy
    return {"images": len(data.test_labels), "accuracy": round(accuracy, 5)}


def measure_utilisation(history: History, config: ViTConfig, device: torch.device) -> dict:
    """Compare the speed of a training with that of large matrix products on the same device: its MFU, 0 to 1.

    A training step takes three times the operations of the way forward. Source: Chowdhery et al. 2022, "PaLM",
    appendix B (model FLOPs utilisation); here against the measured rate of the device, not against its data sheet.
    """
    flops = flops_per_image(config)
    rate = matrix_rate(device, history.config["precision"])
    mfu = 3 * flops * history.images_per_second / (rate * history.environment["processes"])
    return {"flops_per_image": flops, "matrix_rate": float(f"{rate:.3g}"), "mfu": round(mfu, 3)}


def print_epoch(history: History) -> None:
    """Print one line about the last epoch, above the progress bar if there is one."""
    validation = f", validation {history.validation_accuracy[-1]:.2%}" if history.validation_accuracy else ""
    tqdm.write(
        f"epoch {history.epochs}/{history.config['epochs']}: loss {history.train_loss[-1]:.3f}, accuracy "
        f"{history.train_accuracy[-1]:.2%}{validation}, {history.seconds[-1]:.1f} s"
    )
    sys.stdout.flush()


def make_record(name: str, command: str, history: History, test: Evaluation, data: Dataset) -> dict:
    """Gather what somebody needs to believe, and to repeat, a training run."""
    run = asdict(history)
    return {
        "name": name,
        "what": f"a ViT trained on {data.name}",
        "command": f"python -m vit_tutorial.train {command}",
        **{key: [float(f"{x:.5g}") for x in value] if isinstance(value, list) else value for key, value in run.items()},
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


# --- Options: one for every field of the two configs -----------------------------------------------------------------


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options; what is not given comes from the preset."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--preset", choices=PRESETS, default="cpu", help="where all other defaults come from")
    preset = PRESETS[first.parse_known_args(arguments)[0].preset]

    parser = argparse.ArgumentParser(
        prog="python -m vit_tutorial.train",
        description=__doc__,
        parents=[first],
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", choices=READERS, default=preset.data, help=f"the data set (default: {preset.data})")
    parser.add_argument("--data-root", metavar="FOLDER", help="where to look for it first")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="checkpoint, weights and history")
    parser.add_argument("--record", metavar="NAME", help="also write NAME.json to the folder of records")
    parser.add_argument(
        "--records", type=Path, default=DATA_FOLDER / "results", metavar="FOLDER", help="(default: data/results)"
    )
    parser.add_argument("--float16", type=Path, metavar="FILE", help="also write the weights in half the bytes")
    parser.add_argument(
        "--keep", type=int, nargs="+", default=(), metavar="EPOCH", help="also keep the weights after these epochs"
    )
    parser.add_argument("--keep-in", type=Path, metavar="FOLDER", help="where to (default: epochs, in that of --out)")
    parser.add_argument("--quiet", action="store_true", help="no line per epoch")
    add_fields(parser.add_argument_group("model"), ViTConfig, asdict(ViTConfig()) | preset.model, without=FROM_DATA)
    add_fields(parser.add_argument_group("training"), TrainingConfig, asdict(preset.training))
    return parser.parse_args(arguments)


def add_fields(group: argparse._ArgumentGroup, config: type, defaults: dict, without: tuple[str, ...] = ()) -> None:
    """Add an option for each field of a config class; its comment is the help."""
    comments = field_comments(config)
    for f in fields(config):
        if f.name in without:
            continue
        default = defaults[f.name]
        help_text = f"{comments.get(f.name, '')} (default: {default})".strip().replace("%", "%%")
        if f.type is bool:
            kind = {"action": argparse.BooleanOptionalAction}
        else:
            optional = type(None) in getattr(f.type, "__args__", ())
            basic = str if get_origin(f.type) is Literal else f.type
            basic = basic.__args__[0] if isinstance(basic, UnionType) else basic
            kind = {"type": or_none(basic) if optional else basic, "metavar": basic.__name__.upper()}
        group.add_argument(f"--{f.name.replace('_', '-')}", default=default, help=help_text, **kind)


def field_comments(config: type) -> dict[str, str]:
    """Read the comment behind each field in the source of a dataclass."""
    source = inspect.getsource(config)
    starts = [re.search(rf"^    {f.name}:", source, re.MULTILINE).start() for f in fields(config)]
    ends = [*starts[1:], source.find("\n    def ")]
    found = {
        f.name: re.search(r"#\s*(.*)", source[start:end])
        for f, start, end in zip(fields(config), starts, ends, strict=True)
    }
    return {name: match[1] for name, match in found.items() if match}


def or_none(basic: type):
    """Make a reader of option values that also takes the word none."""

    def read(text: str):
        return None if text.lower() == "none" else basic(text)

    read.__name__ = basic.__name__
    return read


if __name__ == "__main__":
    main()
