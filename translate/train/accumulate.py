"""Gradient accumulation: a step's images in several passes, so that only one pass has to fit into memory."""

from collections.abc import Iterator

import torch
from torch import Tensor


def passes(count: int, *batches: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Cut batches of the same length into `count` equal parts, and give those of each pass."""
    return zip(*(batch.chunk(count) for batch in batches), strict=True)


def backward(
    losses: dict[str, Tensor], means: dict[str, Tensor], count: int, weights: dict[str, float] | None = None
) -> None:
    """Add one of `count` passes to the gradients, and its losses to their means.

    Args:
        losses: by name, each the mean over the images of this pass; their weighted sum is what to minimise.
        means: over all passes, by name; filled in.
        count: passes a step.
        weights: by name; the others have 1.
    """
    weights = weights or {}
    total = torch.stack([loss * weights.get(name, 1.0) for name, loss in losses.items()]).sum()
    (total / count).backward()  # type: ignore[no-untyped-call]
    for name, loss in losses.items():
        part = loss.detach() / count
        means[name] = means[name] + part if name in means else part
