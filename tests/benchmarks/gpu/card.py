"""Step `card`: versions, the card, how fast it multiplies and copies, and whether small copies make the host wait."""

import platform
import subprocess
import time
from importlib import metadata

import torch
from gpu.common import device_of
from gpu.journal import Journal
from torch import Tensor

from vit_tutorial.training.devices import matrix_rate, number_format, wait_for

PACKAGES = ("torch", "torchvision", "triton", "numpy", "einops", "jaxtyping", "safetensors")


def run(settings: dict, journal: Journal) -> None:
    """Write down what the other figures depend on."""
    device = device_of(settings)
    versions = {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
    journal.write(versions=versions, cuda=torch.version.cuda, system=platform.system())
    journal.write(card=torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "CPU")
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        journal.write(
            memory=properties.total_memory,
            multiprocessors=properties.multi_processor_count,
            capability=list(torch.cuda.get_device_capability(device)),
            driver=driver(),
        )
    journal.write(matrix_rate=matrix_rate(device), format=str(number_format(device, "auto")).removeprefix("torch."))
    journal.write(copy_rate=copy_rate(device))
    if device.type == "cuda":
        journal.write(copies_behind_work=copies_behind_work(device))


def version(name: str) -> str | None:
    """Give the version of a package, None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def driver() -> str:
    """Give the version of the card's driver, as its own tool says it."""
    try:
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"unknown ({error})"


def copy_rate(device: torch.device) -> float:
    """Measure how fast the device copies its own memory, in bytes read and written a second."""
    count = 2**30 if device.type == "cuda" else 2**26
    source = torch.randint(0, 255, (count,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    wait_for(device)
    started = time.perf_counter()
    for _ in range(5):
        target.copy_(source)
    wait_for(device)
    return 5 * 2 * count / (time.perf_counter() - started)


def copies_behind_work(device: torch.device) -> dict[str, float]:
    """Measure how long the host takes to send some bytes to a card that is busy, in milliseconds.

    A training step sends what is to happen to each image. If the host had to wait for the card, it would be here.
    """
    large = torch.randn(8192, 8192, device=device, dtype=torch.bfloat16)
    found = {}
    for kilobytes in (4, 32, 256):
        for pinned in (False, True):
            small: Tensor = torch.zeros(kilobytes * 1024, dtype=torch.uint8)
            small = small.pin_memory() if pinned else small
            wait_for(device)
            for _ in range(20):  # some 30 ms of work
                large @ large
            started = time.perf_counter()
            small.to(device, non_blocking=True)
            found[f"{kilobytes} KB, {'pinned' if pinned else 'plain'}"] = 1e3 * (time.perf_counter() - started)
    wait_for(device)
    return found
