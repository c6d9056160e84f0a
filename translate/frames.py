"""Where frames come from and where they go: one image, or a folder tree that is mirrored."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from translate import formats
from translate.errors import InputError

_PART = re.compile(r"\.[0-9a-f]{16}\.part")  # what images.write leaves behind when it is killed
_STALE_SECONDS = 600


@dataclass(frozen=True)
class Job:
    """One image to make: read `source`, write `target`; `problem` says why it cannot be."""

    source: Path
    target: Path
    problem: str | None = None


@dataclass(frozen=True)
class Plan:
    """All the images of one command, and where they go."""

    outputs: tuple[Path, ...]
    jobs: tuple[Job, ...]


def plan(sources: list[Path], out: Path | None, label: str, format: str | None = None) -> Plan:
    """Find the images and name their outputs; nothing is read or written.

    A folder is searched recursively (names that begin with a dot are left out) and mirrored below `out`. Without `out`,
    `photos/` goes to its sibling `photos-LABEL/` and `dog.jpg` to `dog-LABEL.jpg`. With it, one source goes straight to
    `out`, and of several the folders get one of their own names each.

    Args:
        sources: images and folders.
        out: a folder, or for a single image the name of a file.
        label: what the default name ends in.
        format: suffix of the outputs; None keeps the source's where it can be written.

    Raises:
        InputError: a source is missing, is no image, or holds none; or the output would lie inside an input.
    """
    jobs: list[Job] = []
    outputs: list[Path] = []
    for source in sources:
        if source.is_dir():
            folder = (
                _sibling(source, label) if out is None else out / source.resolve().name if len(sources) > 1 else out
            )
            _check_apart(source, folder)
            found = [
                Job(path, folder / path.relative_to(source).with_suffix(formats.suffix_for(path, format)), problem)
                for path, problem in _walk(source)
            ]
            if not found:
                known = ", ".join(sorted({suffix for kind in formats.FORMATS for suffix in kind.suffixes}))
                raise InputError(f"{shown(source)} holds no images; the suffixes that are read are {known}")
            outputs.append(folder)
        elif source.exists():
            if not formats.is_image(source):
                raise InputError(f"{shown(source)} is neither a folder nor an image by its suffix")
            name = source.stem + (f"-{label}" if out is None else "") + formats.suffix_for(source, format)
            if out is None:
                target = source.with_name(name)
            else:
                target = out if len(sources) == 1 and formats.is_image(out) and not out.is_dir() else out / name
            found = [Job(source, target)]
            outputs.append(target)
        else:
            raise InputError(f"{shown(source)} does not exist")
        jobs += found
    return Plan(tuple(outputs), tuple(_without_collisions(jobs)))


def clean(folders: set[Path]) -> None:
    """Remove temporary files that a killed run left in these folders, if they are old enough to be nobody's."""
    for folder in folders:
        with suppress(OSError):
            for path in folder.iterdir():
                if _PART.fullmatch(path.name) and time.time() - path.stat().st_mtime > _STALE_SECONDS:
                    path.unlink(missing_ok=True)


def shown(path: Path) -> str:
    """A path for people: on one line and printable, whatever is in its name."""
    text = str(path)
    return text if text.isprintable() else ascii(text)


def _sibling(folder: Path, label: str) -> Path:
    whole = folder.resolve()
    named = folder if folder.name and folder.name != ".." else whole
    return named.with_name(f"{whole.name}-{label}")


def _check_apart(source: Path, out: Path) -> None:
    inside, outside = out.resolve(), source.resolve()
    if inside == outside or outside in inside.parents:
        raise InputError(f"the output {shown(out)} lies inside the input {shown(source)}; choose another with --out")
    if out.exists() and not out.is_dir():
        raise InputError(f"the output {shown(out)} is a file, but the input is a folder; choose another with --out")


def _walk(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Every image below, in sorted order, and every folder that cannot be listed, with the reason.

    Links are followed, but no folder is entered twice.
    """
    seen: set[tuple[int, int]] = set()

    def enter(path: Path) -> Iterator[tuple[Path, str | None]]:
        status = path.stat()
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except OSError as error:
            yield path, f"this folder cannot be listed: {error.strerror}"
            return
        for entry in entries:
            if entry.name.startswith("."):
                continue
            child = path / entry.name
            if entry.is_dir():
                yield from enter(child)
            elif formats.is_image(child):
                yield child, None

    yield from enter(folder)


def _without_collisions(jobs: list[Job]) -> Iterator[Job]:
    """Mark jobs whose target another job has, or is a source: no output may overwrite either."""
    taken: dict[str, Path] = {}
    sources = {str(job.source.resolve()) for job in jobs}
    for job in jobs:
        key = str(job.target.resolve())
        if job.problem:
            yield job
        elif key in sources:
            yield Job(
                job.source, job.target, f"its output {shown(job.target)} is one of the inputs; choose another --out"
            )
        elif key in taken:
            other = shown(taken[key])
            yield Job(
                job.source, job.target, f"{other} is already written to {shown(job.target)}; rename one of the two"
            )
        else:
            taken[key] = job.source
            yield job
