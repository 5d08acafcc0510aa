"""What each part of an encoder block costs as tokens are added: time beside the counted work, and memory.

    python tests/benchmarks/bench_cost.py [--rounds 15] [--busy] [--record]

Each call works on 4096 tokens, forward only, on one thread: 64 images of 64 tokens, or one image of 4096. So the parts
that look at each token alone take the same time at every N, and the attention grows with N. "explicit" and "fused" are
scores, softmax and weighted sum; "projections" are those for q, k, v and the output; the MLP is 4 D wide. Counted, the
attention overtakes the MLP at N = 4 D: 4 N N D operations against 16 N D D. A ratio is attention over MLP, the median
over the rounds, in which all parts take turns; where it passes 1 lies on a straight line between two N, on logarithmic
axes. With --busy the clock counts this process's own processor time, for a machine that has other work to do.

Memory is the peak of one image's attention in a process of its own, less what the process held before. Linux only.
"""

import argparse
import math
import random
import statistics
import time
from collections.abc import Callable

import torch
from peak_memory import added_peak, in_own_process
from torch import Tensor
from torch.nn import functional as F

from vit_tutorial.attention import MultiHeadAttention, scaled_dot_product_attention
from vit_tutorial.datasets import DATA_FOLDER
from vit_tutorial.encoder import MLP
from vit_tutorial.support.files import write_json
from vit_tutorial.training.devices import describe_environment

WIDTHS = {64: 4, 192: 3}  # D: heads
TOKENS = (64, 128, 256, 512, 1024, 2048, 4096)
TOKENS_A_CALL = 4096
MEMORY_TOKENS = (1024, 2048, 4096)  # with fewer, what is measured is mostly the process itself
PATHS = {
    "explicit": lambda q, k, v: scaled_dot_product_attention(q, k, v)[0],
    "fused": F.scaled_dot_product_attention,
}


def count(num_tokens: int, dim: int) -> dict[str, int]:
    """Count the floating-point operations of each part for one image; a multiplication and an addition are two."""
    attention = 4 * num_tokens * num_tokens * dim  # scores, then weighted sum
    projections, mlp = 8 * num_tokens * dim * dim, 16 * num_tokens * dim * dim
    return {"explicit": attention, "fused": attention, "projections": projections, "mlp": mlp}


def make_heads(images: int, num_tokens: int, dim: int, num_heads: int) -> list[Tensor]:
    """Make random queries, keys and values, each [B, h, N, d]."""
    return list(torch.randn(3, images, num_heads, num_tokens, dim // num_heads))


def make_parts(num_tokens: int, dim: int, num_heads: int, tokens_a_call: int = TOKENS_A_CALL) -> dict[str, Callable]:
    """Make what is timed: each part of a block as a function without arguments, on its own random input."""
    images = tokens_a_call // num_tokens
    q, k, v = make_heads(images, num_tokens, dim, num_heads)
    tokens = torch.randn(images, num_tokens, dim)
    attention, mlp = MultiHeadAttention(dim, num_heads), MLP(dim, 4 * dim)

    def projections() -> None:
        attention.qkv(tokens)
        attention.proj(tokens)

    paths = {name: lambda path=path: path(q, k, v) for name, path in PATHS.items()}
    return paths | {"projections": projections, "mlp": lambda: mlp(tokens)}


@torch.no_grad()
def time_parts(dim: int, num_heads: int, rounds: int, clock: Callable[[], float]) -> list[dict]:
    """Time every part at every N in turn, and give one row for each N."""
    parts = {(n, part): work for n in TOKENS for part, work in make_parts(n, dim, num_heads).items()}
    seconds = {key: [] for key in parts}
    order, shuffle = list(parts), random.Random(0).shuffle
    for i in range(rounds + 2):  # the first two do not count
        shuffle(order)
        for key in order:
            started = clock()
            parts[key]()
            if i >= 2:
                seconds[key].append(clock() - started)
    rows = []
    for n in TOKENS:
        of_mlp = seconds[n, "mlp"]
        ratios = {
            part: statistics.median(a / b for a, b in zip(seconds[n, part], of_mlp, strict=True)) for part in PATHS
        }
        rows.append(
            {
                "D": dim,
                "heads": num_heads,
                "N": n,
                "images": TOKENS_A_CALL // n,
                "milliseconds": {part: round(1000 * statistics.median(seconds[n, part]), 3) for part in count(n, dim)},
                "over_mlp": {part: round(ratio, 3) for part, ratio in ratios.items()},
                "flops_per_image": count(n, dim),
            }
        )
    return rows


def crossover(tokens: list[int], ratios: list[float]) -> int | None:
    """Give the N from which on the ratio stays above 1; None if the last ratio is not above 1.

    Raises ValueError if the first ratio is above 1 and stays there: the N looked for is smaller than all these.
    """
    if ratios[-1] <= 1:
        return None
    last = max((i for i, ratio in enumerate(ratios) if ratio <= 1), default=-1)
    if last < 0:
        raise ValueError(f"the ratio is {ratios[0]:.2f} at {tokens[0]} tokens already; measure at fewer tokens")
    (low, high), (n, more) = map(math.log, ratios[last : last + 2]), tokens[last : last + 2]
    return round(n * (more / n) ** (-low / (high - low)))


def peak_memory(path: str, num_tokens: int, dim: int, num_heads: int) -> int:
    """Give the bytes that one attention adds at most to what a fresh process holds."""
    return in_own_process(__file__, path, num_tokens, dim, num_heads)


@torch.no_grad()
def print_own_peak(path: str, num_tokens: int, dim: int, num_heads: int) -> None:
    """Measure peak_memory in this process."""
    torch.set_num_threads(1)
    PATHS[path](*make_heads(1, 64, dim, num_heads))
    q, k, v = make_heads(1, num_tokens, dim, num_heads)
    print(added_peak(lambda: PATHS[path](q, k, v)))


def measure_memory(dim: int, num_heads: int) -> list[dict]:
    """Measure the peak memory of both paths, beside the bytes of one table of weights, h N N numbers of four bytes."""
    return [
        {
            "D": dim,
            "heads": num_heads,
            "N": n,
            "table_bytes": 4 * num_heads * n * n,
            "peak_bytes": {path: peak_memory(path, n, dim, num_heads) for path in PATHS},
        }
        for n in MEMORY_TOKENS
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--busy", action="store_true", help="processor time instead of the clock's")
    parser.add_argument("--record", action="store_true", help="write data/results/benchmark_cost.json")
    parser.add_argument("--peak", nargs=4, help=argparse.SUPPRESS)  # what each process of peak_memory runs
    options = parser.parse_args()
    if options.peak:
        print_own_peak(options.peak[0], *map(int, options.peak[1:]))
        return
    torch.set_num_threads(1)
    torch.manual_seed(0)
    memory = [row for widths in WIDTHS.items() for row in measure_memory(*widths)]  # before this process grows
    for row in memory:
        peaks = ", ".join(f"{path} {peak / 1e6:.0f}" for path, peak in row["peak_bytes"].items())
        print(f"D = {row['D']:3}, N = {row['N']:4}: weights {row['table_bytes'] / 1e6:.0f} MB, peak {peaks} MB")
    clock = time.process_time if options.busy else time.perf_counter
    rows, crossovers = [], []
    for dim, num_heads in WIDTHS.items():
        own = time_parts(dim, num_heads, options.rounds, clock)
        found = {path: crossover(list(TOKENS), [row["over_mlp"][path] for row in own]) for path in PATHS}
        crossovers.append({"D": dim, "heads": num_heads, "counted": 4 * dim} | found)
        rows += own
        print(f"\nD = {dim}, {num_heads} heads, milliseconds for {TOKENS_A_CALL} tokens")
        print(f"{'N':>5}" + "".join(f"{part:>13}" for part in own[0]["milliseconds"]) + "  over MLP: explicit, fused")
        for row in own:
            times = "".join(f"{value:13.2f}" for value in row["milliseconds"].values())
            print(f"{row['N']:5}{times}  {row['over_mlp']['explicit']:18.2f} {row['over_mlp']['fused']:6.2f}")
        print(f"as much as the MLP: counted N = {4 * dim}, measured {found}", flush=True)
    if options.record:
        content = {
            "command": f"python tests/benchmarks/bench_cost.py{' --busy' * options.busy} --record",
            "environment": describe_environment(torch.device("cpu")),
            "clock": "processor time" if options.busy else "wall clock",
            "rounds": options.rounds,
            "tokens_a_call": TOKENS_A_CALL,
            "rows": rows,
            "crossovers": crossovers,
            "memory": memory,
        }
        write_json(DATA_FOLDER / "results" / "benchmark_cost.json", content)


if __name__ == "__main__":
    main()
