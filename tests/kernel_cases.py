"""What the tests of the kernels share: numbers, strides, how near is near, definitions, a call of each operation."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from translate import kernels

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
    if x.dim() != 4:
        return x
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


def plain_instance_norm(
    x: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    residual: Tensor | None = None,
    activation: str = "none",
    slope: float = 0.2,
    eps: float = 1e-5,
) -> Tensor:
    var, mean = torch.var_mean(x, dim=(2, 3), correction=0, keepdim=True)
    y = (x - mean) / torch.sqrt(var + eps)
    y = y if weight is None else y * weight[:, None, None]
    y = y if bias is None else y + bias[:, None, None]
    return activate(y if residual is None else y + residual, activation, slope)


def upsampled(x: Tensor, weight: Tensor, bias: Tensor | None, padding: str) -> Tensor:
    """The definition: nearest ×2, one pixel of padding, 3×3."""
    wide = F.interpolate(x.cpu().double(), scale_factor=2, mode="nearest")
    wide = F.pad(wide, [1] * 4, mode="constant" if padding == "zeros" else "reflect")
    return F.conv2d(wide, weight.cpu().double(), None if bias is None else bias.cpu().double())


def shuffled(x: Tensor, weight: Tensor, bias: Tensor, factor: int) -> Tensor:
    """The definition: out[o, y·f + i, x·f + j] is channel o·f² + i·f + j of the convolution."""
    y = F.conv2d(x.cpu().double(), weight.cpu().double(), bias.cpu().double(), padding=weight.shape[-1] // 2)
    b, c, h, w = y.shape
    out = y.new_empty(b, c // factor**2, h * factor, w * factor)
    for i, j in itertools.product(range(factor), repeat=2):
        out[:, :, i::factor, j::factor] = y[:, i * factor + j :: factor**2]
    return out


def dense_parameters(width: int, growth: int, count: int = 5) -> tuple[list[Tensor], list[Tensor]]:
    outputs = [growth] * (count - 1) + [width]
    inputs = [width + growth * n for n in range(count)]
    weights = [normal(o, i, 3, 3, seed=i) / (3 * i**0.5) for o, i in zip(outputs, inputs, strict=True)]
    return weights, [normal(o, seed=n) for n, o in enumerate(outputs)]


def plain_dense_block(
    x: Tensor, weights: list[Tensor], biases: list[Tensor], residual: Tensor | None, slope: float, scale: float
) -> Tensor:
    """As the paper draws it, without a concatenation: every part has its own slice of every weight."""
    parts = [x]
    for weight, bias in zip(weights, biases, strict=True):
        edges = [0]
        for part in parts:
            edges.append(edges[-1] + part.shape[1])
        slices = [weight[:, a:b] for a, b in itertools.pairwise(edges)]
        y = sum(F.conv2d(part, w, padding=1) for part, w in zip(parts, slices, strict=True)) + bias[:, None, None]
        parts.append(torch.where(y > 0, y, y * slope))
    y = x + scale * y  # type: ignore[operator]  # the last has no activation
    return y if residual is None else residual + scale * y


def assert_same_derivatives(call: Callable[..., Tensor], values: Sequence[Tensor], device: str) -> None:
    """First and second derivatives in Triton and float32 are those of the reference in float64."""
    found = []
    for backend, dtype, place in (("triton", torch.float32, device), ("reference", torch.float64, "cpu")):
        inputs = [value.to(place, dtype).requires_grad_() for value in values]
        y = call(*inputs, backend=backend)
        slope = torch.autograd.grad(y.square().sum(), inputs, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in slope), inputs)
        found.append([y, *slope, *second])
    for actual, expected in zip(*found, strict=True):
        error = (actual.cpu().double() - expected).abs().max() / expected.abs().max()
        assert error < 1e-5
        assert actual.dtype == torch.float32


def parameter(x: Tensor, *shape: int, seed: int = 1) -> Tensor:
    """Numbers in [-1, 1], in the dtype and on the device of x, smaller the more of them are summed."""
    numbers = torch.arange(1, math.prod(shape) + 1, dtype=torch.float64).mul(seed + 0.7).sin()
    return (numbers.view(shape) / max(1, shape[-1])).to(x)


def normalise(x: Tensor, **options: Any) -> Tensor:
    mean = parameter(x, x.shape[0], 3).float() if x.dtype != torch.float64 else parameter(x, x.shape[0], 3)
    return kernels.normalise(x, kernels.Statistics(20, mean, 10 + mean.abs()), activation="leaky_relu", **options)


def norm(x: Tensor, **options: Any) -> Tensor:
    weight, bias = parameter(x, 3), parameter(x, 3, seed=2)
    return kernels.instance_norm(x, weight, bias, residual=x, activation="leaky_relu", **options)


def dense(x: Tensor, **options: Any) -> Tensor:
    weights, biases = [parameter(x, 2, 3, 3, 3), parameter(x, 3, 5, 3, 3)], [parameter(x, 2), parameter(x, 3)]
    return kernels.dense_block(x, weights, biases, residual=x, **options)


# Each operation of one tensor, (B, 3, H, W), whose other arguments follow from its shape.
CALLS: dict[str, Callable[..., Tensor]] = {
    "instance_norm": norm,
    "instance_norm, reflected": lambda x, **o: kernels.instance_norm(x, activation="relu", pad=1, **o),
    "normalise": normalise,
    "bias_leaky_relu": lambda x, **o: kernels.bias_leaky_relu(x, parameter(x, 3), gain=1.5, **o),
    "upsample_conv2d": lambda x, **o: kernels.upsample_conv2d(
        x, parameter(x, 2, 3, 3, 3), parameter(x, 2), padding="replicate", activation="leaky_relu", **o
    ),
    "conv_transpose2d": lambda x, **o: kernels.conv_transpose2d(x, parameter(x, 3, 2, 4, 4), parameter(x, 2), **o),
    "conv_pixel_shuffle": lambda x, **o: kernels.conv_pixel_shuffle(
        x, parameter(x, 8, 3, 3, 3), parameter(x, 8), activation="leaky_relu", slope=parameter(x, 2), **o
    ),
    "dense_block": dense,
    "quantise": lambda x, **o: kernels.quantise(x, -2, 3, **o),
}
