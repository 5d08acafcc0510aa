"""Training: show the model pictures, measure how wrong it is, and move every weight a little towards less wrong.

    for each epoch:  for each batch:  loss -> gradients -> clip -> optimizer step     then evaluate the held-out images

`fit` is that loop. It runs on a CPU, on a GPU, and in several processes at once under `torchrun`. The pictures lie on
the device that computes, as bytes, and are augmented and normalised there, a batch at a time.

Every random number comes from the seed, the epoch and the step, and a checkpoint holds the state in between. So a run
that was killed and starts again ends with the very same weights as one that was never stopped.

Sources: Dosovitskiy et al. 2021, appendix B.1, tables 3 and 4 (warm-up, and where they say so cosine and clipping;
section 4.1 decays in a straight line); Szegedy et al. 2016, section 7 (label smoothing). Those of the optimizers and
of augmentation are in their own files.
"""

import copy
import math
import os
import statistics
import time
import warnings
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from vit_tutorial.datasets import Dataset
from vit_tutorial.inputs import check_kind, whole_number
from vit_tutorial.support.checks import check_images, check_labels
from vit_tutorial.support.paths import at_home
from vit_tutorial.support.seeds import seed_one
from vit_tutorial.support.sending import send
from vit_tutorial.support.terminal import somebody_is_watching
from vit_tutorial.support.usual import usual_torch
from vit_tutorial.support.wrapped import unwrapped
from vit_tutorial.training.augmentation import Draws, augment, draw, erase, mix, partners
from vit_tutorial.training.checkpoint import Checkpoint, EpochProgress, TrainingError, reserved
from vit_tutorial.training.checks import check_learns, check_numbers
from vit_tutorial.training.config import TrainingConfig
from vit_tutorial.training.devices import autocast, choose_device, describe_environment, number_format, wait_for
from vit_tutorial.training.distributed import current_world
from vit_tutorial.training.evaluation import evaluate
from vit_tutorial.training.fine_tuning import Hold, card_for, frozen, other_statistics
from vit_tutorial.training.history import History
from vit_tutorial.training.loss_scale import LossScale
from vit_tutorial.training.memory import with_gradient_checkpointing
from vit_tutorial.training.optimizers import MovingAverage, make_optimizers
from vit_tutorial.training.stopping import StopSignals

WORSE = 1.0  # how far above the loss of guessing a mean loss must be to say so


class TrainingWarning(UserWarning):
    """Training goes on, but perhaps not as it was meant; the message has the numbers and the way out."""


@usual_torch()
def fit(
    model: nn.Module,
    data: Dataset,
    config: TrainingConfig | None = None,
    *,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_seconds: float = 60,
    checkpoint_epochs: Collection[int] = (),
    progress: bool = True,
    on_epoch: Callable[[History], None] | None = None,
) -> History:
    """Train the model in place on the training images of `data`, and return the history. Test images are never used.

    `checkpoint` is a folder: the run is saved there after each epoch, within it every `checkpoint_seconds`, and before
    Ctrl-C or SIGTERM ends it; a run that finds its own checkpoint goes on from it. A large checkpoint (16 MB or more)
    is left out after an epoch where that would cost more than a twentieth of the time, but not after the last one and
    not after those of `checkpoint_epochs`. The weights are those after the last step, or their moving average if the
    config asks for one. The model ends up in eval mode, on its device, with `model.card` filled in. `progress` shows a
    bar where somebody is watching; `on_epoch` is called with the history after each epoch. In a group of processes each
    calls `fit` with the same arguments; the main one writes, shows the bar and calls `on_epoch`. A model that has a
    card keeps its mean and std, with which its weights were trained.

    Warns with TrainingWarning if the pictures have another mean or std, or if the model has become worse than guessing.
    Raises ValueError for a model without numbers that may change, pictures that are not bytes, labels that are none of
    the model's classes, a mean, a std or names with which the model could not be saved or a part to freeze that it does
    not have, TypeError for labels that are not int64 or a model or config of another class, and TrainingError if the
    loss is no longer a number, if a checkpoint cannot be used or written, or if another process trains in the folder.
    """
    config = TrainingConfig() if config is None else check_kind("config", config, TrainingConfig)
    classes = _check_both(model, data)
    with frozen(model, config.freeze) as hold:
        check_learns(model)
        return _fit(
            model, data, config, classes, hold, checkpoint, checkpoint_seconds, checkpoint_epochs, progress, on_epoch
        )


def _check_both(model: nn.Module, data: Dataset) -> int:
    """Raise what `fit` does for a model that cannot learn, and data that it cannot learn from; give the classes.

    Their number is the model's own, or else that of the data.
    """
    check_numbers(check_kind("model", model, nn.Module))
    classes = getattr(getattr(model, "config", None), "num_classes", data.num_classes)
    check_images(data.train_images)
    check_labels(data.train_labels, len(data.train_images), classes)
    return classes


def _fit(
    model: nn.Module,
    data: Dataset,
    config: TrainingConfig,
    classes: int,
    hold: Hold,
    checkpoint: str | os.PathLike | None,
    checkpoint_seconds: float,
    checkpoint_epochs: Collection[int],
    progress: bool,
    on_epoch: Callable[[History], None] | None,
) -> History:
    train, validation = split_validation(data.train_labels, config.validation_fraction, config.seed)
    steps = math.ceil(len(train) / config.batch_size)  # per epoch
    learner = Learner(model, data, config)
    model, device, world = learner.model, learner.device, learner.world
    images, labels = data.train_images.to(device), data.train_labels.to(device)  # all of them, once

    history = History.begin(model, data, config, len(train), len(validation))
    history.data["normalized_with"] = {"mean": list(learner.card.mean), "std": list(learner.card.std)}
    if words := other_statistics(learner.card, data):
        history.data |= {"mean": list(learner.card.mean), "std": list(learner.card.std)}  # for whoever resumes
        if world.is_main:
            warnings.warn(words, TrainingWarning, stacklevel=4)
    folder = None if checkpoint is None else at_home(checkpoint)
    saved = Checkpoint(folder, model, learner.optimizers, learner.average, learner.scale, history)
    bar = _Bar(steps, history, config)
    with (
        reserved(folder, world),
        StopSignals(wanted=folder is not None) as stop,
        bar,
        torch.random.fork_rng(_gpus(device)),
    ):
        at = saved.load(world)  # the run's place in its epoch: the beginning, or where it was stopped
        if history.epochs * steps + at.step < config.epochs * steps:  # else all was trained where the file was written
            history.environment = _environment(history, at, describe_environment(device) | {"processes": world.size})
        if progress and world.is_main:
            bar.begin(at)
        warned = False
        for epoch in range(history.epochs, config.epochs):
            started = time.perf_counter() - at.seconds
            generator = torch.Generator().manual_seed(mix_seed(config.seed, epoch))  # of order and augmentation
            batches = train[torch.randperm(len(train), generator=generator)].split(config.batch_size)
            if at.generator_state is not None:
                generator.set_state(at.generator_state)
            options = augmentation_options(config, epoch)
            model.train()
            hold()
            for step in range(at.step, steps):
                count = len(batches[step])
                own = world.shard(count)  # which images of the batch this process takes
                shown = own if own.start < own.stop else slice(1)  # one that does not count: each process takes part
                rows = send(batches[step], device)
                draws = draw(count, images.shape[-2:], **options, generator=generator)
                seed_one(mix_seed(config.seed, epoch, step + 1, world.rank), device)  # of dropout and drop path
                learner.forward_backward(images[rows[shown]], labels[rows[own]], draws.shard(shown), count)
                rate = learning_rate_at(epoch * steps + step, steps, config)
                at.step, at.seen = step + 1, at.seen + count
                now_read = at.step % learner.read_every == 0 or at.step == steps
                if now_read:  # before the step, so that the weights stay finite
                    place = f"epoch {epoch + 1}, step {at.step}, at learning rate {rate:.2g}"
                    learner.move_sums(at, place, saved)
                learner.step(rate)
                if now_read:
                    bar.show(epoch, at)
                    told = stop.asked(world, device)
                    due = world.is_main and saved.is_due(checkpoint_seconds)
                    if told or due:
                        at.generator_state, at.seconds = generator.get_state(), time.perf_counter() - started
                    if told:  # no process ends before the main one has written: the launcher would end that one too
                        world.let_main(partial(saved.save, at))
                        stop.obey(told, saved.how_to_go_on(at))
                    elif due:
                        saved.save(at)
            history.training_seconds.append(time.perf_counter() - started)
            history.train_loss.append(at.loss_sum / at.seen)
            history.train_accuracy.append(at.correct / at.seen)
            history.learning_rate.append(learning_rate_at((epoch + 1) * steps - 1, steps, config))
            history.skipped_steps = learner.scale.skipped_steps
            if len(validation):
                loss, accuracy = _validate(learner, data, validation)
                history.validation_loss.append(loss)
                history.validation_accuracy.append(accuracy)
            history.seconds.append(time.perf_counter() - started)
            at = EpochProgress()
            if world.is_main:
                if history.epochs in {*checkpoint_epochs, config.epochs} or saved.is_worth_it(checkpoint_seconds):
                    saved.save(at)
                if not warned and (words := worse_than_guessing(history, classes)):
                    warnings.warn(words, TrainingWarning, stacklevel=4)
                    warned = True
                if on_epoch is not None:
                    on_epoch(history)
    if learner.average is not None:
        model.load_state_dict(learner.average.model.state_dict())
    model.eval()
    return history


class Learner:
    """A model and what changes it: gradients from pictures, and steps from gradients."""

    def __init__(self, model: nn.Module, data: Dataset, config: TrainingConfig):
        self.device, self.world, self.config = choose_device(config.device), current_world(), config
        self.read_every = 1 if self.device.type == "cpu" else 20  # steps; to read a loss is to wait for the GPU
        given, model = model, unwrapped(model)
        self.model = model.to(self.device)
        self.card = model.card = card_for(model, data)
        self.optimizers = make_optimizers(
            model, config.optimizer, config.learning_rate, config.weight_decay, config.layer_decay
        )
        self.average = MovingAverage(model, config.average) if config.average else None
        self.forward = DistributedDataParallel(model) if self.world.size > 1 else given  # perhaps compiled
        if config.gradient_checkpointing:
            self.forward = with_gradient_checkpointing(self.forward, model, self.device)
        if config.compile:  # anew for the last, smaller batch: one program for any size would be a slower one
            self.forward = torch.compile(self.forward, dynamic=False)
        self.scale = LossScale(enabled=number_format(self.device, config.precision) is torch.float16)
        self.sums = torch.zeros(2, device=self.device)  # losses and right answers since they were last read

    def forward_backward(self, images: Tensor, labels: Tensor, draws: Draws, count: int) -> None:
        """Compute the gradient of the mean loss of a batch of `count` images; given are those of this process."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        x = self.card.normalize(augment(images, draws))
        if draws.erased is not None:
            x = erase(x, draws.erased)
        if draws.kept is not None:
            x = mix(x, draws)
        with autocast(self.device, self.config.precision):
            logits = self.forward(x)
            loss = self._loss(logits, labels, draws)
        # DistributedDataParallel takes the plain mean over the processes: weight each by its share of the images.
        self.scale.scale(loss * (len(labels) * self.world.size / count)).backward()
        self.scale.unscale(self.model.parameters())
        self.norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm or math.inf)
        self.loss, right = loss.detach(), (logits.argmax(dim=1) == labels).sum()
        self.sums += torch.stack([self.loss * len(labels), right])

    def _loss(self, logits: Tensor, labels: Tensor, draws: Draws) -> Tensor:
        smoothing = self.config.label_smoothing
        if len(labels) == 0:  # there are more processes than pairs of images, and what it was shown does not count
            return 0 * logits.sum()
        if draws.own_share is None:
            return F.cross_entropy(logits, labels, label_smoothing=smoothing)
        share = send(draws.own_share, self.device)
        own, other = (
            F.cross_entropy(logits, target, label_smoothing=smoothing, reduction="none")
            for target in (labels, partners(labels))
        )
        return (share * own + (1 - share) * other).mean()

    def move_sums(self, at: EpochProgress, place: str, saved: Checkpoint) -> None:
        """Add the losses and right answers of all processes to the sums of the epoch, and begin again at 0.

        Raises TrainingError, in all processes, if a loss since the last time or the gradient now is infinite or not a
        number. A gradient may be infinite where a smaller scale will mend that: its step is left out.
        """
        loss_sum, correct = self.world.sum(self.sums.tolist(), self.device)
        if not (math.isfinite(loss_sum) and (self.scale.may_overflow or self.norm.isfinite())):
            (loss,) = self.world.sum([self.loss.item() / self.world.size], self.device)
            raise TrainingError(
                f"the loss is {loss} and the length of its gradient {self.norm.item()} in {place}; try a "
                f"smaller learning_rate, a longer warm-up, clip_norm=1 or precision='float32'{saved.what_is_left()}"
            )
        at.loss_sum, at.correct = at.loss_sum + loss_sum, at.correct + correct
        self.sums.zero_()

    def step(self, rate: float) -> None:
        """Move all weights against their gradients, and the average after them; or none, if float16 overflowed."""
        if not self.scale.allows_step(self.norm):
            return
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group["lr_scale"]  # a scale of 1, unless layer_decay is set
            optimizer.step()
        if self.average is not None:
            self.average.update(self.model)


def augmentation_options(config: TrainingConfig, epoch: int) -> dict:
    """Give the options of `draw` in an epoch, counted from 0; in the last `plain_epochs` pictures are not mixed."""
    options = {name: getattr(config, name) for name in ("flip", "max_shift", "distort", "erase", "cutmix", "mixup")}
    return options if epoch < config.epochs - config.plain_epochs else options | {"cutmix": 0.0, "mixup": 0.0}


def _environment(history: History, at: EpochProgress, now: dict) -> dict:
    """Say where a run begins or goes on, and if that is elsewhere than before, how much of it was done by then."""
    then = history.environment
    changed = {name for name in now if then.get(name, now[name]) != now[name]}
    if not changed - {"git_revision"}:  # another revision is no other place
        return then | now
    images = len(history.training_seconds) * history.data["training"] + at.seen
    return now | {"before": {"images": images, "seconds": sum(history.training_seconds) + at.seconds}}


def worse_than_guessing(history: History, classes: int) -> str:
    """Say so if the mean loss of the last epoch, after the warm-up, is far above that of guessing; else nothing.

    To give each of K classes the same probability costs ln K, whatever the labels, smoothing and mixing. A model that
    learns, or only learns slowly, stays below that or close to it. One whose steps are too long does not.
    """
    guessing, loss, config = math.log(classes), history.train_loss[-1], history.config
    if history.epochs <= config["warmup_epochs"] or loss < guessing + WORSE:
        return ""
    return (
        f"the mean loss of epoch {history.epochs} is {loss:.2f}, and to guess among {classes} classes costs "
        f"{guessing:.2f}: the steps are too long; try a smaller learning_rate than {config['learning_rate']:.2g}, or a "
        "longer warm-up"
    )


def _validate(learner: Learner, data: Dataset, held_out: Tensor) -> tuple[float, float]:
    """Compute loss and accuracy on the held-out images; each process takes its share of them."""
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


@usual_torch()
def predict_seconds(model: nn.Module, data: Dataset, config: TrainingConfig, steps: int = 6) -> float:
    """Predict how long `fit` will take, in seconds, by taking some steps with a copy of the model.

    The first step does not count: it also allocates memory. The minute or so of torch.compile is left out too.
    Raises ValueError for fewer than 2 steps, TypeError for a config of another class, and what `fit` does for a model
    or data that it cannot train.
    """
    if whole_number("steps", steps) < 2:
        raise ValueError(f"steps is {steps}, and the first one does not count; take 2 or more")
    check_kind("config", config, TrainingConfig)
    _check_both(model, data)
    model = copy.deepcopy(unwrapped(model)).train()
    with frozen(model, config.freeze) as hold:
        check_learns(model)
        hold()
        return _predict_seconds(Learner(model, data, replace(config, compile=False)), data, config, steps)


def _predict_seconds(learner: Learner, data: Dataset, config: TrainingConfig, steps: int) -> float:
    count = min(config.batch_size, len(data.train_labels))
    images, labels = data.train_images[:count].to(learner.device), data.train_labels[:count].to(learner.device)
    generator = torch.Generator()

    def seconds_a_step(steps: int) -> float:
        wait_for(learner.device)
        started = time.perf_counter()
        for _ in range(steps):
            draws = draw(count, images.shape[-2:], **augmentation_options(config, 0), generator=generator)
            learner.forward_backward(images, labels, draws, count)
            learner.step(0.0)
        wait_for(learner.device)
        return (time.perf_counter() - started) / steps

    with torch.random.fork_rng(_gpus(learner.device)):
        seconds_a_step(1)
        # A GPU computes while the host prepares the next step, so that it is asked after all of them, as in `fit`.
        times = (1,) * (steps - 1) if learner.device.type == "cpu" else (steps - 1,)
        seconds = statistics.median(map(seconds_a_step, times))
    share = 1 - config.validation_fraction
    steps_in_all = config.epochs * share * len(data.train_labels) / count
    with_validation = 1 + config.validation_fraction / share / 3  # the way forward is a third of a step
    return seconds * steps_in_all * with_validation / learner.world.size


@usual_torch()
def split_validation(labels: Int64[Tensor, " N"], fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Choose the images to hold out, the same share of every class; the same seed gives the same split.

    Shapes: labels [N] -> indices of the training images and of the validation images, sorted; together they are 0..N-1.
    Raises ValueError for a fraction that is not at least 0 and below 1, or if a class would be left without a training
    image.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction is {fraction}; it must be at least 0 and below 1")
    generator = torch.Generator().manual_seed(mix_seed(seed, -1))
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

    Raises ValueError for a step before the first or behind the last.
    Source: Dosovitskiy et al. 2021, table 3 (ImageNet); Loshchilov and Hutter 2017, "SGDR", equation 5.
    """
    total = config.epochs * steps_per_epoch
    if not 0 <= step < total:
        raise ValueError(
            f"step is {step}, but {config.epochs} epochs of {steps_per_epoch} steps are {total}, counted from 0; count "
            "on over the epochs, or train for more of them"
        )
    warmup = round(config.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    return config.learning_rate * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


class _Bar:
    """A progress bar over all steps where somebody is watching, and nothing elsewhere."""

    def __init__(self, steps: int, history: History, config: TrainingConfig):
        self.history, self.config, self.steps, self.bar = history, config, steps, None

    def begin(self, at: EpochProgress) -> None:
        """Show the bar, from where the run is now."""
        self.before, self.started = self._images(self.history.epochs, at), time.perf_counter()
        if somebody_is_watching():
            from tqdm.auto import tqdm

            done = self.history.epochs * self.steps + at.step
            self.bar = tqdm(total=self.config.epochs * self.steps, initial=done, unit="step")

    def _images(self, epoch: int, at: EpochProgress) -> int:
        training = self.history.data["training"]
        return epoch * training + min(at.step * self.config.batch_size, training)

    def show(self, epoch: int, at: EpochProgress) -> None:
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


def mix_seed(seed: int, epoch: int, *more: int) -> int:
    """Mix the run's seed, the epoch (-1 is before the first) and the place in it into a seed for just this."""
    return int(np.random.SeedSequence([seed, epoch + 1, *more]).generate_state(1)[0])


def _gpus(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []
