"""A video taken apart: every frame as a numbered PNG, and a file with when each is shown."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from translate.chain import Ready
from translate.engine import Done, overlapped
from translate.errors import VideoError
from translate.frames import Job
from translate.video import segments
from translate.video.compute import Made, computed
from translate.video.folder import Folder
from translate.video.options import Options, Progress
from translate.video.read import Frame, Video


def run(translator: Ready, job: Job, options: Options) -> Iterator[Progress | Done]:
    """Every frame as a PNG in the folder `job.target`; those that are there are not made again.

    Where frames depend on those before them, the ones since the last whole segment are computed again.
    """
    began = time.perf_counter()
    times: list[str] = []
    numbers: dict[int, int] = {}  # of frames that are on their way, by their time
    made = 0
    with (
        Video(job.source, smooth=translator.scale > 1, deinterlace=options.deinterlace) as video,
        Folder(job.target, options.made_from(video.identity), overwrite=options.overwrite) as folder,
        ThreadPoolExecutor(1, "decode") as reader,
        ThreadPoolExecutor(1, "encode") as writer,
    ):
        if folder.finished:
            yield Done(job.source, job.target, "skipped")
            return
        memory = folder.memory
        skip = int(memory["done"]) if memory else 0

        def missing(frames: Iterator[Frame]) -> Iterator[Frame]:
            for frame in frames:
                times.append(f"{float(frame.pts * video.time_base * 1000):.6f}\n")
                if len(times) > skip if options.stabilise else folder.lacks(len(times)):
                    numbers[frame.pts] = len(times)
                    yield frame

        def save(item: Made) -> bool:
            return folder.add(numbers.pop(item.frame.pts), item.result.picture, item.memory)

        total = video.count(options.start, options.end)
        yield Progress(job.source, 0, total, note=folder.note)
        wanted = missing(video.frames(options.start, options.end))
        results = computed(translator, reader, wanted, options, segments.FRAMES, skip, memory)
        for new in overlapped(writer, save, results, prompt=True):
            made += new
            yield Progress(job.source, len(times), total)
        if not times:
            raise VideoError("holds no frames that can be decoded, or none there; nothing was made")
        lines = "# timestamp format v2\n", f"# time base {video.time_base}\n", *times
        whole = not video.problem and not video.lost
        folder.finish("".join(lines), whole=whole)
        counts = f"{video.given} frames in, {len(times)} pictures out, of which {made} were made now"
        message = "; ".join([counts, *video.notes])
        if not whole:
            problem = video.problem or "holds parts that cannot be decoded"
            message = f"{problem}: {message}; copy or download it again"
        status: Literal["failed", "done"] = "done" if whole else "failed"
        yield Done(job.source, job.target, status, message, time.perf_counter() - began)
