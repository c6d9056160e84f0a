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
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from translate import kernels
from translate.kernels import _configs
from translate.kernels._configs import Question
from translate.kernels.timing import Call, Timed, poison, relative_error, sets_past_cache

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
    "bias_shuffle": {"tile": TILES, "outputs": (16, 32, 64, 128), "num_warps": (2, 4, 8)},
    "quantise": {"tile": (512, *TILES), "num_warps": (2, 4, 8)},
}


@dataclass(frozen=True)
class Use:
    """An operation as a network calls it.

    Args:
        op: takes the tensors and `backend=`.
        shapes: of the tensors; one of three numbers, (C, H, W), is that of images, and gets the batch before it.
        tuned: the kernels whose block sizes are sought with it.
        backward: whether its gradients are what is measured.
        batches: all of them count alike.
    """

    op: Callable[..., Tensor]
    shapes: tuple[tuple[int, ...], ...]
    tuned: tuple[str, ...]
    backward: bool = False
    batches: tuple[int, ...] = (1, 8)


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


def uses() -> list[Use]:
    """What CycleGAN's generator, SRResNet, RRDBNet and SRVGG call at the usual sizes, the most telling first."""
    parts, one = ("instance_statistics", "normalise"), (1,)
    return [
        *(_norm(*shape, parts) for shape in ((256, 64, 64), (64, 256, 256), (128, 128, 128))),
        *(_up(*shape) for shape in ((256, 64, 64, 128), (128, 128, 128, 64))),
        *(_norm(*shape, ("instance_norm_grad",), True) for shape in ((256, 64, 64), (64, 256, 256), (128, 128, 128))),
        *(_up(*shape, one) for shape in ((64, 270, 480, 64), (64, 540, 960, 64), (256, 270, 480, 128))),
        _dense(64, 270, 480, 32),
        *(_norm(*shape, parts, batches=one) for shape in ((64, 1080, 1920), (256, 270, 480))),
        *(_shuffle(*shape) for shape in ((64, 270, 480, 2), (64, 540, 960, 2), (3, 270, 480, 4))),
        *(Use(kernels.quantise, (shape,), ("quantise",), batches=one) for shape in ((3, 1080, 1920), (3, 256, 256))),
        *(_transposed(*shape) for shape in ((256, 64, 64, 128), (128, 128, 128, 64))),
        *(
            Use(kernels.bias_leaky_relu, ((64, *size), (64,)), ("bias_leaky_relu",))
            for size in ((270, 480), (256, 256))
        ),
        *(_norm(*shape, ("instance_norm",)) for shape in ((512, 16, 16), (256, 32, 32))),
    ]


def _norm(
    c: int, h: int, w: int, tuned: tuple[str, ...], backward: bool = False, batches: tuple[int, ...] = (1, 8)
) -> Use:
    def op(x: Tensor, residual: Tensor, backend: kernels.Backend) -> Tensor:
        return kernels.instance_norm(x, residual=residual, activation="relu", backend=backend)

    return Use(op, ((c, h, w), (c, h, w)), tuned, backward, batches)


def _up(c: int, h: int, w: int, outputs: int, batches: tuple[int, ...] = (1, 8)) -> Use:
    op = partial(kernels.upsample_conv2d, padding="replicate", activation="relu")
    return Use(op, ((c, h, w), (outputs, c, 3, 3)), ("conv_up2",), batches=batches)


def _dense(c: int, h: int, w: int, growth: int) -> Use:
    def op(x: Tensor, *layers: Tensor, backend: kernels.Backend) -> Tensor:
        return kernels.dense_block(x, layers[:5], layers[5:], backend=backend)

    outputs = [growth] * 4 + [c]
    weights = [(o, c + n * growth, 3, 3) for n, o in enumerate(outputs)]
    return Use(op, ((c, h, w), *weights, *((o,) for o in outputs)), ("dense_conv",), batches=(1,))


def _transposed(c: int, h: int, w: int, outputs: int) -> Use:
    return Use(kernels.conv_transpose2d, ((c, h, w), (c, outputs, 3, 3)), ("conv_up2",))


def _shuffle(c: int, h: int, w: int, factor: int) -> Use:
    def op(x: Tensor, backend: kernels.Backend) -> Tensor:  # what follows the library's convolution
        if backend == "reference":
            return F.leaky_relu(F.pixel_shuffle(x, factor), 0.1)
        from translate.kernels._pixel_shuffle_triton import bias_shuffle

        y: Tensor = bias_shuffle(x, None, None, factor, "leaky_relu", 0.1)
        return y

    return Use(op, ((c * factor**2, h, w),), ("bias_shuffle",), batches=(1,))


class Work:
    """One use on a device: calls of it that are ready to be timed, a result, and that of the reference in float64."""

    def __init__(self, use: Use, device: torch.device, dtype: torch.dtype) -> None:
        self._use, self._device, self._dtype = use, device, dtype
        self._inputs = self._tensors(use.batches[0])
        wide = [tensor.detach().double().requires_grad_(use.backward) for tensor in self._inputs]
        y = use.op(*wide, backend="reference")
        self._grad = torch.where(y.abs() < 0.05, 0, torch.randn_like(y)) if use.backward else None  # off the kink
        self._grad = None if self._grad is None else self._grad.to(dtype)
        self.expected = self._finish(y, wide, self._grad)
        self.calls = [self._calls(batch) for batch in use.batches]

    def result(self) -> list[Tensor]:
        """What Triton makes of the first batch, with NaN wherever it writes nothing."""
        op = partial(self._use.op, *self._inputs, backend="triton")
        if self._grad is None:
            poison(self.expected, self._dtype)
            return [op()]
        y = op()
        poison(self.expected, self._dtype)
        return self._finish(y, self._inputs, self._grad)

    def error(self) -> float:
        """The largest relative error of the result's tensors."""
        return max(relative_error(a, b) for a, b in zip(self.result(), self.expected, strict=True))

    def _finish(self, y: Tensor, inputs: Sequence[Tensor], grad: Tensor | None) -> list[Tensor]:
        if grad is None:
            return [y]
        return list(torch.autograd.grad(y, inputs, grad.to(y.dtype), retain_graph=True))

    def _tensors(self, batch: int) -> list[Tensor]:
        found = []
        for shape in self._use.shapes:
            x = torch.randn((batch, *shape) if len(shape) == 3 else shape, device=self._device, dtype=self._dtype)
            if len(shape) == 3:
                x = x.contiguous(memory_format=torch.channels_last)
            found.append(x.requires_grad_(self._use.backward))
        return found

    def _calls(self, batch: int) -> list[Call]:
        count = sets_past_cache(self._device, sum(tensor.nbytes for tensor in self._inputs) * batch)
        op = partial(self._use.op, backend="triton")
        calls: list[Call] = []
        for _ in range(count):
            inputs = self._tensors(batch)
            if self._use.backward:
                y = op(*inputs)
                calls.append(partial(self._finish, y, inputs, torch.randn_like(y)))
            else:
                calls.append(partial(op, *inputs))
        return calls


def graph_seconds(calls: Sequence[Call], device: torch.device) -> float:
    """Seconds a call, as the replay of a CUDA graph."""
    return Timed(calls, device).seconds(3)


def tune(
    device: torch.device,
    until: float,
    wanted: Sequence[Use],
    dtypes: Sequence[torch.dtype] = (torch.bfloat16, torch.float32),
    seconds: Seconds = graph_seconds,
) -> Iterator[Tuned]:
    """Find the fastest block sizes of each use in turn.

    A candidate must give what the reference gives in float64, nearly as well as the default does, before it may win.

    Args:
        device: a GPU (or the CPU, where Triton's interpreter is on).
        until: `time.time()` after which nothing new is tried.
        wanted: uses, as `uses()` gives them.
        dtypes: float16 and bfloat16 are one.
        seconds: times calls.
    """
    seen: set[Question] = set()
    stream = torch.cuda.stream(torch.cuda.Stream(device)) if device.type == "cuda" else nullcontext()  # type: ignore[no-untyped-call]
    with stream:  # the default one cannot be captured
        for dtype in dtypes:
            for use in wanted:
                if time.time() > until:
                    return
                try:
                    work = Work(use, device, dtype)
                    with _configs.listen() as asked:
                        work.result()
                except torch.OutOfMemoryError:
                    continue  # a card this small does not compute this size either
                for question, default in asked.items():
                    if question.kernel in use.tuned and question not in seen and time.time() < until:
                        seen.add(question)
                        yield search(question, default, work, device, until, seconds)


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
