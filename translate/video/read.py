"""Frames of a video file, upright, each once and with its own time."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from translate.images import Picture
from translate.video.colour import Colour, chroma_of, to_rgb
from translate.video.decode import Decoder, mark_of
from translate.video.turned import matrix_of, turned

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


@dataclass(frozen=True, eq=False)
class Frame:
    """One moment: its picture, upright, and when it is shown, in the time base of its video."""

    picture: Picture
    pts: int
    duration: int  # 0: not known
    mark: int  # checksum of the luma as it was decoded, to find the place again


class Video(Decoder):
    """A video file that is open for reading; close it, or use it as a context.

    Args:
        path: of the file.
        smooth: whether colours that are stored at half the size are interpolated.
        deinterlace: whether interlaced frames are made whole.

    Raises:
        VideoError: the file holds no video stream that can be decoded; one line, without the path.
    """

    def __init__(self, path: Path, *, smooth: bool = False, deinterlace: bool = True) -> None:
        super().__init__(path, deinterlace=deinterlace)
        self.smooth, self.others, self.main = smooth, path, self.stream.index
        context = self.stream.codec_context
        self.colour = Colour.of(context)
        components = context.format.components if context.format else ()
        self.bits = max((component.bits for component in components), default=8)
        self.chroma = chroma_of(context.format) if context.format else "420"
        self.given = 0  # frames that were handed out
        self.aspect = self.stream.sample_aspect_ratio or Fraction(0)  # of a pixel; of an upright one once it is read
        self.size: tuple[int, int] = context.width, context.height  # as stored; exactly so once a frame is read
        self._settled = False
        if any(component.is_alpha for component in components):
            self.notes["its transparency is not kept"] = None

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
            for frame, _ in itertools.islice(self.since(first), 1):
                self._settle(frame)
            if (found := self.entered(*last)) is None:
                self.reopen()
        if found is None:
            found = self.since(first)
            for _ in range(skip):
                next(found, None)
        for frame, pts in found:
            if stop is not None and pts >= stop:
                return
            self.given += 1
            yield Frame(self._upright(frame), pts, frame.duration or 0, mark_of(frame))

    def _settle(self, frame: "VideoFrame") -> None:
        """Take the size, and the aspect of an upright pixel, from the first frame."""
        if not self._settled:
            self._settled, self.size = True, (frame.width, frame.height)
            matrix = matrix_of(frame)
            if matrix and abs(matrix[0]) < abs(matrix[1]) and self.aspect:
                self.aspect = 1 / self.aspect

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
