"""The decoded frames of a video file, from its beginning or from a place in it, each with its time."""

import itertools
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Self

from translate.video.deinterlace import Deinterlacer
from translate.video.opened import line, opened

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

ANY_RATE = Fraction(25)  # where the file does not say one
_BROADCAST = "mpegts", "mpeg"  # FFmpeg's names of containers whose clock begins anywhere
_NO_WAY_IN = "avi", "mpeg"  # those whose frames have other times when reading begins in the middle


class Decoder:
    """A video file that is open; close it, or use it as a context.

    Args:
        path: of the file.
        deinterlace: whether interlaced frames are made whole.

    Raises:
        VideoError: the file holds no video stream that can be decoded; one line, without the path.
    """

    def __init__(self, path: Path, *, deinterlace: bool = True) -> None:
        self.path, self.deinterlace = path, deinterlace
        self.container, self.stream = opened(path)
        self.time_base = Fraction(self.stream.time_base or Fraction(1, 90_000))
        rate = self.stream.average_rate or self.stream.guessed_rate or ANY_RATE
        self.rate = rate.limit_denominator(1001) if 1 <= rate <= 500 else ANY_RATE
        self.origin = Fraction(self.container.start_time or 0, 1_000_000)  # seconds
        self.adrift = self.container.format.name in _BROADCAST  # where that means nothing
        if self.adrift:
            self.origin = Fraction(int(self.origin * 1000), 1000)  # rounded up it would be after the first packet
        self.notes: dict[str, None] = {}  # what is remarkable, in the order in which it was found
        self.lost = 0  # packets that could not be decoded
        self.problem: str | None = None  # why not all of it could be read

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.container.close()

    def since(self, first: Fraction | None) -> "Iterator[tuple[VideoFrame, int]]":
        """All frames, or those whose time is not before `first`."""
        if first is None:
            return self.timed()
        return (item for item in self._reached(first) if item[1] >= first)

    def entered(self, pts: int, mark: int) -> "Iterator[tuple[VideoFrame, int]] | None":
        """What comes after the frame with this time and mark, or None where that is not found."""
        lost = self.lost
        found = self._reached(pts - 2 / (self.rate * self.time_base))  # deinterlacing looks at the frame before
        for frame, time in found:
            if time >= pts:
                if time == pts and mark_of(frame) == mark:
                    return found
                break
        self.lost = lost
        return None

    def reopen(self) -> None:
        """Begin from the beginning."""
        self.container.close()
        self.container, self.stream = opened(self.path)

    def timed(self) -> "Iterator[tuple[VideoFrame, int]]":
        """Every decoded frame with a time that is later than the one before."""
        previous: int | None = None
        step = max(1, round(1 / (self.rate * self.time_base)))
        whole = Deinterlacer()
        for frame in whole(self._decoded()) if self.deinterlace else self._decoded():
            if whole.used:
                self.notes["it is interlaced, and its frames were made whole (--no-deinterlace leaves them)"] = None
            pts = frame.pts
            if pts is None:
                pts = 0 if previous is None else previous + step
                self.notes["some frames have no time of their own, and follow the one before at the usual pace"] = None
            elif previous is not None and pts <= previous:
                pts = previous + 1
                self.notes["some times stand still or go back, and were put right after the one before"] = None
            previous = pts
            yield frame, pts

    def _reached(self, pts: Fraction) -> "Iterator[tuple[VideoFrame, int]]":
        """All frames from one on that is not after `pts`, if there is any.

        Containers lead to a key frame before it, but MPEG-TS to any packet, and what can be decoded begins at the next.
        """
        lost, problem, back = self.lost, self.problem, 0
        while self.container.format.name not in _NO_WAY_IN and back <= pts * self.time_base - self.origin:
            self._seek(pts - back / self.time_base)
            found = self.timed()
            begin = next(found, None)
            self.lost, self.problem = lost, problem  # what was met on the way in is not of the file
            if begin and begin[1] <= pts:
                return itertools.chain([begin], found)
            back = 2 * back or 1
        self.reopen()
        return self.timed()

    def _seek(self, pts: Fraction) -> None:
        import av

        try:
            self.container.seek(int(pts), stream=self.stream)
        except av.error.FFmpegError:  # it cannot be entered in the middle
            self.reopen()

    def _decoded(self) -> "Iterator[VideoFrame]":
        import av

        latest, slots = 0, _Slots() if self.container.format.name == "avi" else None
        demuxed = self.container.demux(self.stream)
        while True:
            try:
                packet = next(demuxed, None)
            except av.error.FFmpegError as error:
                self.problem = f"is damaged ({line(error)})"
                packet = None
            self.lost += packet is not None and packet.is_corrupt
            if packet is not None and packet.size and packet.pts is not None:
                latest = max(latest, packet.pts + (packet.duration or 0))
                if slots and slots.key is None and packet.is_keyframe:
                    slots.key = packet.dts
            try:
                for frame in self.stream.codec_context.decode(packet if packet is not None and packet.size else None):
                    self.lost += frame.is_corrupt
                    if slots:
                        frame.pts = slots.next(frame)
                    yield frame
            except av.error.EOFError:
                pass  # flushed already
            except av.error.FFmpegError:
                self.lost += 1
                if slots:
                    slots.key = None
            if packet is None or not packet.size:
                break
        self._check(latest)

    def _check(self, latest: int) -> None:
        """Compare the end with what the file promises: MP4 in its index, Matroska in a tag, AVI in its header."""
        index = self.stream.index_entries
        clock = self.stream.metadata.get("DURATION", "")
        promised = sum(float(part) * 60**n for n, part in enumerate(reversed(clock.split(":")))) if clock else 0.0
        if self.container.format.name == "avi":
            promised = float(self.stream.frames / (self.stream.average_rate or self.rate))
        if latest * self.time_base + 0.5 < promised or (len(index) and latest < index[len(index) - 1].timestamp):
            self.problem = self.problem or "is cut short"


class _Slots:
    """When the frames of an AVI are shown, which only says in what order they are decoded: one for each frame time."""

    def __init__(self) -> None:
        self.key: int | None = None  # where the first key frame lies, of those that can be decoded
        self._late: int | None = None  # by how many frames showing is behind decoding
        self._last = -1

    def next(self, frame: "VideoFrame") -> int:
        """The slot of the next frame in the order of showing; a key frame is the first one that is shown."""
        if self._late is None:
            self._late = 0 if frame.dts is None or self.key is None else frame.dts - self.key
        self._last = self._last + 1 if frame.dts is None else frame.dts - self._late
        return self._last


def mark_of(frame: "VideoFrame") -> int:
    """Checksum of the luma as it was decoded."""
    return zlib.crc32(bytes(frame.planes[0]))
