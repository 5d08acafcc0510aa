"""What the preset `cpu` reaches on this machine: test accuracy, seconds of training and peak memory, seed by seed.

    python tests/benchmarks/bench_training.py [--threads 2] [--seeds 0 1 2] [--record]

The goal on two cores: 85% test accuracy on the embedded set within 100 s of training and 1.5 GB of memory. Each seed is
a process of its own, so that its peak memory, imports included, can be read off. Unix only. On a machine with other
work to do, use --threads 1 and read the processor seconds: those of one core that had nothing else to do.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

import torch

from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.recipes import PRESETS, build_model
from vit_tutorial.support.files import write_json
from vit_tutorial.training import TrainingConfig, evaluate, fit
from vit_tutorial.training.devices import describe_environment


def train_once(preset_name: str, seed: int) -> dict:
    """Train once and give what the table shows; seconds are those of `fit`, and memory is in units of 1e9 bytes."""
    preset = PRESETS[preset_name]
    data = load(preset.data)
    config = TrainingConfig(**(vars(preset.training) | {"seed": seed}))
    model = build_model(data, preset.model, seed)
    started, worked = time.perf_counter(), time.process_time()
    history = fit(model, data, config)
    seconds, processor_seconds = time.perf_counter() - started, time.process_time() - worked
    test = evaluate(model, data.test_images, data.test_labels)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {
        "seconds": seconds,
        "processor_seconds": processor_seconds,
        "validation": history.validation_accuracy[-1] if history.validation_accuracy else None,
        "test": test.accuracy,
        "memory": peak / 1e9,
        "parameters": history.model["parameters"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--record", action="store_true", help="write data/results/benchmark_training.json")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)  # the seed of a single process of the table
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.one is not None:
        print(json.dumps(train_once(options.preset, options.one)))
        return

    environment = describe_environment(torch.device("cpu"))
    print(f"{environment['hardware']}, {options.threads} threads, torch {environment['torch']}")
    print("seed  parameters  seconds  processor  validation    test  memory GB")
    rows = []
    for seed in options.seeds:
        command = [sys.executable, __file__, "--one", str(seed)]
        command += ["--threads", str(options.threads), "--preset", options.preset]
        row = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        rows.append(row)
        validation = "-" if row["validation"] is None else f"{row['validation']:.2%}"
        print(
            f"{seed:4}  {row['parameters']:10,}  {row['seconds']:7.1f}  {row['processor_seconds']:9.1f}  "
            f"{validation:>10}  {row['test']:6.2%}  {row['memory']:9.2f}",
            flush=True,
        )
    seconds, test, memory = (statistics.mean(row[key] for row in rows) for key in ("seconds", "test", "memory"))
    if options.record:
        content = {"preset": options.preset, "environment": environment | {"threads": options.threads}, "seeds": rows}
        write_json(DATA_FOLDER / "results" / "benchmark_training.json", content)
    print(f"mean  {'':10}  {seconds:7.1f}  {'':10}  {test:6.2%}  {memory:9.2f}")


if __name__ == "__main__":
    main()
