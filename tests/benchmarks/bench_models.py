"""What the models of lesson 9 cost, large and small, in one run: parameters, operations, pictures a second and memory.

    python tests/benchmarks/bench_models.py [--rounds 5] [--busy] [--record]

Forward only, in eval mode, on one thread, batches of 2 pictures of 224x224 (large) or of 100 of 28x28 (small).
The models take turns, and the median over the rounds counts. With --busy the clock counts this process's own processor
time, for a machine that has other work to do. Operations are those of one picture; a multiplication and an addition are
two.

Memory is the peak of one batch forward in a process of its own, less what the process held with the model made; the
weights are counted apart, four bytes a number. Linux only.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable

import torch
from peak_memory import added_peak, in_own_process
from torch import nn

from vit_tutorial.cnn import CNN, CNNConfig
from vit_tutorial.datasets import DATA_FOLDER
from vit_tutorial.introspection import count_parameters, flops_per_image
from vit_tutorial.studies.versus import MODELS as CONTESTANTS
from vit_tutorial.support.files import write_json
from vit_tutorial.training.devices import describe_environment
from vit_tutorial.vit import ViT, ViTConfig

CLOTHES = {"image_size": 28, "in_channels": 1, "num_classes": 10}
SMALL = CONTESTANTS["fashion_mnist"]
MODELS: dict[str, tuple[int, Callable[[], nn.Module]]] = {  # pictures a batch, and how the model is made
    "ViT-B/16": (2, lambda: ViT.from_name("ViT-B/16")),
    "ViT-S/16": (2, lambda: ViT.from_name("ViT-S/16")),
    "ResNet-50": (2, lambda: CNN.from_name("ResNet-50")),
    "small ViT": (100, lambda: ViT(ViTConfig(**CLOTHES, **SMALL["ViT"]))),
    "small CNN": (100, lambda: CNN(CNNConfig(**CLOTHES, **SMALL["CNN"]))),
}


def make(name: str) -> tuple[nn.Module, torch.Tensor]:
    """Make a model and a batch of random pictures for it."""
    batch, build = MODELS[name]
    model = build().eval()
    side = model.config.image_size
    return model, torch.randn(batch, model.config.in_channels, side, side)


@torch.no_grad()
def time_models(rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """Time all models in turn, and give the pictures a second of each."""
    made = {name: make(name) for name in MODELS}
    seconds = {name: [] for name in made}
    order, shuffle = list(made), random.Random(0).shuffle
    for i in range(rounds + 1):  # the first does not count
        shuffle(order)
        for name in order:
            model, images = made[name]
            started = clock()
            model(images)
            if i:
                seconds[name].append(clock() - started)
    return {name: len(made[name][1]) / statistics.median(times) for name, times in seconds.items()}


def peak_memory(name: str) -> int:
    """Give the bytes that one batch adds at most to what a fresh process with the model holds."""
    return in_own_process(__file__, name)


@torch.no_grad()
def print_own_peak(name: str) -> None:
    """Measure peak_memory in this process."""
    torch.set_num_threads(1)
    model, images = make(name)
    model(images[:1, :, :16, :16] if isinstance(model, CNN) else images[:1])
    print(added_peak(lambda: model(images)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--busy", action="store_true", help="processor time instead of the clock's")
    parser.add_argument("--record", action="store_true", help="write data/results/benchmark_models.json")
    parser.add_argument("--peak", choices=MODELS, help=argparse.SUPPRESS)  # what each process of peak_memory runs
    options = parser.parse_args()
    if options.peak:
        print_own_peak(options.peak)
        return
    torch.set_num_threads(1)
    torch.manual_seed(0)
    memory = {name: peak_memory(name) for name in MODELS}  # before this process grows
    speed = time_models(options.rounds, time.process_time if options.busy else time.perf_counter)
    rows = []
    for name, (batch, build) in MODELS.items():
        with torch.device("meta"):
            model = build()
        rows.append(
            {
                "model": name,
                "image_size": model.config.image_size,
                "batch": batch,
                "parameters": count_parameters(model),
                "flops": flops_per_image(model.config),
                "images_per_second": float(f"{speed[name]:.3g}"),
                "weight_bytes": 4 * count_parameters(model),
                "peak_bytes": memory[name],
            }
        )
        row = rows[-1]
        print(
            f"{name:10} {row['parameters']:>11,} parameters, {row['flops'] / 1e9:7.4f} GFLOPs, "
            f"{row['images_per_second']:8.1f} images/s, {row['peak_bytes'] / 1e6:6.1f} MB beside the weights"
        )
    if options.record:
        content = {
            "command": f"python tests/benchmarks/bench_models.py{' --busy' * options.busy} --record",
            "environment": describe_environment(torch.device("cpu")),
            "clock": "processor time" if options.busy else "wall clock",
            "rounds": options.rounds,
            "rows": rows,
        }
        write_json(DATA_FOLDER / "results" / "benchmark_models.json", content)


if __name__ == "__main__":
    main()
