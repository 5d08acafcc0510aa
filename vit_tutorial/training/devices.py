"""Where a training runs: the device, its number format, how fast it multiplies, and what a record says about it."""

import contextlib
import os
import platform
import statistics
import subprocess
import time
from importlib import metadata
from pathlib import Path

import torch


def choose_device(name: str = "auto") -> torch.device:
    """Turn "auto" into cuda where there is one, else cpu; Apple's mps must be asked for by name.

    Under `torchrun` each process takes the GPU with its own number.
    Raises ValueError if the device asked for is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
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
    """Compute matrix products in bfloat16 inside this context, if `precision` says so; weights stay float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=uses_bfloat16(device, precision))


def uses_bfloat16(device: torch.device, precision: str) -> bool:
    """Say whether `precision` means bfloat16 on this device: "auto" does on a GPU that has it."""
    automatic = (
        precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    )
    return automatic or precision == "bfloat16"


def matrix_rate(device: torch.device, precision: str = "auto", repeats: int = 5) -> float:
    """Measure how fast the device multiplies large matrices, in FLOP/s: the most that a model can hope for.

    The matrices are 8192x8192 on a GPU and 1024x1024 elsewhere; the result is the median of `repeats` measurements.
    """
    size, products = (8192, 10) if device.type == "cuda" else (1024, 3)
    dtype = torch.bfloat16 if uses_bfloat16(device, precision) else torch.float32
    a = torch.randn(size, size, device=device).to(dtype)

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
    root = Path(__file__).resolve().parents[2]
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
