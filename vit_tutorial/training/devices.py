"""Where a training runs: the device, its number format, how fast it multiplies, and what a record says about it."""

import contextlib
import importlib.util
import os
import platform
import shutil
import statistics
import subprocess
import time
from importlib import metadata
from pathlib import Path

import torch

from vit_tutorial.support.paths import COURSE


def choose_device(name: str = "auto") -> torch.device:
    """Turn "auto" into cuda where there is one, else cpu; Apple's mps must be asked for by name.

    Under `torchrun` each process takes the GPU with its own number.
    Raises ValueError if the device asked for is not there, or is not known.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name not in available:
        raise ValueError(f"device is {name!r}; it must be one of 'auto', {', '.join(map(repr, available))}")
    if not available[name]:
        raise ValueError(f"device is {name!r}, but PyTorch finds none on this machine; use 'auto' or 'cpu'")
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        number, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if number >= count:
            raise ValueError(
                f"process {number} of this machine finds {count} GPU{'s' * (count > 1)}; start one process a GPU: "
                f"torchrun --nproc-per-node {count}"
            )
        return torch.device("cuda", number)
    return torch.device(name)


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Compute matrix products in 16 bits inside this context, if `precision` says so; weights stay float32."""
    dtype = number_format(device, precision)
    if dtype is torch.float32:
        return torch.autocast(device.type, enabled=False)
    return torch.autocast(device.type, dtype)


def number_format(device: torch.device, precision: str) -> torch.dtype:
    """Say in which format `precision` lets this device multiply matrices.

    "auto" is bfloat16 on a GPU that has it, float16 on a GPU that does not (such as a T4), and float32 elsewhere.
    Raises ValueError for another word.
    """
    if precision != "auto":
        formats = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
        if precision not in formats:
            raise ValueError(f"precision is {precision!r}; it must be one of 'auto', {', '.join(map(repr, formats))}")
        return formats[precision]
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def can_compile(device: torch.device) -> bool:
    """Say whether `compile=True` works on this device and pays: on a GPU from 2017 on, with Triton and a C compiler.

    PyTorch's wheels for Linux bring Triton; on a CPU a training of minutes does not win back what compiling takes.
    """
    if device.type != "cuda" or importlib.util.find_spec("triton") is None:
        return False
    compilers = os.environ.get("CC", ""), "gcc", "clang", "cc"
    return torch.cuda.get_device_capability(device) >= (7, 0) and any(map(shutil.which, compilers))


def matrix_rate(device: torch.device, precision: str = "auto", repeats: int = 5) -> float:
    """Measure how fast the device multiplies large matrices, in FLOP/s: the most that a model can hope for.

    The matrices are 8192x8192 on a GPU and 1024x1024 elsewhere; the result is the median of `repeats` measurements.
    """
    size, products = (8192, 10) if device.type == "cuda" else (1024, 3)
    a = torch.randn(size, size, device=device).to(number_format(device, precision))

    def seconds() -> float:
        wait_for(device)
        started = time.perf_counter()
        for _ in range(products):
            a @ a
        wait_for(device)
        return time.perf_counter() - started

    seconds()  # the first time, the library chooses its kernel
    return products * 2 * size**3 / statistics.median(seconds() for _ in range(repeats))


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has done all that it was told; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def describe_environment(device: torch.device) -> dict:
    """Write down what a figure depends on: hardware, threads, versions and, in a clone, the git revision."""
    hardware = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "device": device.type,
        "hardware": hardware,
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "vit_tutorial": _version(),
        "git_revision": _git_revision(),
    }


def _version() -> str | None:
    """The version that is installed; None where the course is used without installing it."""
    try:
        return metadata.version("vit-tutorial")
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.split(':')[1].strip()}, {os.cpu_count()} cores"
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def _git_revision() -> str | None:
    """The commit of the clone this file lies in, with "+" if files were changed since; None outside a clone."""
    if not (COURSE / ".git").exists():
        return None
    try:
        git = ["git", "-C", str(COURSE)]
        revision = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changes = subprocess.run([*git, "diff", "--quiet", "HEAD"], capture_output=True).returncode
    except (OSError, subprocess.CalledProcessError):
        return None
    return revision + ("+" if changes else "")
