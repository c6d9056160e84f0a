"""Which block sizes are the fastest on a device: the search behind `translate tune`, for `_configs.py` to read."""

import json
import math
import platform
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import torch

from translate.kernels import _configs
from translate.kernels._configs import Question
from translate.kernels._uses import Use, Work
from translate.kernels.timing import Call, Timed, lost

Seconds = Callable[[Sequence[Call], torch.device], float]
Blocks = dict[str, int]

MARGIN = 0.98  # of the time of the best so far: what is nearer to it is noise
TILES, EACH, COLUMNS = (1024, 2048, 4096, 8192), (8, 16, 32), (32, 64, 128)
PROGRAMS = (128, 256, 512, 1024)
PRODUCT = {
    "BLOCK_M": (64, 128, 256),
    "BLOCK_N": (32, 64, 128),
    "num_warps": (4, 8),
    "num_stages": (2, 3, 4, 5),
    "BLOCK_I": (16, 32, 64),
}
# What is tried for each kernel, one number after the other, the most telling first.
CHOICES: dict[str, dict[str, tuple[int, ...]]] = {
    "instance_norm": {"planes": (0, 16384, 32768), "tile": TILES, "each": EACH},
    "instance_norm_grad": {"tile": TILES, "programs": PROGRAMS, "columns": COLUMNS, "each": EACH},
    "instance_statistics": {"tile": TILES, "programs": PROGRAMS, "columns": COLUMNS, "each": EACH},
    "normalise": {"tile": TILES, "columns": COLUMNS, "each": EACH},
    "bias_leaky_relu": {"tile": TILES, "columns": COLUMNS, "each": EACH},
    "conv_up2": PRODUCT,
    "dense_conv": PRODUCT,
    "dense_grad": PRODUCT,
    "bias_shuffle": {"tile": TILES, "outputs": (16, 32, 64, 128), "num_warps": (2, 4, 8)},
    "quantise": {"tile": (512, *TILES), "num_warps": (2, 4, 8)},
}


@dataclass(frozen=True)
class Tuned:
    """What was found for one question of a kernel: the times are geometric means over the batches."""

    question: Question
    blocks: Blocks
    seconds: float
    default_seconds: float
    tried: int
    refused: dict[str, str] = field(default_factory=dict)  # candidates that do not run or are wrong, and why

    @property
    def record(self) -> dict[str, Any]:
        """As it stands in a file."""
        _, kind, shape = self.question
        times = {"microseconds": 1e6 * self.seconds, "default_microseconds": 1e6 * self.default_seconds}
        return {"kind": kind, "shape": dict(shape), "blocks": self.blocks, **times}


@dataclass(frozen=True)
class Failed:
    """Kernels that do not run on this device or are wrong there, with their own defaults."""

    kernels: tuple[str, ...]
    why: str


def graph_seconds(calls: Sequence[Call], device: torch.device) -> float:
    """Seconds a call, as the replay of a CUDA graph."""
    return Timed(calls, device).seconds(3)


def tune(
    device: torch.device,
    until: float,
    wanted: Sequence[Use],
    dtypes: Sequence[torch.dtype] = (torch.bfloat16, torch.float32),
    seconds: Seconds = graph_seconds,
) -> Iterator[Tuned | Failed]:
    """Find the fastest block sizes of each use in turn.

    A candidate must give what the reference gives in float64, nearly as well as the default does, before it may win.

    Args:
        device: a GPU (or the CPU, where Triton's interpreter is on).
        until: `time.time()` after which nothing new is tried.
        wanted: as `_uses.uses()` gives them.
        dtypes: float16 and bfloat16 are one.
        seconds: times calls.
    """
    seen: set[Question] = set()
    stream = torch.cuda.stream(torch.cuda.Stream(device)) if device.type == "cuda" else nullcontext()  # type: ignore[no-untyped-call]
    with stream:  # the default one cannot be captured
        for dtype, use in product(dtypes, wanted):
            if time.time() > until:
                return
            try:
                work = Work(use, device, dtype)
                with _configs.listen() as asked:
                    work.result()
            except torch.OutOfMemoryError:
                continue  # a card this small does not compute this size either
            except Exception as error:
                yield _failed(use.tuned, error, device)
                continue
            for question, default in asked.items():
                if question.kernel not in use.tuned or question in seen:
                    continue
                seen.add(question)
                try:
                    found: Tuned | Failed = search(question, default, work, device, until, seconds)
                except torch.OutOfMemoryError:
                    continue
                except Exception as error:
                    found = _failed((question.kernel,), error, device)
                yield found


def _failed(kernels: tuple[str, ...], error: Exception, device: torch.device) -> Failed:
    if lost(device):
        raise error
    return Failed(kernels, f"{type(error).__name__}: {error}".splitlines()[0])


def search(
    question: Question, default: Blocks, work: Work, device: torch.device, until: float, seconds: Seconds
) -> Tuned:
    """Change one number after the other, and keep what is faster."""

    def measured(candidate: Blocks, bound: float) -> float:
        with _configs.trying(question.kernel, candidate):
            error = work.error()
            if not error <= bound:
                raise ValueError(f"its relative error is {error:.1e}")
            return math.exp(sum(math.log(seconds(calls, device)) for calls in work.calls) / len(work.calls))

    with _configs.trying(question.kernel, default):
        bound = 1.5 * work.error() + 1e-7
    if not bound < 0.05:
        raise ValueError(f"{question.kernel} is wrong on this device: its relative error is {bound / 1.5:.1e}")
    best, least = default, measured(default, bound)
    default_seconds, tried, refused = least, 1, {}
    for name, values in CHOICES[question.kernel].items():
        for value in values:
            candidate = best | {name: value}
            if name not in default or candidate in (best, default) or time.time() > until:
                continue
            tried += 1
            try:
                found = measured(candidate, bound)
            except Exception as error:  # too much shared memory, a shape that the compiler refuses, a wrong result
                refused[json.dumps(candidate)] = f"{type(error).__name__}: {error}".splitlines()[0]
                continue
            if found < MARGIN * least:
                best, least = candidate, found
    return Tuned(question, best, least, default_seconds, tried, refused)


def _target(device: torch.device) -> str:
    """What kernels are compiled for on a device: sm_90, gfx942 …"""
    if device.type != "cuda":
        return device.type
    if torch.version.hip is not None:
        return str(torch.cuda.get_device_properties(device).gcnArchName).split(":")[0]
    return "sm_{}{}".format(*torch.cuda.get_device_capability(device))


def write(path: Path, device: torch.device, found: Sequence[Tuned]) -> None:
    """Put what was found into a file, in the place of what it had for the same questions; whole or not at all.

    Raises:
        ValueError: the file is there and is none of this kind.
    """
    records: dict[Question, dict[str, Any]] = {}
    if path.exists():
        for kernel, each in _configs.read(path).items():
            records |= {Question(kernel, one["kind"], tuple(one["shape"].items())): one for one in each}
    records |= {one.question: one.record for one in found}
    by_kernel: dict[str, list[Mapping[str, Any]]] = {}
    for question, record in records.items():
        by_kernel.setdefault(question.kernel, []).append(record)
    head = {
        "device": _configs.device_name(device),
        "target": _target(device),
        "torch": torch.__version__,
        "triton": version("triton"),
        "python": platform.python_version(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        part.write_text(json.dumps({**head, "kernels": by_kernel}, indent=1) + "\n", encoding="utf-8")
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    _configs.forget()
