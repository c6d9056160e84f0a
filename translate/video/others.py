"""What else a file holds beside its main video: copied as it is where the new container can hold it, or sound anew."""

import io
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from translate.video.sound import Sound

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
_FINE = Fraction(1, 90_000)  # seconds


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


class Copy:
    """A stream whose packets are taken as they are."""

    lost = 0

    def __init__(self, stream: "Stream") -> None:
        self.stream = stream

    def packets(self, packet: "Packet[Any] | None") -> "Iterator[Packet[Any]]":
        """The packet itself; None gives none, as nothing is held back."""
        if packet is not None:
            packet.stream = self.stream
            yield packet


def packets(src: "InputContainer", others: "dict[int, Copy | Sound]", cut: Cut | None) -> "Iterator[Packet[Any]]":
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
            finer = max(1, round(packet.time_base / _FINE))  # ADPCM of AVI counts blocks of a tenth of a second
            shift = round(cut.start / packet.time_base * finer)
            packet.dts = packet.dts * finer - shift
            packet.pts = None if packet.pts is None else packet.pts * finer - shift
            packet.duration = (packet.duration or 0) * finer
            packet.time_base /= finer
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
) -> "dict[int, Copy | Sound]":
    """What becomes of each stream of the source that the output can hold, by the index there."""
    if main is not None:
        video.metadata.update(tidy(src.streams[main].metadata))
        video.disposition = src.streams[main].disposition
    others: dict[int, Copy | Sound] = {}
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
                others[stream.index] = Copy(copy)
        else:
            sound = _anew(out, stream, format)
            become = f"encoded anew as {sound.codec}" if sound else "left out"
            fits = format == "mp4" and (cover or _holds("matroska", stream))
            better = "; name the output .mkv to keep it" if fits else ""
            kept.notes.append(
                f"{format} cannot hold stream {stream.index}, {what} ({name}), and it was {become}{better}"
            )
            if not sound:
                continue
            others[stream.index], name = sound, sound.codec
        kept.streams.append(f"{what} ({name})")
    return others


def _anew(out: "OutputContainer", stream: "Stream", format: str) -> Sound | None:
    """The sound of a stream, encoded as the container can hold it; None where it is none, or cannot be."""
    try:
        sound = Sound(out, stream, format) if stream.type == "audio" else None
    except ValueError:
        return None
    if sound:
        sound.stream.metadata.update(tidy(stream.metadata))
        sound.stream.disposition = stream.disposition
    return sound


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
