"""Random numbers that follow from a seed, and leave all others as they are."""

import contextlib
from collections.abc import Iterator

import torch

LARGEST_SEED = 2**63 - 1


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, random numbers follow from the seed; afterwards those of the CPU and of every GPU go on as before.

    All GPUs, since torch.manual_seed gives each of them the seed. They are named, since PyTorch warns otherwise.
    Raises ValueError for a seed that PyTorch does not take.
    """
    check_seed(seed)
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def check_seed(seed: int) -> None:
    """Raise ValueError for a seed that does not fit into 64 bits."""
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"seed is {seed}; it must be from 0 to {LARGEST_SEED}")


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
