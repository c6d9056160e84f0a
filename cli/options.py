"""The options that every command has that makes pictures and videos."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

from translate import formats
from translate.errors import InputError
from translate.video import codecs

Statistics = Annotated[
    Literal["image", "training"],
    typer.Option(help="Of batch norms that leave the choice (pix2pix): those of the image, or of training."),
]


@dataclass(frozen=True, kw_only=True)
class Options:
    """As they were typed; the properties say what they mean."""

    out: Annotated[
        Path | None, typer.Option(help="Where the results go; by default beside the input: photos-night/, dog-x4.jpg.")
    ] = None
    weights: Annotated[str | None, typer.Option(help="Name (see `translate weights list`) or file of the weights.")] = (
        None
    )
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto"
    precision: Annotated[
        str, typer.Option(help="auto, fp32, bf16, fp16, or int8: of upscale on a CPU, more than twice as fast.")
    ] = "auto"
    batch: Annotated[int, typer.Option(min=1, help="Pictures of one size that are computed together.")] = 1
    size: Annotated[
        str, typer.Option(help="native, or the short side in pixels that pictures are scaled to first.")
    ] = "native"
    tile: Annotated[
        str, typer.Option(help="auto, off, or the side in pixels of the parts that large pictures are made in.")
    ] = "auto"
    statistics: Statistics = "image"
    format: Annotated[str | None, typer.Option(help="png, jpg, webp, tif …; that of the input by default.")] = None
    quality: Annotated[int | None, typer.Option(min=1, max=100, help="Of JPEG (95) and WebP (90).")] = None
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make again what is there already, whatever options made it.")
    ] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False
    json: Annotated[bool, typer.Option("--json", help="One line of JSON a file on stdout.")] = False
    codec: Annotated[
        str | None, typer.Option(help="Of videos: h264 (hevc for 10 bit) by default, av1, prores, ffv1.")
    ] = None
    crf: Annotated[
        int | None,
        typer.Option(
            min=0, max=63, help="Of videos: lower is better and larger; 18 for h264, 20 for hevc, 26 for av1."
        ),
    ] = None
    preset: Annotated[str | None, typer.Option(help="Of videos: the encoder's speed, such as fast or slow.")] = None
    start: Annotated[str | None, typer.Option(help="Of videos: where to begin, in seconds or as [HH:]MM:SS.")] = None
    end: Annotated[str | None, typer.Option(help="Of videos: where to end.")] = None
    frames_out: Annotated[
        Path | None, typer.Option(help="Of one video: a folder for numbered PNGs and their times, instead of a video.")
    ] = None
    video_out: Annotated[
        Path | None, typer.Option(help="Of one folder of numbered pictures: the video to make of them.")
    ] = None
    fps: Annotated[
        str | None, typer.Option(help="With --video-out: 25, 30000/1001 …; the folder's timecodes.txt by default.")
    ] = None
    audio_from: Annotated[
        Path | None, typer.Option(help="With --video-out: a file whose sound and other streams go along.")
    ] = None
    preview: Annotated[
        int | None, typer.Option(min=1, max=100, help="Of videos: only a picture of so many moments, before and after.")
    ] = None
    stabilise: Annotated[
        bool | None,
        typer.Option(
            "--stabilise/--no-stabilise",
            help="Of videos: less flicker. On by default, but off for upscale and restore.",
        ),
    ] = None
    deinterlace: Annotated[
        bool,
        typer.Option("--deinterlace/--no-deinterlace", help="Of videos: make whole frames of interlaced ones."),
    ] = True
    max_pixels: Annotated[int, typer.Option(min=1, help="Refuse pictures with more pixels than this.")] = (
        formats.DEFAULT_MAX_PIXELS
    )

    @property
    def translator(self) -> dict[str, Any]:
        """Arguments of `Translator`."""
        return {"device": self.device, "precision": self.precision, "tile": _tile(self.tile)}

    @property
    def pictures(self) -> dict[str, Any]:
        """Arguments of `engine.run`."""
        return {
            "batch": self.batch,
            "size": _short_side(self.size),
            "quality": self.quality,
            "overwrite": self.overwrite,
            "max_pixels": self.max_pixels,
        }

    @property
    def videos(self) -> dict[str, Any]:
        """Arguments of `video.job.Options` that pictures do not have."""
        start, end = _seconds("--start", self.start), _seconds("--end", self.end)
        if end is not None and end <= (start or 0):
            raise InputError(f"--end {self.end} is not after the beginning; choose a later one")
        if self.video_out is None and (self.fps or self.audio_from):
            raise InputError("--fps and --audio-from are for --video-out, which makes a video of a folder of pictures")
        return {
            "codec": codecs.named(self.codec, self.crf, self.preset),
            "crf": self.crf,
            "preset": self.preset,
            "deinterlace": self.deinterlace,
            "start": start,
            "end": end,
            "fps": _fps(self.fps),
            "sound": self.audio_from,
            "preview": self.preview,
        }


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command, whose last parameter is `options`, an option for each field of `Options`."""
    own = [p for p in inspect.signature(command).parameters.values() if p.name != "options"]
    names = {parameter.name for parameter in own}

    @functools.wraps(command)
    def run(**values: Any) -> None:
        mine = {name: values.pop(name) for name in names}
        command(**mine, options=Options(**values))

    hints = get_type_hints(Options, include_extras=True)
    shared = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(Options)
    ]
    every = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + shared
    run.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in every}
    return run


def _seconds(option: str, clock: str | None) -> float | None:
    """Seconds of "83.5", "1:23.5" or "00:01:23.5"."""
    if clock is None:
        return None
    parts = clock.split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 3 or not all(0 <= number < 1e9 for number in numbers):
        raise InputError(f"{option} is {clock!r}; it takes seconds, MM:SS or HH:MM:SS")
    return float(sum(number * 60.0**n for n, number in enumerate(reversed(numbers))))


def _fps(fps: str | None) -> Fraction | None:
    try:
        rate = None if fps is None else Fraction(fps).limit_denominator(1001)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate is not None and not 0 < rate <= 1000:
        raise InputError(f"--fps is {fps!r}; it takes frames a second, such as 25, 23.976 or 30000/1001")
    return rate


def _short_side(size: str) -> int | None:
    if size == "native":
        return None
    if not size.isdecimal() or int(size) < 1:
        raise InputError(f"--size is {size!r}; it takes native, or a number of pixels")
    return int(size)


def _tile(tile: str) -> str | int:
    if tile in ("auto", "off"):
        return tile
    if not tile.isdecimal() or int(tile) < 16:
        raise InputError(f"--tile is {tile!r}; it takes auto, off, or a number of pixels from 16")
    return int(tile)
