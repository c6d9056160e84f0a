# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators
"""Transposed convolution of stride 2 in Triton: `upsample_conv2d`, once its weight is folded, and `conv_transpose2d`.

Output pixels of one phase (even or odd row and column) all take the same taps: input rows y and y ± 1, columns x and
x ± 1. So each phase is a matrix product of (pixels, taps·I) by (taps·I, O) whose left side is read straight from the
image (an "implicit GEMM"), and nothing is written but the result.
"""

from typing import Any

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from translate.kernels import _configs
from translate.kernels._activation import Activation, activation_grad
from translate.kernels._activation_triton import activated
from translate.kernels._launch_triton import input_precision, on_device_of, room


@triton.jit
def conv_up2_kernel(
    x,  # (B, H, W, I)
    weight,  # (K, K, I, O)
    bias,  # (O,), or None
    out,  # (B, 2H, 2W, O)
    height,
    width,
    pixels,  # B·H·W
    inputs,
    outputs,
    slope,
    K: tl.constexpr,
    REPLICATE: tl.constexpr,
    ACTIVATION: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_I: tl.constexpr,
):
    # The programs that read the same pixels, four phases times the blocks of channels, come one after the other.
    program = tl.program_id(0)
    phase, program = program % 4, program // 4
    row_phase, column_phase = phase // 2, phase % 2
    n_blocks = tl.cdiv(outputs, BLOCK_N)
    n = program % n_blocks * BLOCK_N + tl.arange(0, BLOCK_N)
    m = program // n_blocks * BLOCK_M + tl.arange(0, BLOCK_M)
    column, row = m % width, m // width  # of the input; rows of all images in one count
    y = row % height

    # A 3×3 kernel is a 4×4 one whose last row and column are zero: the even phases do not read these.
    row_taps = 2 if K == 4 else 1 + row_phase
    column_taps = 2 if K == 4 else 1 + column_phase
    i_blocks = tl.cdiv(inputs, BLOCK_I)
    total = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for step in range(row_taps * column_taps * i_blocks):
        tap = step // i_blocks
        i = step % i_blocks * BLOCK_I + tl.arange(0, BLOCK_I)
        row_tap, column_tap = tap // column_taps, tap % column_taps
        # Even outputs take kernel rows 1 and 3 of input rows y and y - 1, odd ones 2 and 0 of y and y + 1.
        kernel_row = 1 + row_phase + row_tap * (2 - 4 * row_phase)
        kernel_column = 1 + column_phase + column_tap * (2 - 4 * column_phase)
        from_y = y + row_tap * (2 * row_phase - 1)
        from_x = column + column_tap * (2 * column_phase - 1)
        seen = m < pixels
        if REPLICATE:
            from_y = tl.minimum(tl.maximum(from_y, 0), height - 1)
            from_x = tl.minimum(tl.maximum(from_x, 0), width - 1)
        else:
            seen &= (from_y >= 0) & (from_y < height) & (from_x >= 0) & (from_x < width)
        source = ((row - y + from_y) * width + from_x).to(tl.int64) * inputs
        a = tl.load(x + source[:, None] + i[None, :], mask=seen[:, None] & (i < inputs)[None, :], other=0.0)
        tap_weight = weight + ((kernel_row * K + kernel_column) * inputs + i[:, None]) * outputs
        b = tl.load(tap_weight + n[None, :], mask=(i < inputs)[:, None] & (n < outputs)[None, :], other=0.0)
        total = tl.dot(a, b, total, input_precision=PRECISION)

    if bias is not None:
        total += tl.load(bias + n, mask=n < outputs, other=0.0).to(tl.float32)[None, :]
    total = activated(total, slope, ACTIVATION)
    target = (2 * row + row_phase).to(tl.int64) * (2 * width) + 2 * column + column_phase
    kept = (m < pixels)[:, None] & (n < outputs)[None, :]
    tl.store(out + target[:, None] * outputs + n[None, :], total.to(out.dtype.element_ty), mask=kept)


def tiles(inputs: int, outputs: int, itemsize: int, precision: str) -> dict[str, int]:
    """Block sizes, warps and stages, by what the matrix units like best, where nothing was measured."""
    block_n = min(128, max(16, triton.next_power_of_2(outputs)))
    block_i = min(128 // itemsize, max(16, triton.next_power_of_2(inputs)))  # 128 bytes: one line
    if precision == "ieee" and itemsize == 4:  # no matrix unit has it, and larger blocks would not fit the registers
        return {"BLOCK_M": 64, "BLOCK_N": min(64, block_n), "BLOCK_I": 16, "num_warps": 4, "num_stages": 3}
    return {
        "BLOCK_M": 128,
        "BLOCK_N": block_n,
        "BLOCK_I": block_i,
        "num_warps": 8 if block_n == 128 else 4,
        "num_stages": 3,
    }


@torch.library.custom_op("translate::conv_up2", mutates_args=())
def conv_up2(x: Tensor, weight: Tensor, bias: Tensor | None, replicate: bool, activation: str, slope: float) -> Tensor:
    """`activation(conv_transpose2d(x, weight, bias))` of stride 2 that doubles the size exactly.

    Args:
        x: (B, I, H, W), read as channels_last.
        weight: (I, O, k, k), k 3 or 4; quickest where its memory is (k, k, I, O).
        bias: (O,) or None.
        replicate: the border is repeated; otherwise it is zero. For k = 4 only.
        activation: "none", "relu" or "leaky_relu".
        slope: of leaky ReLU's negative side; positive.

    Returns:
        (B, O, 2H, 2W), channels_last.
    """
    (b, inputs, h, w), (_, outputs, k, _) = x.shape, weight.shape
    x = x.contiguous(memory_format=torch.channels_last)
    weight = weight.permute(2, 3, 0, 1).contiguous()
    out = room(x, outputs, 2)
    precision = input_precision(x)
    default = tiles(inputs, outputs, x.itemsize, precision)
    kind, shape = _configs.kind_of(x, f"k{k}", precision), {"inputs": inputs, "outputs": outputs, "pixels": h * w}
    blocks = _configs.blocks("conv_up2", x, kind, default, **shape)
    programs = 4 * triton.cdiv(b * h * w, blocks["BLOCK_M"]) * triton.cdiv(outputs, blocks["BLOCK_N"])
    with on_device_of(x):
        conv_up2_kernel[(programs,)](
            x,
            weight,
            None if bias is None else bias.contiguous(),
            out,
            h,
            w,
            b * h * w,
            inputs,
            outputs,
            slope,
            K=k,
            REPLICATE=replicate,
            ACTIVATION=activation,
            PRECISION=precision,
            **blocks,
        )
    return out


@conv_up2.register_fake
def _(x: Tensor, weight: Tensor, *_: Any) -> Tensor:
    return room(x, weight.shape[1], 2)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, bias, ctx.replicate, ctx.activation, ctx.slope = inputs
    ctx.biased = bias is not None
    ctx.save_for_backward(x, weight, output if ctx.activation != "none" else None)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    """Through the library's convolutions: of stride 2 for `x`, over the batch for the weight. Differentiable again."""
    x, weight, y = ctx.saved_tensors
    activation: Activation = ctx.activation
    if y is not None:
        grad = activation_grad(grad, y, activation, ctx.slope)
    if ctx.replicate:  # the forward is that of the padded input, without the border of the result
        x, grad = F.pad(x, (1, 1, 1, 1), mode="replicate"), F.pad(grad, (2, 2, 2, 2))
    _, outputs, k, _ = weight.shape
    grad_x, grad_weight, grad_bias = torch.ops.aten.convolution_backward(
        grad,
        x,
        weight,
        [outputs] if ctx.biased else None,
        [2, 2],
        [1, 1],
        [1, 1],
        True,
        [4 - k, 4 - k],
        1,
        [*ctx.needs_input_grad[:2], ctx.biased and ctx.needs_input_grad[2]],
    )
    if ctx.replicate and grad_x is not None:
        grad_x = _unpadded(grad_x)
    return grad_x, grad_weight, grad_bias, None, None, None


def _unpadded(grad: Tensor) -> Tensor:
    """The gradient of padding by one repeated pixel, by plain sums: torch's own adds in any order on a GPU."""
    for dim in (2, 3):
        first, middle, last = torch.split(grad, [1, grad.shape[dim] - 2, 1], dim)
        grad = middle.clone()
        grad.narrow(dim, 0, 1).add_(first)
        grad.narrow(dim, -1, 1).add_(last)
    return grad


conv_up2.register_autograd(_backward, setup_context=_save)
