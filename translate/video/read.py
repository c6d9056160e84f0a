"""Frames of a video file, upright, each once and with its own time."""

import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from translate.images import Picture
from translate.video.colour import Colour, chroma_of, to_rgb
from translate.video.deinterlace import Deinterlacer
from translate.video.opened import line, opened
from translate.video.turned import matrix_of, turned

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

ANY_RATE = Fraction(25)  # where the file does not say one
_BROADCAST = "mpegts", "mpeg"  # FFmpeg's names of containers whose clock begins anywhere
_NO_WAY_IN = "avi", "mpeg"  # those whose frames have other times when reading begins in the middle


@dataclass(frozen=True, eq=False)
class Frame:
    """One moment: its picture, upright, and when it is shown, in the time base of its video."""

    picture: Picture
    pts: int
    duration: int  # 0: not known
    mark: int  # checksum of the luma as it was decoded, to find the place again


class Video:
    """A video file that is open for reading; close it, or use it as a context.

    Args:
        path: of the file.
        smooth: whether colours that are stored at half the size are interpolated.
        deinterlace: whether interlaced frames are made whole.

    Raises:
        VideoError: the file holds no video stream that can be decoded; one line, without the path.
    """

    def __init__(self, path: Path, *, smooth: bool = False, deinterlace: bool = True) -> None:
        self.path, self.smooth, self.others, self.deinterlace = path, smooth, path, deinterlace
        self.container, self.stream = opened(path)
        self.main = self.stream.index
        context = self.stream.codec_context
        self.time_base = Fraction(self.stream.time_base or Fraction(1, 90_000))
        rate = self.stream.average_rate or self.stream.guessed_rate or ANY_RATE
        self.rate = rate.limit_denominator(1001) if 1 <= rate <= 500 else ANY_RATE
        self.colour = Colour.of(context)
        self.format = context.format
        self.bits = max((component.bits for component in context.format.components), default=8) if context.format else 8
        self.chroma = chroma_of(context.format) if context.format else "420"
        self.origin = Fraction(self.container.start_time or 0, 1_000_000)  # seconds
        self.adrift = self.container.format.name in _BROADCAST  # where that means nothing
        if self.adrift:
            self.origin = Fraction(int(self.origin * 1000), 1000)  # rounded up it would be after the first packet
        self.notes: dict[str, None] = {}  # what is remarkable, in the order in which it was found
        self.given = 0  # frames that were handed out
        self.lost = 0  # packets that could not be decoded
        self.problem: str | None = None  # why not all of it could be read
        self.aspect = self.stream.sample_aspect_ratio or Fraction(
            0
        )  # of a pixel; that of an upright one once it is read
        self.size: tuple[int, int] = context.width, context.height  # as stored; exactly so once a frame is read
        self._settled = False
        if context.format and any(component.is_alpha for component in context.format.components):
            self.notes["its transparency is not kept"] = None

    def __enter__(self) -> "Video":
        return self

    def __exit__(self, *_: object) -> None:
        self.container.close()

    @property
    def identity(self) -> str:
        """A text that changes with the file."""
        status = self.path.stat()
        return f"{status.st_size} {status.st_mtime_ns}"

    @property
    def seconds(self) -> float:
        """How long it says it is; 0 where it does not say."""
        if self.stream.duration:
            return float(self.stream.duration * self.time_base)
        return (self.container.duration or 0) / 1_000_000

    def count(self, start: float | None, end: float | None) -> int | None:
        """About how many frames there are between two times, for a progress display."""
        whole = self.stream.frames or round(self.seconds * self.rate)
        if not whole or (start is None and end is None):
            return whole or None
        part = min(end or self.seconds, self.seconds) - (start or 0)
        return max(0, round(whole * part / self.seconds)) if self.seconds else None

    def frames(
        self,
        start: float | None = None,
        end: float | None = None,
        *,
        skip: int = 0,
        last: tuple[int, int] | None = None,
    ) -> Iterator[Frame]:
        """The frames from `start` on and before `end`, in seconds, in the order in which they are shown.

        `skip` leaves out so many at the beginning. `last`, the time and the mark of the last of them, makes that quick:
        the file is entered there, if that frame is found again exactly so; else all from `start` on is decoded again.
        """
        first = None if start is None else (self.origin + exact(start)) / self.time_base
        stop = None if end is None else (self.origin + exact(end)) / self.time_base
        found: Iterator[tuple[VideoFrame, int]] | None = None
        if skip and last:
            for frame, _ in itertools.islice(self._from(first), 1):
                self._settle(frame)
            if (found := self._entered(*last)) is None:
                self._reopen()
        if found is None:
            found = self._from(first)
            for _ in range(skip):
                next(found, None)
        for frame, pts in found:
            if stop is not None and pts >= stop:
                return
            self.given += 1
            yield Frame(self._upright(frame), pts, frame.duration or 0, _mark(frame))

    def _from(self, first: Fraction | None) -> "Iterator[tuple[VideoFrame, int]]":
        """All frames, or those whose time is not before `first`."""
        if first is None:
            return self._timed()
        return (item for item in self._reached(first) if item[1] >= first)

    def _reached(self, pts: Fraction) -> "Iterator[tuple[VideoFrame, int]]":
        """All frames from one on that is not after `pts`, if there is any.

        Containers lead to a key frame before it, but MPEG-TS to any packet, and what can be decoded begins at the next.
        """
        lost, problem, back = self.lost, self.problem, 0
        while self.container.format.name not in _NO_WAY_IN and back <= pts * self.time_base - self.origin:
            self._seek(pts - back / self.time_base)
            found = self._timed()
            begin = next(found, None)
            self.lost, self.problem = lost, problem  # what was met on the way in is not of the file
            if begin and begin[1] <= pts:
                return itertools.chain([begin], found)
            back = 2 * back or 1
        self._reopen()
        return self._timed()

    def _settle(self, frame: "VideoFrame") -> None:
        """Take the size, and the aspect of an upright pixel, from the first frame."""
        if not self._settled:
            self._settled, self.size = True, (frame.width, frame.height)
            matrix = matrix_of(frame)
            if matrix and abs(matrix[0]) < abs(matrix[1]) and self.aspect:
                self.aspect = 1 / self.aspect

    def _entered(self, pts: int, mark: int) -> "Iterator[tuple[VideoFrame, int]] | None":
        """What comes after the frame with this time and mark, or None where that is not found."""
        lost = self.lost
        found = self._reached(pts - 2 / (self.rate * self.time_base))  # deinterlacing looks at the frame before
        for frame, time in found:
            if time >= pts:
                if time == pts and _mark(frame) == mark:
                    return found
                break
        self.lost = lost
        return None

    def _seek(self, pts: Fraction) -> None:
        import av

        try:
            self.container.seek(int(pts), stream=self.stream)
        except av.error.FFmpegError:  # it cannot be entered in the middle
            self._reopen()

    def _reopen(self) -> None:
        """Begin from the beginning."""
        self.container.close()
        self.container, self.stream = opened(self.path)

    def _timed(self) -> "Iterator[tuple[VideoFrame, int]]":
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

    def _decoded(self) -> "Iterator[VideoFrame]":
        import av

        latest = 0
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
            try:
                for frame in self.stream.codec_context.decode(packet if packet is not None and packet.size else None):
                    self.lost += frame.is_corrupt
                    yield frame
            except av.error.EOFError:
                pass  # flushed already
            except av.error.FFmpegError:
                self.lost += 1
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

    def _upright(self, frame: "VideoFrame") -> Picture:
        if frame.interlaced_frame:
            self.notes["it is interlaced, and its combed frames are taken as they are"] = None
        self._settle(frame)
        size, matrix = (frame.width, frame.height), matrix_of(frame)
        if size != self.size:
            text = "the frame size changes midway, to {}×{}; from there on frames are scaled to {}×{}"
            self.notes[text.format(*size, *self.size)] = None
            frame = frame.reformat(*self.size)
        return Picture(turned(to_rgb(frame, self.colour, smooth=self.smooth), matrix))


def exact(seconds: float) -> Fraction:
    """Seconds as they were written: 0.08 as a float lies beyond a frame at 2/25."""
    return Fraction(seconds).limit_denominator(1_000_000)


def _mark(frame: "VideoFrame") -> int:
    return zlib.crc32(bytes(frame.planes[0]))
