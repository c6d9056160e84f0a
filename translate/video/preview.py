"""A look before a long job: some moments of a video, each beside its result, in one picture."""

import itertools
import time
from collections.abc import Iterator

import cv2
import numpy as np

from translate import images
from translate.chain import Ready
from translate.engine import Done
from translate.errors import VideoError
from translate.frames import Job, shown
from translate.images import Picture
from translate.images.scale import resized
from translate.video.options import Options
from translate.video.read import Frame, Video
from translate.video.stills import Stills

GAP = 8  # white pixels between the pictures


def run(translator: Ready, job: Job, video: Video | Stills, options: Options) -> Iterator[Done]:
    """Write `options.preview` moments, spread evenly, to NAME-preview.png beside the target: left before, right after.

    Each is translated by itself, without those before it.
    """
    began, rows = time.perf_counter(), []
    for frame in _moments(video, options):
        before = frame.picture
        if options.size:
            before = resized(before, options.size, options.max_pixels)
        ((after, _),) = translator([before])
        height, width = after.pixels.shape[:2]
        left = cv2.resize(before.pixels, (width, height), interpolation=cv2.INTER_NEAREST)
        row = np.full((height + GAP, 2 * width + GAP, 3), np.iinfo(after.pixels.dtype).max, after.pixels.dtype)
        row[:height, :width], row[:height, width + GAP :] = left, after.pixels
        rows.append(row)
    if not rows:
        raise VideoError("has no frames there that can be decoded; nothing was made")
    target = job.preview
    target.parent.mkdir(parents=True, exist_ok=True)
    images.write(target, Picture(np.concatenate(rows)[:-GAP]))
    message = f"{len(rows)} moments before and after are in {shown(target)}; leave --preview out for the video"
    if len(rows) < (options.preview or 1) and not video.seconds:
        message += " (it does not say how long it is, so only its beginning is shown)"
    yield Done(job.source, target, "done", message, time.perf_counter() - began)


def _moments(video: Video | Stills, options: Options) -> Iterator[Frame]:
    """The frame at the middle of each of so many equal parts, as far as there is one."""
    start, count = options.start or 0.0, options.preview or 1
    span = min(options.end or video.seconds, video.seconds) - start
    if not video.seconds:  # the file does not say, as browsers' recordings do not
        span, count = 0.0, 1
    for n in range(count):
        frames = video.frames(start + max(span, 0) * (n + 0.5) / count, options.end)
        yield from itertools.islice(frames, 1)
