"""What the tables of public names share: renaming a checkpoint's layers, and reading sizes off shapes."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")  # of a norm that was trained with them


def split(key: str) -> tuple[str, str]:
    """`body.0.weight` -> `body.0` and `weight`, the layer and what of it."""
    layer, _, leaf = key.rpartition(".")
    return layer, leaf


def joined(layer: str, leaf: str) -> str:
    """The opposite of `split`."""
    return f"{layer}.{leaf}" if layer else leaf


def rename(state: Mapping[str, Tensor], names: Mapping[str, str]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the tensors under our keys; nothing is left out, so there is nothing to note."""
    tensors = {}
    for key, tensor in state.items():
        layer, leaf = split(key)
        tensors[joined(names.get(layer, layer), leaf)] = tensor
    return tensors, ()


def length(shapes: Mapping[str, torch.Size], key: str, dim: int = 0) -> int:
    """One side of a tensor's shape; 1 where it is not there, so that a network can be built to compare with."""
    shape = shapes.get(key, torch.Size())
    return max(1, shape[dim]) if len(shape) > dim else 1


def count(keys: Iterable[str], prefix: str) -> int:
    """How many layers there are below `prefix`: `body.` of `body.0.weight`, `body.0.bias`, `body.1.weight` has 2."""
    return len({key.removeprefix(prefix).split(".")[0] for key in keys if key.startswith(prefix)})
