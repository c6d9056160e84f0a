"""One video from end to end: read, translated and encoded at once, and joined with what else the source holds."""

import errno
import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2

from translate import images
from translate.engine import Done, overlapped, reason
from translate.errors import ImageError, InputError, VideoError
from translate.formats import DEFAULT_MAX_PIXELS
from translate.frames import Job, shown
from translate.translator import Ready, resized
from translate.video import mux, write
from translate.video.read import Frame, Video, exact
from translate.video.segments import Work

TIMES = "timecodes.txt"  # "timestamp format v2": milliseconds, one line a frame


@dataclass(frozen=True)
class Options:
    """How a video is made.

    Args:
        codec: one of `write.CODECS`; None is H.264, or HEVC for more than 8 bit.
        crf: its quality, lower is better; None is the codec's default.
        preset: its speed; None is the codec's default.
        start: in seconds; None is the beginning.
        end: in seconds; None is the end.
        batch: frames that are computed together.
        size: short side that frames are scaled to first; None leaves them.
        overwrite: make it again where it is there already.
        max_pixels: of one frame.
        pictures: the target is a folder, for numbered PNGs and the file TIMES with when each is shown.
        made_by: what else the result depends on, such as the weights' checksum; a change begins a stopped job anew.
    """

    codec: str | None = None
    crf: int | None = None
    preset: str | None = None
    start: float | None = None
    end: float | None = None
    batch: int = 1
    size: int | None = None
    overwrite: bool = False
    max_pixels: int = DEFAULT_MAX_PIXELS
    made_by: tuple[tuple[str, str], ...] = ()
    pictures: bool = False


@dataclass(frozen=True)
class Progress:
    """How far one video is. `resumed` of the frames were there already; `note` is to be said."""

    source: Path
    frames: int
    total: int | None
    resumed: int = 0
    note: str | None = None


def run(translator: Ready, job: Job, options: Options) -> Iterator[Progress | Done]:
    """Make one video: any number of `Progress`, and one `Done` at the end.

    Stopped at any moment, it goes on from the last whole segment when it is called again with the same arguments.

    Raises:
        InputError: an option is wrong, or the container cannot hold the codec.
    """
    began = time.perf_counter()
    try:
        if job.problem:
            raise VideoError(job.problem)
        if job.made and not options.overwrite:
            yield Done(job.source, job.target, "skipped")
            return
        yield from (_pictures if options.pictures else _made)(translator, job, options)
    except InputError:
        raise
    except (VideoError, ImageError, RuntimeError, MemoryError, cv2.error) as error:
        yield Done(job.source, job.target, "failed", reason(error), time.perf_counter() - began)
    except OSError as error:
        advice = f"cannot be written ({error.strerror}: {shown(error.filename or job.target)}); choose another --out"
        if error.errno == errno.ENOSPC:
            advice = "cannot be written: the disk is full; make room and run it again"
        yield Done(job.source, job.target, "failed", advice, time.perf_counter() - began)


def _made(translator: Ready, job: Job, options: Options) -> Iterator[Progress | Done]:
    began = time.perf_counter()
    with Video(job.source, smooth=translator.scale > 1) as video:
        name, codec, settings = write.chosen(options.codec, video.bits, options.crf, options.preset)
        if not codec.mp4 and job.target.suffix.lower() == ".mp4":
            raise InputError(f"{name} is not for mp4; name the output .mkv, with --out")
        work = Work(job.target, _made_from(video, name, settings, options))
        total, resumed = video.count(options.start, options.end), work.count
        note = work.note or (f"goes on after {resumed} finished frames" if resumed else None)
        yield Progress(job.source, resumed, total, resumed, note)

        def state() -> tuple[bool, list[str]]:
            return video.lost > 0, list(video.notes)

        def save(item: tuple[Frame, Frame]) -> None:
            before, after = item
            height, width = after.picture.pixels.shape[:2]
            look = write.Look(width, height, video.rate, video.aspect, video.colour, video.bits, video.chroma)
            work.add(before, after.picture.pixels, look, codec, settings, state)

        frames = video.frames(options.start, options.end, skip=work.count, last=work.last)
        try:
            with ThreadPoolExecutor(1, "decode") as reader, ThreadPoolExecutor(1, "encode") as writer:
                computed = _computed(translator, _ahead(reader, frames), options)
                for done, _ in enumerate(overlapped(writer, save, computed, prompt=True), resumed + 1):
                    yield Progress(job.source, done, total, resumed)
                writer.submit(work.finish, state).result()
        finally:
            if not work.parts:  # nothing to go on from
                work.remove()
        if not work.parts:
            what = (
                "holds no frames that can be decoded" if options.start is options.end is None else "has no frames there"
            )
            raise VideoError(
                f"{what}; {'copy or download it again' if video.problem or video.lost else 'nothing was made'}"
            )
        kept = _joined(job, video, work, options)
        seconds = time.perf_counter() - began
        rate = (work.count - resumed) / seconds
        told = dict.fromkeys(
            [n for part in work.parts for n in part.notes] + list(video.notes) + _changed(video, codec, name)
        )
        notes = [f"{resumed + video.given} frames in, {work.count} frames out at {rate:.2f} frames/s"]
        notes += [f"kept {', '.join(kept.streams) or 'no other streams, as there are none'}", *told, *kept.notes]
        problem = video.problem or (
            "holds parts that cannot be decoded" if any(p.lost for p in work.parts) or video.lost else ""
        )
        if problem:
            notes.insert(0, f"{problem}: what could be read of it is in {shown(job.target)}; copy or download it again")
        yield Done(job.source, job.target, "failed" if problem else "done", "; ".join(notes), seconds)


def _pictures(translator: Ready, job: Job, options: Options) -> Iterator[Progress | Done]:
    """Every frame as a PNG; those that are there are not made again."""
    began = time.perf_counter()
    times: list[str] = []
    job.target.mkdir(parents=True, exist_ok=True)

    def missing(frames: Iterator[Frame]) -> Iterator[tuple[Path, Frame]]:
        for frame in frames:
            path = job.target / f"{len(times) + 1:06d}.png"
            times.append(f"{float(frame.pts * video.time_base * 1000):.6f}\n")
            if options.overwrite or not path.exists():
                yield path, frame

    def save(item: tuple[Path, Frame]) -> None:
        images.write(item[0], item[1].picture)

    with (
        Video(job.source, smooth=translator.scale > 1) as video,
        ThreadPoolExecutor(1, "decode") as reader,
        ThreadPoolExecutor(1, "encode") as writer,
    ):
        total = video.count(options.start, options.end)
        yield Progress(job.source, 0, total)
        wanted = missing(_ahead(reader, video.frames(options.start, options.end)))
        computed = ((path, result) for path, frame in wanted for result in _translated(translator, [frame], options))
        made = 0
        for _ in overlapped(writer, save, computed, prompt=True):
            made += 1
            yield Progress(job.source, len(times), total)
        if not times:
            raise VideoError("holds no frames that can be decoded, or none there; nothing was made")
        (job.target / TIMES).write_text("# timestamp format v2\n" + "".join(times))
        message = f"{video.given} frames in, {len(times)} pictures out, of which {made} were made now"
        if video.problem or video.lost:
            message = f"{video.problem or 'holds parts that cannot be decoded'}: {message}; copy or download it again"
        status: Literal["failed", "done"] = "failed" if video.problem or video.lost else "done"
        yield Done(job.source, job.target, status, message, time.perf_counter() - began)


def _ahead(pool: ThreadPoolExecutor, frames: Iterator[Frame]) -> Iterator[Frame]:
    """The same frames, decoded in the pool before they are asked for."""
    decoded = overlapped(pool, lambda _: next(frames, None), itertools.repeat(None))
    return (frame for frame in itertools.takewhile(lambda frame: frame is not None, decoded) if frame)


def _computed(translator: Ready, frames: Iterator[Frame], options: Options) -> Iterator[tuple[Frame, Frame]]:
    """Each frame with its result."""
    while group := list(itertools.islice(frames, options.batch)):
        yield from zip(group, _translated(translator, group, options), strict=True)


def _translated(translator: Ready, group: list[Frame], options: Options) -> list[Frame]:
    height, width = group[0].picture.pixels.shape[:2]
    if height * width > options.max_pixels:
        raise VideoError(f"{width} × {height} pixels are more than --max-pixels {options.max_pixels:,}; raise it")
    pictures = [frame.picture for frame in group]
    if options.size:
        pictures = [resized(picture, options.size, options.max_pixels) for picture in pictures]
    try:
        results = translator(pictures)
    except (ImageError, RuntimeError, MemoryError, cv2.error):
        if len(group) == 1:
            raise
        return [result for frame in group for result in _translated(translator, [frame], options)]
    return [replace(frame, picture=picture) for frame, (picture, _) in zip(group, results, strict=True)]


def _joined(job: Job, video: Video, work: Work, options: Options) -> mux.Kept:
    """Put the output together under a temporary name and rename it; then the segments can go."""
    cut = None
    if options.start is not None or options.end is not None:
        begin = video.origin + exact(options.start or 0)
        cut = mux.Cut(begin, None if options.end is None else video.origin + exact(options.end))
    parts = work.parts
    if cut:
        shift = round(cut.start / video.time_base)
        parts = [replace(part, times=[(pts - shift, duration) for pts, duration in part.times]) for part in parts]
    path = work.folder / "joined.part"
    format = mux.FORMATS[job.target.suffix.lower()]
    kept = mux.join(
        path, format, parts, video.time_base, video.colour, video.aspect, job.source, video.stream.index, cut
    )
    path.replace(job.target)
    work.remove()
    return kept


def _made_from(video: Video, codec: str, settings: dict[str, str], options: Options) -> dict[str, str]:
    import av

    status = video.path.stat()
    return {
        "the source": f"{status.st_size} {status.st_mtime_ns}",
        "--codec": codec,
        "--crf or --preset": str(settings),
        "--start or --end": f"{options.start} {options.end}",
        "--size": str(options.size),
        "--batch": str(options.batch),
        "PyAV": av.__version__,
        **dict(options.made_by),
    }


def _changed(video: Video, codec: write.Codec, name: str) -> list[str]:
    """What of the pictures' form this codec cannot keep."""
    notes = []
    look = write.Look(0, 0, video.rate, video.aspect, video.colour, video.bits, video.chroma)
    format = write.pixel_format(codec, look)
    if video.chroma not in codec.chroma:
        notes.append(f"chroma of {video.chroma} became that of {format}; --codec ffv1 keeps more")
    if video.bits > max(codec.depths):
        notes.append(f"{video.bits} bit became {max(codec.depths)}; --codec ffv1 keeps more")
    if name == "h264" and video.bits > 8:
        notes.append("few players take H.264 of 10 bit; --codec hevc is safer")
    return notes
