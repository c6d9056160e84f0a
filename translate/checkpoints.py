"""Checkpoints from anywhere, recognised by their keys and sizes; `tensorfiles` reads them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from translate.errors import CheckpointError
from translate.formats import nameable
from translate.models import ARCHITECTURES, FROM_NOISE, Architecture, Model
from translate.models import other as others
from translate.models.keys import joined, split
from translate.models.layers import BatchNorm
from translate.tensorfiles import read_header, read_tensors

LARGEST = 4096  # number in a header: of channels, pixels, layers


def load(path: str | Path, *, trained: bool = False) -> Model:
    """Read a checkpoint and build its network in float32 on the CPU, channels_last, in eval mode, without gradients.

    Networks that are not known here are left to spandrel where it is installed.

    Args:
        path: of the file.
        trained: batch norms take the statistics of training even where the public project takes the image's own.

    Raises:
        InputError: there is no such weights file.
        CheckpointError: the file cannot be read safely, fits no known network, or has no statistics of training.
    """
    path = Path(path)
    state = read_tensors(path)
    if read_header(path).get("network") in FROM_NOISE:
        raise CheckpointError(f"{path.name} makes pictures from noise; use: translate sample {path}")
    try:
        model = _known_or_other(state, trained)
    except CheckpointError as error:
        raise CheckpointError(f"{path.name} {error}") from None
    if trained and not any(isinstance(layer, BatchNorm) for layer in model.network.modules()):
        raise CheckpointError(
            f"{path.name} has no batch norm with statistics of training, as --statistics training asks; leave it out"
        )
    return model


def _known_or_other(state: Mapping[str, Tensor], trained: bool) -> Model:
    try:
        return recognise(state, trained=trained)
    except _UnknownError as error:
        if find_spec("spandrel") is None:
            raise
        floats = {key: _usable(key, tensor) for key, tensor in state.items() if tensor.is_floating_point()}
        model, problem = others.load({**state, **floats})
        if model is None:
            raise CheckpointError("; ".join(filter(None, (str(error), problem)))) from None
        return model


class _UnknownError(CheckpointError):
    """None of the networks here; another library may know it."""


def load_from_noise(path: str | Path) -> nn.Module:
    """Read a generator that starts from noise (see `models.FROM_NOISE`), in float32 on the CPU, in eval mode.

    Raises:
        CheckpointError: the file cannot be read safely, or holds no such generator.
    """
    path = Path(path)
    state = read_tensors(path)
    config = read_header(path)
    kind = FROM_NOISE.get(config.pop("network", ""))
    if kind is None:
        raise CheckpointError(
            f"{path.name} holds no generator from noise; those are the generator.safetensors of a training run of gan, "
            "dcgan, cgan or stylegan"
        )
    if any(isinstance(value, int) and not 0 <= value <= LARGEST for value in config.values()):
        raise CheckpointError(f"{path.name} is spoilt: its header asks for {config}")
    try:
        with torch.device("meta"), _WithoutNormal():
            network = kind(**config)
        network.load_state_dict({key: _usable(key, tensor) for key, tensor in state.items()}, assign=True)
    except (TypeError, ValueError, RuntimeError, ArithmeticError):
        raise CheckpointError(f"{path.name} is spoilt: its header and its tensors do not fit together") from None
    except CheckpointError as error:
        raise CheckpointError(f"{path.name} {error}") from None
    for name in getattr(network, "classes", ()):
        if not nameable(name):
            raise CheckpointError(f"{path.name} has a class {name!r}, after which no file can be named")
    return network.eval().requires_grad_(False)


def recognise(state: Mapping[str, Tensor], *, trained: bool = False) -> Model:
    """Build the known network that the tensors are for; `trained` is that of `load`.

    Raises:
        CheckpointError: another network, other sizes, or weights that are no finite floating-point numbers.
    """
    fit = _nearest(state, trained)
    if not fit.common:
        known = ", ".join(architecture.name for architecture in ARCHITECTURES)
        raise _UnknownError(f"fits no known network ({known}): none has a key like {next(iter(state))!r}")
    missing = [fit.public(key) for key in fit.expected if key not in fit.tensors]
    unexpected = [fit.public(key) for key in fit.tensors if key not in fit.expected]
    if missing or unexpected:
        lacks, besides = [f"lacks {key!r}" for key in missing[:1]], [f"has {key!r} besides" for key in unexpected[:1]]
        raise _UnknownError(
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


def _nearest(state: Mapping[str, Tensor], trained: bool) -> "_Fit":
    """The tensors read as the network that has most of their keys, or as the first that they fit exactly."""
    fits = []
    for prefix, tensors in _unwrapped(state):
        for architecture in ARCHITECTURES:
            fits.append(_Fit.of(architecture, tensors, prefix, trained))
            if fits[-1].exact:
                return fits[-1]
    return max(fits, key=lambda fit: (fit.expected.keys() == fit.tensors.keys(), len(fit.common)))


def _unwrapped(state: Mapping[str, Tensor]) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    """The tensors as they are, and without each attribute that is in front of all their names, as in `net.gen.conv`."""
    prefix = ""
    while True:
        yield prefix, state
        attributes = {key.partition(".")[0] for key in state}
        if len(attributes) > 1 or any(key.count(".") < 2 for key in state):
            return
        attribute = attributes.pop() + "."
        prefix, state = prefix + attribute, {key.removeprefix(attribute): tensor for key, tensor in state.items()}


@dataclass(frozen=True)
class _Fit:
    """A checkpoint read as one architecture, whether it is one or not."""

    architecture: Architecture
    network: nn.Module  # of the checkpoint's sizes, without weights
    tensors: dict[str, Tensor]  # under our keys, where they have one
    notes: tuple[str, ...]
    layers: dict[str, str]  # our layer names -> the file's, where it has other ones
    prefix: str  # in front of all the file's names

    @classmethod
    def of(cls, architecture: Architecture, state: Mapping[str, Tensor], prefix: str, trained: bool) -> "_Fit":
        names = architecture.names(state)
        if not any(split(key)[0] in names for key in state):
            names = {}
        convert = (trained and architecture.convert_trained) or architecture.convert
        tensors, notes = convert(state, names)
        with torch.device("meta"), _WithoutNormal():
            network = architecture.build({key: tensor.shape for key, tensor in tensors.items()})
        return cls(architecture, network, tensors, notes, {ours: theirs for theirs, ours in names.items()}, prefix)

    @cached_property
    def expected(self) -> dict[str, torch.Size]:
        return {key: tensor.shape for key, tensor in self.network.state_dict().items()}

    @cached_property
    def exact(self) -> bool:
        return self.expected == {key: tensor.shape for key, tensor in self.tensors.items()}

    @cached_property
    def common(self) -> set[str]:
        return self.expected.keys() & self.tensors.keys()

    def public(self, key: str) -> str:
        """The name that the file has, or should have, for one of our keys."""
        layer, leaf = split(key)
        return self.prefix + joined(self.layers.get(layer, layer), leaf)


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


__all__ = ["Model", "load", "load_from_noise", "recognise"]
