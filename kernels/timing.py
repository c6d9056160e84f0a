"""How long calls take: on a GPU as replays of a CUDA graph of many of them, on a processor as they are."""

import math
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

Call = Callable[[], Any]

SECONDS = {"cuda": 0.02, "cpu": 0.2}  # that one repeat shall take
SLOW = 1.0  # seconds of a call that is on a processor: the caches do not matter, and three repeats are enough
MOST_CALLS = 200  # in one graph
MOST_SETS = 64  # of inputs that are rotated


def sets_past_cache(device: torch.device, bytes_each: int) -> int:
    """How many sets of inputs of that size have to be rotated so that none is still in the cache: three times over."""
    return max(2, min(MOST_SETS, math.ceil(3 * cache_bytes(device) / bytes_each)))


def cache_bytes(device: torch.device) -> int:
    """Size of the last cache before main memory: a GPU's L2, a processor's L3; 32 MB where it is not known."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).L2_cache_size)
    sizes = [0]
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = path.read_text(encoding="ascii").strip()
        sizes.append(int(text.rstrip("KMG")) * {"K": 2**10, "M": 2**20, "G": 2**30}.get(text[-1], 1))
    return max(sizes) or 32 * 2**20


class Timed:
    """Calls that are ready to be timed.

    All results of one round are kept, so that what is written is rotated through memory as what is read is. On a GPU
    the current stream must not be the default one, which cannot be captured.

    Args:
        calls: the same computation of different inputs.
        device: where they run.
        graph: on a GPU, whether to capture them; otherwise they are launched one by one.
        brief: one repeat is one round, however short that is.

    Attributes:
        first: seconds of the very first call, in which kernels are compiled and libraries choose theirs.
    """

    def __init__(self, calls: Sequence[Call], device: torch.device, graph: bool = True, brief: bool = False) -> None:
        self._calls, self._device, self._cuda = calls, device, device.type == "cuda"
        self._graph: torch.cuda.CUDAGraph | None = None
        self.first = self._seconds(1)
        self._slow = not self._cuda and self._seconds(1) > SLOW
        if self._slow:
            self._calls, self._count = calls[:1], 1
            return
        for call in calls:
            call()
        each = self._seconds(len(calls)) / len(calls)
        rounds = max(1, min(math.ceil(SECONDS[device.type] / (each * len(calls))), MOST_CALLS // len(calls)))
        self._count = len(calls) * (1 if brief else rounds)
        if graph and self._cuda:
            captured = torch.cuda.CUDAGraph()
            with torch.cuda.graph(captured, stream=torch.cuda.current_stream(device)):
                self._run(self._count)
            self._graph = captured

    def seconds(self, repeats: int = 5) -> float:
        """Seconds a call: the median of some repeats."""
        repeats = min(repeats, 3) if self._slow else repeats
        return statistics.median(self._seconds(self._count) / self._count for _ in range(repeats))

    def _seconds(self, count: int) -> float:
        if not self._cuda:
            began = time.perf_counter()
            self._run(count)
            return time.perf_counter() - began
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        torch.cuda.synchronize(self._device)
        begin.record()
        if self._graph is not None and count == self._count:
            self._graph.replay()
        else:
            self._run(count)
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end)) / 1000

    def _run(self, count: int) -> None:
        kept: deque[Any] = deque(maxlen=len(self._calls))
        for number in range(count):
            kept.append(self._calls[number % len(self._calls)]())


def lost(device: torch.device) -> bool:
    """Whether the GPU answers nothing any more, as after an access to memory that is not there."""
    try:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            torch.cuda.empty_cache()  # which some versions refuse for good after a failed capture
    except RuntimeError:
        return True
    return False


def relative_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """‖actual - expected‖ / ‖expected‖ in float64; infinite where something is not finite."""
    wide = expected.double()
    error = float((actual.double() - wide).norm() / wide.norm().clamp_min(1e-30))
    return error if math.isfinite(error) else math.inf


def poison(results: Sequence[torch.Tensor], dtype: torch.dtype) -> None:
    """Leave NaN in the memory that the next such results in `dtype` are likely to get: what is not written then shows.

    Results of whole numbers are left out.
    """
    held = [torch.full_like(like, math.nan, dtype=dtype) for like in results if like.is_floating_point()]
    del held
