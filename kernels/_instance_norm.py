"""Instance normalisation with everything that follows it in one call (Ulyanov et al. 2016, arXiv:1607.08022)."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.kernels._activation import Activation, activate_, activation_grad, check_activation
from translate.kernels._dispatch import Backend, choose
from translate.kernels._statistics import instance_statistics, normalise


def instance_norm(
    x: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    residual: Tensor | None = None,
    activation: Activation = "none",
    slope: float = 0.2,
    eps: float = 1e-5,
    pad: int = 0,
    backend: Backend = "auto",
) -> Tensor:
    """Return `activation((x - mean) / sqrt(var + eps) * weight + bias + residual)`, and reflect it at its edges.

    Mean and (biased) variance are taken over H and W of each sample and channel, in float32 whatever the dtype.
    The memory format is kept: channels_last in, channels_last out. Differentiable twice.

    Args:
        x: (B, C, H, W), any floating dtype, any strides.
        weight: (C,) or None for 1.
        bias: (C,) or None for 0.
        residual: (B, C, H, W), added before the activation.
        activation: "none", "relu" or "leaky_relu".
        slope: of leaky ReLU's negative side; must be positive.
        eps: added to the variance.
        pad: rows and columns of reflection on each side of the result, for the convolution that follows; less than
            H and W. In Triton they are written with the result.
        backend: "auto", "triton" or "reference"; see `translate.kernels.explain`.

    Returns:
        (B, C, H + 2·pad, W + 2·pad).

    Raises:
        ValueError: a wrong rank, a shape that does not fit, H·W = 1, where the variance has no meaning, a slope that is
            not positive, a pad that is negative or not less than H and W, or "triton" where it cannot run.
    """
    _check(x, weight, bias, residual)
    if pad and not 0 < pad < min(x.shape[2:]):
        raise ValueError(
            f"pad is {pad}; it must be less than the sides of the input, {tuple(x.shape)}, and not below 0"
        )
    check_activation(activation, slope)
    obstacle = None if x.numel() else f"{tuple(x.shape)} is empty"
    if choose("instance_norm", backend, (x, weight, bias, residual), obstacle):
        from translate.kernels import _instance_norm_triton as triton

        result: Tensor = triton.instance_norm(x, weight, bias, residual, activation, slope, eps, pad)[0]
        return result
    if torch.compiler.is_exporting():  # to ONNX, which has this operator; it takes no decisions that look at numbers
        y = F.instance_norm(x, weight=weight, bias=bias, eps=eps)
        y = activate_(y if residual is None else y + residual, activation, slope)
    elif torch.compiler.is_compiling():  # the compiler joins plain operations, and takes no such decisions either
        statistics = instance_statistics(x, backend="reference")
        options = {"residual": residual, "activation": activation, "slope": slope, "eps": eps}
        y = normalise(x, statistics, weight, bias, backend="reference", **options)  # type: ignore[arg-type]
    else:
        y = _InstanceNorm.apply(x, weight, bias, residual, activation, slope, eps)  # type: ignore[no-untyped-call]
    return _reflected(y, pad) if pad else y


def _reflected(x: Tensor, pad: int) -> Tensor:
    """Reflected at the edges, in the same memory format, which CUDA's own function does not keep."""
    y = F.pad(x, [pad] * 4, mode="reflect")
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return y.contiguous(memory_format=torch.channels_last) if last else y


def _check(x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None) -> None:
    if x.dim() != 4:
        raise ValueError(f"instance_norm takes (B, C, H, W), got {tuple(x.shape)}")
    if x.shape[2] * x.shape[3] == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {x.shape}")
    for name, affine in (("weight", weight), ("bias", bias)):
        if affine is not None and affine.shape != x.shape[1:2]:
            raise ValueError(f"{name} is {tuple(affine.shape)}, but the input has {x.shape[1]} channels")
    if residual is not None and residual.shape != x.shape:
        raise ValueError(f"residual is {tuple(residual.shape)}, but the input is {tuple(x.shape)}")


_HALF = (torch.float16, torch.bfloat16)


def _group_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise a contiguous or channels_last x (B, C, H, W); return that, and the mean and 1/std, (B, C) each."""
    b, c, h, w = x.shape
    # For half precision the CPU kernel keeps the statistics in float32 only if the parameters are.
    kind = torch.float32 if x.is_cpu and x.dtype in _HALF else x.dtype
    if weight is None and kind != x.dtype:
        weight = x.new_ones(c, dtype=kind)
    weight, bias = (None if p is None else p.to(kind) for p in (weight, bias))
    y, mean, rstd = torch.ops.aten.native_group_norm(x, weight, bias, b, c, h * w, c, eps)
    if x.is_cpu and bool(((mean * rstd).abs() > 4).any()):
        # For channels_last it takes the variance as E[x²] - mean², which cancels: for a mean of 10 standard deviations
        # y is wrong in the third digit, for 1000 in all of them. So take off the mean that it found and begin again.
        far = mean.to(x.dtype)
        y, mean, rstd = torch.ops.aten.native_group_norm(x - far.view(b, c, 1, 1), weight, bias, b, c, h * w, c, eps)
        mean = mean + far
    return y, mean, rstd


class _InstanceNorm(torch.autograd.Function):
    """Forward: group norm with one channel a group, the one CPU norm that keeps channels_last.

    Its own backward is slow there, so this one is written out from the saved mean and rstd.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        residual: Tensor | None,
        activation: Activation,
        slope: float,
        eps: float,
    ) -> Tensor:
        last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
        # Elsewhere than on a CPU, group norm refuses channels_last.
        y, mean, rstd = _group_norm(x if last and x.is_cpu else x.contiguous(), weight, bias, eps)
        if last:
            y = y.contiguous(memory_format=torch.channels_last)
        if residual is not None:
            y = y.add_(residual)
        y = activate_(y, activation, slope)
        ctx.save_for_backward(x, weight, mean, rstd, y if activation != "none" else None)
        ctx.activation, ctx.slope, ctx.eps = activation, slope, eps
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, rstd, y = ctx.saved_tensors
        options = (ctx.activation, ctx.slope, ctx.eps, ctx.needs_input_grad)
        return *gradients(x, weight, mean, rstd, y, grad, *options), None, None, None


def gradients(
    x: Tensor,
    weight: Tensor | None,
    mean: Tensor,
    rstd: Tensor,
    y: Tensor | None,
    grad: Tensor,
    activation: Activation,
    slope: float,
    eps: float,
    wanted: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of x, weight, bias and residual, those that are wanted; the others are None.

    Where grad mode is on it is differentiable, and takes mean and rstd, (B, C), from x anew.
    """
    if y is not None:
        grad = activation_grad(grad, y, activation, slope)
    if x.is_cpu and x.numel() and not torch.is_grad_enabled():
        return *_cpu_gradients(x, weight, mean, rstd, grad, eps, wanted), grad if wanted[3] else None
    mean, rstd = mean.view(*x.shape[:2], 1, 1), rstd.view(*x.shape[:2], 1, 1)
    # If a second derivative is wanted, it must see how the statistics depend on x; CUDA's are as short as x.
    if torch.is_grad_enabled() or mean.dtype in _HALF:
        wide = x.float() if x.dtype in _HALF else x
        var, mean = torch.var_mean(wide, dim=(2, 3), correction=0, keepdim=True)
        rstd = (var + eps).rsqrt()
    normal = (x - mean) * rstd
    grad_sum = grad.sum((2, 3), keepdim=True, dtype=mean.dtype)
    grad_dot = (grad * normal).sum((2, 3), keepdim=True)
    grad_x = None
    if wanted[0]:
        scale = rstd if weight is None else rstd * weight.view(1, -1, 1, 1)
        n = x.shape[2] * x.shape[3]
        grad_x = ((grad - grad_sum / n - normal * (grad_dot / n)) * scale).to(x.dtype)
    grad_weight = grad_dot.sum(0).view(-1) if wanted[1] else None
    grad_bias = grad_sum.sum(0).view(-1) if wanted[2] else None
    return grad_x, grad_weight, grad_bias, grad if wanted[3] else None


def _cpu_gradients(
    x: Tensor, weight: Tensor | None, mean: Tensor, rstd: Tensor, grad: Tensor, eps: float, wanted: Sequence[bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of x, weight and bias: of batch norm for each sample alone, whose kernel makes the fewest passes."""
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    memory_format = torch.channels_last if last else torch.contiguous_format
    x, grad = x.contiguous(memory_format=memory_format), grad.contiguous(memory_format=memory_format)
    affine = wanted[1] or wanted[2]
    scale = mean.new_ones(x.shape[1]) if weight is None else weight.to(mean.dtype)
    parts = [
        torch.ops.aten.native_batch_norm_backward(
            grad[n : n + 1], x[n : n + 1], scale, None, None, mean[n], rstd[n], True, eps, [wanted[0], affine, affine]
        )
        for n in range(len(x))
    ]
    grad_x, grad_weight, grad_bias = zip(*parts, strict=True)
    return (
        (grad_x[0] if len(parts) == 1 else torch.cat(grad_x)) if wanted[0] else None,
        torch.stack(grad_weight).sum(0) if wanted[1] else None,
        torch.stack(grad_bias).sum(0) if wanted[2] else None,
    )
