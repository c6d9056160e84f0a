"""`translate sample`: pictures from noise."""

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from translate.errors import InputError
from translate.frames import shown
from translate.weights import registry

if TYPE_CHECKING:
    from translate.sampling import Pixels

ROWS = 8
RATE = 30  # frames a second of a walk
SIDE = 224  # pixels that a frame of a walk has at least


def sample(
    weights: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A generator: its name, or its file.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many pictures.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same pictures.")] = 0,
    truncation: Annotated[
        float | None,
        typer.Option(help="Smaller (from 0.01) is safer and less varied; none by default.", show_default=False),
    ] = None,
    class_: Annotated[
        str | None, typer.Option("--class", help="Of a conditional generator; all in turn by default.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A new folder; the .mp4 of --interpolate, the .png of --grid-truncation.")
    ] = None,
    interpolate: Annotated[
        tuple[int, int] | None,
        typer.Option(
            metavar="A B",
            help="A video from the picture of seed A to that of seed B; without --class, of the first class.",
        ),
    ] = None,
    steps: Annotated[int, typer.Option(help="Frames of --interpolate, at 30 a second.")] = 60,
    grid_truncation: Annotated[
        bool, typer.Option("--grid-truncation", help="One sheet: rows are seeds, columns truncations.")
    ] = False,
    dataset: Annotated[
        Path | None, typer.Option(help="A folder a class, ready for a classifier, and manifest.json.")
    ] = None,
    per_class: Annotated[int, typer.Option(min=1, help="Pictures a class of --dataset.")] = 100,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
) -> None:
    """Make pictures from noise, with a generator of one's own or one that is listed for it."""
    if sum((interpolate is not None, grid_truncation, dataset is not None)) > 1:
        raise InputError("--interpolate, --grid-truncation and --dataset make different things; choose one")
    if dataset and (out or class_):
        raise InputError("--dataset says where, and takes all classes; leave --out and --class out")
    name = registry.label(weights)
    if interpolate:
        target = out or Path(f"{name}-{interpolate[0]}-{interpolate[1]}.mp4")
    elif grid_truncation:
        target = out or Path(f"{name}-truncation.png")
    else:
        target = dataset or out or Path(f"{name}-samples")
    _require_suffix(target, ".mp4" if interpolate else ".png" if grid_truncation else "")
    if target.exists():
        raise InputError(f"{shown(target)} is there already; choose another name, or remove it")

    path, _ = registry.find(weights)
    from translate import checkpoints, sampling  # here, as they import torch
    from translate.cli import interrupt
    from translate.device import choose_device

    network: Any = checkpoints.load_from_noise(path).to(choose_device(device).value)
    interrupt.check()
    target.parent.mkdir(parents=True, exist_ok=True)
    label = sampling.class_index(network, class_) if class_ is not None else None

    def draw(seed: int, count: int, labels: list[int], bound: float | None) -> "Iterator[Pixels]":
        z = sampling.latents(network, seed, count, bound)
        return sampling.pictures(network, z, labels if network.classes else [], bound)

    if interpolate:
        start, end = (sampling.latents(network, seed, 1, truncation)[0] for seed in interpolate)
        walk = sampling.walk(start, end, steps)
        _write_video(target, sampling.pictures(network, walk, [label or 0] * steps, truncation), network.size)
    elif grid_truncation:
        rows, bounds = [], sampling.truncations(network)
        for row in range(ROWS):
            of_row = label if label is not None else row % max(len(network.classes), 1)
            rows.append([next(draw(seed + row, 1, [of_row], bound)) for bound in bounds])
        _write_sheet(target, rows)
        typer.echo(f"columns: truncation {', '.join(map(str, bounds))}; rows: seeds {seed} to {seed + ROWS - 1}")
    elif dataset:
        if not network.classes:
            raise InputError(f"{name} knows no classes, and --dataset needs them; take a conditional generator")
        labels = [index for index in range(len(network.classes)) for _ in range(per_class)]
        files = [f"{network.classes[index]}/{number % per_class:05}.png" for number, index in enumerate(labels)]
        about = {
            "weights": weights,
            "sha256": registry.sha256_of(path),
            "seed": seed,
            "truncation": truncation,
            "size": network.size,
            "pictures": {file: network.classes[index] for file, index in zip(files, labels, strict=True)},
        }
        with _whole(target) as part:
            _write_pictures(part, files, draw(seed, len(labels), labels, truncation), network.channels)
            (part / "manifest.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    else:
        every = range(len(network.classes)) if label is None else [label]
        labels = [every[number % len(every)] for number in range(n)] if network.classes else []
        endings = [f"-{network.classes[index]}" for index in labels] or [""] * n
        files = [f"{number:05}{ending}.png" for number, ending in enumerate(endings)]
        with _whole(target) as part:
            _write_pictures(part, files, draw(seed, n, labels, truncation), network.channels)
    typer.echo(f"output: {shown(target)}")


def _require_suffix(target: Path, suffix: str) -> None:
    if suffix and target.suffix.lower() != suffix:
        raise InputError(f"--out {shown(target)} must end in {suffix}")


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A hidden folder beside the target, which gets the target's name when everything is in it."""
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a run that was killed
    part.mkdir(parents=True)
    try:
        yield part
        part.replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_pictures(folder: Path, files: list[str], pictures: "Iterable[Pixels]", channels: int) -> None:
    from translate import images

    for name, pixels in zip(files, pictures, strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        images.write(path, images.Picture(pixels, grey=channels == 1))


def _write_sheet(path: Path, rows: "list[list[Pixels]]") -> None:
    import numpy as np

    from translate import images

    images.write(path, images.Picture(np.concatenate([np.concatenate(row, axis=1) for row in rows])))


def _write_video(path: Path, pictures: "Iterable[Pixels]", size: int) -> None:
    """An H.264 MP4; small pictures are enlarged by a whole factor, which keeps their pixels visible."""
    from fractions import Fraction

    import numpy as np

    from translate.video.colour import Colour
    from translate.video.write import Look, Segment, chosen

    times = -(-SIDE // size)
    look = Look(size * times, size * times, Fraction(RATE), Fraction(1), Colour(6), 8, "420")
    part = path.with_name(f".{path.name}.part")
    try:
        _, codec, options, _ = chosen("h264", 8, None, None)
        segment = Segment(part, look, codec, options, container="mp4")
        for pixels in pictures:
            segment.add(np.repeat(np.repeat(pixels, times, axis=0), times, axis=1))
        segment.close()
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
