"""The commands that make pictures: `cyclegan` and `upscale`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from translate import formats, frames
from translate.errors import InputError, UnknownModelError
from translate.weights import registry

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
MaxPixels = Annotated[int, typer.Option(min=1, help="Refuse pictures with more pixels than this.")]


def cyclegan(
    src: Annotated[list[Path], typer.Option(help="A folder of pictures, or one picture; may be given several times.")],
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
    max_pixels: MaxPixels = formats.DEFAULT_MAX_PIXELS,
) -> None:
    """Turn photographs into another kind: day into night, night into day.

    Every picture keeps its size. A folder is mirrored; what is there already is skipped.
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
        format=format,
        dry_run=dry_run,
        json=json,
        scale=1,
    )


def upscale(
    paths: Annotated[list[Path], typer.Argument(help="Folders of pictures, or pictures.")],
    x4: Annotated[bool, typer.Option("--x4", help="Four times as wide and as high (the only factor yet).")] = True,
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
    max_pixels: MaxPixels = formats.DEFAULT_MAX_PIXELS,
) -> None:
    """Enlarge pictures four times, and sharpen them.

    A folder is mirrored; what is there already is skipped.
    """
    _apply(
        paths,
        out,
        "x4",
        weights or registry.default_for("upscale", scale=4).name,
        {"device": device, "precision": precision, "tile": _tile(tile)},
        {
            "batch": batch,
            "size": _short_side(size),
            "quality": quality,
            "overwrite": overwrite,
            "max_pixels": max_pixels,
        },
        format=format,
        dry_run=dry_run,
        json=json,
        scale=4,
    )


def _apply(
    sources: list[Path],
    out: Path | None,
    label: str,
    weights: str,
    translator: dict[str, Any],
    options: dict[str, Any],
    *,
    format: str | None,
    dry_run: bool,
    json: bool,
    scale: int,
) -> None:
    """Plan the job, load the network, and run it with a progress display."""
    from translate.cli import progress

    plan = frames.plan(sources, out, label, format)
    path, _ = registry.find(weights)
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
    frames.clean({job.target.parent for job in plan.jobs})
    with report:
        for done in engine.run(ready, plan.jobs, **options):
            report.add(done)
    if report.failed:
        raise typer.Exit(1)


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
