"""The commands that make pictures and videos: `cyclegan` and `upscale`."""

import hashlib
import itertools
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from translate import formats, frames
from translate.errors import InputError, UnknownModelError
from translate.weights import registry

if TYPE_CHECKING:
    from translate.cli.progress import Report
    from translate.frames import Job
    from translate.translator import Translator

Out = Annotated[Path | None, typer.Option(help="Where the results go; a sibling of the input by default.")]
Weights = Annotated[str | None, typer.Option(help="Name (see `translate weights list`) or file of the weights.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Precision = Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")]
Batch = Annotated[int, typer.Option(min=1, help="Pictures of one size that are computed together.")]
Tile = Annotated[
    str, typer.Option(help="auto, off, or the side in pixels of the parts that large pictures are made in.")
]
Size = Annotated[str, typer.Option(help="native, or the short side in pixels that pictures are scaled to first.")]
Format = Annotated[str | None, typer.Option(help="png, jpg, webp, tif …; that of the input by default.")]
Quality = Annotated[int | None, typer.Option(min=1, max=100, help="Of JPEG (95) and WebP (90).")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Make again what is there already.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Json = Annotated[bool, typer.Option("--json", help="One line of JSON a file on stdout.")]
Codec = Annotated[str | None, typer.Option(help="Of videos: h264 (hevc for 10 bit) by default, av1, prores, ffv1.")]
Crf = Annotated[int | None, typer.Option(min=0, max=63, help="Of videos: lower is better and larger; 18 for h264.")]
Preset = Annotated[str | None, typer.Option(help="Of videos: the encoder's speed, such as fast or slow.")]
Start = Annotated[str | None, typer.Option(help="Of videos: where to begin, in seconds or as [HH:]MM:SS.")]
End = Annotated[str | None, typer.Option(help="Of videos: where to end.")]
FramesOut = Annotated[
    Path | None, typer.Option(help="Of one video: a folder for numbered PNGs and their times, instead of a video.")
]
Stabilise = Annotated[
    bool, typer.Option("--stabilise/--no-stabilise", help="Of videos: less flicker; each frame takes from the last.")
]
MaxPixels = Annotated[int, typer.Option(min=1, help="Refuse pictures with more pixels than this.")]


def cyclegan(
    src: Annotated[list[Path], typer.Option(help="A folder, a picture or a video; may be given several times.")],
    to: Annotated[str | None, typer.Option(help="What to turn them into: night, day …")] = None,
    out: Out = None,
    weights: Weights = None,
    device: Device = "auto",
    precision: Precision = "auto",
    batch: Batch = 1,
    size: Size = "native",
    tile: Tile = "auto",
    format: Format = None,
    quality: Quality = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json: Json = False,
    codec: Codec = None,
    crf: Crf = None,
    preset: Preset = None,
    start: Start = None,
    end: End = None,
    frames_out: FramesOut = None,
    stabilise: Stabilise = True,
    max_pixels: MaxPixels = formats.DEFAULT_MAX_PIXELS,
) -> None:
    """Turn photographs into another kind: day into night, night into day.

    Every picture keeps its size. A folder is mirrored; what is there already is skipped. A video keeps all its frames,
    their times, sound and subtitles, and goes on where it was stopped.
    """
    if to is None and weights is None:
        raise InputError("say what to turn the pictures into, with --to or --weights")
    entry = registry.default_for("cyclegan", target=to) if weights is None else None
    label = to or Path(weights or "").stem
    _apply(
        src,
        out,
        label,
        weights or (entry.name if entry else ""),
        {"device": device, "precision": precision, "tile": _tile(tile)},
        {
            "batch": batch,
            "size": _short_side(size),
            "quality": quality,
            "overwrite": overwrite,
            "max_pixels": max_pixels,
        },
        {**_of_videos(codec, crf, preset, start, end), "stabilise": stabilise},
        frames_out=frames_out,
        format=format,
        dry_run=dry_run,
        json=json,
        scale=1,
    )


def upscale(
    paths: Annotated[list[Path], typer.Argument(help="Folders, pictures or videos.")],
    x4: Annotated[bool, typer.Option("--x4", help="Four times as wide and as high; the default.")] = False,
    x2: Annotated[
        bool, typer.Option("--x2", help="Twice as wide and as high; needs --weights of that factor.")
    ] = False,
    out: Out = None,
    weights: Weights = None,
    device: Device = "auto",
    precision: Precision = "auto",
    batch: Batch = 1,
    size: Size = "native",
    tile: Tile = "auto",
    format: Format = None,
    quality: Quality = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json: Json = False,
    codec: Codec = None,
    crf: Crf = None,
    preset: Preset = None,
    start: Start = None,
    end: End = None,
    frames_out: FramesOut = None,
    stabilise: Stabilise = False,
    max_pixels: MaxPixels = formats.DEFAULT_MAX_PIXELS,
) -> None:
    """Enlarge pictures and videos four times (or twice), and sharpen them.

    A folder is mirrored; what is there already is skipped. A video keeps all its frames, their times, sound and
    subtitles, and goes on where it was stopped.
    """
    if x2 and x4:
        raise InputError("--x2 and --x4 cannot both be; choose one")
    scale = 2 if x2 else 4
    _apply(
        paths,
        out,
        f"x{scale}",
        weights or registry.default_for("upscale", scale=scale).name,
        {"device": device, "precision": precision, "tile": _tile(tile)},
        {
            "batch": batch,
            "size": _short_side(size),
            "quality": quality,
            "overwrite": overwrite,
            "max_pixels": max_pixels,
        },
        {**_of_videos(codec, crf, preset, start, end), "stabilise": stabilise},
        frames_out=frames_out,
        format=format,
        dry_run=dry_run,
        json=json,
        scale=scale,
    )


def _apply(
    sources: list[Path],
    out: Path | None,
    label: str,
    weights: str,
    translator: dict[str, Any],
    options: dict[str, Any],
    videos: dict[str, Any],
    *,
    frames_out: Path | None,
    format: str | None,
    dry_run: bool,
    json: bool,
    scale: int,
) -> None:
    """Plan the job, load the network, and run it with a progress display."""
    from translate.cli import progress

    plan = frames.plan(sources, out, label, format, ".mkv" if videos["codec"] in ("prores", "ffv1") else None)
    path, _ = registry.find(weights)
    if frames_out:
        if len(plan.jobs) != 1 or not formats.is_video(plan.jobs[0].source):
            raise InputError("--frames-out takes apart one video; give one, and no folder")
        if frames_out.exists() and not frames_out.is_dir():
            raise InputError(
                f"--frames-out {frames.shown(frames_out)} is a file, but a folder is needed; choose another"
            )
        plan = frames.Plan((frames_out,), (replace(plan.jobs[0], target=frames_out, problem=None),))
        videos["pictures"] = True
    report = progress.Report(len(plan.jobs), json=json)
    for output in plan.outputs:
        report.say(f"output: {frames.shown(output)}")
    if dry_run:
        for job in plan.jobs:
            report.planned(job, options["overwrite"])
        raise typer.Exit(int(any(job.problem for job in plan.jobs)))

    from translate import checkpoints, engine  # here, as they import torch

    model = checkpoints.load(path)
    if model.scale != scale:
        raise UnknownModelError(f"{weights} enlarges ×{model.scale}, not ×{scale}; choose other weights")
    ready = engine.Translator(model, **translator)
    report.say(f"{frames.shown(Path(weights).stem)} on {ready.device} in {ready.precision}")
    for note in model.notes:
        report.say(f"note: {note}")
    frames.clean({frames_out} if frames_out else {job.target.parent for job in plan.jobs})
    with report:
        for video, jobs in itertools.groupby(plan.jobs, lambda job: formats.is_video(job.source)):
            if video:
                _make_videos(ready, jobs, path, {**options, **videos}, report)
            else:
                for done in engine.run(ready, jobs, **options):
                    report.add(done)
    if report.failed:
        raise typer.Exit(1)


def _make_videos(
    ready: "Translator", jobs: "Iterable[Job]", weights: Path, options: dict[str, Any], report: "Report"
) -> None:
    from translate.engine import Done
    from translate.video import job as video

    with weights.open("rb") as file:
        made_by = {
            "--weights": hashlib.file_digest(file, "sha256").hexdigest(),
            "--device or --precision": f"{ready.device} {ready.precision}",
        }
    used = {name: value for name, value in options.items() if name != "quality"}
    for job in jobs:
        for event in video.run(ready, job, video.Options(**used, made_by=tuple(made_by.items()))):
            if isinstance(event, Done):
                report.add(event)
            else:
                report.frames(event)


def _of_videos(
    codec: str | None, crf: int | None, preset: str | None, start: str | None, end: str | None
) -> dict[str, Any]:
    """The options that only videos have."""
    span = {"start": _seconds("--start", start), "end": _seconds("--end", end)}
    if span["end"] is not None and span["end"] <= (span["start"] or 0):
        raise InputError(f"--end {end} is not after the beginning; choose a later one")
    return {"codec": codec, "crf": crf, "preset": preset, **span}


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
