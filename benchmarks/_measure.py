"""What the benchmarks of kernels and networks share: ceilings, ways of one computation, results kept as they come."""

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from _environment import environment, write_report
from _table import LEGEND, WAYS

from translate.kernels.timing import Call, Timed, cache_bytes, lost

CPU = torch.device("cpu")
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
ON_GPU = {"launched", "reference", "nchw_graph", "nhwc_graph", "max_autotune"}  # these do not apply to a processor
WITHOUT_GRAPH = {"launched", "nchw", "nhwc"}


class Lost(Exception):
    """The GPU answers nothing any more: only a new process can go on."""


def parser(text: str | None) -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    found.add_argument("--dtypes", nargs="+", choices=DTYPES)
    found.add_argument("--only", default="", help="a regular expression that the names of the cases must hold")
    found.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    found.add_argument("--minutes", type=float, default=30.0, help="start nothing new after so long")
    found.add_argument("--quick", action="store_true", help="tiny shapes, to see that all of it runs")
    found.add_argument("--out", type=Path, help="JSON, written again after every figure")
    found.add_argument("--resume", action="store_true", help="go on with what --out lacks")
    found.add_argument("--commit", help="where git cannot tell")
    found.add_argument("--until", type=float, help=argparse.SUPPRESS)  # of the process that does the work
    return found


def start(options: argparse.Namespace) -> torch.device:
    """Watch over a process that does the work, where a GPU can take it down; in that process: get ready."""
    device = torch.device(options.device)
    if device.type == "cuda" and options.out is not None and options.until is None:
        sys.exit(watch(options))
    options.until = options.until or time.time() + 60 * options.minutes
    if device.type == "cuda":
        device = torch.device("cuda", device.index or 0)
        torch.cuda.set_device(device)
        torch.cuda.set_stream(torch.cuda.Stream())  # the default one cannot be captured
        torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    return device


def watch(options: argparse.Namespace) -> int:
    """Run this command in a process of its own, and again with what is left where it dies or hangs."""
    until = time.time() + 60 * options.minutes
    command = [sys.executable, *sys.argv, "--until", str(until)]
    for _ in range(50):
        try:
            code = subprocess.run(command, timeout=max(until - time.time(), 0) + 60).returncode
        except subprocess.TimeoutExpired:
            code = 124
        results = Results(options.out, {}, resume=True)
        if code == 0 or not results.blame(f"the process ended with {code}"):
            return code
        if time.time() > until:
            return subprocess.run([*command, "--resume", "--until", "1"]).returncode  # shows what there is
        command += ["--resume"] if "--resume" not in command else []
    return 1


class Results:
    """The figures as JSON, in the file from the first on: a run that is cut off leaves what it has."""

    def __init__(
        self, path: Path | None, head: dict[str, Any], device: torch.device = CPU, *, resume: bool = False
    ) -> None:
        self.path, self.device, self.data = path, device, {**head, "running": None, "cases": {}}
        if resume and path is not None and path.is_file():
            self.data = json.loads(path.read_text())

    @property
    def cases(self) -> dict[str, dict[str, Any]]:
        return self.data["cases"]

    def attempt(self, name: str, part: str, work: Callable[[], Any]) -> Any:
        """Do one part of a case, once: its result, or what went wrong, is kept."""
        case = self.cases.setdefault(name, {})
        if part not in case:
            self.data["running"] = [name, part]
            self.write()
            try:
                case[part] = work()
            except Exception as error:
                case[part] = {"error": one_line(error)}
                if lost(self.device):
                    self.write()  # with what was running, so that the next process knows that there is more to do
                    raise Lost from error
            self.data["running"] = None
            self.write()
        return case[part]

    def blame(self, why: str) -> bool:
        """Note on what was running why it ended, unless it is known; False where nothing was."""
        if self.data.get("running"):
            name, part = self.data["running"]
            self.cases[name].setdefault(part, {"error": why})
            self.data["running"] = None
            self.write()
            return True
        return False

    def write(self) -> None:
        if self.path is not None:
            figures = {key: value for key, value in self.data.items() if key != "environment"}
            write_report(self.path, figures, self.data.get("environment"))


def one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}".rstrip(": ")


def open_results(options: argparse.Namespace, device: torch.device) -> Results:
    """A file with the environment and the ceilings in it."""
    head = {"environment": environment(str(device), options.commit), "ceilings": {}, "legend": LEGEND.split("\n")[:-1]}
    if device.type == "cuda":
        head["environment"] |= {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    results = Results(options.out, head, device, resume=options.resume)
    if not results.data["ceilings"]:
        results.data["ceilings"] = ceilings(device, options.quick)
    results.write()
    for name, value in results.data["ceilings"].items():
        print(f"ceiling: {name} {value:.4g}", flush=True)
    return results


def ceilings(device: torch.device, quick: bool) -> dict[str, float]:
    """Bytes a second of a large copy, read and written, and FLOPs a second of large matrix products."""
    on_gpu = device.type == "cuda"
    size = 2**20 if quick else 2**31 if on_gpu else 8 * cache_bytes(device)
    a, b = torch.ones(2, size // 4, device=device).unbind()
    found = {"copy_bytes_per_second": 2 * size / Timed([lambda: b.copy_(a)], device, brief=quick).seconds()}
    side = 128 if quick else 8192 if on_gpu else 2048
    for name, dtype in DTYPES.items():
        if name == "fp16" and not on_gpu:
            continue
        a, b = torch.randn(2, side, side, device=device, dtype=dtype).unbind()
        if on_gpu:  # float32 as convolutions have it by default: tf32
            torch.set_float32_matmul_precision("high")
        found[f"{name}_flops_per_second"] = 2 * side**3 / Timed([lambda a=a, b=b: a @ b], device, brief=quick).seconds()
    if on_gpu:
        torch.set_float32_matmul_precision("highest")
    return found


def measure(
    results: Results, name: str, ways: dict[str, Callable[[], Sequence[Call]]], options: argparse.Namespace
) -> dict[str, Any]:
    """Time every way of one case that applies and for which there is time.

    Args:
        ways: by name, what makes its calls: the same computation of different inputs.
    """
    device = torch.device(options.device)
    for way, make in ways.items():
        if way not in options.ways:
            continue
        if way in ON_GPU and device.type != "cuda":
            results.cases[name][way] = "-"
            continue
        if time.time() > options.until:
            break

        def time_it(way: str = way, make: Callable[[], Sequence[Call]] = make) -> dict[str, float]:
            calls = make()
            timed = Timed(calls, device, way not in WITHOUT_GRAPH, options.quick)
            figures = {"seconds": timed.seconds(), "first_call": timed.first}
            if way == "ours":
                figures["cache_hot"] = Timed(calls[:1], device, brief=options.quick).seconds()
            return figures

        results.attempt(name, way, time_it)
        tidy()
    return results.cases[name]


def tidy() -> None:
    if "torch._dynamo" in sys.modules:
        torch._dynamo.reset()
    if torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()


def compiled(function: Callable[..., Any], way: str) -> Callable[..., Any]:
    import torch._functorch.config as functorch  # slow to import

    functorch.donated_buffer = False  # one forward serves many backwards
    mode = "max-autotune-no-cudagraphs" if way == "max_autotune" else "default"
    return torch.compile(function, mode=mode, dynamic=False)


@contextmanager
def ending() -> Iterator[None]:
    """Leave at once where the GPU is lost: the process that watches starts a new one."""
    try:
        yield
    except Lost as end:
        print(f"lost: {end.__cause__}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(3)
