"""What a processor has to do for one training step that a GPU computes: operations it launches, and milliseconds.

    python tests/benchmarks/bench_host.py [--preset cifar10-gpu]

A GPU is told what to do one operation at a time, and each takes the processor some microseconds. If all of them take
longer than the GPU's own work, the GPU waits. So this counts, without a GPU, the operations of one step, those aside
that only look at memory in another way; on a GPU each of the rest is about one launch, in eager mode. The matrix
products are in bfloat16, as there.

Milliseconds are those of one thread with few small pictures and a narrow model, in float32, so that arithmetic takes
next to no time; Muon alone keeps its bfloat16, which is slow on a processor. What happens to each image is drawn and
looked up for the preset's whole batch.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from vit_tutorial.datasets import Dataset
from vit_tutorial.recipes import PRESETS, build_model
from vit_tutorial.training.augmentation import augment, draw, erase, mix, shape_matrices
from vit_tutorial.training.devices import autocast
from vit_tutorial.training.loop import Learner, augmentation_options

# These allocate, or look at memory in another way; nothing is computed.
NO_WORK = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "_unsafe_view", "_reshape_alias"}
NO_WORK |= {"detach", "alias", "unbind", "split", "split_with_sizes", "lift_fresh"}


class Counter(TorchDispatchMode):
    """Count the operations that reach a device inside this context, by name."""

    def __init__(self):
        super().__init__()
        self.counts: dict[str, int] = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if not function.is_view and function.overloadpacket.__name__ not in NO_WORK:
            name = function.overloadpacket.__name__
            self.counts[name] = self.counts.get(name, 0) + 1
        return function(*args, **(kwargs or {}))

    @property
    def total(self) -> int:
        """How many operations there were."""
        return sum(self.counts.values())


def noise(count: int, size: int) -> Dataset:
    """Make random colour pictures of size x size pixels."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)
    labels = torch.arange(count) % 10
    return Dataset("noise", images, labels, images, labels, tuple("0123456789"), (0.5,) * 3, (0.25,) * 3)


def stages(preset_name: str, count: int, precision: str) -> dict[str, Callable[[], None]]:
    """Give the stages of a step of the preset, in order, for `count` pictures and a very narrow model.

    The draws are those of the preset's whole batch.
    """
    preset = PRESETS[preset_name]
    shape = preset.model | {"dim": 2 * preset.model["num_heads"]}
    data = noise(count, 2 * shape["patch_size"])
    config = replace(preset.training, precision=precision, device="cpu", batch_size=count)
    model = build_model(data, shape, 0)
    model.train()
    learner = Learner(model, data, config)
    options = augmentation_options(config, 0)
    generator = torch.Generator().manual_seed(0)
    images, labels = data.train_images, data.train_labels
    state = {"draws": draw(count, images.shape[-2:], **options, generator=generator)}

    def whole_batch() -> None:
        draws = draw(preset.training.batch_size, images.shape[-2:], **options, generator=generator)
        if draws.shape is not None:
            shape_matrices(draws.shape, draws.shape_amount)

    def change() -> None:
        draws = state["draws"]
        x = model.card.normalize(augment(images, draws))
        x = x if draws.erased is None else erase(x, draws.erased)
        state["x"] = x if draws.kept is None else mix(x, draws)

    def gradients() -> None:
        for optimizer in learner.optimizers:
            optimizer.zero_grad()
        with autocast(learner.device, config.precision):
            learner._loss(learner.forward(state["x"]), labels, state["draws"]).backward()

    def clip() -> None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)

    found = {"draw": whole_batch, "change pictures": change, "forward and backward": gradients, "clip": clip}
    found |= {type(optimizer).__name__: optimizer.step for optimizer in learner.optimizers}
    if learner.average is not None:
        found["moving average"] = lambda: learner.average.update(model)
    return found


def milliseconds(work: Callable[[], None], repeats: int) -> float:
    """Time one piece of work, in time of the processor, which others on the machine change little; the median."""
    seconds = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return 1e3 * statistics.median(seconds)


def measure(preset_name: str, repeats: int = 20, count: int = 36) -> dict[str, dict]:
    """Count operations and time each stage of a step, with `count` pictures."""
    counted, timed = (stages(preset_name, count, precision) for precision in ("bfloat16", "float32"))
    for work in (*counted.values(), *timed.values()):  # once, so that optimizers have made their state
        work()
    rows = {}
    for name, work in counted.items():
        with Counter() as counter:
            work()
        rows[name] = {"operations": counter.total, "milliseconds": milliseconds(timed[name], repeats)}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=PRESETS, default="cifar10-gpu")
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = measure(options.preset, options.repeats)
    print(f"{'one step of ' + options.preset:<24} operations  milliseconds")
    for name, row in rows.items():
        print(f"{name:<24}{row['operations']:>11}{row['milliseconds']:>14.2f}")
    sums = [sum(row[key] for row in rows.values()) for key in ("operations", "milliseconds")]
    print(f"{'all':<24}{sums[0]:>11}{sums[1]:>14.2f}")


if __name__ == "__main__":
    main()
