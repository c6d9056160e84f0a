"""The one inference loop: reading, computing and writing overlap, and memory does not grow with the number of files."""

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, cast

import cv2
import torch

from translate import images
from translate.chain import Chain, Ready, Shrunk
from translate.errors import ImageError
from translate.frames import Job, shown
from translate.images import Picture
from translate.images.scale import resized
from translate.translator import Translator

__all__ = ["Chain", "Done", "Ready", "Shrunk", "Translator", "overlapped", "reason", "run"]

_AHEAD = 2  # pictures that wait between two stages
_PROBLEMS = (ImageError, RuntimeError, MemoryError, cv2.error)  # torch's out of memory is a RuntimeError
T = TypeVar("T")
R = TypeVar("R")


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
    translator: Ready,
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
        if job.made and not overwrite:
            return _Frame(job, done=Done(job.source, job.target, "skipped"))
        try:
            picture = images.read(job.source, max_pixels=max_pixels)
            return _Frame(job, picture if size is None else resized(picture, size, max_pixels))
        except (ImageError, MemoryError, cv2.error) as error:
            return _Frame(job, done=_failed(job, reason(error)))

    def save(item: tuple[_Frame, float]) -> Done:
        frame, seconds = item
        job = frame.job
        if frame.done or frame.picture is None:
            return frame.done or _failed(job, "no picture")
        try:
            _make_folder(job.target.parent)
            images.write(job.target, frame.picture, quality=quality)
        except (ImageError, MemoryError) as error:
            return _failed(job, reason(error))
        remarks = [frame.remark, images.lost(job.target, frame.picture)]
        return Done(job.source, job.target, "done", "; ".join(filter(None, remarks)) or None, seconds)

    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:
        loaded = overlapped(reader, load, iter(jobs))
        yield from overlapped(writer, save, _computed(translator, loaded, batch), prompt=True)


def _computed(translator: Ready, frames: Iterator[_Frame], batch: int) -> Iterator[tuple[_Frame, float]]:
    """Each frame with its result in place of its picture, and the seconds that it took."""
    for group in _batches(frames, batch):
        yield from _translated(translator, group)


def _translated(translator: Ready, group: list[_Frame]) -> Iterator[tuple[_Frame, float]]:
    pictures = [frame.picture for frame in group if frame.picture is not None]
    if not pictures:
        yield from ((frame, 0.0) for frame in group)
        return
    if translator.in_parts(pictures[0]):
        yield from (_in_strips(translator, frame) for frame in group)
        return
    began = time.perf_counter()
    try:
        results, problem = translator(pictures), None
    except _PROBLEMS as error:
        results, problem = [], reason(error)
    seconds = (time.perf_counter() - began) / len(group)
    if problem is None:
        for frame, (picture, remark) in zip(group, results, strict=True):
            yield _Frame(frame.job, picture, remark=remark), seconds
    elif len(group) == 1:
        yield _Frame(group[0].job, done=_failed(group[0].job, problem)), seconds
    else:  # one of them may be at fault, or all together too large
        for frame in group:
            yield from _translated(translator, [frame])


def _in_strips(translator: Ready, frame: _Frame) -> tuple[_Frame, float]:
    """A large picture, written while it is made where its format allows it."""
    job, picture = frame.job, cast(Picture, frame.picture)
    height, width = (int(n * translator.scale) for n in picture.pixels.shape[:2])
    began = time.perf_counter()
    try:
        if not images.by_rows(job.target):
            ((picture, remark),) = translator([picture])
            return _Frame(job, picture, remark=remark), time.perf_counter() - began
        _make_folder(job.target.parent)
        _, remark = translator.strips(picture, lambda strips: images.write_strips(job.target, strips, (height, width)))
        seconds = time.perf_counter() - began
        return _Frame(job, done=Done(job.source, job.target, "done", remark, seconds)), seconds
    except _PROBLEMS as error:
        return _Frame(job, done=_failed(job, reason(error))), time.perf_counter() - began


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot make the folder {shown(folder)}: {error.strerror}; choose another --out"
        raise ImageError(message) from error


def _batches(frames: Iterator[_Frame], size: int) -> Iterator[list[_Frame]]:
    """Runs of consecutive frames that can be computed together."""

    def kind(frame: _Frame) -> tuple[object, ...]:
        return () if frame.picture is None else (frame.picture.pixels.shape, frame.picture.pixels.dtype)

    for _, run_of_one_kind in itertools.groupby(frames, kind):
        while group := list(itertools.islice(run_of_one_kind, size)):
            yield group


def overlapped(
    pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterator[T], *, prompt: bool = False
) -> Iterator[R]:
    """`map(function, items)` in the pool, in order, `_AHEAD` results ahead of whoever takes them.

    With `prompt`, a result is given as soon as it is there, before the next item is asked for; for items that take
    long to come.
    """
    pending: deque[Future[R]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            while pending and (len(pending) > _AHEAD or (prompt and pending[0].done())):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:  # the caller has stopped early: what has not begun need not begin
        for future in pending:
            future.cancel()


def _failed(job: Job, message: str) -> Done:
    return Done(job.source, job.target, "failed", message)


def reason(error: Exception) -> str:
    """One line about what stopped a computation."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in text:
        return "does not fit into memory; make it smaller with --size"
    return text or type(error).__name__
