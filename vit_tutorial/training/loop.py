"""Training: show the model pictures, measure how wrong it is, and move every weight a little towards less wrong.

    for each epoch:  for each batch:  loss -> gradients -> clip -> optimizer step     then look at the validation images

`fit` is the loop, `TrainingConfig` its settings, `History` what it wrote down, `evaluate` the look at the result. The
same loop runs on a CPU, on a GPU, and in several processes at once under `torchrun`. The pictures lie on the device
that computes, as bytes, and are augmented and normalised there a batch at a time; no process has to hand them over.

All chance comes from the seed, the epoch and the step, and a checkpoint holds the state of what is in between. So a run
that was killed and starts again ends with the very same weights as one that was never stopped.

Sources: Dosovitskiy et al. 2021, section 4.1 and appendix B.1 (warm-up, cosine, clipping); Szegedy et al. 2016, section
7 (label smoothing). Those of the optimizers and of augmentation are in their own files.
"""

import copy
import json
import math
import os
import statistics
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from vit_tutorial.datasets import Dataset
from vit_tutorial.support.terminal import somebody_is_watching
from vit_tutorial.training.augmentation import Draws, augment, draw, erase, mix, partners
from vit_tutorial.training.checkpoint import Progress, Run, TrainingError
from vit_tutorial.training.config import TrainingConfig
from vit_tutorial.training.devices import autocast, choose_device, describe_environment, wait_for
from vit_tutorial.training.distributed import current_world
from vit_tutorial.training.evaluation import evaluate
from vit_tutorial.training.history import History
from vit_tutorial.training.optimizers import MovingAverage, make_optimizers
from vit_tutorial.weights import ModelCard

# --- The loop --------------------------------------------------------------------------------------------------------


def fit(
    model: nn.Module,
    data: Dataset,
    config: TrainingConfig | None = None,
    *,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_seconds: float = 60,
    progress: bool = True,
    on_epoch: Callable[[History], None] | None = None,
) -> History:
    """Train the model in place on the training images of `data`, and return the history. Test images are never used.

    `checkpoint` is a folder: the run is saved there after each epoch, and within it every `checkpoint_seconds`; a run
    that finds its own checkpoint goes on from it. The weights are those after the last step, or their moving average if
    the config asks for one. The model ends up in eval mode, on its device, with `model.card` filled in. `progress`
    shows a bar where somebody is watching; `on_epoch` is called with the history after each epoch. In a group of
    processes each calls `fit` with the same arguments; the first one writes, shows the bar and calls `on_epoch`.

    Raises TrainingError if the loss is no longer a number, or if a checkpoint cannot be used or written.
    """
    config = config or TrainingConfig()
    learner = _Learner(model, data, config)
    device, world = learner.device, learner.world
    train, validation = split_validation(data.train_labels, config.validation_fraction, config.seed)
    images, labels = data.train_images.to(device), data.train_labels.to(device)  # once, and not a batch at a time
    steps = math.ceil(len(train) / config.batch_size)  # per epoch
    history = _new_history(model, data, config, len(train), len(validation))
    run = Run(None if checkpoint is None else Path(checkpoint), model, learner.optimizers, learner.average, history)
    at = run.load(world)
    if history.epochs < config.epochs:
        history.environment = describe_environment(device) | {"processes": world.size}

    with _Bar(steps, history, at, config, progress and world.leads) as bar, torch.random.fork_rng(_gpus(device)):
        for epoch in range(history.epochs, config.epochs):
            started = time.perf_counter() - at.seconds
            chances = torch.Generator().manual_seed(_seed(config.seed, epoch))  # for the order and augmentation
            order = train[torch.randperm(len(train), generator=chances)]
            if at.chances is not None:
                chances.set_state(at.chances)
            changes = _changes(config, epoch)
            model.train()
            for i, batch in enumerate(order.split(config.batch_size)):
                if i < at.step:
                    continue
                chance = draw(len(batch), images.shape[-2:], **changes, generator=chances)
                own = world.part(len(batch))  # the images of this process
                rows = batch[own].to(device, non_blocking=True)
                torch.manual_seed(_seed(config.seed, epoch, i + 1, world.rank))  # for dropout and drop path
                learner.find_gradients(images[rows], labels[rows], chance.shard(own), len(batch))
                rate = learning_rate_at(epoch * steps + i, steps, config)
                at.step, at.seen = i + 1, at.seen + len(rows)
                looking = at.step % learner.looks_every == 0 or at.step == steps
                if looking:  # before the step, so that the weights stay numbers
                    learner.look(at, f"epoch {epoch + 1}, step {at.step}, at learning rate {rate:.2g}", run)
                learner.step(rate)
                if looking:
                    bar.show(epoch, at)
                    run.save_now_and_then(world, checkpoint_seconds, at, chances, started)
            history.training_seconds.append(time.perf_counter() - started)
            loss_sum, correct, seen = world.sum([at.loss_sum, at.correct, at.seen], device)
            history.train_loss.append(loss_sum / seen)
            history.train_accuracy.append(correct / seen)
            history.learning_rate.append(learning_rate_at((epoch + 1) * steps - 1, steps, config))
            if len(validation):
                loss, accuracy = _validate(learner, data, validation)
                history.validation_loss.append(loss)
                history.validation_accuracy.append(accuracy)
            history.seconds.append(time.perf_counter() - started)
            at = Progress()
            if world.leads:
                run.save(at)
                if on_epoch is not None:
                    on_epoch(history)
    if learner.average is not None:
        model.load_state_dict(learner.average.model.state_dict())
    model.eval()
    return history


class _Learner:
    """A model and what changes it: gradients from pictures, and steps from gradients."""

    def __init__(self, model: nn.Module, data: Dataset, config: TrainingConfig):
        self.device, self.world, self.config = choose_device(config.device), current_world(), config
        self.looks_every = 1 if self.device.type == "cpu" else 20  # steps; a GPU stands still while somebody looks
        self.model = model.to(self.device)
        self.card = model.card = ModelCard(tuple(data.class_names), tuple(data.mean), tuple(data.std))
        self.optimizers = make_optimizers(model, config.optimizer, config.learning_rate, config.weight_decay)
        self.average = MovingAverage(model, config.average) if config.average else None
        self.forward = DistributedDataParallel(model) if self.world.size > 1 else model
        self.forward = torch.compile(self.forward) if config.compile else self.forward
        self.sums = torch.zeros(2, device=self.device)  # losses and right answers that nobody has looked at

    def find_gradients(self, images: Tensor, labels: Tensor, chance: Draws, count: int) -> None:
        """Find the gradient of the mean loss of `count` images, of which these are the part of this process."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        x = self.card.normalize(augment(images, chance))
        if chance.erased is not None:
            x = erase(x, chance.erased)
        if chance.kept is not None:
            x = mix(x, chance)
        with autocast(self.device, self.config.precision):
            logits = self.forward(x)
            loss = self._loss(logits, labels, chance)
        (loss * (len(labels) * self.world.size / count)).backward()  # a process with fewer images has less to say
        self.norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm or math.inf)
        self.loss, right = loss.detach(), (logits.argmax(dim=1) == labels).sum()
        self.sums += torch.stack([self.loss * len(labels), right])

    def _loss(self, logits: Tensor, labels: Tensor, chance: Draws) -> Tensor:
        smoothing = self.config.label_smoothing
        if len(labels) == 0:  # there are more processes than pairs of images
            return logits.sum()
        if chance.own_share is None:
            return F.cross_entropy(logits, labels, label_smoothing=smoothing)
        share = chance.own_share.to(self.device, non_blocking=True)
        own, other = (
            F.cross_entropy(logits, target, label_smoothing=smoothing, reduction="none")
            for target in (labels, partners(labels))
        )
        return (share * own + (1 - share) * other).mean()

    def look(self, at: Progress, where: str, run: Run) -> None:
        """Add what nobody has looked at to the sums of the epoch; raise TrainingError if it is not a number."""
        if not (self.sums.isfinite().all() and self.norm.isfinite()):
            raise TrainingError(
                f"the loss is {self.loss.item()} and the length of its gradient {self.norm.item()} in {where}; try a "
                f"smaller learning_rate, a longer warm-up, clip_norm=1 or precision='float32'{run.what_is_left()}"
            )
        loss_sum, correct = self.sums.tolist()
        at.loss_sum, at.correct = at.loss_sum + loss_sum, at.correct + correct
        self.sums.zero_()

    def step(self, rate: float) -> None:
        """Move all weights against their gradients."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        if self.average is not None:
            self.average.update(self.model)


def _changes(config: TrainingConfig, epoch: int) -> dict:
    """Give the options of `draw` in an epoch; in the last ones pictures are not mixed."""
    options = {name: getattr(config, name) for name in ("flip", "max_shift", "distort", "erase", "cutmix", "mixup")}
    return options if epoch < config.epochs - config.plain_epochs else options | {"cutmix": 0.0, "mixup": 0.0}


def _validate(learner: _Learner, data: Dataset, held_out: Tensor) -> tuple[float, float]:
    """Compute loss and accuracy on the held-out images; each process looks at its share of them."""
    world, config = learner.world, learner.config
    model = learner.model if learner.average is None else learner.average.model
    own = held_out[world.rank :: world.size]
    loss = accuracy = 0.0
    if len(own):
        pictures = data.train_images[own], data.train_labels[own]
        result = evaluate(model, *pictures, label_smoothing=config.label_smoothing, precision=config.precision)
        loss, accuracy = result.loss, result.accuracy
    loss_sum, right, seen = world.sum([loss * len(own), accuracy * len(own), len(own)], learner.device)
    return loss_sum / seen, right / seen


def predict_seconds(model: nn.Module, data: Dataset, config: TrainingConfig, steps: int = 6) -> float:
    """Predict how long `fit` will take, in seconds, by taking some steps with a copy of the model.

    The first step is not counted: in it memory is found. The minute or so that torch.compile takes is left out too.
    """
    learner = _Learner(copy.deepcopy(model).train(), data, replace(config, compile=False))
    count = min(config.batch_size, len(data.train_labels))
    images, labels = data.train_images[:count].to(learner.device), data.train_labels[:count].to(learner.device)
    chances, seconds = torch.Generator(), []
    with torch.random.fork_rng(_gpus(learner.device)):
        for _ in range(steps):
            started = time.perf_counter()
            chance = draw(count, images.shape[-2:], **_changes(config, 0), generator=chances)
            learner.find_gradients(images, labels, chance, count)
            learner.step(0.0)
            wait_for(learner.device)
            seconds.append(time.perf_counter() - started)
    share = 1 - config.validation_fraction
    steps_of_all = config.epochs * share * len(data.train_labels) / count
    looks = 1 + config.validation_fraction / share / 3  # the way forward is a third of a step
    return statistics.median(seconds[1:]) * steps_of_all * looks / learner.world.size


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


def learning_rate_at(step: int, steps_per_epoch: int, config: TrainingConfig) -> float:
    """Compute the learning rate of a step, counted from 0: a straight line up, then half a cosine down to almost 0.

    Source: Dosovitskiy et al. 2021, appendix B.1; Loshchilov and Hutter 2017, "SGDR", equation 5.
    """
    total = config.epochs * steps_per_epoch
    warmup = round(config.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    return config.learning_rate * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


# --- Small helpers ---------------------------------------------------------------------------------------------------


class _Bar:
    """A progress bar over all steps where somebody is watching, and nothing elsewhere."""

    def __init__(self, steps: int, history: History, at: Progress, config: TrainingConfig, wanted: bool):
        self.history, self.config, self.steps, self.bar = history, config, steps, None
        self.before, self.started = self._images(history.epochs, at), time.perf_counter()
        if wanted and somebody_is_watching():
            from tqdm.auto import tqdm

            done = history.epochs * steps + at.step
            self.bar = tqdm(total=config.epochs * steps, initial=done, unit="step")

    def _images(self, epoch: int, at: Progress) -> int:
        training = self.history.data["training"]
        return epoch * training + min(at.step * self.config.batch_size, training)

    def show(self, epoch: int, at: Progress) -> None:
        """Write down how far the run is."""
        if self.bar is None:
            return
        figures = {"loss": f"{at.loss_sum / at.seen:.3f}", "accuracy": f"{at.correct / at.seen:.1%}"}
        if self.history.validation_accuracy:
            figures["validation"] = f"{self.history.validation_accuracy[-1]:.1%}"
        rate = (self._images(epoch, at) - self.before) / (time.perf_counter() - self.started)
        figures["images/s"] = f"{rate:,.0f}"
        self.bar.set_description(f"epoch {epoch + 1}/{self.config.epochs}", refresh=False)
        self.bar.set_postfix(figures, refresh=False)
        self.bar.update(epoch * self.steps + at.step - self.bar.n)

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_) -> None:
        if self.bar is not None:
            self.bar.close()


def _new_history(model: nn.Module, data: Dataset, config: TrainingConfig, training: int, validation: int) -> History:
    shape = getattr(model, "config", None)
    described = json.loads(json.dumps(asdict(shape))) if is_dataclass(shape) else {"class": type(model).__name__}
    described["parameters"] = sum(parameter.numel() for parameter in model.parameters())
    checksum = 0
    for part in (data.train_images, data.train_labels):
        checksum = zlib.crc32(part.cpu().contiguous().numpy(), checksum)
    counts = {"name": data.name, "training": training, "validation": validation, "crc32": checksum}
    return History(config=asdict(config), model=described, data=counts)


def _seed(seed: int, epoch: int, *more: int) -> int:
    """Mix the run's seed, the epoch, from -1, and what is within it into one number that is used nowhere else."""
    return int(np.random.SeedSequence([seed, epoch + 1, *more]).generate_state(1)[0])


def _gpus(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []
