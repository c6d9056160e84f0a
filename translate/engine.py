"""The one inference loop: reading, computing and writing overlap, and memory does not grow with the number of files."""

import copy
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from translate import images
from translate.device import PRECISIONS, choose_device, choose_precision
from translate.errors import ImageError
from translate.frames import Job
from translate.images import Picture
from translate.metadata import Pixels
from translate.models import Model
from translate.models.layers import placed

_AHEAD = 2  # pictures that wait between two stages
T = TypeVar("T")
R = TypeVar("R")


class Translator:
    """A network, ready to translate pictures on one device in one precision.

    Args:
        model: from `translate.checkpoints.load`.
        device: "auto", or a name that torch knows.
        precision: "auto", "fp32", "bf16" or "fp16". With "auto", 16-bit pictures are computed in fp32.
    """

    def __init__(self, model: Model, device: str = "auto", precision: str = "auto") -> None:
        self.model = model
        self.device = choose_device(device).value
        self.precision = choose_precision(precision, self.device).value
        self._asked = precision != "auto"
        self._networks = {self.precision: self._network(self.precision)}

    def __call__(self, pictures: list[Picture]) -> list[tuple[Picture, str | None]]:
        """Translate pictures of one size and dtype; each result comes with a remark, or None.

        Raises:
            ImageError: the network gives NaN or infinity even in float32.
        """
        deep = pictures[0].pixels.dtype == np.uint16
        precision = "fp32" if deep and not self._asked else self.precision
        batch = self._prepare(pictures)
        result, remark = self._compute(batch, precision), None
        if not torch.isfinite(result).all():
            remark = f"{precision} gave NaN or infinity; computed again in fp32"
            result = self._compute(batch, "fp32")
            if not torch.isfinite(result).all():
                raise ImageError("the network gives NaN or infinity for it, even in fp32")
        height, width = (side * self.model.scale for side in pictures[0].pixels.shape[:2])
        pixels = self._quantise(result[:, :, :height, :width], deep)
        return [(self._finish(picture, rows), remark) for picture, rows in zip(pictures, pixels, strict=True)]

    def _network(self, precision: str) -> nn.Module:
        network: nn.Module = copy.deepcopy(self.model.network)
        return placed(network, self.device, PRECISIONS[precision])

    def _prepare(self, pictures: list[Picture]) -> Tensor:
        """(B, 3, H, W) float32 in the model's range, channels_last, reflected up to a size that the network takes."""
        pixels = np.stack([picture.pixels for picture in pictures])
        pads = [(0, 0), *(_padding(n, self.model.minimum, self.model.multiple_of) for n in pixels.shape[1:3]), (0, 0)]
        if any(after for _, after in pads):
            pixels = np.pad(pixels, pads, mode="reflect")
        low, high = self.model.value_range
        x = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2).float()
        return x.mul_((high - low) / np.iinfo(pixels.dtype).max).add_(low)

    @torch.inference_mode()
    def _compute(self, batch: Tensor, precision: str) -> Tensor:
        if precision not in self._networks:
            self._networks[precision] = self._network(precision)
        result: Tensor = self._networks[precision](batch)
        return result

    def _quantise(self, result: Tensor, deep: bool) -> Pixels:
        """Back to whole numbers on the device, so that little has to leave it: (B, H, W, 3), uint16 if deep."""
        low, high = self.model.value_range
        top = 65535 if deep else 255
        whole = result.sub(low).mul_(top / (high - low)).round_().clamp_(0, top)
        whole = whole.to(torch.int32 if deep else torch.uint8).permute(0, 2, 3, 1).contiguous()
        return whole.cpu().numpy().astype(np.uint16 if deep else np.uint8, copy=False)

    def _finish(self, picture: Picture, pixels: Pixels) -> Picture:
        enlarges = self.model.scale > 1
        if picture.grey and enlarges:  # sharper, but no more colourful than it was
            pixels = np.repeat(pixels.mean(axis=2, keepdims=True).round().astype(pixels.dtype), 3, axis=2)
        alpha = picture.alpha
        if alpha is not None and enlarges:
            alpha = _scaled(alpha, (pixels.shape[1], pixels.shape[0]))
        return replace(picture, pixels=pixels, alpha=alpha, grey=picture.grey and enlarges)


@dataclass(frozen=True)
class Done:
    """What became of one image. `message` says why it failed, or what is remarkable about it."""

    source: Path
    target: Path
    status: Literal["done", "skipped", "failed"]
    message: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class _Frame:
    """A picture on its way; one that fails keeps its place with `done` set."""

    job: Job
    picture: Picture | None = None
    done: Done | None = None
    remark: str | None = None


def run(
    translator: Translator,
    jobs: Iterable[Job],
    *,
    batch: int = 1,
    size: int | None = None,
    quality: int | None = None,
    overwrite: bool = False,
    max_pixels: int = images.DEFAULT_MAX_PIXELS,
) -> Iterator[Done]:
    """Make every image, in order; yields one `Done` for each, and never raises because of one.

    Args:
        translator: computes.
        jobs: from `translate.frames.plan`.
        batch: consecutive pictures of one size that are computed together.
        size: short side, in pixels, that pictures are scaled to first; None leaves them as they are.
        quality: of JPEG and WebP, 1 to 100.
        overwrite: make what is there already, too.
        max_pixels: of one picture.
    """

    def load(job: Job) -> _Frame:
        if job.problem:
            return _Frame(job, done=_failed(job, job.problem))
        if not overwrite and job.target.exists():
            return _Frame(job, done=Done(job.source, job.target, "skipped"))
        try:
            picture = images.read(job.source, max_pixels=max_pixels)
            return _Frame(job, picture if size is None else _resized(picture, size))
        except ImageError as error:
            return _Frame(job, done=_failed(job, str(error)))

    def save(item: tuple[_Frame, float]) -> Done:
        frame, seconds = item
        job = frame.job
        if frame.done or frame.picture is None:
            return frame.done or _failed(job, "no picture")
        try:
            job.target.parent.mkdir(parents=True, exist_ok=True)
            images.write(job.target, frame.picture, quality=quality)
        except ImageError as error:
            return _failed(job, str(error))
        except OSError as error:
            return _failed(job, f"the folder {job.target.parent} cannot be made: {error.strerror}")
        return Done(job.source, job.target, "done", frame.remark, seconds)

    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:
        loaded = _overlapped(reader, load, iter(jobs))
        yield from _overlapped(writer, save, _computed(translator, loaded, batch))


def _computed(translator: Translator, frames: Iterator[_Frame], batch: int) -> Iterator[tuple[_Frame, float]]:
    """Each frame with its result in place of its picture, and the seconds that it took."""
    for group in _batches(frames, batch):
        began = time.perf_counter()
        pictures = [frame.picture for frame in group if frame.picture is not None]
        try:
            results = translator(pictures) if pictures else []
        except (ImageError, RuntimeError, MemoryError) as error:  # torch's out-of-memory errors are RuntimeErrors
            text = " ".join(str(error).split()) or "out of memory"
            group = [frame if frame.done else _Frame(frame.job, done=_failed(frame.job, text)) for frame in group]
            results = []
        seconds = (time.perf_counter() - began) / max(len(pictures), 1)
        for frame in group:
            if frame.done:
                yield frame, 0.0
            else:
                picture, remark = results.pop(0)
                yield _Frame(frame.job, picture, remark=remark), seconds


def _batches(frames: Iterator[_Frame], size: int) -> Iterator[list[_Frame]]:
    """Runs of consecutive frames that can be computed together."""

    def kind(frame: _Frame) -> tuple[object, ...]:
        return () if frame.picture is None else (frame.picture.pixels.shape, frame.picture.pixels.dtype)

    for _, run_of_one_kind in itertools.groupby(frames, kind):
        while group := list(itertools.islice(run_of_one_kind, size)):
            yield group


def _overlapped(pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterator[T]) -> Iterator[R]:
    """`map(function, items)` in the pool, in order, at most `_AHEAD` results ahead of whoever takes them."""
    pending: deque[Future[R]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            while pending and (len(pending) > _AHEAD or pending[0].done()):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:  # the caller has stopped early: what has not begun need not begin
        for future in pending:
            future.cancel()


def _failed(job: Job, message: str) -> Done:
    return Done(job.source, job.target, "failed", message)


def _padding(length: int, minimum: int, multiple: int) -> tuple[int, int]:
    return 0, max(minimum, -(-length // multiple) * multiple) - length


def _resized(picture: Picture, short_side: int) -> Picture:
    height, width = picture.pixels.shape[:2]
    scale = short_side / min(height, width)
    size = max(short_side, round(width * scale)), max(short_side, round(height * scale))
    alpha = None if picture.alpha is None else _scaled(picture.alpha, size)
    return replace(picture, pixels=_scaled(picture.pixels, size), alpha=alpha)


def _scaled(array: Pixels, size: tuple[int, int]) -> Pixels:
    """(H, W) or (H, W, C) scaled to (width, height): areas averaged when it gets smaller, else bicubic."""
    method = cv2.INTER_AREA if size[0] < array.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(array, size, interpolation=method).astype(array.dtype, copy=False)
