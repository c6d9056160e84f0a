"""Sub-pixel convolution (Shi et al. 2016, arXiv:1609.05158) with its activation."""

import torch.nn.functional as F
from torch import Tensor

from translate.kernels._activation import Activation, activate_, check_activation
from translate.kernels._dispatch import Backend, choose


def conv_pixel_shuffle(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    factor: int = 2,
    activation: Activation = "none",
    slope: float | Tensor = 0.2,
    backend: Backend = "auto",
) -> Tensor:
    """Return `activation(pixel_shuffle(conv(x), factor))`, with "same" zero padding.

    Args:
        x: (B, I, H, W).
        weight: (O·factor², I, k, k), k odd.
        bias: (O·factor²,) or None.
        factor: of the enlargement.
        activation: "none", "relu" or "leaky_relu".
        slope: of leaky ReLU's negative side: a positive number, or (1,) or (O,) learned slopes (PReLU, He et al. 2015).
        backend: "auto", "triton" (all that follows the convolution, which is the library's) or "reference".

    Returns:
        (B, O, factor·H, factor·W).

    Raises:
        ValueError: the weight has another shape, the activation is unknown, the slope is a number that is not positive,
            or "triton" is asked for where it cannot run.
    """
    if x.dim() != 4:
        raise ValueError(f"conv_pixel_shuffle takes (B, I, H, W), got {tuple(x.shape)}")
    square_odd = weight.dim() == 4 and weight.shape[2] == weight.shape[3] and weight.shape[3] % 2 == 1
    if not square_odd or weight.shape[0] % factor**2 or weight.shape[1] != x.shape[1]:
        raise ValueError(
            f"conv_pixel_shuffle by {factor} takes a weight of (n·{factor**2}, {x.shape[1]}, k, k), k odd, "
            f"got {tuple(weight.shape)}"
        )
    slopes, number = (slope, 1.0) if isinstance(slope, Tensor) else (None, slope)
    if activation != "leaky_relu":
        slopes = None
    check_activation(activation, number)
    padding = weight.shape[-1] // 2
    obstacle = _obstacle(x, bias, slopes, weight.shape[0], weight.shape[0] // factor**2)
    if choose("conv_pixel_shuffle", backend, (x, weight, bias, slopes), obstacle):
        from translate.kernels._pixel_shuffle_triton import bias_shuffle

        y: Tensor = bias_shuffle(F.conv2d(x, weight, padding=padding), bias, slopes, factor, activation, number)
        return y
    y = F.pixel_shuffle(F.conv2d(x, weight, bias, padding=padding), factor)
    return activate_(y, activation, number) if slopes is None else F.prelu(y, slopes)


def _obstacle(x: Tensor, bias: Tensor | None, slopes: Tensor | None, channels: int, outputs: int) -> str | None:
    """What keeps the kernel from these arguments; the reference takes them, or refuses them in torch's words."""
    if x.numel() == 0 or channels == 0:
        return "a tensor is empty"
    if x.numel() // x.shape[1] * channels // outputs >= 2**30:  # it counts pixels in 32 bits
        return f"{tuple(x.shape)} is too large"
    if bias is not None and bias.shape != (channels,):
        return f"the bias is {tuple(bias.shape)}, not ({channels},)"
    if slopes is not None and slopes.shape not in ((1,), (outputs,)):
        return f"the slopes are {tuple(slopes.shape)}, not (1,) or ({outputs},)"
    return None
