"""Step `speed`: images/s and MFU of the large preset, and whether the host keeps up with the card.

Three times of a step: `step_ms`, one after the other; `host_ms`, what the host needs to tell an idle card all of it;
`device_ms`, how long the card computes, the gaps left out. As long as the host's time is the smaller one, it hides.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from gpu.common import data_of, device_of, forget_peak, preset_of, step_of
from gpu.journal import Journal
from torch import nn

from vit_tutorial.datasets import Dataset
from vit_tutorial.introspection import flops_per_image
from vit_tutorial.training.devices import matrix_rate, wait_for

PLAIN = {"flip": False, "max_shift": 0, "distort": 0.0, "erase": 0.0, "cutmix": 0.0, "mixup": 0.0}
EAGER, COMPILED, GRAPHS = "eager", "compiled", "compiled, CUDA graphs"
MODES = {COMPILED: None, GRAPHS: "reduce-overhead"}
# The most important first: what is compiled is compiled once.
VARIANTS = [(COMPILED, "muon", True), (EAGER, "muon", True), (COMPILED, "muon", False), (COMPILED, "adamw", True)]
VARIANTS += [(EAGER, "adamw", True), (EAGER, "muon", False), (EAGER, "adamw", False), (COMPILED, "adamw", False)]
VARIANTS += [(GRAPHS, "muon", True)]


def run(settings: dict, journal: Journal) -> None:
    """Measure one variant after the other, as far as the time goes."""
    device, preset = device_of(settings), preset_of(settings)
    data = data_of(settings) if settings["rehearse"] else noise(preset.training.batch_size)
    model = preset.build(data).to(device)
    count = min(preset.training.batch_size, len(data.train_labels))
    flops, rate = flops_per_image(model.config), matrix_rate(device)
    journal.write(batch=count, flops_per_image=flops, matrix_rate=rate)
    programs: dict[str, nn.Module | Callable] = {EAGER: model}
    seconds = 0.1 if settings["rehearse"] else 2.4 if device.type == "cuda" else 1.0
    for how, optimizer, augmented in VARIANTS:
        if how == GRAPHS and device.type != "cuda":
            continue
        journal.check_time(15.0 if device.type == "cuda" else 3.0)
        name = f"{how}, {optimizer}{'' if augmented else ', no augmentation'}"
        try:
            if how not in programs:
                programs[how] = torch.compile(model, dynamic=False, mode=MODES[how])
            changes = {} if augmented else PLAIN
            config = replace(preset.training, optimizer=optimizer, device=device.type, **changes)
            step, _ = step_of(model, data, config, programs[how])
            row = measure(step, device, seconds)
        except Exception as problem:
            journal.add("variants", {"name": name, "error": f"{type(problem).__name__}: {problem}"[:300]})
            continue
        images = count / row["step_ms"] * 1e3
        row |= {"images_per_second": images, "mfu": 3 * flops * images / rate}
        journal.add("variants", {"name": name, "compiled": how != EAGER, "optimizer": optimizer} | row)


def noise(count: int) -> Dataset:
    """Make random pictures of CIFAR-10's size."""
    images = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8)
    labels = torch.arange(count) % 10
    return Dataset("noise", images, labels, images[:1], labels[:1], tuple("abcdefghij"), (0.5,) * 3, (0.25,) * 3)


def measure(step: Callable[[], None], device: torch.device, seconds: float) -> dict:
    """Take steps for so many seconds at most; the first ones, which allocate and compile, are timed apart."""

    def timed(steps: int) -> float:
        wait_for(device)
        started = time.perf_counter()
        for _ in range(steps):
            step()
        wait_for(device)
        return (time.perf_counter() - started) / steps

    def told() -> float:
        wait_for(device)
        started = time.perf_counter()
        step()
        return time.perf_counter() - started

    forget_peak(device)
    first = timed(1)
    one = timed(2)
    steps = int(max(3, min(40, seconds / 4 / one)))
    rounds = [timed(steps) for _ in range(3)]
    row = {
        "first_step_seconds": first,
        "step_ms": 1e3 * statistics.median(rounds),
        "step_ms_rounds": [1e3 * value for value in rounds],
        "host_ms": 1e3 * statistics.median(told() for _ in range(7)),
    }
    if device.type == "cuda":
        row["memory"] = torch.cuda.max_memory_allocated(device)
        try:
            row |= profiled(step, device)
        except Exception as problem:  # the times above are there all the same
            row["profiler"] = f"{type(problem).__name__}: {problem}"[:300]
    return row


def profiled(step: Callable[[], None], device: torch.device, steps: int = 3) -> dict:
    """Ask the profiler how long the card computes in a step, with how many kernels, and which take longest."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        for _ in range(steps):
            step()
        wait_for(device)
    events = [event for event in profiler.key_averages() if event.self_device_time_total > 0]
    events.sort(key=lambda event: -event.self_device_time_total)
    longest = [(event.key[:90], event.count / steps, event.self_device_time_total / 1e3 / steps) for event in events]
    return {
        "device_ms": sum(milliseconds for *_, milliseconds in longest),
        "kernels": sum(count for _, count, _ in longest),
        "longest": longest[:20],
    }
