"""Speed of our ViT beside torchvision's, timm's and vit-pytorch's: same config, one run, taking turns.

    python tests/benchmarks/bench_speed.py [--threads 2] [--device cpu] [--rounds 25] [--busy] [--record]

torchvision's and timm's models get the weights of ours. vit-pytorch's has two LayerNorms more, around the projection of
the patches, and no biases for queries, keys and values, so its weights are its own: `pip install -e .[bench]`.

In each round every model runs once, in a new order, so that whatever else the machine does falls on all alike. A ratio
is ours over theirs, the median over the rounds: below 1 ours is faster. Printed are milliseconds per batch, medians.
With --busy the clock counts this process's own processor time, in one thread, for a machine that has other work to do.
"""

import argparse
import random
import statistics
import sys
import time
from importlib.metadata import version

import timm
import torch
import vit_pytorch
from torchvision.models import VisionTransformer

from vit_tutorial import ViT, ViTConfig, load_weights
from vit_tutorial.datasets import DATA_FOLDER
from vit_tutorial.support.files import write_json
from vit_tutorial.training.devices import describe_environment

CONFIGS = {  # name: (config, images per batch, calls timed together, rounds); torchvision's model takes 3 channels only
    "cpu preset, 28x28": (
        ViTConfig(image_size=28, patch_size=7, num_classes=10, dim=64, depth=4, num_heads=4, mlp_ratio=2.0),
        128,
        8,
        25,
    ),
    "small, 32x32": (
        ViTConfig(image_size=32, patch_size=4, num_classes=10, dim=192, depth=6, num_heads=3),
        128,
        1,
        15,
    ),
    "ViT-Ti/16, 224x224": (ViTConfig(dim=192, depth=12, num_heads=3), 4, 1, 15),
    "ViT-B/16, 224x224": (ViTConfig(), 8, 1, 7),
}
OTHERS = ("torchvision", "timm", "vit-pytorch")


def build(config: ViTConfig) -> dict[str, torch.nn.Module]:
    """Make the four models, the first three with the same random weights, and see that these give the same logits."""
    torch.manual_seed(0)
    torchvision_vit = VisionTransformer(
        config.image_size,
        config.patch_size,
        config.depth,
        config.num_heads,
        config.dim,
        int(config.dim * config.mlp_ratio),
        num_classes=config.num_classes,
    )
    torch.nn.init.normal_(torchvision_vit.heads.head.weight, std=0.02)  # zero at first, which would compare nothing
    ours = load_weights(ViT(config), torchvision_vit.state_dict())
    timm_vit = timm.models.VisionTransformer(
        img_size=config.image_size,
        patch_size=config.patch_size,
        num_classes=config.num_classes,
        embed_dim=config.dim,
        depth=config.depth,
        num_heads=config.num_heads,
        mlp_ratio=config.mlp_ratio,
    )
    timm_vit.load_state_dict(ours.state_dict())
    models = {"ours": ours, "torchvision": torchvision_vit, "timm": timm_vit}
    images = torch.randn(2, 3, config.image_size, config.image_size)
    with torch.no_grad():
        logits = {name: model.eval()(images) for name, model in models.items()}
    for name in models:
        torch.testing.assert_close(logits[name], logits["ours"], atol=1e-4, rtol=1e-4)
    models["vit-pytorch"] = vit_pytorch.ViT(
        image_size=config.image_size,
        patch_size=config.patch_size,
        num_classes=config.num_classes,
        dim=config.dim,
        depth=config.depth,
        heads=config.num_heads,
        dim_head=config.dim // config.num_heads,
        mlp_dim=int(config.dim * config.mlp_ratio),
    )
    return models


def forward(model: torch.nn.Module, images: torch.Tensor) -> None:
    with torch.no_grad():
        model.eval()(images)


def forward_and_backward(model: torch.nn.Module, images: torch.Tensor) -> None:
    model.train()(images).square().mean().backward()
    model.zero_grad()


def measure(models: dict, work, images: torch.Tensor, rounds: int, calls: int, clock) -> dict[str, list[float]]:
    """Time `work` for each model once a round, after two rounds that do not count; seconds."""
    seconds = {name: [] for name in models}
    order = list(models)
    shuffle = random.Random(0).shuffle
    for i in range(rounds + 2):
        shuffle(order)
        for name in order:
            if images.device.type == "cuda":
                torch.cuda.synchronize()
            started = clock()
            for _ in range(calls):
                work(models[name], images)
            if images.device.type == "cuda":
                torch.cuda.synchronize()
            if i >= 2:
                seconds[name].append((clock() - started) / calls)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, help="for every config; large models take fewer unless you say so")
    parser.add_argument("--busy", action="store_true", help="one thread, and processor time instead of the clock's")
    parser.add_argument("--record", action="store_true", help="write data/results/benchmark_speed.json")
    parser.add_argument("--batch", type=int, help="images per batch, for every config")
    options = parser.parse_args()
    if options.busy and (options.device != "cpu" or "--threads" in sys.argv):
        parser.error("--busy counts processor time in one thread on the CPU; leave --threads and --device away")
    options.threads = 1 if options.busy else options.threads
    clock = time.process_time if options.busy else time.perf_counter
    torch.set_num_threads(options.threads)
    versions = {"timm": timm.__version__, "vit-pytorch": version("vit-pytorch")}
    print(f"torch {torch.__version__}, {versions}, {options.device}, {options.threads} threads")
    print(f"{'':41} {'milliseconds':>12} {'':34} ours over")
    print(f"{'':41} {'ours':>12} " + " ".join(f"{key:>11}" for key in (*OTHERS, *OTHERS)))
    rows = []
    for name, (config, batch, calls, rounds) in CONFIGS.items():
        models = {key: model.to(options.device) for key, model in build(config).items()}
        images = torch.randn(options.batch or batch, 3, config.image_size, config.image_size, device=options.device)
        rounds = options.rounds or rounds
        for work in (forward, forward_and_backward):
            seconds = measure(models, work, images, rounds, calls, clock)
            ms = {key: 1000 * statistics.median(values) for key, values in seconds.items()}
            ratios = {
                f"ours/{key}": round(
                    statistics.median(a / b for a, b in zip(seconds["ours"], seconds[key], strict=True)), 3
                )
                for key in OTHERS
            }
            what = work.__name__.replace("_", " ")
            rows.append(
                {"config": name, "batch": len(images), "work": what, "rounds": rounds, "milliseconds": ms} | ratios
            )
            numbers = [f"{ms[key]:11.1f}" for key in OTHERS] + [f"{ratio:11.3f}" for ratio in ratios.values()]
            print(f"{name:18} {len(images):>3} {what:>20}  {ms['ours']:11.1f} {' '.join(numbers)}", flush=True)
    if options.record:
        environment = describe_environment(torch.device(options.device)) | versions
        content = {"environment": environment, "rows": rows}
        write_json(DATA_FOLDER / "results" / "benchmark_speed.json", content)


if __name__ == "__main__":
    main()
