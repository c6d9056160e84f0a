"""The commands that make pictures and videos."""

from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

import typer

from translate.cli.job import run
from translate.cli.options import Options, with_options
from translate.errors import InputError
from translate.weights import registry

Sources = Annotated[list[Path], typer.Option("--src", help="A folder, picture or video; may be given several times.")]
Paths = Annotated[list[Path], typer.Argument(help="Folders, pictures or videos.")]


@with_options
def cyclegan(
    src: Sources,
    to: Annotated[str | None, typer.Option(help="What to turn them into: night, day, zebra, horse …")] = None,
    *,
    options: Options,
) -> None:
    """Turn photographs into another kind: day into night, horses into zebras, and back.

    Every picture keeps its size. A folder is mirrored; what is there already is skipped. A video keeps all its frames,
    their times, sound and subtitles, and goes on where it was stopped.
    """
    _to("cyclegan", src, to, options)


@with_options
def pix2pix(
    src: Sources,
    to: Annotated[str | None, typer.Option(help="What to turn them into: photo, facade …")] = None,
    *,
    options: Options,
) -> None:
    """Turn drawings into photographs, with a network that was trained on pairs.

    Every picture keeps its size. A folder is mirrored; what is there already is skipped. A video keeps all its frames,
    their times, sound and subtitles, and goes on where it was stopped.
    """
    _to("pix2pix", src, to, options)


@with_options
def colourise(paths: Paths, *, options: Options) -> None:
    """Give colours to grey photographs and films.

    The grey of every pixel stays as it is. A folder is mirrored; what is there already is skipped. A video keeps
    all its frames, their times, sound and subtitles, and goes on where it was stopped.
    """
    run(paths, "colour", [_weights("colourise", options)], options)


@with_options
def restore(
    paths: Paths,
    scratches: Annotated[
        Literal["auto", "off"], typer.Option(help="auto paints over what is destroyed; off leaves it.")
    ] = "auto",
    grain: Annotated[
        Literal["auto", "off"],
        typer.Option(help="auto takes off grain, noise and blur; off leaves them."),
    ] = "auto",
    colourise: Annotated[
        bool, typer.Option("--colourise", help="Give colours as well (by the usual weights).")
    ] = False,
    x4: Annotated[bool, typer.Option("--x4", help="Enlarge four times as well (by the usual weights).")] = False,
    *,
    options: Options,
) -> None:
    """Make old photographs new: tones come back, scratches, dust and tears are painted over, grain and blur go.

    A folder is mirrored; what is there already is skipped. A video keeps all its frames, their times, sound and
    subtitles, and goes on where it was stopped.
    """
    weights = [_weights("restore", options)]
    if colourise:
        weights.append(registry.default_for("colourise").name)
    if x4:
        weights.append(registry.default_for("upscale", scale=4).name)
    settings = {"repairs": scratches == "auto", "cleans": grain == "auto"}
    run(paths, "restored", weights, options, scale=4 if x4 else 1, steady=False, **settings)


@with_options
def upscale(
    paths: Paths,
    x4: Annotated[bool, typer.Option("--x4", help="Four times as wide and as high; the default.")] = False,
    x2: Annotated[bool, typer.Option("--x2", help="Twice as wide and as high.")] = False,
    scale: Annotated[
        str | None,
        typer.Option(help="Any other factor: 3, or 1.5, which makes 1080p of 720p; enlarged, and then shrunk."),
    ] = None,
    self_ensemble: Annotated[
        bool, typer.Option("--self-ensemble", help="More faithful: the mean of eight positions. Eight times as slow.")
    ] = False,
    colour_match: Annotated[
        Literal["none", "low-frequency"],
        typer.Option(help="low-frequency: shrunk again, the result has the colours of the input."),
    ] = "none",
    *,
    options: Options,
) -> None:
    """Enlarge pictures and videos, four times by default; JPEG blocks and noise go, edges become sharp.

    Clean pictures keep a little more with --weights srresnet-x4. srgan-x4-real and srgan-x4 are crisper, with details
    that are invented.
    A folder is mirrored; what is there already is skipped. A video keeps all its frames, their times, sound and
    subtitles, and goes on where it was stopped.
    """
    if sum((x2, x4, scale is not None)) > 1:
        raise InputError("--x2, --x4 and --scale exclude each other; choose one")
    factor = Fraction(2 if x2 else 4) if scale is None else _factor(scale)
    weights = _weights("upscale", options, scale=factor)
    run(
        paths,
        f"x{float(factor):g}",
        [weights],
        options,
        scale=factor,
        shrink=True,
        self_ensemble=self_ensemble,
        colour_match=colour_match == "low-frequency",
        steady=False,
    )


def _to(task: str, src: list[Path], to: str | None, options: Options) -> None:
    """Run a command that says with --to or --weights what the pictures shall become."""
    if to is None and options.weights is None:
        raise InputError("say what to turn the pictures into, with --to or --weights")
    weights = _weights(task, options, target=to)
    entry = registry.entries().get(weights)
    if to and entry and entry.task == task and entry.target not in (None, to):
        raise InputError(f"--to {to} and --weights {weights} contradict each other; choose one")
    run(src, to or registry.label(weights), [weights], options)


def _factor(scale: str) -> Fraction:
    try:
        factor = Fraction(scale).limit_denominator(100)
    except (ValueError, ZeroDivisionError):
        factor = Fraction(0)
    if not 1 <= factor <= 100:
        raise InputError(f"--scale is {scale!r}; it takes a number from 1, such as 1.5 or 3")
    return factor


def _weights(task: str, options: Options, *, target: str | None = None, scale: Fraction | int = 1) -> str:
    """The weights that were asked for, or the shipped ones of the task."""
    if options.weights is None:
        return registry.default_for(task, target=target, scale=scale).name
    return options.weights
