"""Checkpoints of a run: everything that a training needs to go on as if it had never been stopped.

The file is a SHA-256 and then a .safetensors, which holds numbers and text only: reading one runs no code. It is
written all or nothing, so a kill at any moment leaves the last one whole.

An older version of the course wrote fewer settings: those that a file lacks had their defaults. So a new setting does
by default what was done before there was one.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from vit_tutorial.support.differences import differences
from vit_tutorial.support.files import closed, in_one_order, make_writable, sweep, write_file
from vit_tutorial.training.config import TrainingConfig
from vit_tutorial.training.distributed import World
from vit_tutorial.training.history import LATER, History
from vit_tutorial.training.loss_scale import LossScale
from vit_tutorial.training.optimizers import MovingAverage, Muon

CHECKPOINT_NAME = "checkpoint.bin"
FORMAT = 1  # counted up when a file can no longer be read as before; the first files did not say it
LARGE = 16_000_000  # bytes; to write so many takes as long as an epoch of small pictures on a fast GPU
PAUSE = 20  # times as long as a large file took to write is waited before the next one
PROGRESS_NUMBERS = ("step", "seen", "loss_sum", "correct", "seconds")  # the fields of EpochProgress that JSON can hold
GENERATOR_KEY = "chances"  # the state of the generator lies among the tensors
PLACED = ("model.", "average", "optimizer.")  # how the names of those tensors begin that must have a place
STATE = {torch.optim.AdamW: ("step", "exp_avg", "exp_avg_sq"), Muon: ("momentum_buffer",)}  # kept of each parameter
WAY_OUT = "use another folder, or delete this one to train from the start"


class TrainingError(RuntimeError):
    """Training cannot go on, or not from this checkpoint; the message has the numbers and the way out."""


@dataclass
class EpochProgress:
    """How far a run is within an epoch."""

    step: int = 0  # steps that are done
    seen: int = 0  # images that all processes together have trained on
    loss_sum: float = 0.0  # of those images
    correct: float = 0.0  # of those images
    seconds: float = 0.0
    generator_state: Tensor | None = None  # of the random numbers that the rest of the epoch will draw


@contextlib.contextmanager
def reserved(folder: Path | None, world: World) -> Iterator[None]:
    """Keep a folder for this run alone, and clear away what a killed save has left there.

    The same run may reserve its folder again inside. Without a folder nothing happens. The main process acts for all.
    Raises TrainingError if the folder cannot be made or written, or another process is training in it.
    """
    if folder is None:
        yield
        return
    # The lock's file stays: whoever deletes it may take it away from another process that has just locked it.
    lock = FileLock(folder / f"{CHECKPOINT_NAME}.lock", timeout=0, is_singleton=True)
    world.let_main(lambda: _reserve(folder, lock))
    try:
        yield
    finally:
        lock.release()


def _reserve(folder: Path, lock: FileLock) -> None:
    try:
        make_writable(folder)
    except OSError as error:
        raise TrainingError(
            f"the checkpoint folder {closed(folder, error)}; name a folder that you may write to"
        ) from error
    with contextlib.suppress(OSError, NotImplementedError):  # a file system without locks
        try:
            lock.acquire()
        except Timeout:
            raise TrainingError(
                f"another process is training in {folder}; wait until it has ended, or use another folder"
            ) from None
    sweep(folder / CHECKPOINT_NAME)


class Checkpoint:
    """All that a run resumes from, and the file that holds it.

    That is the model, the optimizers, the moving average, the scale of the loss, the history and the progress.

    Without a folder nothing is written, and every run starts at its beginning.
    """

    def __init__(
        self,
        folder: Path | None,
        model: nn.Module,
        optimizers: list[torch.optim.Optimizer],
        average: MovingAverage | None,
        scale: LossScale,
        history: History,
    ):
        self.file = None if folder is None else folder / CHECKPOINT_NAME
        self.model, self.optimizers, self.average = model, optimizers, average
        self.scale, self.history = scale, history
        self.written = time.perf_counter()  # or made, before the first time
        self.size, self.took = 0, 0.0  # of the last file: bytes, and seconds to write it
        self.holds = ""  # the moment of the run that the file holds, in words

    def save(self, progress: EpochProgress) -> None:
        """Write the file, in place of the one before.

        Raises TrainingError if it cannot be written; the one before is then as it was.
        """
        if self.file is None:
            return
        started, tensors = time.perf_counter(), self._tensors()
        if progress.generator_state is not None:
            tensors[GENERATOR_KEY] = progress.generator_state
        numbers = {name: getattr(progress, name) for name in PROGRESS_NUMBERS}
        self.history.skipped_steps = self.scale.skipped_steps
        history = json.dumps(asdict(self.history))
        words = {"format": str(FORMAT), "history": history, "progress": json.dumps(numbers)}
        content = in_one_order(safetensors.torch.save(tensors, words))
        moment = _moment(self.history, progress)
        try:
            write_file(self.file, hashlib.sha256(content).digest() + content)
        except OSError as error:
            raise TrainingError(
                f"the checkpoint of {moment} could not be written to {self.file.parent} ({error.strerror}), and what "
                "was there is as it was; make room or choose another folder, and run again"
            ) from error
        self.written, self.size, self.holds = time.perf_counter(), len(content), moment
        self.took = self.written - started

    def is_due(self, seconds: float) -> bool:
        """Say whether there is a file to write and the last one is older than so many seconds."""
        return self.file is not None and time.perf_counter() - self.written > seconds

    def is_worth_it(self, seconds: float) -> bool:
        """Say whether to write after an epoch: a small file always, a large one if it costs a twentieth of the time."""
        return self.size < LARGE or self.is_due(min(seconds, PAUSE * self.took))

    def load(self, world: World) -> EpochProgress:
        """Put the run back to where the file was written, and say where in the epoch that was; or change nothing.

        Without a file the run is at its beginning. The main process reads it for all.
        Raises TrainingError if the file cannot be read, is damaged, or belongs to another run or version.
        """
        if self.file is None:
            return EpochProgress()
        file = self.file
        content = world.let_main(lambda: _read(file))
        if content is None:
            return EpochProgress()
        tensors, saved, progress = _unpack(file, content)
        refuse_other_settings(file, saved, self.history.config)
        shape = getattr(self.model, "config", None)
        _refuse_changes(file, "model", saved.model, self.history.model, _defaults(shape) if is_dataclass(shape) else {})
        now = self.history.data
        _refuse_changes(file, "data", under_todays_name(saved.data, now), now, {})
        self._refuse_other_tensors(tensors)
        self._restore(tensors)
        skipped = max(self.scale.skipped_steps, saved.skipped_steps)  # an older file counts them in its scale alone
        self.scale.skipped_steps = skipped  # also where the run goes on in a format without a scale
        settings = {name: getattr(self.history, name) for name in ("config", "model", "data")}  # all of today's
        vars(self.history).update(vars(saved) | settings)
        self.holds = _moment(saved, progress)
        return progress

    def what_is_left(self) -> str:
        """Say what the file holds, as the end of a sentence; nothing if there is none."""
        return f"; {self.file} still holds {self.holds}" if self.holds else ""

    def how_to_go_on(self, progress: EpochProgress) -> str:
        """Say to somebody who has stopped the run where it stands, and what to do."""
        moment = _moment(self.history, progress)
        return f"stopped after {moment}, and saved in {self.file.parent}; run it again, and it goes on from there"

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for number, optimizer in enumerate(self.optimizers):
            for i, values in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{number}.{i}.{name}": tensor for name, tensor in values.items()}
        if self.average is not None:
            tensors |= {f"average.{name}": tensor for name, tensor in self.average.model.state_dict().items()}
            tensors["average_steps"] = torch.tensor(self.average.steps)
        if self.scale.enabled:
            tensors["loss_scale"] = self.scale.state()
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        taken: set[int] = set()
        for name, tensor in tensors.items():
            place = tensor.untyped_storage().data_ptr()
            if place in taken:  # by blocks that are tied; no file holds one tensor under two names
                tensors[name] = tensor.clone()
            taken.add(place)
        return tensors

    def _refuse_other_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Raise TrainingError unless every tensor has its place: then to restore them cannot fail half way."""
        places = {f"model.{name}": _kind(tensor) for name, tensor in self.model.state_dict().items()}
        if self.average is not None:
            places |= {f"average.{name}": _kind(tensor) for name, tensor in self.average.model.state_dict().items()}
            places["average_steps"] = "int64 []"
        for number, optimizer in enumerate(self.optimizers):
            for i, parameter in enumerate(p for group in optimizer.param_groups for p in group["params"]):
                its = {f"optimizer.{number}.{i}.{key}": _kind(parameter) for key in STATE[type(optimizer)]}
                its |= {name: "float32 []" for name in its if name.endswith(".step")}
                if its.keys() & tensors.keys():  # a parameter that never moved has none
                    places |= its
        held = {name: _kind(value) for name, value in tensors.items() if name.startswith(PLACED)}
        for name in [*places, *held]:
            was, is_now = (some.get(name, "not there") for some in (held, places))
            if was != is_now:
                raise TrainingError(f"{self.file} belongs to another run: {name} was {was} and is {is_now}; {WAY_OUT}")

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        self.model.load_state_dict(_with_prefix(tensors, "model."))
        for number, optimizer in enumerate(self.optimizers):
            state: dict[int, dict[str, Tensor]] = {}
            for name, tensor in _with_prefix(tensors, f"optimizer.{number}.").items():
                i, key = name.split(".")
                state.setdefault(int(i), {})[key] = tensor
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
            for parameter, values in optimizer.state.items():  # which must lie in memory as the parameter does
                for key, value in values.items():
                    if value.shape == parameter.shape and value.stride() != parameter.stride():
                        values[key] = torch.empty_like(parameter).copy_(value)
        if self.average is not None:
            self.average.model.load_state_dict(_with_prefix(tensors, "average."))
            self.average.steps = int(tensors["average_steps"])
        if self.scale.enabled and "loss_scale" in tensors:
            self.scale.restore(tensors["loss_scale"])


def weights_after_an_epoch(folder: Path) -> tuple[int, dict[str, Tensor]] | None:
    """Read what the run in `folder` would give if it ended now: the epochs that are done, and the weights.

    The weights are the moving average where the run has one. None without a checkpoint, or with one from within an
    epoch. Raises TrainingError if the checkpoint is damaged.
    """
    file = folder / CHECKPOINT_NAME
    content = _read(file)
    if content is None:
        return None
    tensors, history, progress = _unpack(file, content)
    weights = _with_prefix(tensors, "average.") or _with_prefix(tensors, "model.")
    return None if progress.step else (history.epochs, weights)


def epochs_done(folder: Path) -> int:
    """Read how many epochs of the run in `folder` are over; 0 without a checkpoint.

    Raises TrainingError if the checkpoint is damaged.
    """
    content = _read(folder / CHECKPOINT_NAME)
    return 0 if content is None else _unpack(folder / CHECKPOINT_NAME, content)[1].epochs


def kept_statistics(folder: Path) -> dict[str, tuple[float, ...]]:
    """Read the mean and std that the run in `folder` keeps of a first training; empty if they are those of its data.

    Empty without a checkpoint too. Raises TrainingError if it is damaged.
    """
    file = folder / CHECKPOINT_NAME
    content = _read(file)
    said = {} if content is None else _unpack(file, content)[1].data
    return {name: tuple(said[name]) for name in ("mean", "std") if name in said}


def refuse_other_run(folder: Path, config: TrainingConfig) -> None:
    """Raise TrainingError if the folder holds a checkpoint that a run with these settings cannot go on from.

    It is a first look, which needs neither model nor data.
    """
    file = folder / CHECKPOINT_NAME
    content = _read(file)
    if content is not None:
        refuse_other_settings(file, _unpack(file, content)[1], asdict(config))


def refuse_other_settings(file: Path, saved: History, now: dict[str, Any]) -> None:
    """Raise TrainingError if the settings of the training are not those of the run that wrote the file."""
    then, now = _defaults(TrainingConfig) | saved.config, json.loads(json.dumps(now))
    if then["epochs"] < now["epochs"] and saved.epochs == then["epochs"] and then | {"epochs": now["epochs"]} == now:
        raise TrainingError(
            f"{file} is a run that has ended after its {then['epochs']} epochs, with a learning rate that fell to 0; "
            f"{now['epochs']} epochs are another run, in another folder: begin it with these weights, loaded into the "
            "model, or named by --start-from on the command line"
        )
    _refuse_changes(file, "config", saved.config, now, _defaults(TrainingConfig))


def under_todays_name(then: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Give what was said of a run's data then, under the name of now where the checksum says that they only moved."""
    return then | ({"name": now["name"]} if then.get("crc32") == now["crc32"] else {})


def _refuse_changes(file: Path, what: str, then: dict[str, Any], now: dict[str, Any], defaults: dict[str, Any]) -> None:
    now = json.loads(json.dumps(now))
    if defaults and (unknown := sorted(then.keys() - now.keys() - {"class"})):
        raise TrainingError(
            f"{file} was written by another version of the course: in its {what}, {', '.join(unknown)} is not known "
            f"here; use that version, or {WAY_OUT.removeprefix('use ')}"
        )
    then = {name: defaults[name] for name in now if name in defaults} | then
    then |= {name: now[name] for name in LATER if name in now and name not in then}
    if changed := differences(then, now):
        raise TrainingError(f"{file} belongs to another run: in its {what}, {changed}; {WAY_OUT}")


def _defaults(config: Any) -> dict[str, Any]:
    """Give the defaults of a dataclass as JSON holds them."""
    return json.loads(json.dumps({f.name: f.default for f in fields(config) if f.default is not MISSING}))


def _read(file: Path) -> bytes | None:
    """Read a checkpoint; None if there is none. Raises TrainingError if it cannot be read."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TrainingError(f"{file} cannot be read ({error.strerror}); {WAY_OUT}") from error


def _unpack(file: Path, content: bytes) -> tuple[dict[str, Tensor], History, EpochProgress]:
    """Take a checkpoint apart; raise TrainingError if it is not the one that was written, or cannot be read here."""
    digest, packed = content[:32], content[32:]
    if hashlib.sha256(packed).digest() != digest:
        raise TrainingError(f"{file} ({len(content):,} bytes) is truncated or damaged; {WAY_OUT}")
    try:
        length = int.from_bytes(packed[:8], "little")
        words = json.loads(packed[8 : 8 + length])["__metadata__"]
        number = int(words.get("format", 1))
        if number > FORMAT:
            raise TrainingError(
                f"{file} was written by a newer version of the course (format {number}, and this one reads {FORMAT}); "
                f"update the course, or {WAY_OUT}"
            )
        tensors, numbers, said = (
            safetensors.torch.load(packed),
            json.loads(words["progress"]),
            json.loads(words["history"]),
        )
        known = {f.name for f in fields(History)} & {"config", "train_loss", *said}  # without these two it is none
        history = History(**{name: said[name] for name in known})
        progress = EpochProgress(
            **{name: numbers[name] for name in PROGRESS_NUMBERS}, generator_state=tensors.get(GENERATOR_KEY)
        )
    except (KeyError, TypeError, ValueError, safetensors.SafetensorError) as error:
        raise TrainingError(f"{file} is not as this version of the course writes it ({error!r}); {WAY_OUT}") from error
    return tensors, history, progress


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _moment(history: History, progress: EpochProgress) -> str:
    """Name a moment of a run: "the end of epoch 3" or "epoch 4, step 20"."""
    return (
        f"epoch {history.epochs + 1}, step {progress.step}" if progress.step else f"the end of epoch {history.epochs}"
    )


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
