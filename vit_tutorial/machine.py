"""What this machine has for the course, and what to do about what is missing."""

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch

from vit_tutorial.support.paths import given_folder

MIN_PYTHON = (3, 11)
GIGABYTE = 1e9
WIDGET_PACKAGES = ("ipywidgets", "anywidget", "jupyterlab_widgets")


@dataclass(frozen=True)
class Advice:
    """One thing that was looked at: is it fine, and what was found or should be done."""

    name: str
    fine: bool
    words: str

    def __str__(self) -> str:
        return f"{'✓' if self.fine else '!'} {self.name:<12}{self.words}"


class Report(list[Advice]):
    """All that was looked at; prints itself as a list of lines."""

    @property
    def ready(self) -> bool:
        """Whether nothing is missing."""
        return all(advice.fine for advice in self)

    def __repr__(self) -> str:
        end = "Everything is there." if self.ready else "Lines with a ! tell what to do. The other lessons still run."
        return "\n".join([*map(str, self), end])


def check_machine() -> Report:
    """Look at Python, PyTorch, the processor, a GPU, widgets, data and disk; never raises for what it finds."""
    return Report([_python(), _torch(), _processor(), _gpu(), _widgets(), _data(), _disk()])


def _python() -> Advice:
    version = platform.python_version()
    if sys.version_info[:2] < MIN_PYTHON:
        return Advice("Python", False, f"{version} is too old; install 3.11 or newer, delete .venv, run `make lab`")
    return Advice("Python", True, version)


def _torch() -> Advice:
    return Advice("PyTorch", True, torch.__version__)


def _processor() -> Advice:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Advice("processor", True, f"{cores} core{'s' if cores > 1 else ''}, {platform.machine()}")


def _gpu() -> Advice:
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        return Advice("GPU", True, f"{card.name}, {card.total_memory / GIGABYTE:.0f} GB; lesson 11 will use it")
    if shutil.which("nvidia-smi"):
        if torch.version.cuda is None:
            return Advice(
                "GPU", False, "this PyTorch is built for the CPU; README.md, 'Another PyTorch', tells of others"
            )
        return Advice(
            "GPU", False, "there is a driver that PyTorch cannot use; update it. Until then the CPU does it all"
        )
    return Advice("GPU", True, "none, and none is needed: every lesson runs on the CPU")


def _widgets() -> Advice:
    missing = [name for name in WIDGET_PACKAGES if _version(name) is None]
    if missing:
        return Advice("widgets", False, f"{', '.join(missing)} missing; run `make setup`, then restart JupyterLab")
    if (kernel := _version("ipykernel")) and int(kernel.split(".")[0]) >= 7:
        return Advice(
            "widgets",
            False,
            f"ipykernel {kernel} may leave figures blank; run `python -m pip install 'ipykernel<7'`, then restart it",
        )
    return Advice(
        "widgets", True, f"ipywidgets {metadata.version('ipywidgets')}, anywidget {metadata.version('anywidget')}"
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _data() -> Advice:
    from vit_tutorial.datasets import DataError, load

    try:
        data = load("fashion_mnist")
    except (DataError, OSError) as error:
        return Advice("data", False, str(error))
    return Advice("data", True, f"{len(data.train_labels):,} + {len(data.test_labels):,} pictures of clothes")


def _disk() -> Advice:
    folder = (given_folder() or Path()).absolute()  # where lesson 11 saves; it makes what is missing
    there = next(place for place in (folder, *folder.parents) if os.path.exists(place))
    free = shutil.disk_usage(there).free / GIGABYTE
    if free < 1:
        return Advice("disk", False, f"{free:.1f} GB free; make room for 1 GB, or lesson 11 cannot save what it trains")
    return Advice("disk", True, f"{free:.0f} GB free")
