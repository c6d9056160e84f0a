"""Checkpoints from anywhere: read without running anything in them, recognised by their keys and sizes."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from translate.errors import CheckpointError
from translate.models import ARCHITECTURES, Architecture, Model

PICKLES = (".pth", ".pt", ".bin")
WRAPPERS = ("params_ema", "params", "state_dict", "model", "generator")  # the first that is there counts
PREFIX = "module."  # of DataParallel


def load(path: str | Path) -> Model:
    """Read a checkpoint and build its network in float32 on the CPU, channels_last, in eval mode, without gradients.

    Raises:
        CheckpointError: the file cannot be read safely, or fits no known network.
    """
    path = Path(path)
    state = read_tensors(path)
    try:
        return recognise(state)
    except CheckpointError as error:
        raise CheckpointError(f"{path.name} {error}") from None


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Read the tidied tensors of a .safetensors, .pth, .pt or .bin file; nothing in the file is ever executed.

    Raises:
        CheckpointError: missing, damaged, holding Python objects, or no checkpoint at all.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path} is {'a folder' if path.is_dir() else 'missing'}; a weights file is needed")
    suffix = path.suffix.lower()
    if suffix != ".safetensors" and suffix not in PICKLES:
        raise CheckpointError(f"{path.name} is no weights file; known are .safetensors, {', '.join(PICKLES)}")
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise CheckpointError("is empty")
        return tidy(safetensors.torch.load_file(path) if suffix == ".safetensors" else _read_pickle(path))
    except CheckpointError as error:
        raise CheckpointError(f"{path.name} {error}") from None
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read: {error.strerror or error}") from None
    except safetensors.SafetensorError:
        raise CheckpointError(f"{path.name} is truncated, or not a safetensors file") from None


def tidy(content: object) -> dict[str, Tensor]:
    """Return the tensors by name, without the wrappers and the prefix that training code puts round them.

    Raises:
        CheckpointError: there are none, or one that is sparse, empty, or without its numbers.
    """
    for _ in range(len(WRAPPERS)):  # no further, because a wrapper can hold itself
        if isinstance(content, Mapping):
            content = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), content)
    items = content.items() if isinstance(content, Mapping) else ()
    state = {str(key).removeprefix(PREFIX): value for key, value in items if isinstance(value, Tensor)}
    if not state:
        raise CheckpointError("holds no network's tensors")
    for key, tensor in state.items():
        plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
        # A small file can hold a view that claims to be huge.
        if not plain or not 0 < tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes():
            raise CheckpointError(
                f"holds {key!r} of {tuple(tensor.shape)}, which is no plain tensor of that many numbers"
            )
    return state


def recognise(state: Mapping[str, Tensor]) -> Model:
    """Build the known network that the tensors are for.

    Raises:
        CheckpointError: another network, other sizes, or weights that are no finite floating-point numbers.
    """
    fit = max((_Fit.of(architecture, state) for architecture in ARCHITECTURES), key=lambda fit: len(fit.common))
    if not fit.common:
        known = ", ".join(architecture.name for architecture in ARCHITECTURES)
        raise CheckpointError(f"fits no known network ({known}): none has a key like {next(iter(state))!r}")
    missing = [fit.public(key) for key in fit.expected if key not in fit.tensors]
    unexpected = [fit.public(key) for key in fit.tensors if key not in fit.expected]
    if missing or unexpected:
        lacks, besides = [f"lacks {key!r}" for key in missing[:1]], [f"has {key!r} besides" for key in unexpected[:1]]
        raise CheckpointError(
            f"fits no known network: the nearest is {fit.architecture.name}, with {len(fit.common)} of "
            f"{len(fit.expected)} keys, but the file {' and '.join(lacks + besides)}"
        )
    for key, expected in fit.expected.items():
        if (shape := fit.tensors[key].shape) != expected:
            raise CheckpointError(
                f"looks like a {fit.architecture.name}, but {fit.public(key)!r} is {tuple(shape)} "
                f"where the other layers ask for {tuple(expected)}"
            )
    weights = {key: _usable(fit.public(key), tensor) for key, tensor in fit.tensors.items()}
    fit.network.load_state_dict(weights, assign=True)
    fit.network.eval().requires_grad_(False)
    fit.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return fit.architecture.model(fit.network, fit.notes)


@dataclass(frozen=True)
class _Fit:
    """A checkpoint read as one architecture, whether it is one or not."""

    architecture: Architecture
    network: nn.Module  # of the checkpoint's sizes, without weights
    tensors: dict[str, Tensor]  # under our keys, where they have one
    notes: tuple[str, ...]
    layers: dict[str, str]  # our layer names -> the file's, where it has other ones

    @classmethod
    def of(cls, architecture: Architecture, state: Mapping[str, Tensor]) -> "_Fit":
        names = architecture.names(state)
        if not any(key.rpartition(".")[0] in names for key in state):
            names = {}
        tensors, notes = architecture.convert(state, names)
        with torch.device("meta"), _WithoutNormal():
            network = architecture.build({key: tensor.shape for key, tensor in tensors.items()})
        return cls(architecture, network, tensors, notes, {ours: theirs for theirs, ours in names.items()})

    @cached_property
    def expected(self) -> dict[str, torch.Size]:
        return {key: tensor.shape for key, tensor in self.network.state_dict().items()}

    @cached_property
    def common(self) -> set[str]:
        return self.expected.keys() & self.tensors.keys()

    def public(self, key: str) -> str:
        """The name that the file has, or should have, for one of our keys."""
        layer, dot, leaf = key.rpartition(".")
        return self.layers.get(layer, layer) + dot + leaf


class _WithoutNormal(TorchFunctionMode):
    """Skip `normal_`: on tensors without content it does nothing, but imports the compiler first, for two seconds."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return None if func.__name__ == "normal_" else func(*args, **(kwargs or {}))


def _usable(key: str, tensor: Tensor) -> Tensor:
    """A copy in float32; a copy, because the original may be a view of the file."""
    if not tensor.is_floating_point():
        raise CheckpointError(f"holds {key!r} as {tensor.dtype}; floating point is needed")
    weights = tensor.detach().to(torch.float32, copy=True)
    if not weights.isfinite().all():
        raise CheckpointError(f"is spoilt: {key!r} holds values that are not finite")
    return weights


def _read_pickle(path: Path) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle raises almost anything: KeyError, IndexError, struct.error, ...
        if refused := re.search(r"GLOBAL ([\w.]+)|(TorchScript)", str(error)):
            raise CheckpointError(
                f"holds Python objects, which could run code when they are read ({refused[1] or refused[2]}): "
                "have whoever trusts it convert it to safetensors"
            ) from None
        raise CheckpointError("is truncated, or not a checkpoint that torch.save wrote") from None


__all__ = ["Model", "load", "read_tensors", "recognise", "tidy"]
