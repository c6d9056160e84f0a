"""From decoded frames to finished ones: scaled, translated and stabilised, while others are read and written."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from translate.chain import Ready
from translate.engine import overlapped
from translate.errors import ImageError, VideoError
from translate.images.scale import resized
from translate.video.options import Options
from translate.video.read import Frame
from translate.video.stabilise import Motion, Stabiliser, motion


@dataclass(frozen=True)
class Prepared:
    """A frame that can be translated, and the motion from the one before it, where that is wanted and known."""

    frame: Frame
    motion: Motion | None = None


@dataclass(frozen=True)
class Made:
    """A frame and what has become of it.

    `memory` is what the frames after it depend on, as arrays; None if that is nothing, or the frame ends no segment.
    """

    frame: Frame
    result: Frame
    memory: dict[str, Any] | None = None


def computed(
    translator: Ready,
    reader: ThreadPoolExecutor,
    frames: Iterator[Frame],
    options: Options,
    segment: int,
    done: int = 0,
    memory: dict[str, Any] | None = None,
) -> Iterator[Made]:
    """Each frame with its result, in order.

    Args:
        translator: computes, in this thread.
        reader: where frames are decoded and prepared.
        frames: those that are left.
        options: of the job.
        segment: frames in one; batches end with it, so that what is made does not depend on where a run was stopped.
        done: frames before these.
        memory: of the last of them.
    """
    before = memory["source"] if memory else None
    ready = _ahead(reader, _prepared(frames, options, before))
    if options.stabilise:
        stabiliser = Stabiliser(translator, memory)
        for number, item in enumerate(ready, done + 1):
            result = replace(item.frame, picture=stabiliser(item.frame.picture, item.motion))
            ends = number % segment == 0
            seen = {"done": np.array(number), "source": item.frame.picture.pixels}
            kept = seen | stabiliser.memory() if ends else None
            yield Made(item.frame, result, kept)
        return
    while group := [item.frame for item in itertools.islice(ready, min(options.batch, segment - done % segment))]:
        done += len(group)
        yield from map(Made, group, _translated(translator, group))


def _prepared(frames: Iterator[Frame], options: Options, before: Any) -> Iterator[Prepared]:
    """The frames at the size to compute; `before` is the picture (H, W, 3) of the one before them."""
    for frame in frames:
        height, width = frame.picture.pixels.shape[:2]
        if height * width > options.max_pixels:
            raise VideoError(f"{width} × {height} pixels are more than --max-pixels {options.max_pixels:,}; raise it")
        if options.size:
            frame = replace(frame, picture=resized(frame.picture, options.size, options.max_pixels))
        if not options.stabilise:
            yield Prepared(frame)
            continue
        now = frame.picture.pixels
        yield Prepared(frame, None if before is None else motion(before, now))
        before = now


def _ahead(pool: ThreadPoolExecutor, items: Iterator[Prepared]) -> Iterator[Prepared]:
    """The same, made in the pool before they are asked for."""
    made = overlapped(pool, lambda _: next(items, None), itertools.repeat(None))
    return (item for item in itertools.takewhile(lambda item: item is not None, made) if item)


def _translated(translator: Ready, group: list[Frame]) -> list[Frame]:
    try:
        results = translator([frame.picture for frame in group])
    except (ImageError, RuntimeError, MemoryError, cv2.error):
        if len(group) == 1:
            raise
        return [result for frame in group for result in _translated(translator, [frame])]
    return [replace(frame, picture=picture) for frame, (picture, _) in zip(group, results, strict=True)]
