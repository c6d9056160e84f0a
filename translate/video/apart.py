"""A video taken apart: every frame as a numbered PNG, and a file with when each is shown."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from translate import images
from translate.chain import Ready
from translate.engine import Done, overlapped
from translate.errors import VideoError
from translate.frames import Job
from translate.video import segments
from translate.video.compute import Made, computed
from translate.video.options import TIMES, Options, Progress
from translate.video.read import Frame, Video

_MEMORY = ".stabilise.npz"  # of the last frame of a segment, while the job is not done


def run(translator: Ready, job: Job, options: Options) -> Iterator[Progress | Done]:
    """Every frame as a PNG in the folder `job.target`; those that are there are not made again.

    Where frames depend on those before them, the ones since the last whole segment are computed again.
    """
    began = time.perf_counter()
    times: list[str] = []
    made = 0
    job.target.mkdir(parents=True, exist_ok=True)
    memory = None if options.overwrite else segments.remembered(job.target / _MEMORY)
    skip = int(memory["done"]) if memory else 0

    def path(number: int) -> Path:
        return job.target / f"{number:06d}.png"

    def is_wanted(number: int) -> bool:
        return options.overwrite or not path(number).exists()

    if not all(path(number).exists() for number in range(1, skip + 1)):
        memory, skip = None, 0

    def missing(frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            times.append(f"{float(frame.pts * video.time_base * 1000):.6f}\n")
            if is_wanted(len(times)) if not options.stabilise else len(times) > skip:
                numbers[frame.pts] = len(times)
                yield frame

    def save(item: Made) -> bool:
        number = numbers.pop(item.frame.pts)
        wanted = is_wanted(number)
        if wanted:
            images.write(path(number), item.result.picture)
        if item.memory:
            segments.remember(job.target / _MEMORY, item.memory)
        return wanted

    numbers: dict[int, int] = {}  # of frames that are on their way, by their time
    with (
        Video(job.source, smooth=translator.scale > 1) as video,
        ThreadPoolExecutor(1, "decode") as reader,
        ThreadPoolExecutor(1, "encode") as writer,
    ):
        total = video.count(options.start, options.end)
        yield Progress(job.source, 0, total)
        wanted = missing(video.frames(options.start, options.end))
        results = computed(translator, reader, wanted, options, segments.FRAMES, skip, memory)
        for new in overlapped(writer, save, results, prompt=True):
            made += new
            yield Progress(job.source, len(times), total)
        if not times:
            raise VideoError("holds no frames that can be decoded, or none there; nothing was made")
        lines = "# timestamp format v2\n", f"# time base {video.time_base}\n", *times
        (job.target / TIMES).write_text("".join(lines))
        (job.target / _MEMORY).unlink(missing_ok=True)
        message = f"{video.given} frames in, {len(times)} pictures out, of which {made} were made now"
        if video.problem or video.lost:
            problem = video.problem or "holds parts that cannot be decoded"
            message = f"{problem}: {message}; copy or download it again, and add --overwrite then"
        status: Literal["failed", "done"] = "failed" if video.problem or video.lost else "done"
        yield Done(job.source, job.target, status, message, time.perf_counter() - began)
