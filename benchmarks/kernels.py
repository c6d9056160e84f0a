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
from functools import partial
from typing import Any

import torch
from _measure import DTYPES, Results, compiled, ending, measure, open_results, parser, start
from _operations import Case, Function, cases
from _table import WAYS, cell, error_cell, noise, seconds_of, show
from torch import Tensor

from translate import kernels
from translate.kernels.timing import Call, poison, relative_error, sets_past_cache

TOLERANCE = {"fp32": 2e-5, "fp16": 3e-3, "bf16": 2e-2}  # of the relative error
TF32 = 2e-3  # the same of convolutions that a GPU takes to be of float32


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
    return show(columns, rows(results), results.cases)


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
