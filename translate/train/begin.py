"""What a run begins with, where it does not begin from nothing: another run, or weights that there are."""

from pathlib import Path
from typing import Any

from torch import nn

from translate import checkpoints
from translate.errors import InputError
from translate.train.state import Ema, read_checkpoint, restore
from translate.weights import registry

RUN = ".pt"  # how the file of a run ends


def saved_run(init: str | Path) -> dict[str, Any] | None:
    """What the checkpoint.pt of a run holds; None for weights, which may be in a .pt as well."""
    path = Path(init)
    saved = read_checkpoint(path) if path.suffix == RUN else {}
    return saved if isinstance(saved, dict) and any(key.startswith("ema") for key in saved) else None


def begin_with(init: str | Path, network: nn.Module, average: Ema) -> dict[str, Any]:
    """Take a network over, and its average with it.

    Args:
        init: the checkpoint.pt of a run of the same recipe, whose average is taken, or weights: a name or a file.
        network: that is trained.
        average: of it.

    Returns:
        All that the checkpoint holds; nothing where there are weights alone.

    Raises:
        InputError: there is no such file or name, or its weights are another network's.
        TrainingError: the checkpoint cannot be read, or is one of another network.
        CheckpointError: the weights cannot be read.
    """
    saved = saved_run(init)
    if saved is not None:
        restore({"ema": average}, saved, Path(init))
    else:
        path, _ = registry.find(str(init))
        found = checkpoints.load(path).network
        if type(found) is not type(network) or _sizes(found) != _sizes(network):
            raise InputError(
                f"{path.name} is for a {_described(found)}, and this run trains a {_described(network)}; "
                "choose options that fit it, or other weights"
            )
        average.network.load_state_dict(found.state_dict())
    network.load_state_dict(average.network.state_dict())
    average.updates = 0
    return saved or {}


def _sizes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def _described(network: nn.Module) -> str:
    sizes = ", ".join(f"{name} {value}" for name, value in getattr(network, "config", {}).items())
    return f"{type(network).__name__} ({sizes})" if sizes else type(network).__name__
