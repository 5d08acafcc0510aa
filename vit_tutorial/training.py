"""Training: show the model pictures, measure how wrong it is, and move every weight a little towards less wrong.

    for each epoch:  for each batch:  loss -> gradients -> clip -> AdamW step        then look at the validation images

`fit` is the loop, `TrainingConfig` its settings, `History` what it wrote down, `evaluate` the look at the result. The
pictures stay uint8 in memory and are augmented and normalised a batch at a time, on the device that computes.

All chance in epoch number e comes from (seed, e). So a run that was killed and starts again from the checkpoint of its
last whole epoch ends with the very same weights as one that was never stopped.

Sources: Dosovitskiy et al. 2021, section 4.1 and appendix B.1 (warm-up, cosine, clipping); Loshchilov and Hutter 2019,
"Decoupled Weight Decay Regularization" (AdamW); Szegedy et al. 2016, section 7 (label smoothing).
"""

import contextlib
import hashlib
import json
import math
import os
import platform
import subprocess
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from vit_tutorial.augmentation import augment
from vit_tutorial.checkpoints import ModelCard
from vit_tutorial.datasets import Dataset
from vit_tutorial.files import write_file, write_json
from vit_tutorial.machine import somebody_is_watching

CHECKPOINT_NAME = "checkpoint.bin"


class TrainingError(RuntimeError):
    """Training cannot go on, or not from this checkpoint; the message has the numbers and the way out."""


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides how a model is trained; the defaults suit small pictures on a CPU."""

    epochs: int = 36  # passes over the training images
    batch_size: int = 128  # images per step
    learning_rate: float = 3e-3  # of AdamW, after warm-up
    weight_decay: float = 0.05  # pull of the matrices towards 0, times the learning rate, per step
    warmup_epochs: float = 1.0  # epochs over which the learning rate grows from 0
    label_smoothing: float = 0.1  # share of the target spread over all classes
    clip_norm: float | None = 1.0  # longest gradient, all weights taken as one vector; None: any length
    flip: bool = False  # mirror half of the training images, anew each epoch
    max_shift: int = 1  # pixels by which a training image may move in each direction; 0: none
    validation_fraction: float = 0.1  # share of the training images held out to watch progress; 0: none
    seed: int = 0  # of the split, the order of the images, augmentation and dropout
    precision: str = "auto"  # "float32", "bfloat16" (autocast), or "auto": bfloat16 on a GPU that has it
    device: str = "auto"  # "cpu", "cuda", "mps", or "auto": cuda if there is one, else cpu

    def __post_init__(self):
        for name, low, high in (
            ("epochs", 1, math.inf),
            ("batch_size", 1, math.inf),
            ("learning_rate", 0, math.inf),
            ("weight_decay", 0, math.inf),
            ("warmup_epochs", 0, self.epochs),
            ("label_smoothing", 0, 0.99),
            ("max_shift", 0, math.inf),
            ("validation_fraction", 0, 0.9),
            ("seed", 0, math.inf),
        ):
            if not low <= getattr(self, name) <= high:
                allowed = f"{low} or more" if high == math.inf else f"from {low} to {high}"
                raise ValueError(f"{name} is {getattr(self, name)}; it must be {allowed}")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"clip_norm is {self.clip_norm}; it must be above 0, or None for no clipping")
        for name, allowed in {
            "precision": ("auto", "float32", "bfloat16"),
            "device": ("auto", "cpu", "cuda", "mps"),
        }.items():
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(map(repr, allowed))}"
                )


@dataclass
class History:
    """What a training run wrote down: one number an epoch, and where and how it ran."""

    train_loss: list[float] = field(default_factory=list)  # mean over the epoch, with label smoothing, as minimised
    train_accuracy: list[float] = field(default_factory=list)  # 0..1, on the augmented images as they went by
    validation_loss: list[float] = field(default_factory=list)  # the same loss after the epoch; empty without a split
    validation_accuracy: list[float] = field(default_factory=list)  # 0..1
    learning_rate: list[float] = field(default_factory=list)  # of the epoch's last step
    seconds: list[float] = field(default_factory=list)  # of the epoch, with validation
    config: dict = field(default_factory=dict)  # the TrainingConfig
    model: dict = field(default_factory=dict)  # the ViTConfig
    data: dict = field(default_factory=dict)  # name, number of training and of validation images, checksum
    environment: dict = field(default_factory=dict)  # hardware, versions, git revision

    @property
    def epochs(self) -> int:
        """How many epochs are written down."""
        return len(self.train_loss)

    @property
    def images_per_second(self) -> float:
        """Training images per second of training, the time for validation included."""
        return self.epochs * self.data["training"] / sum(self.seconds) if self.epochs else 0.0

    def to_json(self, path: str | os.PathLike) -> Path:
        """Write everything to a JSON file, all or nothing, and return its path."""
        write_json(path, asdict(self) | {"images_per_second": round(self.images_per_second, 1)})
        return Path(path)

    @classmethod
    def from_json(cls, path: str | os.PathLike) -> "History":
        """Read what `to_json` wrote."""
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        return cls(**{f.name: content[f.name] for f in fields(cls)})


# --- The loop --------------------------------------------------------------------------------------------------------


def fit(
    model: nn.Module,
    data: Dataset,
    config: TrainingConfig | None = None,
    *,
    checkpoint: str | os.PathLike | None = None,
    progress: bool = True,
    on_epoch: Callable[[History], None] | None = None,
) -> History:
    """Train the model in place on the training images of `data`, and return the history. Test images are never used.

    `checkpoint` is a folder: each epoch is saved there, and a run that finds its own checkpoint goes on from it. The
    weights are those after the last epoch. The model ends up in eval mode, on its device, with `model.card` filled in.
    `progress` shows a bar where somebody is watching; `on_epoch` is called with the history after each epoch.

    Raises TrainingError if the loss is no longer a number, or if a checkpoint cannot be used or written.
    """
    config = config or TrainingConfig()
    device = choose_device(config.device)
    train, validation = split_validation(data.train_labels, config.validation_fraction, config.seed)
    images, labels = data.train_images.to(device), data.train_labels.to(device)  # once, and not a batch at a time
    model.to(device)
    model.card = ModelCard(tuple(data.class_names), tuple(data.mean), tuple(data.std))
    optimizer = make_optimizer(model, config)
    steps = math.ceil(len(train) / config.batch_size)  # per epoch
    history = _new_history(model, data, config, len(train), len(validation))
    file = None if checkpoint is None else _checkpoint_file(Path(checkpoint))
    if file is not None and file.exists():
        _load_checkpoint(file, model, optimizer, history)
    if history.epochs < config.epochs:
        history.environment = describe_environment(device)

    with _Bar(steps, history, config, progress) as bar, torch.random.fork_rng(_gpus(device)):
        for epoch in range(history.epochs, config.epochs):
            started = time.perf_counter()
            torch.manual_seed(_seed(config.seed, epoch))  # for dropout and drop path
            chance = torch.Generator(device).manual_seed(_seed(config.seed, epoch))  # for the order and augmentation
            order = train.to(device)[torch.randperm(len(train), generator=chance, device=device)]
            loss_sum = correct = seen = 0
            model.train()
            for i, batch in enumerate(order.split(config.batch_size)):
                rate = learning_rate_at(epoch * steps + i, steps, config)
                x, y = augment(images[batch], config.flip, config.max_shift, chance), labels[batch]
                with autocast(device, config.precision):
                    logits = model(model.card.normalize(x))
                    loss = F.cross_entropy(logits, y, label_smoothing=config.label_smoothing)
                optimizer.zero_grad()
                loss.backward()
                norm = nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm or math.inf)
                if not (loss.isfinite() & norm.isfinite()):  # before the step, so that the weights stay numbers
                    raise TrainingError(_not_a_number(loss, norm, epoch, i, rate, file))
                for group in optimizer.param_groups:
                    group["lr"] = rate
                optimizer.step()
                seen += len(batch)
                loss_sum += loss.item() * len(batch)
                correct += (logits.argmax(dim=1) == y).sum().item()
                bar.step(epoch, loss_sum / seen, correct / seen, len(batch))
            history.train_loss.append(loss_sum / seen)
            history.train_accuracy.append(correct / seen)
            history.learning_rate.append(rate)
            if len(validation):
                held_out = data.train_images[validation], data.train_labels[validation]
                result = evaluate(model, *held_out, label_smoothing=config.label_smoothing, precision=config.precision)
                history.validation_loss.append(result.loss)
                history.validation_accuracy.append(result.accuracy)
            history.seconds.append(time.perf_counter() - started)
            if file is not None:
                _save_checkpoint(file, model, optimizer, history)
            if on_epoch is not None:
                on_epoch(history)
    model.eval()
    return history


def split_validation(labels: Int64[Tensor, " N"], fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Choose the images to hold out, the same share of every class; the same seed gives the same split.

    Shapes: labels [N] -> indices of the training images and of the validation images, sorted; together they are 0..N-1.
    Raises ValueError if a class would be left without a training image.
    """
    generator = torch.Generator().manual_seed(_seed(seed, -1))
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        members = (labels == label).nonzero()[:, 0]
        count = round(len(members) * fraction)
        if count == len(members):
            raise ValueError(
                f"class {int(label)} has {len(members)} training images, and validation_fraction {fraction} holds out "
                "all of them; use a smaller fraction or more images"
            )
        held_out[members[torch.randperm(len(members), generator=generator)[:count]]] = True
    return (~held_out).nonzero()[:, 0], held_out.nonzero()[:, 0]


def make_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Build AdamW that decays the matrices, and leaves biases, norms, the class token and the positions alone.

    A matrix that shrinks is a simpler function; a position that shrinks is only harder to see.
    Source: Loshchilov and Hutter 2019, algorithm 2.
    """
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        is_matrix = parameter.ndim >= 2 and not name.endswith(("cls_token", "pos_embed"))
        (matrices if is_matrix else others).append(parameter)
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.999), fused=True)


def learning_rate_at(step: int, steps_per_epoch: int, config: TrainingConfig) -> float:
    """Compute the learning rate of a step, counted from 0: a straight line up, then half a cosine down to almost 0.

    Source: Dosovitskiy et al. 2021, appendix B.1; Loshchilov and Hutter 2017, "SGDR", equation 5.
    """
    total = config.epochs * steps_per_epoch
    warmup = round(config.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    return config.learning_rate * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


# --- Looking at the result -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How well a model does on N images of K classes, in all and image by image."""

    accuracy: float  # 0..1
    loss: float  # mean cross-entropy
    losses: Float[Tensor, " N"]  # cross-entropy of each image
    labels: Int64[Tensor, " N"]
    predictions: Int64[Tensor, " N"]  # the class the model thinks most likely
    confidences: Float[Tensor, " N"]  # the probability it gives to that class, 0..1
    confusion: Int64[Tensor, "K K"]  # how many images of class (row) were taken for class (column)

    def worst_mistakes(self, count: int = 10) -> Int64[Tensor, " count"]:
        """Give the places of the wrongly classified images with the largest losses, the worst first."""
        order = self.losses.argsort(descending=True)
        return order[(self.predictions != self.labels)[order]][:count]


@torch.no_grad()
def predict(
    model: nn.Module, images: UInt8[Tensor, "N C H W"], *, batch_size: int = 500, precision: str = "float32"
) -> Float[Tensor, "N K"]:
    """Compute the logits of uint8 images, a batch at a time, normalised as `model.card` says, in eval mode.

    Shapes: [N, C, H, W] -> [N, K], float32 on the CPU.
    Raises ValueError if the model has no card, or the images are not uint8.
    """
    if getattr(model, "card", None) is None or not model.card.mean:
        raise ValueError(
            "the model has no card, so the mean and std of its input are not known; train it with fit, load it with "
            "load_model, or set model.card = ModelCard(class_names, mean, std)"
        )
    if images.dtype != torch.uint8:
        raise ValueError(f"images are {images.dtype}; pass pixels as they are, uint8 from 0 to 255")
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    logits = []
    for batch in images.split(batch_size):
        with autocast(device, precision):
            logits.append(model(model.card.normalize(batch.to(device))).float().cpu())
    model.train(was_training)
    return torch.cat(logits)


def evaluate(
    model: nn.Module,
    images: UInt8[Tensor, "N C H W"],
    labels: Int64[Tensor, " N"],
    *,
    batch_size: int = 500,
    label_smoothing: float = 0.0,
    precision: str = "float32",
) -> Evaluation:
    """Let the model classify images and compare with their labels; see `predict` for what it raises."""
    logits, labels = predict(model, images, batch_size=batch_size, precision=precision), labels.cpu()
    losses = F.cross_entropy(logits, labels, label_smoothing=label_smoothing, reduction="none")
    confidences, predictions = logits.softmax(dim=1).max(dim=1)
    classes = logits.shape[1]
    return Evaluation(
        accuracy=(predictions == labels).double().mean().item(),
        loss=losses.double().mean().item(),
        losses=losses,
        labels=labels,
        predictions=predictions,
        confidences=confidences,
        confusion=torch.bincount(labels * classes + predictions, minlength=classes**2).view(classes, classes),
    )


# --- Where it runs ---------------------------------------------------------------------------------------------------


def choose_device(name: str = "auto") -> torch.device:
    """Turn "auto" into cuda where there is one, else cpu; Apple's mps must be asked for by name.

    Raises ValueError if the device asked for is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available[name]:
        raise ValueError(f"device is {name!r}, but PyTorch finds none on this machine; use 'auto' or 'cpu'")
    return torch.device(name)


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Compute matrix products in bfloat16 inside this context, if `precision` says so; weights stay float32."""
    automatic = (
        precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    )
    return torch.autocast(device.type, torch.bfloat16, enabled=automatic or precision == "bfloat16")


def describe_environment(device: torch.device) -> dict:
    """Write down what a figure depends on: hardware, threads, versions and, in a clone, the git revision."""
    hardware = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "device": device.type,
        "hardware": hardware,
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "vit_tutorial": metadata.version("vit-tutorial"),
        "git_revision": _git_revision(),
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.split(':')[1].strip()}, {os.cpu_count()} cores"
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def _git_revision() -> str | None:
    """The commit of the clone this file lies in, with "+" if files were changed since; None outside a clone."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        git = ["git", "-C", str(root)]
        revision = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changes = subprocess.run([*git, "diff", "--quiet", "HEAD"], capture_output=True).returncode
    except (OSError, subprocess.CalledProcessError):
        return None
    return revision + ("+" if changes else "")


class _Bar:
    """A progress bar over all steps where somebody is watching, and nothing elsewhere."""

    def __init__(self, steps: int, history: History, config: TrainingConfig, wanted: bool):
        self.history, self.epochs, self.bar = history, config.epochs, None
        self.seen, self.started = 0, time.perf_counter()
        if wanted and somebody_is_watching():
            from tqdm.auto import tqdm

            self.bar = tqdm(total=config.epochs * steps, initial=history.epochs * steps, unit="step")

    def step(self, epoch: int, loss: float, accuracy: float, count: int) -> None:
        if self.bar is None:
            return
        self.seen += count
        figures = {"loss": f"{loss:.3f}", "accuracy": f"{accuracy:.1%}"}
        if self.history.validation_accuracy:
            figures["validation"] = f"{self.history.validation_accuracy[-1]:.1%}"
        figures["images/s"] = f"{self.seen / (time.perf_counter() - self.started):,.0f}"
        self.bar.set_description(f"epoch {epoch + 1}/{self.epochs}", refresh=False)
        self.bar.set_postfix(figures, refresh=False)
        self.bar.update()

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_) -> None:
        if self.bar is not None:
            self.bar.close()


# --- Checkpoints -----------------------------------------------------------------------------------------------------
# The file is a SHA-256 and then a .safetensors, which holds numbers and text only: reading one runs no code. The random
# numbers of the next epoch come from (seed, epoch), so the number of epochs in the history is their whole state.


def _checkpoint_file(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(
            f"the checkpoint folder {folder} cannot be made ({error.strerror}); name a folder that you may write to"
        ) from error
    return folder / CHECKPOINT_NAME


def _save_checkpoint(file: Path, model: nn.Module, optimizer: torch.optim.Optimizer, history: History) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for i, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": tensor for name, tensor in values.items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = safetensors.torch.save(tensors, {"history": json.dumps(asdict(history))})
    try:
        write_file(file, hashlib.sha256(content).digest() + content)
    except OSError as error:
        raise TrainingError(
            f"the checkpoint of epoch {history.epochs} could not be written to {file.parent} ({error.strerror}), and "
            "what was there is as it was; make room or choose another folder, and run again"
        ) from error


def _load_checkpoint(file: Path, model: nn.Module, optimizer: torch.optim.Optimizer, history: History) -> None:
    """Put model, optimizer and history back to where the checkpoint was written, or raise and change nothing."""
    way_out = "use another folder, or delete this one to train from the start"
    whole = file.read_bytes()
    digest, content = whole[:32], whole[32:]
    if hashlib.sha256(content).digest() != digest:
        raise TrainingError(f"{file} ({len(whole):,} bytes) is truncated or damaged; {way_out}")
    length = int.from_bytes(content[:8], "little")
    saved = History(**json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["history"]))
    for what in ("config", "model", "data"):
        then, now = getattr(saved, what), json.loads(json.dumps(getattr(history, what)))
        changed = [f"{key} was {then.get(key)} and is {now.get(key)}" for key in now if then.get(key) != now.get(key)]
        if changed:
            raise TrainingError(f"{file} belongs to another run: in its {what}, {', '.join(changed)}; {way_out}")
    tensors = safetensors.torch.load(content)
    state: dict[int, dict[str, Tensor]] = {}
    for name in [name for name in tensors if name.startswith("optimizer.")]:
        _, i, key = name.split(".")
        state.setdefault(int(i), {})[key] = tensors.pop(name)
    model.load_state_dict({name.removeprefix("model."): tensor for name, tensor in tensors.items()})
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    for f in fields(History):
        setattr(history, f.name, getattr(saved, f.name))


# --- Small helpers ---------------------------------------------------------------------------------------------------


def _new_history(model: nn.Module, data: Dataset, config: TrainingConfig, training: int, validation: int) -> History:
    shape = getattr(model, "config", None)
    described = json.loads(json.dumps(asdict(shape))) if is_dataclass(shape) else {"class": type(model).__name__}
    described["parameters"] = sum(parameter.numel() for parameter in model.parameters())
    checksum = 0
    for part in (data.train_images, data.train_labels):
        checksum = zlib.crc32(part.cpu().contiguous().numpy(), checksum)
    counts = {"name": data.name, "training": training, "validation": validation, "crc32": checksum}
    return History(config=asdict(config), model=described, data=counts)


def _seed(seed: int, epoch: int) -> int:
    """Mix the run's seed and the epoch, from -1, into one number that is used nowhere else."""
    return int(np.random.SeedSequence([seed, epoch + 1]).generate_state(1)[0])


def _gpus(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []


def _not_a_number(loss: Tensor, norm: Tensor, epoch: int, i: int, rate: float, file: Path | None) -> str:
    left = "" if file is None or not file.exists() else f"; {file} still holds the end of epoch {epoch}"
    return (
        f"the loss is {loss.item()} and the length of its gradient {norm.item()} in epoch {epoch + 1}, step {i + 1}, "
        f"at learning rate {rate:.2g}; try a smaller learning_rate, a longer warm-up, clip_norm=1 or "
        f"precision='float32'{left}"
    )
