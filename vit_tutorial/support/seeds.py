"""Random numbers that follow from a seed, and leave all others as they are."""

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, random numbers follow from the seed; afterwards those of the CPU and of every GPU go on as before.

    All GPUs, since torch.manual_seed gives each of them the seed. They are named, since PyTorch warns otherwise.
    """
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield
