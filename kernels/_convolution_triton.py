"""What the convolutions in Triton have in common."""

import torch
from torch import Tensor


def input_precision(x: Tensor) -> str:
    """How `tl.dot` is to multiply: in tf32 where torch's own convolutions would, otherwise exactly."""
    nvidia = torch.version.hip is None  # of AMD's matrix units all have float32, and few have tf32
    allowed = torch.backends.cudnn.conv.fp32_precision == "tf32"  # type: ignore[attr-defined]
    return "tf32" if nvidia and allowed and x.dtype == torch.float32 else "ieee"
