"""The operations that `kernels.py` measures: each beside plain torch, with the bytes and FLOPs that it needs."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from _measure import DTYPES
from torch import Tensor

from translate import kernels

Function = Callable[..., Tensor]


@dataclass(frozen=True)
class Case:
    """One operation at one shape.

    Args:
        op: what it is.
        shape: of its first input.
        ours: the operation of this package; takes `backend=`.
        plain: the same in plain torch, of any dtype.
        inputs: shapes of all inputs; the first two dimensions of (B, C, H, W) are images and channels.
        numbers: of the dtype, that it has to read and write, each once.
        more_bytes: that it has to write and that are not of the dtype.
        flops: of the folded form, for one call.
        backward: whether the gradients of all inputs are taken, and not the result.
        channels_last: the memory format of ours.
    """

    op: str
    shape: tuple[int, ...]
    ours: Function
    plain: Function
    inputs: Sequence[tuple[int, ...]]
    numbers: int
    more_bytes: int = 0
    flops: float = 0.0
    backward: bool = False
    channels_last: bool = True

    def name(self, dtype: str) -> str:
        layout = "channels_last" if self.channels_last else "contiguous"
        return f"{self.op} {'×'.join(map(str, self.shape))} {dtype} {layout}"

    def bytes(self, dtype: str) -> int:
        return self.numbers * DTYPES[dtype].itemsize + self.more_bytes


def norm(n: int, c: int, h: int, w: int, residual: bool, **options: Any) -> Case:
    def plain(x: Tensor, *rest: Tensor) -> Tensor:
        y = F.instance_norm(x)
        return F.relu(y + rest[0] if rest else y)

    def ours(x: Tensor, *rest: Tensor, backend: kernels.Backend = "auto") -> Tensor:
        return kernels.instance_norm(x, residual=rest[0] if rest else None, activation="relu", backend=backend)

    shape, backward = (n, c, h, w), options.get("backward", False)
    numbers = (4 if backward else 2) + residual  # backward: x, y and its gradient are read, those of the inputs written
    op = "instance_norm+relu" + "+residual" * residual + " backward" * backward
    return Case(op, shape, ours, plain, [shape] * (1 + residual), numbers * n * c * h * w, **options)


def bias_act(n: int, c: int, h: int, w: int, backward: bool) -> Case:
    def plain(x: Tensor, bias: Tensor) -> Tensor:
        return F.leaky_relu(x + bias.view(-1, 1, 1), 0.2)

    shape = (n, c, h, w)
    op = "bias_leaky_relu" + " backward" * backward
    numbers = (2 + backward) * n * c * h * w + c
    return Case(op, shape, kernels.bias_leaky_relu, plain, [shape, (c,)], numbers, backward=backward)


def upsample(n: int, c: int, h: int, w: int, o: int) -> Case:
    def plain(x: Tensor, weight: Tensor) -> Tensor:
        return F.relu(F.conv2d(F.pad(F.interpolate(x, scale_factor=2.0, mode="nearest"), [1] * 4, "reflect"), weight))

    ours = partial(kernels.upsample_conv2d, padding="replicate", activation="relu")
    shapes, flops = [(n, c, h, w), (o, c, 3, 3)], 2.0 * 16 * n * c * h * w * o
    return convolution(f"upsample_conv2d to {o}", ours, plain, shapes, 4 * n * o * h * w, flops)


def transposed(n: int, c: int, h: int, w: int, o: int, k: int) -> Case:
    def plain(x: Tensor, weight: Tensor) -> Tensor:
        return F.conv_transpose2d(x, weight, stride=2, padding=1, output_padding=4 - k)

    shapes, flops = [(n, c, h, w), (c, o, k, k)], 2.0 * k * k * n * c * h * w * o
    op = f"conv_transpose2d k{k} to {o}"
    return convolution(op, kernels.conv_transpose2d, plain, shapes, 4 * n * o * h * w, flops)


def shuffle(n: int, c: int, h: int, w: int, o: int, factor: int) -> Case:
    def plain(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.leaky_relu(F.pixel_shuffle(F.conv2d(x, weight, bias, padding=1), factor), 0.1)

    ours = partial(kernels.conv_pixel_shuffle, factor=factor, activation="leaky_relu", slope=0.1)
    channels = o * factor**2
    shapes, flops = [(n, c, h, w), (channels, c, 3, 3), (channels,)], 2.0 * 9 * n * c * h * w * channels
    return convolution(f"conv_pixel_shuffle ×{factor}", ours, plain, shapes, n * channels * h * w, flops)


def convolution(
    op: str, ours: Function, plain: Function, shapes: list[tuple[int, ...]], outputs: int, flops: float
) -> Case:
    return Case(op, shapes[0], ours, plain, shapes, sum(map(math.prod, shapes)) + outputs, flops=flops)


def dense(n: int, c: int, h: int, w: int, growth: int, backward: bool = False) -> Case:
    slope = 0.9 if backward else 0.2  # nearly straight: rounding takes some numbers across the kink

    def plain(x: Tensor, *layers: Tensor) -> Tensor:
        seen = x
        for weight, bias in zip(layers[:4], layers[5:9], strict=True):
            seen = torch.cat([seen, F.leaky_relu(F.conv2d(seen, weight, bias, padding=1), slope)], 1)
        return x + 0.2 * F.conv2d(seen, layers[4], layers[9], padding=1)

    def ours(x: Tensor, *layers: Tensor, backend: kernels.Backend = "auto") -> Tensor:
        return kernels.dense_block(x, layers[:5], layers[5:], slope=slope, backend=backend)

    outputs = [growth] * 4 + [c]
    weights = [(o, c + k * growth, 3, 3) for k, o in enumerate(outputs)]
    shapes = [(n, c, h, w), *weights, *((o,) for o in outputs)]
    flops = 2.0 * n * h * w * sum(map(math.prod, weights))
    if not backward:
        return convolution(f"dense_block +{growth}", ours, plain, shapes, n * c * h * w, flops)
    # What the convolutions saw and the result's gradient are read, and the gradients of all inputs written.
    numbers = n * h * w * (c + 4 * growth + 2 * c) + 2 * sum(map(math.prod, shapes[1:]))
    return Case(f"dense_block +{growth} backward", shapes[0], ours, plain, shapes, numbers, 0, 2 * flops, backward=True)


def quantise(n: int, c: int, h: int, w: int) -> Case:
    def plain(x: Tensor) -> Tensor:
        return x.mul(255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()

    shape = (n, c, h, w)
    return Case("quantise", shape, kernels.quantise, plain, [shape], n * c * h * w, n * c * h * w)


def cases(device: str, quick: bool) -> list[Case]:
    """The shapes of the networks, the most telling first."""
    if quick:
        large = small = [(1, 8, 8, 8)]
        ups, shuffles, pictures = [(1, 8, 4, 4, 8)], [(1, 8, 4, 4, 3, 2)], [(1, 3, 8, 8)]
        blocks = trained = [(1, 8, 4, 4, 4)]
    elif device.startswith("cuda"):
        large = [(16, 64, 256, 256), (16, 256, 64, 64), (1, 64, 256, 256), (1, 256, 64, 64), (1, 64, 1080, 1920)]
        large += [(1, 256, 270, 480), (8, 64, 256, 256)]
        small = large[:2]
        ups = [(16, 256, 64, 64, 128), (16, 128, 128, 128, 64), (1, 256, 64, 64, 128), (1, 128, 128, 128, 64)]
        ups += [(1, 64, 270, 480, 64), (1, 64, 540, 960, 64), (1, 256, 270, 480, 128), (1, 128, 540, 960, 64)]
        blocks, trained = [(1, 64, 270, 480, 32)], [(16, 64, 64, 64, 32)]
        shuffles = [(1, 64, 270, 480, 64, 2), (1, 64, 540, 960, 64, 2), (1, 64, 270, 480, 3, 4)]
        pictures = [(1, 3, 1080, 1920), (16, 3, 256, 256)]
    else:
        large = [(4, 256, 64, 64), (1, 64, 256, 256), (1, 256, 64, 64), (1, 128, 128, 128)]
        small = large[:2]
        ups = [(1, 256, 64, 64, 128), (1, 128, 128, 128, 64), (4, 256, 64, 64, 128), (1, 64, 68, 120, 64)]
        ups += [(1, 64, 136, 240, 64), (1, 64, 256, 256, 64)]
        blocks, trained = [(1, 64, 68, 120, 32)], [(1, 64, 64, 64, 32)]
        shuffles = [(1, 64, 68, 120, 64, 2), (1, 64, 68, 120, 3, 4)]
        pictures = [(1, 3, 1080, 1920), (4, 3, 256, 256)]
    return [
        *(norm(*shape, True) for shape in large),
        *(norm(*shape, True, backward=True) for shape in large[:5]),
        *(norm(*shape, False) for shape in small),
        *(norm(*shape, True, channels_last=False) for shape in small),
        *(upsample(*up) for up in ups),
        *(dense(*block) for block in blocks),
        *(dense(*block, backward=True) for block in trained),
        *(transposed(*up, 3) for up in ups[:4]),
        *(transposed(*up, 4) for up in ups[:2]),
        *(shuffle(*one) for one in shuffles),
        *(bias_act(*shape, backward) for shape in small for backward in (False, True)),
        *(quantise(*shape) for shape in pictures),
    ]
