"""Studies: what the lessons claim about training, tried out with several seeds, and written down.

    python -m vit_tutorial.studies                      all of them; four hours on one core
    python -m vit_tutorial.studies pooling --workers 2  one, with two trainings side by side

    patch_size   P in 28, 14, 7, 4: what accuracy does a smaller patch buy, and at what cost?
    pooling      class token against mean, each at four learning rates
    positions    none, learned and fixed, on a line and on a grid
    jigsaw       which of four arrangements do the patches of this picture have?
    norm         pre-norm and post-norm, 12 and 24 blocks, with and without warm-up
    heads        1, 2, 4, 8 and 16 heads that share the same number of parameters
    scale        scores divided by sqrt(d), by 1, by d, by sqrt(D), with one head and with four
    hybrid       a ResNet's first layers in front, or the pixels themselves, with 1 to 8 blocks, at two learning rates
    ingredients  the recipe of the preset for a CPU, with one thing changed at a time

Every training runs on one thread, and is kept in runs/studies as soon as it is done: the same command again goes on
where the last one was stopped. A study that is whole becomes data/results/study_NAME.json.

    >>> study = load_study("pooling")
    >>> study.accuracies()    # test accuracy of each seed, by variant
"""

import argparse
import contextlib
import json
import math
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import MISSING, asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from queue import Queue

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vit_tutorial.attention import MultiHeadAttention
from vit_tutorial.datasets import DATA_FOLDER, Dataset, load
from vit_tutorial.introspection import flops_per_image
from vit_tutorial.patches import as_pair, patchify, unpatchify
from vit_tutorial.positions import PositionEmbedding, sincos_1d
from vit_tutorial.support.files import write_json
from vit_tutorial.training import TrainingConfig, evaluate, fit
from vit_tutorial.vit import ViT, ViTConfig

RECORDS = DATA_FOLDER / "results"
RUNS = DATA_FOLDER.parent / "runs" / "studies"


class StudyError(RuntimeError):
    """A study cannot go on, or its record cannot be used; the message has the way out."""


# --- What is studied -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipe:
    """All settings of one training but the seed."""

    model: dict  # fields of ViTConfig, without those that the data decides
    training: dict  # fields of TrainingConfig, without the seed
    task: str = "fashion_mnist"  # or "jigsaw": see `jigsaw`
    training_images: int | None = None  # the first so many only; None: all
    positions: str = "learned 1-D"  # a name in POSITIONS
    divide_by: str = "sqrt(d)"  # a name in DIVISORS: what the scores of attention are divided by


def recipe(
    task: str = "fashion_mnist",
    training_images: int | None = None,
    positions: str = "learned 1-D",
    divide_by: str = "sqrt(d)",
    **changes,
) -> Recipe:
    """Make a recipe from the small model of all studies and `changes`, fields of ViTConfig or of TrainingConfig."""
    of_training = {f.name for f in fields(TrainingConfig)}
    model = {"patch_size": 7, "dim": 32, "depth": 2, "num_heads": 2, "mlp_ratio": 2.0, "pool": "cls"}
    settings = {"epochs": 10, "precision": "float32"} | {k: v for k, v in changes.items() if k in of_training}
    training = asdict(TrainingConfig(**settings)) | {"device": "cpu"}
    del training["seed"]
    model |= {k: v for k, v in changes.items() if k not in of_training}
    return Recipe(model, training, task, training_images, positions, divide_by)


@dataclass(frozen=True)
class Experiment:
    """A study to be run: the claim it tests, what is compared, and how often."""

    claim: str
    variants: dict[str, Recipe]
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    paper: dict | None = None  # figures of others on the same question, with their source


EXPERIMENTS = {
    "patch_size": Experiment(
        claim="smaller patches keep detail and cost more; larger ones are cheap and coarse",
        variants={f"P = {size}": recipe(patch_size=size, epochs=24) for size in (28, 14, 7, 4)},
        seeds=(0, 1, 2),
        paper={
            "source": "torchvision.models.ViT_B_32_Weights and ViT_B_16_Weights, IMAGENET1K_V1, meta",
            "what": "ViT-B trained on ImageNet-1k, much the same recipe, top-1 accuracy",
            "accuracy": {"P = 32": 0.75912, "P = 16": 0.81072},
        },
    ),
    "pooling": Experiment(
        claim="the class token aggregates the image better than averaging",
        variants={
            f"{name}, {rate:g}": recipe(pool=pool, learning_rate=rate)
            for rate in (0.0003, 0.003, 0.01, 0.03)
            for name, pool in (("class token", "cls"), ("mean", "mean"))
        },
    ),
    "positions": Experiment(
        claim="1-D learned positions are as good as 2-D ones",
        variants={
            name: recipe(patch_size=4, positions=name)
            for name in ("none", "learned 1-D", "sin-cos 1-D", "learned 2-D", "sin-cos 2-D")
        },
        paper={
            "source": "Dosovitskiy et al. 2021, appendix D.4, table 8, first column",
            "what": "ViT-B/16, ImageNet 5-shot linear accuracy",
            "accuracy": {"none": 0.61382, "learned 1-D": 0.64206, "learned 2-D": 0.64001, "relative": 0.64032},
        },
    ),
    "jigsaw": Experiment(
        claim="without positions the model must solve a jigsaw",
        variants={
            name: recipe("jigsaw", training_images=4000, positions=name, epochs=8, max_shift=0)
            for name in ("none", "learned 1-D", "sin-cos 2-D")
        },
    ),
    "norm": Experiment(
        claim="pre-norm trains more stably than post-norm",
        variants={
            f"{norm}-norm, {depth} blocks, {'with' if warmup else 'no'} warm-up": recipe(
                norm=norm, depth=depth, warmup_epochs=warmup, epochs=3, clip_norm=None
            )
            for depth in (12, 24)
            for warmup in (0.0, 1.0)
            for norm in ("pre", "post")
        },
        seeds=(0, 1, 2),
    ),
    "heads": Experiment(
        claim="several heads see several things: better than one, at no more parameters",
        variants={f"h = {heads}": recipe(num_heads=heads) for heads in (1, 2, 4, 8, 16)},
    ),
    "scale": Experiment(
        claim="scores must be divided by sqrt(d), or the softmax saturates",
        variants={
            f"d = {64 // heads}, divided by {divisor}": recipe(dim=64, num_heads=heads, divide_by=divisor)
            for heads, divisors in ((1, ("sqrt(d)", "1", "d")), (4, ("sqrt(d)", "1", "d", "sqrt(D)")))
            for divisor in divisors  # with one head, sqrt(D) is sqrt(d)
        },
        seeds=(0, 1, 2),
    ),
    "hybrid": Experiment(
        claim="a hybrid helps at small budgets, and no more at large ones",
        variants={
            f"{name}, {depth} block{'s' * (depth > 1)}, {rate:g}": recipe(
                patch_size=4, depth=depth, epochs=5, learning_rate=rate, **stem
            )
            for rate in (0.003, 0.01)
            for name, stem, depths in (
                ("pure", {"stem": "patch"}, (1, 2, 4, 8)),
                ("hybrid", {"stem": "hybrid", "stem_layers": ()}, (1, 2, 4)),
            )
            for depth in depths
        },
        seeds=(0, 1, 2),
    ),
    "ingredients": Experiment(
        claim="a list of tricks (bf16, batch size, augmentation) decides how well a model learns from scratch",
        variants={
            name: recipe(**{"dim": 64, "depth": 4, "num_heads": 4, "epochs": 36} | change)
            for name, change in {
                "the preset": {},
                "no augmentation": {"max_shift": 0},
                "erase a quarter": {"erase": 0.25},
                "CutMix on half": {"cutmix": 0.5, "plain_epochs": 4},
                "no label smoothing": {"label_smoothing": 0.0},
                "no warm-up": {"warmup_epochs": 0.0},
                "Muon": {"optimizer": "muon"},
                "moving average": {"average": 0.998},
                "bfloat16": {"precision": "bfloat16"},
                "batches of 512": {"batch_size": 512},
                "mean pooling": {"pool": "mean"},
                "half the epochs": {"epochs": 18},
                "patches of 14": {"patch_size": 14},
            }.items()
        },
        seeds=(0, 1, 2),
    ),
}


# --- The parts that the course's model does not have -----------------------------------------------------------------


class RowColumnPositions(nn.Module):
    """Add learned 2-D positions: half of the numbers belong to the patch's row, half to its column.

    Shapes: [B, prefix+N, D] -> [B, prefix+N, D] with N = rows * columns. Prefix tokens have vectors of their own.
    Raises ValueError if D is odd, or the tokens are fewer than the grid.
    Source: appendix D.4 of the paper, "2-dimensional positional embedding".
    """

    def __init__(self, num_tokens: int, dim: int, grid_size: tuple[int, int]):
        super().__init__()
        rows, columns = grid_size
        if dim % 2 or num_tokens < rows * columns:
            raise ValueError(
                f"a grid of {rows}x{columns} takes {rows * columns} tokens or more of an even number of values; got "
                f"{num_tokens} tokens of {dim}"
            )
        self.prefix_pos_embed = nn.Parameter(torch.empty(num_tokens - rows * columns, dim))
        self.row_pos_embed = nn.Parameter(torch.empty(rows, dim // 2))
        self.column_pos_embed = nn.Parameter(torch.empty(columns, dim // 2))
        for table in self.parameters():
            nn.init.trunc_normal_(table, std=0.02)

    def forward(self, tokens: Float[Tensor, "B M D"]) -> Float[Tensor, "B M D"]:
        rows, columns = len(self.row_pos_embed), len(self.column_pos_embed)
        of_row = self.row_pos_embed.repeat_interleave(columns, dim=0)  # [rows, D/2] -> [N, D/2]: 0 0 0 1 1 1
        of_column = self.column_pos_embed.repeat(rows, 1)  # [columns, D/2] -> [N, D/2]: 0 1 2 0 1 2
        grid = torch.cat([of_column, of_row], dim=1)  # [N, D]
        return tokens + torch.cat([self.prefix_pos_embed, grid])


def line_of_waves(num_tokens: int, dim: int, grid_size: tuple[int, int]) -> PositionEmbedding:
    """Make fixed 1-D positions in reading order, of sine and cosine; prefix tokens get zeros, as in 2-D."""
    patches = grid_size[0] * grid_size[1]
    prefix = torch.zeros(num_tokens - patches, dim)
    return PositionEmbedding(num_tokens, dim, table=torch.cat([prefix, sincos_1d(patches, dim)]))


# Each name of positions: the word in ViTConfig, and what is built instead of the course's PositionEmbedding.
POSITIONS: dict[str, tuple[str, Callable[..., nn.Module] | None]] = {
    "none": ("none", None),
    "learned 1-D": ("learned", None),
    "sin-cos 1-D": ("learned", line_of_waves),
    "learned 2-D": ("learned", RowColumnPositions),
    "sin-cos 2-D": ("sincos", None),
}


class DividedAttention(MultiHeadAttention):
    """Attention whose scores are divided by another number than sqrt(d).

    Shapes: [B, N, D] -> [B, N, D]. `divide_by` is a name in DIVISORS. The queries are multiplied by sqrt(d) and divided
    by that number; the attention after them divides by sqrt(d) as always.
    Source: Vaswani et al. 2017, section 3.2.1, on why they divide.
    """

    def __init__(self, dim: int, num_heads: int, divide_by: str, **options):
        super().__init__(dim, num_heads, **options)
        d = dim // num_heads
        factors = torch.ones(3 * dim, dtype=torch.float64)  # of the queries, the keys and the values
        factors[:dim] = math.sqrt(d) / DIVISORS[divide_by](d, dim)
        self.qkv.register_forward_hook(lambda layer, inputs, qkv: qkv * factors.to(qkv.dtype))


DIVISORS: dict[str, Callable[[int, int], float]] = {
    "sqrt(d)": lambda d, D: math.sqrt(d),
    "1": lambda d, D: 1.0,
    "d": lambda d, D: d,
    "sqrt(D)": lambda d, D: math.sqrt(D),
}


def jigsaw(data: Dataset, patch_size: int, arrangements: int = 4) -> Dataset:
    """Turn pictures into puzzles: the class is the arrangement of the patches, and nothing else tells it.

    Arrangement 0 is the picture as it is, each other one a fixed shuffle. A training picture is shown in one of them, a
    test picture in all: whoever cannot see the arrangement gives all the same answer, and is right once.
    Shapes: test images [M, C, H, W] -> [arrangements * M, C, H, W], picture by picture.
    """
    patches = (data.image_size // patch_size) ** 2
    generator = torch.Generator().manual_seed(0)
    orders = [torch.arange(patches), *(torch.randperm(patches, generator=generator) for _ in range(arrangements - 1))]

    def arrange(images: Tensor, labels: Tensor) -> Tensor:
        order = torch.stack(orders)[labels]  # [B, N]
        rows = patchify(images, patch_size)  # [B, N, P*P*C]
        moved = rows.gather(1, order[:, :, None].expand_as(rows))
        return unpatchify(moved, data.image_size, channels=data.in_channels)

    train_labels = torch.arange(len(data.train_images)) % arrangements
    test_images = data.test_images.repeat_interleave(arrangements, dim=0)
    test_labels = torch.arange(len(test_images)) % arrangements
    return replace(
        data,
        name=f"jigsaw of {data.name}",
        train_images=arrange(data.train_images, train_labels),
        train_labels=train_labels,
        test_images=arrange(test_images, test_labels),
        test_labels=test_labels,
        class_names=tuple(f"arrangement {i}" for i in range(arrangements)),
    )


def make_data(recipe: Recipe) -> Dataset:
    """Load the pictures of a recipe."""
    data = load("fashion_mnist")
    if recipe.training_images is not None:
        chosen = torch.randperm(len(data.train_labels), generator=torch.Generator().manual_seed(0))
        chosen = chosen[: recipe.training_images]
        data = replace(data, train_images=data.train_images[chosen], train_labels=data.train_labels[chosen])
    return jigsaw(data, recipe.model["patch_size"]) if recipe.task == "jigsaw" else data


def make_config(recipe: Recipe, data: Dataset) -> ViTConfig:
    """Make the config of a recipe's model; sizes and classes come from the data."""
    return ViTConfig(
        image_size=data.image_size,
        in_channels=data.in_channels,
        num_classes=data.num_classes,
        position=POSITIONS[recipe.positions][0],
        **recipe.model,
    )


def make_model(recipe: Recipe, data: Dataset, seed: int) -> ViT:
    """Make the untrained model of a recipe, always the same one for one seed."""
    config = make_config(recipe, data)
    build = POSITIONS[recipe.positions][1]
    grid_size = tuple(side // config.patch_size for side in as_pair(config.image_size))
    parts = {} if build is None else {"position": partial(build, grid_size=grid_size)}
    if recipe.divide_by != "sqrt(d)":
        parts["attention"] = partial(DividedAttention, divide_by=recipe.divide_by)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ViT(config, **parts)


# --- Running it ------------------------------------------------------------------------------------------------------


def run_once(recipe: Recipe, seed: int) -> dict:
    """Train and test once, on one thread; the model is that after the last epoch, never chosen by its test accuracy.

    `seconds` and `processor_seconds` are those of training; the latter do not count the time given to other programs.
    """
    torch.set_num_threads(1)
    data = make_data(recipe)
    model = make_model(recipe, data, seed)
    started, worked = time.perf_counter(), time.process_time()
    history = fit(model, data, TrainingConfig(**recipe.training, seed=seed), progress=False)
    seconds, processor_seconds = time.perf_counter() - started, time.process_time() - worked
    worked = time.process_time()
    test = evaluate(model, data.test_images, data.test_labels)
    test_seconds = time.process_time() - worked
    return {
        "seed": seed,
        "validation_accuracy": history.validation_accuracy[-1],
        "test_accuracy": test.accuracy,
        "seconds": round(seconds, 2),
        "processor_seconds": round(processor_seconds, 2),
        "test_seconds_per_image": float(f"{test_seconds / len(data.test_labels):.3g}"),
        "parameters": history.model["parameters"],
        "curve": {
            "train_loss": [round(loss, 4) for loss in history.train_loss],
            "validation_accuracy": [round(accuracy, 4) for accuracy in history.validation_accuracy],
        },
        "data": history.data | {"test": len(data.test_labels)},
        "environment": history.environment,
    }


def run_study(name: str, experiment: Experiment, runs: Path, seeds: list[int], workers: int = 1) -> list[dict]:
    """Train every variant with every seed that is not kept in the folder `runs` yet, and return all results in order.

    Raises StudyError if a kept run was made with other settings, or if a training fails.
    """
    jobs = {
        (variant, seed): runs / name / f"{re.sub('[^A-Za-z0-9.]+', '-', variant)}-seed-{seed}.json"
        for seed in seeds
        for variant in experiment.variants
    }
    for (variant, _), file in jobs.items():
        if file.exists():
            _check_kept(file, asdict(experiment.variants[variant]))
    missing = [job for job, file in jobs.items() if not file.exists()]
    if len(missing) < len(jobs):
        print(f"{name}: {len(jobs) - len(missing)} of {len(jobs)} trainings are done already", flush=True)

    processes = Queue()
    for _ in range(min(workers, len(missing))):
        processes.put(_start_process())

    def train(variant: str, seed: int) -> dict:
        file, process = jobs[variant, seed], processes.get()
        order = {"recipe": asdict(experiment.variants[variant]), "seed": seed, "file": str(file)}
        answer = ""
        with contextlib.suppress(BrokenPipeError):  # the process is no more
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        processes.put(process)
        if not answer:
            raise StudyError(f"the training of {variant!r} with seed {seed} ended with exit status {process.wait()}")
        return json.loads(file.read_text(encoding="utf-8"))["result"]

    with ThreadPoolExecutor(workers) as pool:
        waiting = {pool.submit(train, *job): job for job in missing}
        try:
            for count, future in enumerate(as_completed(waiting), len(jobs) - len(missing) + 1):
                (variant, seed), result = waiting[future], future.result()
                words = f"validation {result['validation_accuracy']:.1%}, test {result['test_accuracy']:.1%}"
                words = f"{variant}, seed {seed}: {words}, {result['seconds']:.0f} s"
                print(f"{name} {count}/{len(jobs)}: {words}", flush=True)
        finally:
            pool.shutdown(cancel_futures=True)
            while not processes.empty():
                processes.get().communicate()  # closes its input, and waits for its end
    kept = {job: json.loads(file.read_text(encoding="utf-8")) for job, file in jobs.items()}
    _check_same(runs / name, [run["result"]["environment"] for run in kept.values()])
    return [{"variant": variant, **kept[variant, seed]["result"]} for variant in experiment.variants for seed in seeds]


def _start_process() -> subprocess.Popen:
    command = [sys.executable, "-m", "vit_tutorial.studies", "--take-orders"]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=one_thread, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _take_orders() -> None:
    """Train what each line of the input asks for and keep it, until the input ends, as it does if the sender is killed.

    Here Ctrl+C ends the process without a word, and the sender speaks.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for line in sys.stdin:
        order = json.loads(line)
        result = run_once(Recipe(**order["recipe"]), order["seed"])
        write_json(order["file"], {"recipe": order["recipe"], "result": result})
        with contextlib.suppress(BrokenPipeError):  # the sender was killed, and the training is kept all the same
            os.write(sys.stdout.fileno(), b"done\n")


def _check_kept(file: Path, now: dict) -> None:
    kept = json.loads(file.read_text(encoding="utf-8"))["recipe"]
    changes = _changes(_with_younger_settings(kept), json.loads(json.dumps(now)))
    if changes:
        raise StudyError(
            f"{file} was made with other settings ({changes}); delete the folder {file.parent}, or name another one "
            "with --runs"
        )


def _with_younger_settings(recipe: dict, *others: dict) -> dict:
    """Add the settings that none of these recipes knows yet: what was made without them was made with the defaults."""

    def missing(config: type, recipes: list[dict]) -> dict:
        known = set().union({"seed"}, *recipes)
        return {f.name: f.default for f in fields(config) if f.default is not MISSING and f.name not in known}

    training = missing(TrainingConfig, [one.get("training", {}) for one in (recipe, *others)])
    return missing(Recipe, [recipe, *others]) | recipe | {"training": recipe["training"] | training}


def _check_same(folder: Path, environments: list[dict]) -> None:
    first, *others = ({**environment, "git_revision": None} for environment in environments)
    for other in others:
        if other != first:
            raise StudyError(
                f"the trainings in {folder} were made in two ways ({_changes(first, other)}); delete the folder, or "
                "name another one with --runs"
            )


def _changes(then: dict, now: dict, prefix: str = "") -> str:
    """Say in words how two nested dictionaries differ; nothing if they do not."""
    words = []
    for key in [*then, *(key for key in now if key not in then)]:
        one, other = then.get(key), now.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            words.append(_changes(one, other, f"{prefix}{key}."))
        elif one != other:
            words.append(f"{prefix}{key} was {one} and is {other}")
    return ", ".join(filter(None, words))


# --- The record ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Study:
    """A study as it was run: what was asked, what was compared, and what each training came to."""

    name: str
    claim: str
    command: str  # makes the record again
    settings: dict  # common to all variants: task, training_images, positions, model, training (epochs, batch_size …)
    seeds: list[int]
    data: dict  # name, number of training, validation and test images, checksum
    environment: dict  # hardware, versions
    seconds: float  # of all trainings together, one after the other
    variants: dict[str, dict]  # of each: tokens, flops (one image, forward), parameters, settings of its own
    runs: list[dict]  # of each training: variant, seed, accuracies 0..1, seconds, curve (one number an epoch)
    paper: dict | None = None  # figures of others, with their source

    def values(self, key: str) -> dict[str, list]:
        """Give one entry of the runs, such as "seconds", by variant and in the order of the seeds."""
        return {name: [run[key] for run in self.runs if run["variant"] == name] for name in self.variants}

    def accuracies(self) -> dict[str, list[float]]:
        """Give the test accuracies, 0..1, by variant and in the order of the seeds."""
        return self.values("test_accuracy")

    def validation_accuracies(self) -> dict[str, list[float]]:
        """Give the validation accuracies, 0..1, by variant: by these a learning rate is chosen, not by the test's."""
        return self.values("validation_accuracy")

    def seconds_per_image(self) -> dict[str, float]:
        """Give the processor seconds of training for one image, by variant: the fastest of its runs."""
        return {
            name: min(seconds) / (self.training(name)["epochs"] * self.data["training"])
            for name, seconds in self.values("processor_seconds").items()
        }

    def training(self, variant: str) -> dict:
        """Give the training settings of a variant: those that all share, and its own."""
        return self.settings["training"] | self.variants[variant]["settings"].get("training", {})


def load_study(name: str, records: str | os.PathLike = RECORDS) -> Study:
    """Read the record of a study, data/results/study_NAME.json.

    Raises ValueError for a name that is not known, and StudyError if there is no record or one of other settings.
    """
    if name not in EXPERIMENTS:
        raise ValueError(f"{name!r} is no study; the studies are {', '.join(EXPERIMENTS)}")
    path, again = Path(records) / f"study_{name}.json", f"make it with `python -m vit_tutorial.studies {name}`"
    if not path.exists():
        raise StudyError(f"{path} is not there; {again}")
    study = Study(**json.loads(path.read_text(encoding="utf-8")))
    own = {key: row["settings"] for key, row in study.variants.items()}
    then = {"settings": _with_younger_settings(study.settings, *own.values()), "variants": own}
    settings, variants = _settings(EXPERIMENTS[name])
    changes = _changes(then, json.loads(json.dumps({"settings": settings, "variants": variants})))
    if changes:
        raise StudyError(f"{path} was made with other settings ({changes}); {again}")
    return study


def make_study(name: str, experiment: Experiment, runs: list[dict], command: str) -> Study:
    """Gather what somebody needs to believe, and to repeat, a study."""
    settings, own = _settings(experiment)
    variants = {}
    for variant, its_recipe in experiment.variants.items():
        data = make_data(its_recipe)
        model = make_model(its_recipe, data, seed=0)
        variants[variant] = {
            "settings": own[variant],
            "tokens": model.patch_embed.num_patches + model.num_prefix_tokens,
            "flops": flops_per_image(model.config),
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
        }
    return Study(
        name=name,
        claim=experiment.claim,
        command=command,
        settings=settings,
        seeds=sorted({run["seed"] for run in runs}),
        data=runs[0]["data"],
        environment=runs[0]["environment"],
        seconds=round(sum(run["seconds"] for run in runs), 1),
        variants=variants,
        runs=[{key: value for key, value in run.items() if key not in ("data", "environment")} for run in runs],
        paper=experiment.paper,
    )


def _settings(experiment: Experiment) -> tuple[dict, dict[str, dict]]:
    """Split the recipes into what all variants share, and what is a variant's own."""
    recipes = {name: asdict(its_recipe) for name, its_recipe in experiment.variants.items()}
    shared = _shared(list(recipes.values()))
    return shared, {name: _without(its_recipe, shared) for name, its_recipe in recipes.items()}


def _shared(rows: list[dict]) -> dict:
    first, result = rows[0], {}
    for key, value in first.items():
        if isinstance(value, dict):
            result[key] = _shared([row[key] for row in rows])
        elif all(row[key] == value for row in rows):
            result[key] = value
    return result


def _without(row: dict, shared: dict) -> dict:
    result = {}
    for key, value in row.items():
        if isinstance(value, dict):
            rest = _without(value, shared[key])
            result |= {key: rest} if rest else {}
        elif key not in shared:
            result[key] = value
    return result


# --- The command line ------------------------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors that a person can mend end it with one sentence and exit status 1."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse(arguments)
    if options.take_orders:
        _take_orders()
        return
    try:
        for name in options.names or EXPERIMENTS:
            experiment = EXPERIMENTS[name]
            seeds = options.seeds or list(experiment.seeds)
            runs = run_study(name, experiment, options.runs, seeds, options.workers)
            chosen = ["--seeds", *map(str, seeds)] if options.seeds else []
            command = shlex.join(["python", "-m", "vit_tutorial.studies", name, *chosen])
            path = options.records / f"study_{name}.json"
            study = make_study(name, experiment, runs, command)
            write_json(path, asdict(study))
            print(f"{name}: {len(runs)} trainings, {study.seconds:.0f} s; record in {path}", flush=True)
    except (StudyError, ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(f"stopped; the same command goes on with the trainings that are not in {options.runs} yet")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        prog="python -m vit_tutorial.studies",
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(EXPERIMENTS)} (default: all)")
    parser.add_argument("--seeds", type=int, nargs="+", metavar="N", help="(default: those of the study, 0 to 2 or 4)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="trainings side by side (default: 1)")
    parser.add_argument("--runs", type=Path, default=RUNS, metavar="FOLDER", help="where each training is kept")
    parser.add_argument("--records", type=Path, default=RECORDS, metavar="FOLDER", help="(default: data/results)")
    parser.add_argument("--take-orders", action="store_true", help=argparse.SUPPRESS)  # what each worker runs
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in EXPERIMENTS]
    if unknown:
        parser.error(f"{unknown[0]!r} is no study; the studies are {', '.join(EXPERIMENTS)}")
    if options.workers < 1:
        parser.error(f"--workers is {options.workers}; it must be 1 or more")
    return options


if __name__ == "__main__":
    main()
