"""Whole networks, and a training step, against the same networks in plain torch modules with the same weights.

python benchmarks/networks.py [--device cuda] [--minutes 20] [--only cyclegan] [--quick] [--out FILE.json]

The results of both are compared with those of the plain network in float64 (on a processor, which has no shortened
float32, in float32). "against plain" is the better of the layouts nchw and nhwc, over ours: how many times as fast ours
is. FLOPs are those of the plain network.
"""

import argparse
import copy
import importlib.util
import math
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from _measure import DTYPES, Results, compiled, ending, measure, one_line, open_results, parser, start
from _plain_networks import plain
from _table import WAYS, cell, error_cell, noise, seconds_of, show
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from translate import kernels
from translate.kernels.timing import Call, relative_error
from translate.models.compact import SRVGGNetCompact
from translate.models.cyclegan import ResnetGenerator
from translate.models.layers import placed
from translate.models.rrdb import RRDBNet
from translate.models.srgan import SRResNet

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "cyclegan": ResnetGenerator,
    "srresnet-x4": SRResNet,
    "rrdb23-x4": RRDBNet,
    "srvgg16-x4": SRVGGNetCompact,
}
TINY: dict[str, Callable[[], nn.Module]] = {
    "cyclegan": partial(ResnetGenerator, 4, 1),
    "srresnet-x4": partial(SRResNet, 4, 1),
    "rrdb23-x4": partial(RRDBNet, 4, 2, 1),
    "srvgg16-x4": partial(SRVGGNetCompact, 4, 2),
}
SCALE = 1024  # of the loss, as users of fp16 scale it: its gradients would be too small to be told from 0
FLOOR = {"fp32": 1e-4, "fp16": 5e-3, "bf16": 3e-2}  # a relative error below which ours need not be as near as plain


@dataclass(frozen=True)
class Case:
    """One network and the size of its input, (B, H, W); a training step is forward and backward."""

    network: str
    size: tuple[int, int, int]
    training: bool = False

    def name(self, dtype: str) -> str:
        batch, height, width = self.size
        return f"{self.network} {'training step ' * self.training}{batch}×{height}×{width} {dtype}"


def cases(device: str, quick: bool) -> list[Case]:
    """The most telling first."""
    if quick:
        return [*(Case(name, (1, 16, 16)) for name in TINY), Case("cyclegan", (1, 16, 16), True)]
    if device.startswith("cuda"):
        small, large = [(1, 256, 256), (16, 256, 256), (8, 256, 256), (1, 1080, 1920)], (1, 270, 480)
        steps = [(1, 256, 256), (16, 256, 256)]
    else:
        small, large = [(1, 256, 256), (4, 256, 256), (1, 512, 512)], (1, 68, 120)
        steps = [(1, 256, 256), (4, 256, 256)]
    return [
        *(Case("cyclegan", size) for size in small[:2]),
        Case("cyclegan", steps[0], True),
        *(Case(name, large) for name in NETWORKS if name != "cyclegan"),
        *(Case("cyclegan", size) for size in small[2:]),
        *(Case("cyclegan", size, True) for size in steps[1:]),
    ]


class Pair:
    """Our network and its plain counterpart, and inputs for them."""

    def __init__(self, case: Case, dtype: torch.dtype, device: torch.device, quick: bool) -> None:
        torch.manual_seed(0)
        self.case, self.dtype, self.device = case, dtype, device
        network = (TINY if quick else NETWORKS)[case.network]()
        self.exact = plain(network).to(device)
        self.ours = placed(network, device, dtype)

    def their(self, channels_last: bool) -> nn.Module:
        layout = torch.channels_last if channels_last else torch.contiguous_format
        return copy.deepcopy(self.exact).to(self.device, self.dtype).to(memory_format=layout)

    def inputs(self, dtype: torch.dtype, channels_last: bool, count: int = 2) -> list[Tensor]:
        batch, height, width = self.case.size
        layout = torch.channels_last if channels_last else torch.contiguous_format
        generator = torch.Generator(self.device).manual_seed(1)
        shape = (count, batch, 3, height, width)
        return [
            x.to(dtype).contiguous(memory_format=layout)
            for x in torch.rand(shape, generator=generator, device=self.device)
        ]

    def calls(self, network: nn.Module, function: Callable[[Tensor], Tensor], channels_last: bool) -> list[Call]:
        """Of a training step the gradients of all weights, of the mean square of the result, enlarged for fp16."""
        if not self.case.training:
            return [partial(function, x) for x in self.inputs(self.dtype, channels_last)]
        weights = list(network.parameters())

        def step(x: Tensor) -> tuple[Tensor, ...]:
            return torch.autograd.grad(SCALE * function(x).float().square().mean(), weights)

        return [partial(step, x) for x in self.inputs(self.dtype, channels_last)]

    def ways(self) -> dict[str, Callable[[], Sequence[Call]]]:
        def ours() -> list[Call]:
            return self.calls(self.ours, self.ours, True)

        def reference() -> list[Call]:
            return [partial(with_reference, call) for call in ours()]

        def theirs(channels_last: bool, mode: str = "") -> list[Call]:
            network = self.their(channels_last)
            return self.calls(network, compiled(network, mode) if mode else network, channels_last)

        return {
            "ours": ours,
            "launched": ours,
            "reference": reference,
            "nchw": partial(theirs, False),
            "nhwc": partial(theirs, True),
            "nchw_graph": partial(theirs, False),
            "nhwc_graph": partial(theirs, True),
            "compile": partial(theirs, True, "compile"),
            "max_autotune": partial(theirs, True, "max_autotune"),
            "again": ours,
        }

    def check(self, dtype: str) -> dict[str, Any]:
        """How far both are from the exact plain network, in the result or in the gradients of the weights."""
        wide = torch.float64 if self.device.type == "cuda" else torch.float32
        exact = self._result(copy.deepcopy(self.exact).to(wide), wide)
        ours, theirs = self._result(self.ours, self.dtype), self._result(self.their(True), self.dtype)
        error, plain_error = (
            max(relative_error(a, b) for a, b in zip(found, exact, strict=True)) for found in (ours, theirs)
        )
        found = {"relative_error": error if math.isfinite(error) else None, "of_plain": plain_error}
        (x,) = self.inputs(self.dtype, True, 1)
        return {
            **found,
            "right": error <= max(2 * plain_error, FLOOR[dtype]),
            "dispatch": kernels.explain(self.ours, x),
            "flops": self.flops(),
        }

    def _result(self, network: nn.Module, dtype: torch.dtype) -> list[Tensor]:
        (x,) = self.inputs(self.dtype, True, 1)  # rounded alike
        y = network(x.to(dtype))
        if not self.case.training:
            return [y]
        grads = torch.autograd.grad(SCALE * y.float().square().mean(), list(network.parameters()))
        return [torch.cat([grad.float().flatten() for grad in grads])]

    def flops(self) -> int:
        """Of the plain network's convolutions."""
        network = copy.deepcopy(self.exact).to("meta")
        batch, height, width = self.case.size
        with FlopCounterMode(display=False) as counter:
            y = network(torch.empty(batch, 3, height, width, device="meta"))
            if self.case.training:
                y.sum().backward()
        return int(counter.get_total_flops())


def with_reference(call: Call) -> Any:
    """Run it with the reference in place of Triton."""
    from translate.kernels import _dispatch

    own, _dispatch._default = _dispatch._default, "reference"
    try:
        return call()
    finally:
        _dispatch._default = own


def openvino(pair: Pair, dtype: str) -> dict[str, float]:
    """Seconds of OpenVINO on the processor; the median of several runs."""
    import openvino as ov

    (x,) = pair.inputs(torch.float32, False, 1)
    hint = {"fp32": "f32", "bf16": "bf16"}[dtype]
    options = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    run = ov.compile_model(ov.convert_model(pair.exact.float(), example_input=x), "CPU", options)
    error = relative_error(torch.from_numpy(run([x.numpy()])[0]), pair.exact(x))
    if not error < 0.1:
        raise ValueError(f"its result is another: relative error {error:.1e}")
    times = []
    for _ in range(7):
        began = time.perf_counter()
        run([x.numpy()])
        times.append(time.perf_counter() - began)
    return {"seconds": sorted(times)[3], "relative_error": error}


def rows(results: Results) -> Iterator[list[str]]:
    for name, case in results.cases.items():
        seconds = seconds_of(case, "ours")
        layouts = [seconds_of(case, way) for way in ("nchw", "nhwc")]
        best = min((s for s in layouts if math.isfinite(s)), default=math.nan)
        flops = case.get("check", {}).get("flops", math.nan)
        yield [
            name,
            f"{flops / 1e9:.1f}",
            f"{1e3 * seconds:.3f}",
            noise(case),
            f"{best / seconds:.2f}",
            error_cell(case),
            *(cell(case, way) for way in (*WAYS[1:-1], "openvino")),
        ]


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__).parse_args(arguments)
    device = start(options)
    with ending():
        results = open_results(options, device)
        run(options, device, results)
    columns = ["case", "GFLOP", "ms", "noise %", "against plain", "error", *WAYS[1:-1], "openvino"]
    return show(columns, rows(results), results.cases)


def run(options: argparse.Namespace, device: torch.device, results: Results) -> None:
    for dtype in options.dtypes or (["fp16", "bf16", "fp32"] if device.type == "cuda" else ["bf16", "fp32"]):
        for case in cases(options.device, options.quick):
            name = case.name(dtype)
            if not re.search(options.only, name) or time.time() > options.until:
                continue
            results.cases.setdefault(name, {})
            with torch.set_grad_enabled(case.training):
                try:
                    pair = Pair(case, DTYPES[dtype], device, options.quick)
                except Exception as error:
                    results.cases[name]["check"] = {"error": one_line(error)}
                    continue
                results.attempt(name, "check", partial(pair.check, dtype))
                measure(results, name, pair.ways(), options)
                if case.training or device.type != "cpu":
                    results.cases[name]["openvino"] = "-"
                elif importlib.util.find_spec("openvino") is None:
                    results.cases[name]["openvino"] = "not available"
                elif time.time() < options.until:
                    results.attempt(name, "openvino", partial(openvino, pair, dtype))
    results.write()


if __name__ == "__main__":
    sys.exit(main())
