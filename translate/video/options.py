"""How a video is to be made, and what is said while it is."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from translate.formats import DEFAULT_MAX_PIXELS

TIMES = "timecodes.txt"  # "timestamp format v2": milliseconds, one line a frame


@dataclass(frozen=True)
class Options:
    """How a video is made.

    Args:
        codec: one of `codecs.CODECS`; None is H.264, or HEVC for more than 8 bit.
        crf: its quality, lower is better; None is the codec's default.
        preset: its speed; None is the codec's default.
        start: in seconds; None is the beginning.
        end: in seconds; None is the end.
        batch: frames that are computed together.
        size: short side that frames are scaled to first; None leaves them.
        overwrite: make it again where it is there already.
        max_pixels: of one frame.
        pictures: the target is a folder, for numbered PNGs and the file TIMES with when each is shown.
        stabilise: blend the frame before into each, and smooth the statistics of norms, so that the result flickers
            less; frames are computed one by one then.
        deinterlace: make whole frames of interlaced ones.
        fps: frames a second of a folder of pictures that is made a video; None takes the file TIMES in it.
        sound: a file whose sound goes with them.
        preview: make no video, but one picture of so many moments before and after.
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
    stabilise: bool = False
    deinterlace: bool = True
    fps: Fraction | None = None
    sound: Path | None = None
    preview: int | None = None

    def made_from(self, source: str) -> dict[str, str]:
        """What the frames depend on, as texts; `source` is the identity of the video."""
        import av

        return {
            "the source": source,
            "--start or --end": f"{self.start} {self.end}",
            "--size": str(self.size),
            "--batch": str(self.batch),
            "--stabilise": str(self.stabilise),
            "--deinterlace": str(self.deinterlace),
            "PyAV": av.__version__,
            **dict(self.made_by),
        }


@dataclass(frozen=True)
class Progress:
    """How far one video is. `resumed` of the frames were there already; `note` is to be said."""

    source: Path
    frames: int
    total: int | None
    resumed: int = 0
    note: str | None = None
