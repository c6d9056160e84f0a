# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators
"""ESRGAN's dense block in Triton, without concatenation, as a differentiable operator of torch.

One channels_last buffer holds all channels of a pixel side by side. A convolution reads the first of them and writes
the ones behind, bias and leaky ReLU included; the last writes the block's result.

The backward is the same block from the other end. Its buffer holds the gradients of what the convolutions gave, in
their order, and is filled from the last on: what one gave is read by all behind it, so its gradient is one convolution
of all that is there already. Nothing is added to what was written before: sums are in float32 and in one order.

The weights' gradients are the library's: one convolution of the two buffers. It finds those of channels that came
later, too, over a quarter of all for nothing, but is one large product and not five small ones that copy what they
read. They are the same bits twice where torch's own are, with `torch.backends.cudnn.deterministic`.
"""

from collections.abc import Sequence
from typing import Any

import torch
import triton
from torch import Tensor
from torch.nn.grad import conv2d_weight

from translate.kernels import _configs
from translate.kernels._dense_kernels_triton import dense_conv_kernel, dense_grad_kernel
from translate.kernels._launch_triton import input_precision, on_device_of, room


def tiles(inputs: int, outputs: int, itemsize: int, precision: str) -> dict[str, int]:
    """Block sizes, warps and stages, by what the matrix units like best; not yet tuned on a GPU."""
    block_n = min(64, max(16, triton.next_power_of_2(outputs)))
    block_i = min(128 // itemsize, max(16, inputs & -inputs))  # up to a line of 128 bytes; 96 channels are 3 times 32
    if precision == "ieee" and itemsize == 4:  # no matrix unit has it, and larger blocks would not fit the registers
        return {"BLOCK_M": 64, "BLOCK_N": block_n, "BLOCK_I": 16, "num_warps": 4, "num_stages": 3}
    return {"BLOCK_M": 128, "BLOCK_N": block_n, "BLOCK_I": block_i, "num_warps": 4, "num_stages": 3}


@torch.library.custom_op("translate::dense_block", mutates_args=())
def dense_block(
    x: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    residual: Tensor | None,
    slope: float,
    scale: float,
) -> tuple[Tensor, Tensor]:
    """As `translate.kernels.dense_block`; quickest where all tensors are channels_last.

    Weights and biases are of one dtype; x and the residual may be wider.

    Returns:
        The result, (B, C, H, W), of the widest dtype, and x with what all convolutions but the last gave, of the
        weights' dtype; both channels_last.
    """
    (_, c, h, w), channels = x.shape, weights[-1].shape[1]
    x = x.contiguous(memory_format=torch.channels_last)
    if residual is not None:
        residual = residual.contiguous(memory_format=torch.channels_last)
    out, seen = _results(x, weights, residual)
    seen[:, :c] = x
    for weight, bias in zip(weights, biases, strict=True):
        outputs, inputs = weight.shape[:2]
        last = inputs == channels
        programs, options = _launch("dense_conv", seen, inputs, outputs)
        with on_device_of(x):
            dense_conv_kernel[(programs,)](
                seen,
                weight.contiguous(memory_format=torch.channels_last),
                bias.contiguous(),
                x if last else None,
                residual if last else None,
                out if last else seen[:, inputs:],
                h,
                w,
                x.numel() // c,
                inputs,
                outputs,
                channels,
                c if last else channels,
                slope,
                scale,
                **options,
            )
    return out, seen


@dense_block.register_fake
def _(
    x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], residual: Tensor | None, *_: Any
) -> tuple[Tensor, Tensor]:
    return _results(x, weights, residual)


def _results(x: Tensor, weights: Sequence[Tensor], residual: Tensor | None) -> tuple[Tensor, Tensor]:
    dtype = torch.promote_types(x.dtype, weights[0].dtype)
    if residual is not None:
        dtype = torch.promote_types(dtype, residual.dtype)
    return room(x, x.shape[1], dtype=dtype), room(x, weights[-1].shape[1], dtype=weights[0].dtype)


@torch.library.custom_op("translate::dense_block_grad", mutates_args=())
def dense_block_grad(
    grad: Tensor, seen: Tensor, weights: Sequence[Tensor], slope: float, scale: float, skip: float
) -> tuple[Tensor, Tensor]:
    """The backward of `dense_block`.

    Args:
        grad: (B, C, H, W), of the result, and of its dtype.
        seen: (B, channels, H, W), as `dense_block` gives it.
        weights: of the convolutions.
        slope: of leaky ReLU's negative side.
        scale: of what the last convolution gave, in the result.
        skip: of x in the result.

    Returns:
        Gradients of x, (B, C, H, W), and of what all convolutions gave, before leaky ReLU, (B, channels, H, W); each
        has its argument's dtype and is channels_last.
    """
    (_, c, h, w), channels = grad.shape, seen.shape[1]
    grad = grad.contiguous(memory_format=torch.channels_last)
    grad_x, grads = room(grad, c), room(seen, channels)
    torch.mul(grad, scale, out=grads[:, channels - c :])
    for n in reversed(range(len(weights))):
        # The channels that convolution n is the first to read, and their part of its weight and all behind it.
        start, end = weights[n - 1].shape[1] if n else 0, weights[n].shape[1]
        readers = torch.cat([weight[:, start:end] for weight in weights[n:]]).transpose(0, 1)
        outputs, inputs = readers.shape[:2]
        programs, options = _launch("dense_grad", seen, inputs, outputs)
        with on_device_of(grad):
            dense_grad_kernel[(programs,)](
                grads[:, end - c :],
                readers.contiguous(memory_format=torch.channels_last),
                seen[:, start:] if n else grad,
                grads[:, start - c :] if n else grad_x,
                h,
                w,
                grad.numel() // c,
                inputs,
                outputs,
                channels,
                channels if n else c,
                slope if n else skip,
                FIRST=n == 0,
                **options,
            )
    return grad_x, grads


@dense_block_grad.register_fake
def _(grad: Tensor, seen: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return room(grad, grad.shape[1]), room(seen, seen.shape[1])


def _launch(kernel: str, buffer: Tensor, inputs: int, outputs: int) -> tuple[int, dict[str, Any]]:
    """How many programs, and their constants."""
    b, _, h, w = buffer.shape
    how = input_precision(buffer)
    default = tiles(inputs, outputs, buffer.itemsize, how)
    shape = {"inputs": inputs, "outputs": outputs, "pixels": h * w}
    blocks = _configs.blocks(kernel, buffer, _configs.kind_of(buffer, how), default, **shape)
    programs = triton.cdiv(b * h * w, blocks["BLOCK_M"]) * triton.cdiv(outputs, blocks["BLOCK_N"])
    return programs, {"PRECISION": how, **blocks}


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    _, weights, _, residual, ctx.slope, ctx.scale = inputs
    ctx.skip = 1.0 if residual is None else ctx.scale
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)  # as zeros, that of the buffer, which is large
    ctx.save_for_backward(output[1], *weights)


def _backward(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Any, ...]:
    seen, *weights = ctx.saved_tensors
    nothing: list[Tensor | None] = [None] * len(weights)
    if grad is None:
        return None, nothing, nothing, None, None, None
    grad_x, grads = dense_block_grad(grad, seen, weights, ctx.slope, ctx.scale * ctx.skip, ctx.skip)
    _, of_weights, of_biases, of_residual, *_ = ctx.needs_input_grad
    outputs = [len(weight) for weight in weights]
    grad_weights = grad_biases = nothing
    if any(of_weights):
        square = conv2d_weight(seen, [seen.shape[1], seen.shape[1], 3, 3], grads, padding=1)  # type: ignore[no-untyped-call]
        rows = square.split(outputs)
        grad_weights = [row[:, : weight.shape[1]] for row, weight in zip(rows, weights, strict=True)]
    if any(of_biases):
        grad_biases = list(grads.sum((0, 2, 3)).split(outputs))
    return grad_x, grad_weights, grad_biases, grad if of_residual else None, None, None


dense_block.register_autograd(_backward, setup_context=_save)
