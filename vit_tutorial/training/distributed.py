"""Several processes that train one model together, as `torchrun` starts them: each computes its shard of every batch.

    torchrun --nproc-per-node 2 -m vit_tutorial.train --out runs/two

Every process holds the whole model. Each computes the gradients of its own images; PyTorch's DistributedDataParallel
averages them over the processes; each takes the same step. So all models stay equal, and equal but for rounding to the
model that one process would have trained with the whole batch. With dropout or drop path it is another one, since each
process draws numbers of its own; and so it is with batch norm, as in a CNN, which takes mean and variance over the
shard: what is saved are the running ones of the main process.

Source: Li et al. 2020, "PyTorch Distributed: Experiences on Accelerating Data Parallel Training".
"""

import contextlib
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed as dist


@dataclass(frozen=True)
class World:
    """How many processes train together, and which of them this one is, counted from 0."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that prints and writes files: the one with rank 0."""
        return self.rank == 0

    def shard(self, count: int) -> slice:
        """Give this process's shard of a batch of `count` images; it begins at an even number, so no pair is split.

        It is empty for some where there are more processes than pairs.
        """
        pairs = math.ceil(count / 2)
        first, last = (2 * (pairs * rank // self.size) for rank in (self.rank, self.rank + 1))
        return slice(first, min(last, count))

    def sum(self, values: list[float], device: torch.device) -> list[float]:
        """Add up the values of all processes and give every process the sums; `device` is where they compute."""
        if self.size == 1:
            return values
        sums = torch.tensor(values, dtype=torch.float64, device=device)
        dist.all_reduce(sums)
        return sums.tolist()

    def broadcast(self, value: Any) -> Any:
        """Give every process the value that the main one has."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def let_main(self, act: Callable[[], Any]) -> Any:
        """Let the main process do something, and give every process the result; or raise its error in every one."""
        if self.size == 1:
            return act()
        result = None
        if self.is_main:
            try:
                result = act()
            except Exception as error:  # the others wait for it
                result = error
        result = self.broadcast(result)
        if isinstance(result, Exception):
            raise result
        return result


def current_world() -> World:
    """Say who trains together: the processes of the group that was joined, or this process alone."""
    return World(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else World()


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """Join the group of processes that `torchrun` started, if it did, and leave it at the end.

    NCCL connects GPUs, and gloo CPUs.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ or dist.is_initialized():
        yield current_world()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield current_world()
    finally:
        dist.destroy_process_group()
