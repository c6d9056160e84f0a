"""What the launches of several operations have in common."""

from contextlib import AbstractContextManager

import torch
from torch import Tensor


def on_device_of(x: Tensor) -> AbstractContextManager[None]:
    """Triton launches on the current device."""
    return torch.cuda.device_of(x)  # type: ignore[no-untyped-call]


def input_precision(x: Tensor) -> str:
    """How `tl.dot` is to multiply: in tf32 where torch's own convolutions would, otherwise exactly."""
    nvidia = torch.version.hip is None  # of AMD's matrix units all have float32, and few have tf32
    allowed = torch.backends.cudnn.conv.fp32_precision == "tf32"  # type: ignore[attr-defined]
    return "tf32" if nvidia and allowed and x.dtype == torch.float32 else "ieee"


def room(x: Tensor, channels: int, factor: int = 1, dtype: torch.dtype | None = None) -> Tensor:
    """Memory for (B, channels, factor·H, factor·W), channels_last, x being (B, C, H, W); x's dtype if none is given."""
    b, _, h, w = x.shape
    shape, dtype = (b, channels, factor * h, factor * w), dtype or x.dtype
    return torch.empty(shape, dtype=dtype, device=x.device, memory_format=torch.channels_last)
