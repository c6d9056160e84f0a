"""A folder of numbered pictures that is read as a video."""

import hashlib
import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from translate import formats, images
from translate.errors import ImageError, InputError, VideoError
from translate.frames import shown
from translate.images import Picture
from translate.video.colour import Colour
from translate.video.decode import ANY_RATE
from translate.video.options import TIMES
from translate.video.read import Frame, exact

_FINE = Fraction(1, 1_000_000)  # where a file of times says nothing about its time base


class Stills:
    """The pictures of a folder in the order of their numbers, with what `read.Video` says of a video.

    Args:
        folder: of the pictures; other files in it are left out.
        fps: frames a second; None takes the times in the folder's file TIMES.
        sound: a file whose sound and other streams go with them.

    Raises:
        InputError: there are no pictures, or no times.
    """

    def __init__(self, folder: Path, fps: Fraction | None, sound: Path | None = None) -> None:
        self.path, self.others, self.main = folder, sound, None
        self.paths = sorted(
            (path for path in folder.iterdir() if formats.is_image(path) and not path.name.startswith(".")), key=_order
        )
        if not self.paths:
            raise InputError(f"{shown(folder)} holds no pictures; --video-out makes a video of numbered ones")
        self.time_base, self.times = _of_rate(fps, len(self.paths)) if fps else self._of_file(folder / TIMES)
        if not sound:  # nothing to keep step with: they begin at once, also where they are of the middle of a video
            self.times = [time - self.times[0] for time in self.times]
        span = self.times[-1] - self.times[0]
        rate = Fraction(len(self.times) - 1) / (span * self.time_base) if span else fps or ANY_RATE
        self.rate = rate.limit_denominator(1001) if 1 <= rate <= 500 else ANY_RATE
        first = self._read(0)
        self.size: tuple[int, int] = first.pixels.shape[1], first.pixels.shape[0]
        self.bits = 10 if first.pixels.dtype == np.uint16 else 8
        self.colour, self.chroma, self.aspect, self.origin = Colour(1, False, 1, 1), "420", Fraction(1), Fraction(0)
        self.notes: dict[str, None] = {}
        self.given = self.lost = 0
        self.adrift = False
        self.problem: str | None = None

    def __enter__(self) -> "Stills":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def identity(self) -> str:
        """A text that changes with any of the files."""
        states = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in self.paths]
        return hashlib.sha256(repr((states, self.times, self.time_base)).encode()).hexdigest()

    @property
    def seconds(self) -> float:
        """How long they are shown."""
        return float((self.times[-1] + self._duration(len(self.times) - 1)) * self.time_base)

    def count(self, start: float | None, end: float | None) -> int:
        """How many frames there are between two times, in seconds."""
        return len(self._between(start, end))

    def frames(
        self,
        start: float | None = None,
        end: float | None = None,
        *,
        skip: int = 0,
        last: tuple[int, int] | None = None,
    ) -> Iterator[Frame]:
        """The frames from `start` on and before `end`, in seconds, without the first `skip`; `last` is not needed."""
        for number in self._between(start, end)[skip:]:
            picture = self._read(number)
            height, width = picture.pixels.shape[:2]
            if picture.alpha is not None:
                self.notes["its transparency is not kept"] = None
                picture = replace(picture, alpha=None)
            if (width, height) != self.size:
                text = "{} is {}×{}; such pictures are scaled to {}×{}, as the first one is"
                self.notes.setdefault(text.format(self.paths[number].name, width, height, *self.size), None)
                scaled: Any = cv2.resize(picture.pixels, self.size, interpolation=cv2.INTER_AREA)
                picture = replace(picture, pixels=scaled)
            self.given += 1
            yield Frame(picture, self.times[number], self._duration(number), 0)

    def _read(self, number: int) -> Picture:
        try:
            return images.read(self.paths[number])
        except ImageError as error:
            raise VideoError(f"{self.paths[number].name}: {error}") from error

    def _duration(self, number: int) -> int:
        after = min(number + 1, len(self.times) - 1)
        return self.times[after] - self.times[after - 1] if after else round(1 / (self.rate * self.time_base))

    def _between(self, start: float | None, end: float | None) -> list[int]:
        first = 0 if start is None else exact(start) / self.time_base
        stop = None if end is None else exact(end) / self.time_base
        return [n for n, time in enumerate(self.times) if time >= first and (stop is None or time < stop)]

    def _of_file(self, path: Path) -> tuple[Fraction, list[int]]:
        """Time base and times of a "timestamp format v2": milliseconds, one line a frame."""
        try:
            lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
        except OSError as error:
            raise InputError(f"{shown(path)} is missing; say how many frames a second with --fps") from error
        base = next((line.removeprefix("# time base ") for line in lines if line.startswith("# time base ")), _FINE)
        try:
            time_base = Fraction(base)
            times = [round(Fraction(line) / 1000 / time_base) for line in lines if line and not line.startswith("#")]
        except (ValueError, ZeroDivisionError) as error:
            raise InputError(f"{shown(path)} is no list of milliseconds ({error}); repair it, or give --fps") from error
        if len(times) != len(self.paths):
            raise InputError(
                f"{shown(path)} has {len(times)} times for {len(self.paths)} pictures; repair it, or give --fps"
            )
        if any(after <= before for before, after in itertools.pairwise(times)):
            raise InputError(f"the times in {shown(path)} do not all go forward; repair it, or give --fps")
        return time_base, times


def _of_rate(fps: Fraction, count: int) -> tuple[Fraction, list[int]]:
    """Time base and times of a constant rate, in which each frame is exact."""
    return Fraction(1, fps.numerator), [n * fps.denominator for n in range(count)]


def _order(path: Path) -> tuple[list[tuple[int, str]], str]:
    """By the numbers in the name, so that 10 comes after 9 whether or not there are zeros before it."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], path.name
