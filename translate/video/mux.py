"""The finished file: the segments in a row, and beside them everything else that the source holds, copied as it is."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from translate.errors import VideoError
from translate.video.colour import Colour
from translate.video.others import Cut, Kept, chapters_of, copied, covers, packets, tidy

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream

FORMATS = {".mp4": "mp4", ".mkv": "matroska"}


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
            options["movflags"] += "+use_metadata_tags"  # those of phones: where and with what it was taken;
            refused = refused | covers(src)  # FFmpeg writes either these or a cover
        with av.open(str(path), "w", format=format, container_options=options) as out:
            video: Any = out.add_stream_from_template(first.streams.video[0], opaque=True)
            video.time_base = time_base
            video.codec_context.sample_aspect_ratio = aspect
            colour.put(video.codec_context)
            if format == "mp4" and video.codec_context.name == "hevc":
                video.codec_context.codec_tag = "hvc1"  # Apple's players take no other
            others = copied(out, src, format, main, refused, kept, video) if src else {}
            if src:
                out.metadata.update(tidy(src.metadata))
                chapters = chapters_of(src, cut)
                out.set_chapters(chapters)  # type: ignore[arg-type]
                if chapters:
                    kept.streams.append(f"{len(chapters)} chapters")
            frames = _frames(parts, time_base, video)
            frame = next(frames, None)
            for packet in packets(src, others, cut) if src and others else ():
                while frame is not None and (frame.dts or 0) * frame.time_base <= (packet.dts or 0) * packet.time_base:
                    out.mux_one(frame)
                    frame = next(frames, None)
                at.append(packet.stream)
                for other in others[packet.stream.index].packets(packet):
                    out.mux_one(other)
                at.clear()
            for index, kind in others.items():
                for other in kind.packets(None):
                    out.mux_one(other)
                if kind.lost:
                    kept.notes.append(f"{kind.lost} packets of stream {index} could not be decoded")
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
