"""One run on several processes, as `torchrun` starts them: each computes its share of every step's images.

All of them draw the same random numbers, those for all images, and use their own share of them. Gradients are averaged,
and what looks at the whole batch goes through `models.across`, so networks, optimisers, pools and random numbers stay
the same everywhere: the first process writes the checkpoint, and any number of processes can go on from it. Without
torchrun there is one process, and its share is everything.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from translate.errors import InputError, TrainingError
from translate.models import across


@contextmanager
def processes(device: str) -> Iterator[None]:
    """Be one of the processes that torchrun has started, if it has, each on a GPU of its own where `device` is one."""
    if not dist.is_torchelastic_launched():
        yield
        return
    if device.startswith("cuda"):
        own, there = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if ":" in device or own >= there:
            raise InputError(f"torchrun gives each process a GPU: --device cuda, --nproc-per-node {there} at most")
        torch.cuda.set_device(own)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def is_first() -> bool:
    """Whether this process is the one that writes and speaks."""
    return not dist.is_initialized() or dist.get_rank() == 0


def share(batch: int, passes: int) -> Tensor:
    """Which of a step's batch · passes images are this process's: (B,) indices, a part of each pass.

    Raises:
        TrainingError: the batch cannot be shared alike.
    """
    size = across.processes()
    if batch % size:
        raise TrainingError(f"--batch {batch} cannot be shared by {size} processes; make it a multiple of {size}")
    rank = dist.get_rank() if size > 1 else 0
    return torch.arange(batch * passes).view(passes, size, -1)[:, rank].flatten()


def average_gradients(optimiser: torch.optim.Optimizer) -> None:
    """Replace the gradients that an optimiser is about to use by their mean over the processes."""
    if not dist.is_initialized():
        return
    every = (parameter.grad for group in optimiser.param_groups for parameter in group["params"])
    gradients = [gradient for gradient in every if gradient is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    means = torch.split_with_sizes(flat, [gradient.numel() for gradient in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view_as(gradient))


def average(losses: dict[str, Tensor]) -> dict[str, float]:
    """The mean of each loss over the processes."""
    values = torch.stack([loss.float() for loss in losses.values()])
    if dist.is_initialized():
        dist.all_reduce(values)
        values /= dist.get_world_size()
    return dict(zip(losses, values.tolist(), strict=True))


def gather(batch: Tensor, passes: int) -> Tensor:
    """The images of every process's share, (B, …), in the order of the step: (B · processes, …)."""
    every = across.gather(batch).view(across.processes(), passes, -1, *batch.shape[1:])
    return every.transpose(0, 1).flatten(0, 2)
