"""ESRGAN's dense block (Wang et al. 2018, arXiv:1809.00219, section 3.1)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.kernels._activation import check_activation
from translate.kernels._dispatch import Backend, autocast_dtype, choose


def dense_block(
    x: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    *,
    slope: float = 0.2,
    scale: float = 0.2,
    residual: Tensor | None = None,
    backend: Backend = "auto",
) -> Tensor:
    """Return `x + scale * last`, where each 3×3 convolution sees x and what all before it gave, with leaky ReLU.

    In Triton nothing is concatenated: there is one buffer of all channels, each convolution reads the first of them
    and writes its own behind these. That buffer is all that is kept for the backward, which has one of its own. On a
    CPU neither was quicker than `torch.cat`, because the library's convolution copies a part of a tensor before it
    reads it.

    Args:
        x: (B, C, H, W).
        weights: of the convolutions: (G, C, 3, 3), (G, C + G, 3, 3), … and the last with C outputs; each G may differ.
        biases: one for each weight, (G,), (G,), … and (C,).
        slope: of leaky ReLU's negative side, which follows every convolution but the last; must be positive.
        scale: of what is added to x, and of the result if it is added to `residual` (0.2 in the paper).
        residual: (B, C, H, W); the result becomes `residual + scale * (x + scale * last)`.
        backend: "auto", "triton" (differentiable once) or "reference" (twice).

    Returns:
        (B, C, H, W). Under torch.autocast the convolutions alone are in its dtype: a float32 x gives float32.

    Raises:
        ValueError: a shape that does not fit, a slope that is not positive, or "triton" where it cannot run.
    """
    _check(x, weights, biases, residual)
    check_activation("leaky_relu", slope)
    if choose("dense_block", backend, (x, *weights, *biases, residual), _obstacle(x, weights, biases, residual)):
        from translate.kernels import _dense_triton as triton

        if kind := autocast_dtype(x):
            weights, biases = ([tensor.to(kind) for tensor in part] for part in (weights, biases))
        result: Tensor = triton.dense_block(x, weights, biases, residual, slope, scale)[0]
        return result
    seen = x
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        seen = torch.cat([seen, F.leaky_relu_(F.conv2d(seen, weight, bias, padding=1), slope)], 1)
    y = torch.add(x, F.conv2d(seen, weights[-1], biases[-1], padding=1), alpha=scale)
    return y if residual is None else torch.add(residual, y, alpha=scale)


def _check(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], residual: Tensor | None) -> None:
    if x.dim() != 4:
        raise ValueError(f"dense_block takes (B, C, H, W), got {tuple(x.shape)}")
    if not weights or len(weights) != len(biases):
        raise ValueError(
            f"dense_block takes one bias for each weight, got {len(weights)} weights, {len(biases)} biases"
        )
    channels = x.shape[1]
    for n, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        last = n == len(weights) - 1
        outputs = x.shape[1] if last else weight.shape[0]
        if weight.shape != (outputs, channels, 3, 3) or bias.shape != (outputs,):
            raise ValueError(
                f"convolution {n} of dense_block takes a weight of ({x.shape[1] if last else 'G'}, {channels}, 3, 3) "
                f"and a bias for each output, got {tuple(weight.shape)} and {tuple(bias.shape)}"
            )
        channels += outputs
    if residual is not None and residual.shape != x.shape:
        raise ValueError(f"residual is {tuple(residual.shape)}, but the input is {tuple(x.shape)}")


def _obstacle(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], residual: Tensor | None) -> str | None:
    images = [x] if residual is None else [x, residual]
    parameters = [*weights, *biases]
    if not all(tensor.numel() for tensor in (*images, *parameters)):
        return "a tensor is empty"
    if x.numel() // x.shape[1] >= 2**30:  # it counts pixels in 32 bits
        return f"{tuple(x.shape)} is too large"
    kind = autocast_dtype(x)
    dtypes = {kind or tensor.dtype for tensor in parameters}
    # With autocast the convolutions alone are in half precision: what they are added to stays in float32.
    dtypes |= {image.dtype for image in images if not (kind and image.dtype == torch.float32)}
    return f"the dtypes differ: {', '.join(sorted(map(str, dtypes)))}" if len(dtypes) > 1 else None
