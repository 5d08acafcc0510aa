"""From how many tokens on PyTorch's fused attention is faster than the explicit one: what FUSED_FROM rests on.

    python tests/benchmarks/bench_attention.py [--threads 2] [--device cpu] [--rounds 30]

Both take turns in one run. A ratio is explicit over fused, the median over the rounds: below 1 the explicit path is
faster. The batch has 64 images and 4 heads of 16, 32 and 64 numbers.
"""

import argparse
import statistics
import time

import torch
from torch.nn import functional as F

from vit_tutorial.attention import scaled_dot_product_attention

TOKENS = (17, 26, 37, 50, 65, 82, 101, 145, 197)


def explicit(q, k, v):
    return scaled_dot_product_attention(q, k, v)[0]


def ratio(num_tokens: int, d: int, backward: bool, rounds: int, device: str) -> float:
    """Time both paths in turn, with or without the backward pass; the median of explicit over fused."""
    qkv = torch.randn(64, num_tokens, 3, 4, d, device=device, requires_grad=backward)
    ratios = []
    for _ in range(rounds + 3):  # the first three do not count
        seconds = []
        for attention in (explicit, F.scaled_dot_product_attention):
            if device == "cuda":
                torch.cuda.synchronize()
            started = time.perf_counter()
            with torch.set_grad_enabled(backward):
                output = attention(*qkv.permute(2, 0, 3, 1, 4))
                if backward:
                    output.square().sum().backward()
            if device == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - started)
        ratios.append(seconds[0] / seconds[1])
    return statistics.median(ratios[3:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.device}, {options.threads} threads; explicit over fused")
    print(f"{'numbers a head':>22}" + "".join(f"{num_tokens:>7}" for num_tokens in TOKENS) + "  tokens")
    for backward in (False, True):
        for d in (16, 32, 64):
            row = [ratio(num_tokens, d, backward, options.rounds, options.device) for num_tokens in TOKENS]
            work = "forward and backward" if backward else "forward"
            print(f"{work:>20}{d:>3}" + "".join(f"{value:7.2f}" for value in row), flush=True)


if __name__ == "__main__":
    main()
