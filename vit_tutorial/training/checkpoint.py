"""Checkpoints of a run: everything that a training needs to go on as if it had never been stopped.

The file is a SHA-256 and then a .safetensors, which holds numbers and text only: reading one runs no code. It is
written all or nothing, so a kill at any moment leaves the last one whole.
"""

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from vit_tutorial.support.files import write_file
from vit_tutorial.training.distributed import World
from vit_tutorial.training.history import History
from vit_tutorial.training.loss_scale import LossScale
from vit_tutorial.training.optimizers import MovingAverage

CHECKPOINT_NAME = "checkpoint.bin"
PROGRESS_NUMBERS = ("step", "seen", "loss_sum", "correct", "seconds")  # the fields of EpochProgress that JSON can hold
GENERATOR_KEY = "chances"  # the state of the generator lies among the tensors
WAY_OUT = "use another folder, or delete this one to train from the start"


class TrainingError(RuntimeError):
    """Training cannot go on, or not from this checkpoint; the message has the numbers and the way out."""


@dataclass
class EpochProgress:
    """How far a run is within an epoch."""

    step: int = 0  # steps that are done
    seen: int = 0  # images that this process has trained on
    loss_sum: float = 0.0  # of those images
    correct: float = 0.0  # of those images
    seconds: float = 0.0
    generator_state: Tensor | None = None  # of the random numbers that the rest of the epoch will draw


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
        self.holds = ""  # the moment of the run that the file holds, in words

    def save(self, progress: EpochProgress) -> None:
        """Write the file, in place of the one before.

        Raises TrainingError if it cannot be written; the one before is then as it was.
        """
        if self.file is None:
            return
        tensors = self._tensors()
        if progress.generator_state is not None:
            tensors[GENERATOR_KEY] = progress.generator_state
        numbers = {name: getattr(progress, name) for name in PROGRESS_NUMBERS}
        words = {"history": json.dumps(asdict(self.history)), "progress": json.dumps(numbers)}
        content = safetensors.torch.save(tensors, words)
        moment = _moment(self.history, progress)
        try:
            write_file(self.file, hashlib.sha256(content).digest() + content)
        except OSError as error:
            raise TrainingError(
                f"the checkpoint of {moment} could not be written to {self.file.parent} ({error.strerror}), and what "
                "was there is as it was; make room or choose another folder, and run again"
            ) from error
        self.written, self.holds = time.perf_counter(), moment

    def is_due(self, seconds: float) -> bool:
        """Say whether there is a file to write and the last one is older than so many seconds."""
        return self.file is not None and time.perf_counter() - self.written > seconds

    def load(self, world: World) -> EpochProgress:
        """Put the run back to where the file was written, and say where in the epoch that was; or change nothing.

        Without a file the run is at its beginning. The main process reads it for all.
        Raises TrainingError if the folder cannot be made, or if the file is damaged or belongs to another run.
        """
        if self.file is None:
            return EpochProgress()
        file = self.file
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(
                f"the checkpoint folder {file.parent} cannot be made ({error.strerror}); name a folder that you may "
                "write to"
            ) from error
        content = world.broadcast(file.read_bytes() if world.is_main and file.exists() else None)
        if content is None:
            return EpochProgress()
        tensors, saved, progress = _unpack(file, content)
        for what in ("config", "model", "data"):
            then, now = getattr(saved, what), json.loads(json.dumps(getattr(self.history, what)))
            changed = [f"{k} was {then.get(k)} and is {now.get(k)}" for k in now if then.get(k) != now.get(k)]
            if changed:
                raise TrainingError(f"{file} belongs to another run: in its {what}, {', '.join(changed)}; {WAY_OUT}")
        self._restore(tensors)
        vars(self.history).update(vars(saved))
        self.holds = _moment(saved, progress)
        return progress

    def what_is_left(self) -> str:
        """Say what the file holds, as the end of a sentence; nothing if there is none."""
        return f"; {self.file} still holds {self.holds}" if self.holds else ""

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
        return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        self.model.load_state_dict(_with_prefix(tensors, "model."))
        for number, optimizer in enumerate(self.optimizers):
            state: dict[int, dict[str, Tensor]] = {}
            for name, tensor in _with_prefix(tensors, f"optimizer.{number}.").items():
                i, key = name.split(".")
                state.setdefault(int(i), {})[key] = tensor
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        if self.average is not None:
            self.average.model.load_state_dict(_with_prefix(tensors, "average."))
            self.average.steps = int(tensors["average_steps"])
        if self.scale.enabled:
            self.scale.restore(tensors["loss_scale"])


def weights_after_an_epoch(folder: Path) -> tuple[int, dict[str, Tensor]] | None:
    """Read what the run in `folder` would give if it ended now: the epochs that are done, and the weights.

    The weights are the moving average where the run has one. None without a checkpoint, or with one from within an
    epoch. Raises TrainingError if the checkpoint is damaged.
    """
    file = folder / CHECKPOINT_NAME
    if not file.exists():
        return None
    tensors, history, progress = _unpack(file, file.read_bytes())
    weights = _with_prefix(tensors, "average.") or _with_prefix(tensors, "model.")
    return None if progress.step else (history.epochs, weights)


def _unpack(file: Path, content: bytes) -> tuple[dict[str, Tensor], History, EpochProgress]:
    """Take a checkpoint apart; raise TrainingError if it is not the one that was written."""
    digest, packed = content[:32], content[32:]
    if hashlib.sha256(packed).digest() != digest:
        raise TrainingError(f"{file} ({len(content):,} bytes) is truncated or damaged; {WAY_OUT}")
    length = int.from_bytes(packed[:8], "little")
    words = json.loads(packed[8 : 8 + length])["__metadata__"]
    tensors, numbers = safetensors.torch.load(packed), json.loads(words["progress"])
    progress = EpochProgress(
        **{name: numbers[name] for name in PROGRESS_NUMBERS}, generator_state=tensors.get(GENERATOR_KEY)
    )
    return tensors, History(**json.loads(words["history"])), progress


def _moment(history: History, progress: EpochProgress) -> str:
    """Name a moment of a run: "the end of epoch 3" or "epoch 4, step 20"."""
    return (
        f"epoch {history.epochs + 1}, step {progress.step}" if progress.step else f"the end of epoch {history.epochs}"
    )


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
