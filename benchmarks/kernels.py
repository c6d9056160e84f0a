"""Every fused operation against plain torch, and against what the device can do at best.

python benchmarks/kernels.py [--device cuda] [--minutes 20] [--only instance_norm] [--quick] [--out FILE.json]

First the ceilings are measured: bytes a second of a large copy, FLOPs a second of large matrix products. The bytes (MB)
of an operation are those that it cannot do without, each once; the FLOPs those that its folded form needs. The fraction
of the ceiling is the longer of the two times that these take at the ceilings, over the measured time; "moved" is that
with the bytes that our kernel moves, which may read something twice. Inputs are rotated past three times the last
cache, and every result is compared with float64 in the same run.
"""

import argparse
import math
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from _measure import (
    DTYPES,
    WAYS,
    Results,
    cell,
    compiled,
    ending,
    error_cell,
    measure,
    noise,
    open_results,
    parser,
    seconds_of,
    show,
    start,
)
from torch import Tensor

from translate import kernels
from translate.kernels.timing import Call, poison, relative_error, sets_past_cache

Function = Callable[..., Tensor]
TOLERANCE = {"fp32": 2e-5, "fp16": 3e-3, "bf16": 2e-2}  # of the relative error
TF32 = 2e-3  # the same of convolutions that a GPU takes to be of float32


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
    elif device.startswith("cuda"):
        large = [(16, 64, 256, 256), (16, 256, 64, 64), (1, 64, 256, 256), (1, 256, 64, 64), (1, 64, 1080, 1920)]
        large += [(1, 256, 270, 480), (8, 64, 256, 256)]
        small = large[:2]
        ups = [(16, 256, 64, 64, 128), (16, 128, 128, 128, 64), (1, 256, 64, 64, 128), (1, 128, 128, 128, 64)]
        ups += [(1, 64, 270, 480, 64), (1, 64, 540, 960, 64), (1, 256, 270, 480, 128), (1, 128, 540, 960, 64)]
        shuffles = [(1, 64, 270, 480, 64, 2), (1, 64, 540, 960, 64, 2), (1, 64, 270, 480, 3, 4)]
        pictures = [(1, 3, 1080, 1920), (16, 3, 256, 256)]
    else:
        large = [(4, 256, 64, 64), (1, 64, 256, 256), (1, 256, 64, 64), (1, 128, 128, 128)]
        small = large[:2]
        ups = [(1, 256, 64, 64, 128), (1, 128, 128, 128, 64), (4, 256, 64, 64, 128), (1, 64, 68, 120, 64)]
        ups += [(1, 64, 136, 240, 64), (1, 64, 256, 256, 64)]
        shuffles = [(1, 64, 68, 120, 64, 2), (1, 64, 68, 120, 3, 4)]
        pictures = [(1, 3, 1080, 1920), (4, 3, 256, 256)]
    return [
        *(norm(*shape, True) for shape in large),
        *(norm(*shape, True, backward=True) for shape in large[:5]),
        *(norm(*shape, False) for shape in small),
        *(norm(*shape, True, channels_last=False) for shape in small),
        *(upsample(*up) for up in ups),
        *(transposed(*up, 3) for up in ups[:4]),
        *(transposed(*up, 4) for up in ups[:2]),
        *(shuffle(*one) for one in shuffles),
        *(bias_act(*shape, backward) for shape in small for backward in (False, True)),
        *(quantise(*shape) for shape in pictures),
    ]


def make_inputs(case: Case, dtype: torch.dtype, device: torch.device, channels_last: bool) -> list[Tensor]:
    """Random inputs; weights are scaled so that results are of the order of one."""
    found = []
    for place, shape in enumerate(case.inputs):
        x = torch.randn(shape, device=device)
        if place and len(shape) == 4 and shape[-1] <= 4:
            x /= (9 * case.shape[1]) ** 0.5
        if case.op == "quantise":
            x = x.mul_(0.3).add_(0.5)
        x = x.to(dtype)
        if len(shape) == 4 and channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        found.append(x.requires_grad_() if case.backward else x)
    return found


def calls(
    case: Case, function: Function, dtype: torch.dtype, device: torch.device, channels_last: bool, sets: int
) -> list[Call]:
    """The same computation of so many sets of inputs."""
    found: list[Call] = []
    for _ in range(sets):
        inputs = make_inputs(case, dtype, device, channels_last)
        if case.backward:
            y = function(*inputs)
            found.append(partial(torch.autograd.grad, y, inputs, torch.randn_like(y), retain_graph=True))
        else:
            found.append(partial(function, *inputs))
    return found


def ways(case: Case, dtype: torch.dtype, device: torch.device, quick: bool) -> dict[str, Callable[[], Sequence[Call]]]:
    own, each = case.channels_last, sum(map(math.prod, case.inputs)) * dtype.itemsize
    sets = 2 if quick else sets_past_cache(device, each)
    functions: dict[str, tuple[Callable[[], Function], bool]] = {
        "ours": (lambda: case.ours, own),
        "launched": (lambda: case.ours, own),
        "reference": (lambda: partial(case.ours, backend="reference"), own),
        "nchw": (lambda: case.plain, False),
        "nhwc": (lambda: case.plain, True),
        "nchw_graph": (lambda: case.plain, False),
        "nhwc_graph": (lambda: case.plain, True),
        "compile": (lambda: compiled(case.plain, "compile"), own),
        "max_autotune": (lambda: compiled(case.plain, "max_autotune"), own),
        "again": (lambda: case.ours, own),
    }
    return {
        way: lambda make=make, last=last: calls(case, make(), dtype, device, last, sets)
        for way, (make, last) in functions.items()
    }


def check(case: Case, dtype: str, device: torch.device) -> dict[str, Any]:
    """The relative error against plain torch in float64."""
    inputs = make_inputs(case, DTYPES[dtype], device, case.channels_last)
    wide = [t.detach().double().requires_grad_(case.backward) for t in inputs]
    expected = [case.plain(*wide)]
    poison(expected, DTYPES[dtype])
    actual = [case.ours(*inputs)]
    tolerance = TF32 if case.flops and dtype == "fp32" and device.type == "cuda" else TOLERANCE[dtype]
    if case.backward:
        grad = torch.randn_like(actual[0])
        grad = torch.where(expected[0].abs() < 8 * tolerance, 0, grad)  # rounding may take these across the kink
        poison(inputs, DTYPES[dtype])
        actual, expected = (
            list(torch.autograd.grad(y, tensors, g))
            for y, tensors, g in ((actual[0], inputs, grad), (expected[0], wide, grad.double()))
        )
    error = max(relative_error(a, b) for a, b in zip(actual, expected, strict=True))
    found = {"relative_error": error if math.isfinite(error) else None, "tolerance": tolerance}
    dispatch = kernels.explain(case.ours, *inputs)
    twice = reads_twice(case, inputs[0]) if "triton" in dispatch[0] else 0
    moved = case.bytes(dtype) + twice * inputs[0].numel() * inputs[0].itemsize
    return {**found, "right": error <= tolerance, "dispatch": dispatch, "moved_bytes": moved}


def reads_twice(case: Case, x: Tensor) -> int:
    """How many tensors of the size of x the kernel reads a second time."""
    if not case.op.startswith("instance_norm"):
        return 0
    from translate.kernels import _instance_norm_launch_triton as launch

    if case.backward:
        return 0 if launch.cut_for("instance_norm_grad", x, launch.PLANES // 2).whole else 3
    return 0 if launch.cut_for("instance_norm", x, launch.PLANES).whole else 1


def best_seconds(case: Case, dtype: str, ceilings: dict[str, float]) -> float:
    """What the bytes and FLOPs take at the ceilings."""
    rate = ceilings.get(f"{dtype}_flops_per_second", math.inf)
    return max(case.bytes(dtype) / ceilings["copy_bytes_per_second"], case.flops / rate)


def rows(results: Results) -> Iterator[list[str]]:
    for name, case in results.cases.items():
        seconds = seconds_of(case, "ours")
        fraction = 100 * case["best_seconds"] / seconds
        yield [
            name,
            f"{case['bytes'] / 1e6:.1f}",
            f"{case['flops'] / 1e9:.2f}",
            f"{1e6 * seconds:.1f}",
            noise(case),
            f"{fraction:.0f}",
            f"{case.get('check', {}).get('moved_bytes', case['bytes']) / case['bytes'] * fraction:.0f}",
            error_cell(case),
            *(cell(case, way) for way in WAYS[1:-1]),
        ]


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__).parse_args(arguments)
    device = start(options)
    with ending():
        results = open_results(options, device)
        run(options, device, results)
    columns = ["case", "MB", "GFLOP", "µs", "noise %", "% of ceiling", "moved", "error", *WAYS[1:-1]]
    return show(columns, rows(results), results)


def run(options: argparse.Namespace, device: torch.device, results: Results) -> None:
    for dtype in options.dtypes or (["fp16", "bf16", "fp32"] if device.type == "cuda" else ["bf16", "fp32"]):
        for case in cases(options.device, options.quick):
            name = case.name(dtype)
            if not re.search(options.only, name) or time.time() > options.until:
                continue
            facts = {"bytes": case.bytes(dtype), "flops": case.flops}
            results.cases.setdefault(
                name, {**facts, "best_seconds": best_seconds(case, dtype, results.data["ceilings"])}
            )
            with torch.inference_mode(not case.backward):
                results.attempt(name, "check", partial(check, case, dtype, device))
                measure(results, name, ways(case, DTYPES[dtype], device, options.quick), options)
    results.write()


if __name__ == "__main__":
    sys.exit(main())
