"""One video from end to end: read, translated and encoded at once, and joined with what else the source holds."""

import errno
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2

from translate.chain import Ready
from translate.engine import Done, overlapped, reason
from translate.errors import ImageError, InputError, VideoError
from translate.frames import Job, shown
from translate.video import apart, mux, preview, segments, write
from translate.video.codecs import Codec
from translate.video.compute import Made, computed
from translate.video.options import Options, Progress
from translate.video.others import Cut, Kept
from translate.video.read import Video, exact
from translate.video.segments import Work
from translate.video.stills import Stills

__all__ = ["Options", "Progress", "run"]


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
        if options.preview:
            with _opened(job, options, smooth=translator.scale > 1) as video:
                yield from preview.run(translator, job, video, options)
            return
        if job.made and not options.overwrite:
            yield Done(job.source, job.target, "skipped")
            return
        yield from (apart.run if options.pictures else _made)(translator, job, options)
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
    with _opened(job, options, smooth=translator.scale > 1) as video:
        name, codec, settings, hardware = _encoder(translator, video, options)
        if not codec.mp4 and job.target.suffix.lower() == ".mp4":
            raise InputError(f"{name} is not for mp4; name the output .mkv")
        encoded = {"--codec": codec.encoder, "--crf or --preset": str(settings)}
        with Work(job.target, options.made_from(video.identity) | encoded) as work:
            total, resumed = video.count(options.start, options.end), work.resumed
            note = work.note or (f"goes on after {resumed} finished frames" if resumed else hardware)
            yield Progress(job.source, resumed, total, resumed, note)

            def state() -> tuple[bool, list[str]]:
                return video.lost > 0, list(video.notes)

            def save(item: Made) -> None:
                pixels = item.result.picture.pixels
                height, width = pixels.shape[:2]
                look = write.Look(width, height, video.rate, video.aspect, video.colour, video.bits, video.chroma)
                work.add(item.frame, pixels, look, codec, settings, state, item.memory)

            frames = video.frames(options.start, options.end, skip=work.count, last=work.last)
            with ThreadPoolExecutor(1, "decode") as reader, ThreadPoolExecutor(1, "encode") as writer:
                results = computed(translator, reader, frames, options, segments.FRAMES, resumed, work.memory)
                for done, _ in enumerate(overlapped(writer, save, results, prompt=True), resumed + 1):
                    yield Progress(job.source, done, total, resumed)
                writer.submit(work.finish, state).result()
            if not work.parts:
                whole = options.start is options.end is None
                what = "holds no frames that can be decoded" if whole else "has no frames there"
                what += f"; it is {video.seconds:.1f} s long" if video.seconds and not whole else ""
                advice = "copy or download it again" if video.problem or video.lost else "nothing was made"
                raise VideoError(f"{what}; {advice}")
            problem = _problem(video, work)
            path = job.incomplete if problem else job.target
            kept = _joined(path, video, work, options)
            if not problem and not job.source.is_dir():
                with suppress(OSError):  # it is not there, mostly
                    job.incomplete.unlink()
            seconds = time.perf_counter() - began
            told = _summary(video, work, kept, (work.count - resumed) / seconds)
            if problem:
                told.insert(0, f"{problem}: what could be read of it is in {shown(path)}; copy or download it again")
            message = "; ".join([*told, *_changed(video, codec, name), *kept.notes])
            yield Done(job.source, job.target, "failed" if problem else "done", message, seconds)


def _opened(job: Job, options: Options, *, smooth: bool) -> Video | Stills:
    if job.source.is_dir():
        return Stills(job.source, options.fps, options.sound)
    return Video(job.source, smooth=smooth, deinterlace=options.deinterlace)


def _encoder(
    translator: Ready, video: Video | Stills, options: Options
) -> tuple[str, Codec, dict[str, str], str | None]:
    """As `write.chosen` gives it; the GPU's encoder only where the GPU is what computes."""
    factor = float(translator.scale) * (options.size / min(video.size) if options.size else 1)
    width, height = (round(side * factor) for side in video.size)
    gpu = translator.device.startswith("cuda")
    return write.chosen(options.codec, video.bits, options.crf, options.preset, (width, height) if gpu else None)


def _problem(video: Video | Stills, work: Work) -> str:
    """What is wrong with the source, if anything is."""
    lost = video.lost or any(part.lost for part in work.parts)
    return video.problem or ("holds parts that cannot be decoded" if lost else "")


def _summary(video: Video | Stills, work: Work, kept: Kept, rate: float) -> list[str]:
    """What to tell at the end."""
    frames = video.given + work.resumed
    told = [f"{frames} frames in, {work.count} frames out at {rate:.2f} frames/s"]
    none = "no other streams" if kept.notes else "no other streams, as there are none"
    told += [f"kept {', '.join(kept.streams) or none}"]
    told += dict.fromkeys([note for part in work.parts for note in part.notes] + list(video.notes))
    return told


def _joined(target: Path, video: Video | Stills, work: Work, options: Options) -> Kept:
    """Put the output together under a temporary name and rename it; then the segments can go."""
    cut = None
    if options.start is not None or options.end is not None or video.adrift:
        begin = video.origin + exact(options.start or 0)
        cut = Cut(begin, None if options.end is None else video.origin + exact(options.end))
    parts = work.parts
    if cut:
        shift = round(cut.start / video.time_base)
        parts = [replace(part, times=[(pts - shift, duration) for pts, duration in part.times]) for part in parts]
    path = work.folder / "joined.part"
    format = mux.FORMATS[target.suffix.lower()]
    kept = mux.join(path, format, parts, video.time_base, video.colour, video.aspect, video.others, video.main, cut)
    path.replace(target)
    work.remove()
    return kept


def _changed(video: Video | Stills, codec: Codec, name: str) -> list[str]:
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
