"""What the tests of the kernels share: numbers in float64, the same numbers in other strides, and how near is near."""

import torch
from torch import Tensor

# How far a result may be from the definition in float64: (rtol, atol). Half precision rounds a few times.
TOLERANCE = {
    torch.float64: (1e-9, 1e-9),
    torch.float32: (1e-4, 1e-4),
    torch.float16: (4e-3, 1e-2),
    torch.bfloat16: (3e-2, 6e-2),
}
ACTIVATIONS = ("none", "relu", "leaky_relu")
LAYOUTS = ("contiguous", "channels_last", "transposed", "strided", "expanded")


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def laid_out(x: Tensor, layout: str) -> Tensor:
    """The same values in other strides; "expanded" repeats the first channel without a copy."""
    if layout == "channels_last":
        return x.contiguous(memory_format=torch.channels_last)
    if layout == "transposed":
        return x.transpose(2, 3).contiguous().transpose(2, 3)
    if layout == "strided":
        b, c, h, w = x.shape
        wide = x.new_full((b, c + 1, h, 2 * w + 1), 1e3)
        wide[:, 1:, :, 1::2] = x
        return wide[:, 1:, :, 1::2]
    return x[:, :1].expand(x.shape) if layout == "expanded" else x


def assert_near(actual: Tensor, expected: Tensor, dtype: torch.dtype | None = None) -> None:
    """`actual` is of `dtype` and near `expected`, which is in float64."""
    assert dtype is None or actual.dtype == dtype
    rtol, atol = TOLERANCE[actual.dtype]
    torch.testing.assert_close(actual.cpu().double(), expected.cpu(), rtol=rtol, atol=atol)


def activate(y: Tensor, activation: str, slope: float | Tensor = 0.2) -> Tensor:
    if activation == "none":
        return y
    slope = slope.cpu().double()[:, None, None] if isinstance(slope, Tensor) else slope
    return torch.where(y > 0, y, y * (0 if activation == "relu" else slope))
