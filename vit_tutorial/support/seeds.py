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


def seed_one(seed: int, device: torch.device) -> None:
    """Let the random numbers of the CPU and of one device follow from the seed; those of all others go on as before.

    On the CPU they are those of torch.manual_seed, which would also reach GPUs that somebody else computes with.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
