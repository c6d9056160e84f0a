"""Convolutions that double the resolution."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.kernels._activation import Activation, activate_, check_activation
from translate.kernels._dispatch import Backend, autocast_dtype, choose

Padding = Literal["zeros", "replicate"]

FEW = 1024  # pixels of a batch, below which folding the weight costs more than it saves on a CPU


def upsample_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    padding: Padding = "zeros",
    activation: Activation = "none",
    slope: float = 0.2,
    backend: Backend = "auto",
) -> Tensor:
    """Return `activation(conv3x3(nearest_x2(x)) + bias)`, computed on the low-resolution tensor where that is quicker.

    An output pixel lies in one of four phases (even or odd row and column), and in each of them the upsampling and the
    convolution together are a 2×2 convolution of the input with summed weights. The four are one transposed 4×4
    convolution: 16 multiply-adds an input pixel and channel pair in place of 36, and the four times larger tensor is
    never written. As every output pixel gets the same number of taps there is no checkerboard (Odena et al. 2016,
    "Deconvolution and Checkerboard Artifacts"). On a CPU that can be slower in half precision, and where there are few
    pixels beside the weight, which has to be folded: there the enlarged tensor is written after all.

    Args:
        x: (B, I, H, W).
        weight: (O, I, 3, 3), that of the 3×3 convolution after the upsampling.
        bias: (O,) or None.
        padding: "zeros", or "replicate", which equals reflection by one pixel after the upsampling.
        activation: "none", "relu" or "leaky_relu".
        slope: of leaky ReLU's negative side; must be positive.
        backend: "auto", "triton" (forward; the backward is the library's) or "reference".

    Returns:
        (B, O, 2H, 2W).

    Raises:
        ValueError: the weight is not (O, I, 3, 3), the padding or activation is unknown, the slope is not positive, or
            "triton" is asked for where it cannot run.
    """
    _check_rank("upsample_conv2d", x)
    if weight.dim() != 4 or weight.shape[1:] != (x.shape[1], 3, 3):
        raise ValueError(f"upsample_conv2d takes a weight of (O, {x.shape[1]}, 3, 3), got {tuple(weight.shape)}")
    if padding not in ("zeros", "replicate"):
        raise ValueError(f"padding is {padding!r}; known are 'zeros' and 'replicate'")
    check_activation(activation, slope)
    if choose("upsample_conv2d", backend, (x, weight, bias), _obstacle(x, weight, bias, weight.shape[0])):
        from translate.kernels._upsample_triton import conv_up2

        x, weight, bias = _cast(x, weight, bias)
        doubled: Tensor = conv_up2(x, fold(weight), bias, padding == "replicate", activation, slope)
        return doubled
    if not _folds(x):
        y = F.interpolate(x, scale_factor=2.0, mode="nearest")
        if padding == "replicate":
            y = F.pad(y, (1, 1, 1, 1), mode="replicate")
        y = F.conv2d(y, weight, bias, padding=1 if padding == "zeros" else 0)
    elif padding == "replicate":
        y = F.conv_transpose2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), fold(weight), bias, stride=2, padding=1)
        y = y[:, :, 2:-2, 2:-2]
    else:
        y = F.conv_transpose2d(x, fold(weight), bias, stride=2, padding=1)
    return activate_(y, activation, slope)


def _folds(x: Tensor) -> bool:
    """Whether the folded form is the quicker one of the reference; `benchmarks/kernels.py` measures it."""
    if not x.is_cpu or torch.compiler.is_exporting():
        return True
    return (autocast_dtype(x) or x.dtype) in (torch.float32, torch.float64) and x.numel() // x.shape[1] >= FEW


def fold(weight: Tensor) -> Tensor:
    """(O, I, 3, 3) after nearest ×2 -> (I, O, 4, 4) of the transposed convolution of stride 2 that is the same."""
    weight = 4 * weight.contiguous(memory_format=torch.channels_last)
    sums = F.avg_pool2d(weight, 2, stride=1, padding=1)  # of all 2×2 windows, added in float32 at least
    return sums.flip(2, 3).transpose(0, 1)


def conv_transpose2d(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, backend: Backend = "auto") -> Tensor:
    """Transposed convolution that exactly doubles the resolution: stride 2, padding 1, and output_padding 1 for 3×3.

    Args:
        x: (B, I, H, W).
        weight: (I, O, k, k) with k 3 or 4.
        bias: (O,) or None.
        backend: "auto", "triton" (forward; the backward is the library's) or "reference".

    Returns:
        (B, O, 2H, 2W).

    Raises:
        ValueError: the weight has another shape, or "triton" is asked for where it cannot run.
    """
    _check_rank("conv_transpose2d", x)
    if weight.dim() != 4 or weight.shape[0] != x.shape[1] or weight.shape[2:] not in ((3, 3), (4, 4)):
        raise ValueError(f"conv_transpose2d takes ({x.shape[1]}, O, 3, 3) or (…, 4, 4), got {tuple(weight.shape)}")
    if choose("conv_transpose2d", backend, (x, weight, bias), _obstacle(x, weight, bias, weight.shape[1])):
        from translate.kernels._upsample_triton import conv_up2

        x, weight, bias = _cast(x, weight, bias)
        doubled: Tensor = conv_up2(x, weight, bias, False, "none", 0.0)
        return doubled
    return F.conv_transpose2d(x, weight, bias, stride=2, padding=1, output_padding=4 - weight.shape[-1])


def _check_rank(op: str, x: Tensor) -> None:
    if x.dim() != 4:
        raise ValueError(f"{op} takes (B, I, H, W), got {tuple(x.shape)}")


def _obstacle(x: Tensor, weight: Tensor, bias: Tensor | None, outputs: int) -> str | None:
    """What keeps the kernel from these arguments; the reference takes them, or refuses them in torch's words."""
    if x.numel() == 0 or weight.numel() == 0:
        return "a tensor is empty"
    if x.numel() // x.shape[1] >= 2**29 or weight.numel() >= 2**30:  # it counts pixels and weights in 32 bits
        return f"{tuple(x.shape)} and a weight of {tuple(weight.shape)} are too large"
    if bias is not None and bias.shape != (outputs,):
        return f"the bias is {tuple(bias.shape)}, not ({outputs},)"
    kind = autocast_dtype(x)
    dtypes = {kind or tensor.dtype for tensor in (x, weight, bias) if tensor is not None}
    return f"the dtypes differ: {', '.join(sorted(map(str, dtypes)))}" if len(dtypes) > 1 else None


def _cast(x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """What torch.autocast, where it is on, does to the arguments of a convolution."""
    kind = autocast_dtype(x) or x.dtype
    return x.to(kind), weight.to(kind), None if bias is None else bias.to(kind)
