"""The whole batch of a training step, for what looks at more than one picture, where several processes share it.

Each process has as many pictures as the others, in the order of their ranks, and calls everything here equally often.
With one process, and so after training, nothing is exchanged and every function gives its argument back.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def processes() -> int:
    """How many share a batch."""
    return dist.get_world_size() if dist.is_initialized() else 1


def total(count: int) -> int:
    """Pictures of the whole batch, where each process has `count`."""
    return count * processes()


def own(batch: Tensor) -> Tensor:
    """This process's part (B, …) of a whole batch (total(B), …).

    What is drawn at random for the whole batch and then cut is the same for any number of processes.
    """
    return batch.chunk(processes())[dist.get_rank()] if processes() > 1 else batch


def gather(batch: Tensor) -> Tensor:
    """The whole batch (total(B), …) of the parts (B, …), with gradients to every part."""
    if processes() == 1:
        return batch
    every = [torch.zeros_like(batch) for _ in range(processes())]
    every[dist.get_rank()] = batch
    return _sum(torch.cat(every))


def mean(x: Tensor) -> Tensor:
    """The mean over the processes of a tensor of any shape, with gradients to every process's."""
    return x if processes() == 1 else _sum(x) / processes()


class _Sum(torch.autograd.Function):
    """The sum over the processes; its gradient is the sum of their gradients, and can be derived again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        summed = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _sum(gradient)


def _sum(x: Tensor) -> Tensor:
    summed: Tensor = _Sum.apply(x)  # type: ignore[no-untyped-call]
    return summed
