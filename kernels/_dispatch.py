"""Which implementation runs an operation: Triton where it can, else the plain torch reference.

Every operation takes `backend="auto" | "triton" | "reference"`. "auto" takes Triton where nothing is in its way,
"triton" is strict and raises where something is. The environment variable TRANSLATE_KERNELS, read once at import, says
what "auto" means in this process: TRANSLATE_KERNELS=triton makes every operation strict.

Triton is imported by the `_*_triton.py` files alone, and these at first use: nothing here needs it.
"""

import importlib.util
import os
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor

Backend = Literal["auto", "triton", "reference"]

BACKENDS = get_args(Backend)
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
CAPABILITY = (8, 0)  # of an NVIDIA GPU: the oldest that the kernels are compiled for in the tests
VARIABLE = "TRANSLATE_KERNELS"

_default = os.environ.get(VARIABLE, "auto")
_has_triton = importlib.util.find_spec("triton") is not None
_choices: list[str] | None = None  # where `explain` listens


def choose(op: str, backend: Backend, tensors: Sequence[Tensor | None], obstacle: str | None = None) -> bool:
    """True where `op` is to run in Triton, False where in its reference.

    Args:
        op: the operation's name, for messages.
        backend: as the caller of the operation gave it.
        tensors: all that the operation reads; the absent are None.
        obstacle: why this operation cannot run in Triton on these arguments, None if it can. What goes for every
            operation is looked at here: whether Triton is installed, and the tensors' device and dtype.

    Raises:
        ValueError: the backend is unknown, the tensors are on several devices, or it is "triton" and something is in
            the way.
        TypeError: a tensor is not of a floating dtype.
    """
    present = [tensor for tensor in tensors if tensor is not None]
    for tensor in present:
        if not tensor.is_floating_point():
            raise TypeError(f"{op} takes floats, got {tensor.dtype}")
        if tensor.device != present[0].device:
            raise ValueError(f"{op} takes tensors on one device, got {present[0].device} and {tensor.device}")
    wanted = _default if backend == "auto" else backend
    if wanted not in BACKENDS:
        name = VARIABLE if backend == "auto" else "backend"
        raise ValueError(f"{name} is {wanted!r}; known are 'auto', 'triton' and 'reference'")
    if wanted == "reference":
        return _chosen(op, False, "as asked for")
    reason = _obstacle(present, cpu=wanted == "triton" and interpreted()) or obstacle
    if wanted == "triton":
        if reason:
            raise ValueError(
                f"{op} cannot run in Triton: {reason}; take backend='reference', or 'auto' to let it choose"
            )
        return _chosen(op, True, "as asked for")
    if reason is None and interpreted():
        reason = "Triton's interpreter is for tests and has to be asked for"
    return _chosen(op, reason is None, reason or "nothing is in the way")


def explain(function: Callable[..., Any], *arguments: Any, **options: Any) -> list[str]:
    """Call `function` and say which implementation its operations took and why, one line each, none twice.

    It takes an operation as well as a whole network:

        >>> explain(instance_norm, torch.ones(1, 3, 8, 8))
        ['instance_norm: reference, the tensors are on cpu']
    """
    global _choices
    outer, _choices = _choices, []
    try:
        function(*arguments, **options)
        return list(dict.fromkeys(_choices))
    finally:
        _choices = outer


def autocast_dtype(x: Tensor) -> torch.dtype | None:
    """What torch.autocast casts the arguments of a convolution to on x's device, None where it is off."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None


def interpreted() -> bool:
    """Whether Triton runs its kernels in Python on the CPU; it reads the variable when a kernel is defined."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def _chosen(op: str, triton: bool, why: str) -> bool:
    if _choices is not None:
        _choices.append(f"{op}: {'triton' if triton else 'reference'}, {why}")
    return triton


def _obstacle(tensors: Sequence[Tensor], cpu: bool) -> str | None:
    """What keeps every kernel from these tensors; `cpu` says whether it may run there."""
    device = tensors[0].device
    if device.type != "cuda" and not cpu:  # "cuda" is ROCm's name too
        return f"the tensors are on {device}"
    if not _has_triton:
        return "Triton is not installed"
    for tensor in tensors:
        if tensor.dtype not in DTYPES:
            return f"{tensor.dtype} is not one of float32, float16 and bfloat16"
    if device.type == "cuda" and torch.version.hip is None:
        capability = torch.cuda.get_device_capability(device)
        if capability < CAPABILITY:
            return "the GPU's compute capability is {}.{}, below {}.{}".format(*capability, *CAPABILITY)
    return None
