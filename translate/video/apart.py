"""A video taken apart: every frame as a numbered PNG, and a file with when each is shown."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, Literal

from translate import images
from translate.chain import Ready
from translate.engine import Done, overlapped
from translate.errors import VideoError
from translate.frames import Job
from translate.video import segments
from translate.video.compute import Made, computed
from translate.video.lock import locked
from translate.video.options import TIMES, Options, Progress
from translate.video.read import Frame, Video

_OWN = ".translate"  # folder in that of the pictures: the lock, what they are made from, and the next of these
_MEMORY = "stabilise.npz"  # of the last frame of a segment, while the job is not done


def run(translator: Ready, job: Job, options: Options) -> Iterator[Progress | Done]:
    """Every frame as a PNG in the folder `job.target`; those that are there are not made again.

    Where frames depend on those before them, the ones since the last whole segment are computed again.

    Raises:
        VideoError: the folder holds pictures of another source or with other options, or another run works in it.
    """
    began = time.perf_counter()
    times: list[str] = []
    made = 0
    own = job.target / _OWN

    def path(number: int) -> Path:
        return job.target / f"{number:06d}.png"

    def are_there(count: int) -> bool:
        return all(path(number).exists() for number in range(1, count + 1))

    def is_wanted(number: int) -> bool:
        return options.overwrite or not path(number).exists()

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
            segments.remember(own / _MEMORY, item.memory)
        return wanted

    numbers: dict[int, int] = {}  # of frames that are on their way, by their time
    with (
        Video(job.source, smooth=translator.scale > 1) as video,
        locked(own) or nullcontext(),
        ThreadPoolExecutor(1, "decode") as reader,
        ThreadPoolExecutor(1, "encode") as writer,
    ):
        plan = options.made_from(video.identity)
        pictures = _begun(own, plan, options)
        if pictures and are_there(pictures) and (job.target / TIMES).exists():
            yield Done(job.source, job.target, "skipped")
            return
        memory = None if options.overwrite else segments.remembered(own / _MEMORY)
        skip = int(memory["done"]) if memory else 0
        if not are_there(skip):
            memory, skip = None, 0
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
        (own / _MEMORY).unlink(missing_ok=True)
        message = f"{video.given} frames in, {len(times)} pictures out, of which {made} were made now"
        if video.problem or video.lost:
            problem = video.problem or "holds parts that cannot be decoded"
            message = f"{problem}: {message}; copy or download it again, and add --overwrite then"
        else:
            _keep(own, plan, len(times))
        status: Literal["failed", "done"] = "failed" if video.problem or video.lost else "done"
        yield Done(job.source, job.target, status, message, time.perf_counter() - began)


def _begun(own: Path, plan: dict[str, str], options: Options) -> int:
    """How many pictures there are where all are; else 0, and from now on the folder is known to be made from `plan`."""
    before: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        before = json.loads((own / "plan.json").read_text())
    made_from = before.get("made_from", {})
    if not options.overwrite:
        if made_from == plan:
            return int(before["pictures"])
        if any(own.parent.glob("[0-9]*.png")):
            changed = ", ".join(name for name in plan if made_from.get(name) != plan[name]) if made_from else ""
            raise VideoError(
                f"the folder holds {f'pictures from before {changed} changed' if changed else 'other pictures'}; "
                "choose another --frames-out, or add --overwrite"
            )
    _keep(own, plan, 0)
    return 0


def _keep(own: Path, plan: dict[str, str], pictures: int) -> None:
    segments.put(own / "plan.json", {"made_from": plan, "pictures": pictures})
