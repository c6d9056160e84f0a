"""Which device and precision to compute with, and why."""

from dataclasses import dataclass
from pathlib import Path

import torch

from translate import heap
from translate.errors import InputError

# MKL looks for the variant of a function that is best on the processor in its first call, which two threads must not
# make at once: one of them may get a coarse variant, and a picture bits that it has in no other run
# (github.com/pytorch/pytorch/issues/188792). These are the functions that networks and their training use.
for _function in (torch.exp, torch.log, torch.log10, torch.sin, torch.sqrt, torch.tanh):
    _function(torch.ones(1))

# What a network's weights are; "int8" is for its residual blocks alone.
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "int8": torch.float32}


@dataclass(frozen=True)
class Choice:
    """A choice and the reason for it, in words."""

    value: str
    why: str


def choose_device(wanted: str = "auto") -> Choice:
    """The device to use: what is asked for if it is there, else the fastest.

    Args:
        wanted: "auto", or a name that torch knows: "cpu", "cuda", "cuda:1", "mps".

    Raises:
        InputError: torch does not know the device, or it is not there.
    """
    if wanted == "auto":
        if torch.cuda.is_available():
            return Choice("cuda", torch.cuda.get_device_name())
        if torch.backends.mps.is_available():
            return Choice("mps", "Apple's GPU")
        return Choice("cpu", "no GPU that this torch can use")
    try:
        torch.zeros(1, device=wanted).cpu()  # "meta" has room for tensors, but not for their numbers
    except Exception as error:  # an unknown name, a torch without CUDA, a GPU that is not there: each its own type
        raise InputError(f"device {wanted!r} cannot be used: {str(error).splitlines()[0]}") from error
    return Choice(wanted, "asked for")


def choose_precision(wanted: str, device: str) -> Choice:
    """The precision to use: bfloat16 where the device is fast at it, float32 elsewhere.

    Args:
        wanted: "auto", "fp32", "bf16", "fp16" or "int8".
        device: from `choose_device`.

    Raises:
        InputError: there is no such precision.
    """
    if wanted != "auto":
        if wanted not in PRECISIONS:
            raise InputError(f"unknown precision {wanted!r}; there are auto, {', '.join(PRECISIONS)}")
        return Choice(wanted, "asked for")
    if device.startswith("cuda"):
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Choice("bf16", "this GPU has bfloat16")
        return Choice("fp16", "this GPU has no bfloat16")
    if device.startswith("cpu"):
        for name, test in (("AMX", "_is_amx_tile_supported"), ("AVX512-BF16", "_is_avx512_bf16_supported")):
            if getattr(torch.cpu, test, bool)():
                return Choice("bf16", f"this processor has {name}")
        return Choice("fp32", "this processor has neither AMX nor AVX512-BF16, so bfloat16 would be slower")
    return Choice("fp32", f"bfloat16 has not been measured on {device}")


def available_bytes() -> int | None:
    """Main memory that this process can have without swapping; None where the system does not say so in Linux's way."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    free = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
    return None if free is None else free + heap.kept()
