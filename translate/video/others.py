"""What else a file holds beside its main video: copied as it is, where the new container can hold it."""

import io
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

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
class Cut:
    """The span of the source that is taken, in seconds of its own clock; the output begins at zero."""

    start: Fraction
    stop: Fraction | None


@dataclass
class Kept:
    """What was copied, such as "audio (aac)", and one line for each thing that could not be."""

    streams: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def packets(src: "InputContainer", others: "dict[int, Stream]", cut: Cut | None) -> "Iterator[Packet[Any]]":
    """The packets of the other streams; of a file that is cut short, those that are there."""
    import av

    demuxed, timeless = src.demux([src.streams[index] for index in others]), covers(src)
    while True:
        try:
            packet = next(demuxed, None)
        except av.error.FFmpegError:
            return
        if packet is None:
            return
        if packet.size and packet.stream.index in timeless:
            packet.pts = packet.dts = 0
            yield packet
            continue
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


def covers(src: "InputContainer") -> set[int]:
    """Streams that are one picture, to be shown for the file."""
    from av.stream import Disposition

    return {stream.index for stream in src.streams.video if stream.disposition & Disposition.attached_pic}


def copied(
    out: "OutputContainer",
    src: "InputContainer",
    format: str,
    main: int | None,
    refused: set[int],
    kept: Kept,
    video: Any,
) -> "dict[int, Stream]":
    """A stream in the output for each of the source that it can hold, by the index there."""
    if main is not None:
        video.metadata.update(tidy(src.streams[main].metadata))
        video.disposition = src.streams[main].disposition
    others: dict[int, Stream] = {}
    for stream in src.streams:
        if stream.index == main or (main is None and stream.type == "video"):
            continue
        name = stream.codec_context.name if stream.codec_context else "unknown"
        cover = stream.index in covers(src)
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
            copy.metadata.update(tidy(stream.metadata))
            copy.disposition = stream.disposition
            if stream.type != "attachment":
                others[stream.index] = copy
        else:
            fits = format == "mp4" and (cover or _holds("matroska", stream))
            better = "; name the output .mkv" if fits else ""
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


def chapters_of(src: "InputContainer", cut: Cut | None) -> list[dict[str, Any]]:
    """The chapters, or what is left of them in a span."""
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


def tidy(metadata: dict[str, str]) -> dict[str, str]:
    """Without what only describes the old file."""
    return {key: value for key, value in metadata.items() if not key.lower().startswith(_OF_THE_OLD_FILE)}
