"""The finished file: the segments in a row, and beside them everything else that the source holds, copied as it is."""

import io
import itertools
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from translate.errors import VideoError
from translate.video.colour import Colour

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

FORMATS = {".mp4": "mp4", ".mkv": "matroska"}
_OF_THE_OLD_FILE = (
    "major_brand",
    "minor_version",
    "compatible_brands",
    "encoder",
    "duration",
    "bps",
    "number_of_",
    "_stat",
)


@dataclass(frozen=True)
class Part:
    """A finished segment, and what its numbered frames stand for."""

    path: Path
    times: list[tuple[int, int]]  # when each frame is shown, and how long (0: not known), in the source's time base
    delay: int  # by how many frames decoding has to run ahead of showing
    mark: int  # of the source's last frame in it
    rate: str  # frames a second in the segment's own clock, a fraction
    lost: bool = False
    notes: list[str] = field(default_factory=list)

    @staticmethod
    def read(path: Path) -> "Part":
        """The segment whose description is at `path`."""
        fields = json.loads(path.read_text())
        times = [(pts, duration) for pts, duration in fields.pop("times")]
        return Part(path.with_suffix(".mkv"), times, **fields)


@dataclass(frozen=True)
class Cut:
    """The span of the source that is taken, in seconds of its own clock; the output begins at zero."""

    start: Fraction
    stop: Fraction | None


@dataclass
class Kept:
    """What was copied, such as "audio (aac)", and one line for each thing that could not be."""

    streams: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def join(
    path: Path, format: str, parts: list[Part], time_base: Fraction, colour: Colour, aspect: Fraction,
    source: Path | None, main: int | None, cut: Cut | None,
) -> Kept:  # fmt: skip
    """Write the file.

    Args:
        path: of the file.
        format: FFmpeg's name of its container.
        parts: all segments, in order.
        time_base: of their times, in seconds.
        colour: of the pictures.
        aspect: of a pixel, 0 if not known.
        source: where the other streams come from.
        main: the one of its streams that is left out, as the parts take its place; None leaves out all video.
        cut: the span of the other streams; None takes all.

    Raises:
        VideoError: it cannot be written.
    """
    import av

    refused: set[int] = set()
    while True:
        at: list[Stream] = []
        try:
            return _joined(path, format, parts, time_base, colour, aspect, source, main, cut, refused, at)
        except av.error.FFmpegError as error:
            import errno

            if error.errno == errno.ENOSPC:
                raise VideoError("cannot be written: the disk is full; make room and run it again") from error
            if not at or at[-1].index in refused:
                raise VideoError(f"cannot be written as {format} ({error.strerror}); try another --out") from error
            refused.add(at[-1].index)  # the muxer took its header, but not its packets


def _joined(
    path: Path, format: str, parts: list[Part], time_base: Fraction, colour: Colour, aspect: Fraction,
    source: Path | None, main: int | None, cut: Cut | None, refused: set[int], at: "list[Stream]",
) -> Kept:  # fmt: skip
    import av

    kept = Kept()
    options = {"movflags": "+faststart", "video_track_timescale": str(time_base.denominator)} if format == "mp4" else {}
    first = av.open(str(parts[0].path))
    src = av.open(str(source), metadata_errors="replace") if source else None
    try:
        if format == "mp4" and src and any("." in key for key in src.metadata):
            options["movflags"] += "+use_metadata_tags"  # those of phones: where and with what it was taken
        with av.open(str(path), "w", format=format, container_options=options) as out:
            video: Any = out.add_stream_from_template(first.streams.video[0], opaque=True)
            video.time_base = time_base
            video.codec_context.sample_aspect_ratio = aspect
            colour.put(video.codec_context)
            if format == "mp4" and video.codec_context.name == "hevc":
                video.codec_context.codec_tag = "hvc1"  # Apple's players take no other
            others = _copied(out, src, format, main, refused, kept, video) if src else {}
            if src:
                out.metadata.update(_tidy(src.metadata))
                chapters = _chapters(src, cut)
                out.set_chapters(chapters)  # type: ignore[arg-type]
                if chapters:
                    kept.streams.append(f"{len(chapters)} chapters")
            frames = _frames(parts, time_base, video)
            frame = next(frames, None)
            for packet in _packets(src, others, cut) if src and others else ():
                while frame is not None and (frame.dts or 0) * frame.time_base <= (packet.dts or 0) * packet.time_base:
                    out.mux_one(frame)
                    frame = next(frames, None)
                at.append(packet.stream)
                packet.stream = others[packet.stream.index]
                out.mux_one(packet)
                at.clear()
            while frame is not None:
                out.mux_one(frame)
                frame = next(frames, None)
    finally:
        first.close()
        if src:
            src.close()
    return kept


def _frames(parts: list[Part], time_base: Fraction, stream: Any) -> "Iterator[Packet[Any]]":
    """The coded frames of all parts with the times of the source.

    A packet is decoded at the time that was shown `delay` frames before it, whatever the encoder has said: so those
    times never go back, not even from one part to the next.
    """
    import av

    delay = max(part.delay for part in parts)
    shown = [pts for part in parts for pts, _ in part.times]
    step = min((b - a for a, b in itertools.pairwise(shown[: delay + 2])), default=1)
    begin, number = 0, 0
    for part in parts:
        with av.open(str(part.path)) as container:
            (source,) = container.streams.video
            for packet in container.demux(source):
                if not packet.size:
                    continue
                assert packet.pts is not None
                index = round(packet.pts * packet.time_base * Fraction(part.rate))
                packet.pts, packet.duration = part.times[index]
                early = number - delay
                packet.dts = shown[early] if early >= 0 else shown[0] + early * step
                packet.time_base, packet.stream = time_base, stream
                number += 1
                yield packet
        begin += len(part.times)
        if number != begin:
            raise VideoError(f"the segment {part.path.name} is damaged; remove {part.path.parent} and run it again")


def _packets(src: "InputContainer", others: "dict[int, Stream]", cut: Cut | None) -> "Iterator[Packet[Any]]":
    """The packets of the other streams; of a file that is cut short, those that are there."""
    import av

    demuxed = src.demux([src.streams[index] for index in others])
    while True:
        try:
            packet = next(demuxed, None)
        except av.error.FFmpegError:
            return
        if packet is None:
            return
        if not packet.size or packet.dts is None:
            continue
        if cut:
            time = (packet.dts if packet.pts is None else packet.pts) * packet.time_base
            if time < cut.start or (cut.stop is not None and time >= cut.stop):
                continue
            shift = round(cut.start / packet.time_base)
            packet.dts -= shift
            packet.pts = None if packet.pts is None else packet.pts - shift
        yield packet


def _copied(
    out: "OutputContainer",
    src: "InputContainer",
    format: str,
    main: int | None,
    refused: set[int],
    kept: Kept,
    video: Any,
) -> "dict[int, Stream]":
    """A stream in the output for each of the source that it can hold, by the index there."""
    from av.stream import Disposition

    if main is not None:
        video.metadata.update(_tidy(src.streams[main].metadata))
        video.disposition = src.streams[main].disposition
    others: dict[int, Stream] = {}
    for stream in src.streams:
        if stream.index == main or (main is None and stream.type == "video"):
            continue
        name = stream.codec_context.name if stream.codec_context else "unknown"
        cover = stream.type == "video" and bool(stream.disposition & Disposition.attached_pic)
        what = "cover" if cover else stream.type
        if stream.type == "attachment":
            name = stream.metadata.get("filename", "file")
        if cover and format == "matroska":  # where a cover is an attachment
            name = stream.metadata.get("filename") or f"cover.{'png' if name == 'png' else 'jpg'}"
            kind = stream.metadata.get("mimetype") or f"image/{'png' if name.endswith('png') else 'jpeg'}"
            out.add_attachment(name, kind, bytes(next(p for p in src.demux(stream) if p.size)))
            src.seek(0)
        elif stream.index not in refused and _holds(format, stream):
            copy = out.add_stream_from_template(stream, opaque=True)
            copy.metadata.update(_tidy(stream.metadata))
            copy.disposition = stream.disposition
            if stream.type != "attachment":
                others[stream.index] = copy
        else:
            better = "; name the output .mkv" if format == "mp4" and stream.type != "data" else ""
            kept.notes.append(
                f"{format} cannot hold stream {stream.index}, {what} ({name}), and it was left out{better}"
            )
            continue
        kept.streams.append(f"{what} ({name})")
    return others


def _holds(format: str, stream: "Stream") -> bool:
    """Whether the container takes a stream: tried in memory, as FFmpeg's tables know only some of it."""
    import av

    trial = av.open(io.BytesIO(), "w", format=format)
    try:
        trial.add_stream_from_template(stream, opaque=True)
        trial.start_encoding()
    except (ValueError, av.error.FFmpegError):
        return False
    finally:
        with suppress(av.error.FFmpegError, ValueError):
            trial.close()
    return True


def _chapters(src: "InputContainer", cut: Cut | None) -> list[dict[str, Any]]:
    chapters: Iterable[Any] = src.chapters()
    if cut is None:
        return list(chapters)
    result = []
    for chapter in chapters:
        base = chapter["time_base"]
        low = round(cut.start / base)
        high = chapter["end"] if cut.stop is None else min(chapter["end"], round(cut.stop / base))
        if high > max(low, chapter["start"]):
            result.append(chapter | {"start": max(low, chapter["start"]) - low, "end": high - low})
    return result


def _tidy(metadata: dict[str, str]) -> dict[str, str]:
    """Without what only describes the old file."""
    return {key: value for key, value in metadata.items() if not key.lower().startswith(_OF_THE_OLD_FILE)}
