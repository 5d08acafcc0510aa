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
from vit_tutorial.training.optimizers import MovingAverage

CHECKPOINT_NAME = "checkpoint.bin"
WAY_OUT = "use another folder, or delete this one to train from the start"


class TrainingError(RuntimeError):
    """Training cannot go on, or not from this checkpoint; the message has the numbers and the way out."""


@dataclass
class Progress:
    """How far a run is within an epoch."""

    step: int = 0  # steps that are done
    seen: int = 0  # images that this process has trained on
    loss_sum: float = 0.0  # of those images
    correct: float = 0.0  # of those images
    seconds: float = 0.0
    chances: Tensor | None = None  # state of the random numbers that the rest of the epoch will draw


class Run:
    """What a checkpoint in `folder` holds: model, optimizers, moving average, history. No folder, no checkpoint."""

    def __init__(
        self,
        folder: Path | None,
        model: nn.Module,
        optimizers: list[torch.optim.Optimizer],
        average: MovingAverage | None,
        history: History,
    ):
        self.file = None if folder is None else folder / CHECKPOINT_NAME
        self.model, self.optimizers, self.average, self.history = model, optimizers, average, history
        self.saved, self.place = time.perf_counter(), ""

    def save(self, at: Progress) -> None:
        """Write the checkpoint, in place of the one before.

        Raises TrainingError if it cannot be written; the one before is then as it was.
        """
        if self.file is None:
            return
        tensors = self._tensors() | ({} if at.chances is None else {"chances": at.chances})
        words = {"history": json.dumps(asdict(self.history)), "progress": json.dumps(vars(at) | {"chances": None})}
        content = safetensors.torch.save(tensors, words)
        place = _place(self.history, at)
        try:
            write_file(self.file, hashlib.sha256(content).digest() + content)
        except OSError as error:
            raise TrainingError(
                f"the checkpoint of {place} could not be written to {self.file.parent} ({error.strerror}), and what "
                "was there is as it was; make room or choose another folder, and run again"
            ) from error
        self.saved, self.place = time.perf_counter(), place

    def save_now_and_then(
        self, world: World, seconds: float, at: Progress, chances: torch.Generator, started: float
    ) -> None:
        """Write a checkpoint in the middle of an epoch if the last one is older than so many seconds."""
        if self.file is not None and world.leads and time.perf_counter() - self.saved > seconds:
            at.chances, at.seconds = chances.get_state(), time.perf_counter() - started
            self.save(at)

    def load(self, world: World) -> Progress:
        """Put all back to where the checkpoint was written, and say where in the epoch that was; or change nothing.

        Without a checkpoint the run is at its beginning. The first process reads the file for all.
        Raises TrainingError if the folder cannot be made, or if the file is damaged or belongs to another run.
        """
        if self.file is None:
            return Progress()
        file = self.file
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(
                f"the checkpoint folder {file.parent} cannot be made ({error.strerror}); name a folder that you may "
                "write to"
            ) from error
        whole = world.from_first(file.read_bytes() if world.leads and file.exists() else None)
        if whole is None:
            return Progress()
        tensors, words, progress = _unpack(file, whole)
        saved = type(self.history)(**words)
        for what in ("config", "model", "data"):
            then, now = getattr(saved, what), json.loads(json.dumps(getattr(self.history, what)))
            changed = [f"{k} was {then.get(k)} and is {now.get(k)}" for k in now if then.get(k) != now.get(k)]
            if changed:
                raise TrainingError(f"{file} belongs to another run: in its {what}, {', '.join(changed)}; {WAY_OUT}")
        self._put_back(tensors)
        vars(self.history).update(vars(saved))
        at = Progress(**progress | {"chances": tensors.get("chances")})
        self.place = _place(saved, at)
        return at

    def what_is_left(self) -> str:
        """Say what the last checkpoint holds, as the end of a sentence; nothing if there is none."""
        return f"; {self.file} still holds {self.place}" if self.place else ""

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for number, optimizer in enumerate(self.optimizers):
            for i, values in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{number}.{i}.{name}": tensor for name, tensor in values.items()}
        if self.average is not None:
            tensors |= {f"average.{name}": tensor for name, tensor in self.average.model.state_dict().items()}
            tensors["average_steps"] = torch.tensor(self.average.steps)
        return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}

    def _put_back(self, tensors: dict[str, Tensor]) -> None:
        self.model.load_state_dict(_taken(tensors, "model."))
        for number, optimizer in enumerate(self.optimizers):
            state: dict[int, dict[str, Tensor]] = {}
            for name, tensor in _taken(tensors, f"optimizer.{number}.").items():
                i, key = name.split(".")
                state.setdefault(int(i), {})[key] = tensor
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        if self.average is not None:
            self.average.model.load_state_dict(_taken(tensors, "average."))
            self.average.steps = int(tensors["average_steps"])


def weights_after_an_epoch(folder: Path) -> tuple[int, dict[str, Tensor]] | None:
    """Read what the run in `folder` would give if it ended now: the epochs that are done, and the weights.

    The weights are the moving average where the run has one. None without a checkpoint, or with one from within an
    epoch. Raises TrainingError if the checkpoint is damaged.
    """
    file = folder / CHECKPOINT_NAME
    if not file.exists():
        return None
    tensors, history, progress = _unpack(file, file.read_bytes())
    weights = _taken(tensors, "average.") or _taken(tensors, "model.")
    return None if progress["step"] else (len(history["train_loss"]), weights)


def _unpack(file: Path, whole: bytes) -> tuple[dict[str, Tensor], dict, dict]:
    """Take a checkpoint apart: tensors, history, progress."""
    digest, content = whole[:32], whole[32:]
    if hashlib.sha256(content).digest() != digest:
        raise TrainingError(f"{file} ({len(whole):,} bytes) is truncated or damaged; {WAY_OUT}")
    length = int.from_bytes(content[:8], "little")
    words = json.loads(content[8 : 8 + length])["__metadata__"]
    return safetensors.torch.load(content), json.loads(words["history"]), json.loads(words["progress"])


def _place(history: History, at: Progress) -> str:
    """Name a moment of a run: "the end of epoch 3" or "epoch 4, step 20"."""
    return f"epoch {history.epochs + 1}, step {at.step}" if at.step else f"the end of epoch {history.epochs}"


def _taken(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
