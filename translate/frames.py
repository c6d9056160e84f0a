"""Where frames come from and where they go: an image or a video, or a folder tree of them that is mirrored."""

import errno
import re
import stat
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from os.path import realpath
from pathlib import Path

from translate import formats
from translate.errors import InputError

_PART = re.compile(r"\.[0-9a-f]{16}\.part")  # what images.write leaves behind when it is killed
_STALE_SECONDS = 600


@dataclass(frozen=True)
class Job:
    """One image or video to make: read `source`, write `target`; `problem` says why it cannot be."""

    source: Path
    target: Path
    problem: str | None = None

    @property
    def made(self) -> bool:
        """Whether the target is there already."""
        try:
            return self.target.is_file()
        except OSError:  # a name that is too long, a folder that is closed: writing says so
            return False

    @property
    def incomplete(self) -> Path:
        """Where a video goes instead whose source is damaged, so that the target is always a whole one."""
        return self.target.with_stem(f"{self.target.stem}-incomplete")

    @property
    def preview(self) -> Path:
        """Where a few moments of a video go."""
        return self.target.with_name(f"{self.target.stem}-preview.png")


@dataclass(frozen=True)
class Plan:
    """All the images and videos of one command, and where they go."""

    outputs: tuple[Path, ...]
    jobs: tuple[Job, ...]


def plan(
    sources: list[Path], out: Path | None, label: str, format: str | None = None, video: str | None = None
) -> Plan:
    """Find the images and videos and name their outputs; nothing is read or written.

    A folder is searched recursively (names that begin with a dot are left out) and mirrored below `out`. Without `out`,
    `photos/` goes to its sibling `photos-LABEL/` and `dog.jpg` to `dog-LABEL.jpg`. With it, one source goes straight to
    `out`, and of several the folders get one of their own names each.

    Args:
        sources: images, videos and folders.
        out: a folder, or for a single file the name of one.
        label: what the default name ends in.
        format: suffix of the images; None keeps the source's where it can be written.
        video: suffix of the videos; None takes .mp4 or .mkv by the source's.

    Raises:
        InputError: a source is missing, is no image or video, or holds none; or the output would lie inside an input.
    """
    if Path(label).name != label:
        raise InputError(f"{label!r} cannot be part of a file name; choose another name for what to make")
    if out and out.exists() and not out.is_dir() and (len(sources) > 1 or sources[0].is_dir()):
        raise InputError(f"the output {shown(out)} is a file, but a folder is needed; choose another with --out")
    jobs: list[Job] = []
    outputs: list[Path] = []
    folders: list[Path] = []
    for source in sources:
        if source.is_dir():
            output = _folder_for(source, out, label, many=len(sources) > 1)
            found = list(_mirrored(source, output, format, video))
            if not found:
                known = ", ".join(sorted({*formats.BY_SUFFIX, *formats.VIDEOS}))
                raise InputError(f"{shown(source)} holds no images or videos; the suffixes that are read are {known}")
            folders.append(source)
        elif source.exists():
            if not _is_read(source):
                raise InputError(f"{shown(source)} is neither a folder nor an image or video by its suffix")
            output = _file_for(source, out, label, format, video, many=len(sources) > 1)
            found = [Job(source, output)]
        else:
            raise InputError(f"{shown(source)} does not exist")
        outputs.append(output)
        jobs += found
    for folder in folders:
        for output in outputs:
            _check_apart(folder, output)
    return Plan(tuple(outputs), tuple(_without_collisions(jobs)))


def passed_over(sources: list[Path]) -> dict[str, int]:
    """How many pictures and videos below these folders are of a kind that is not read, by their suffix."""
    found = Counter(
        path.suffix.lower()
        for source in sources
        if source.is_dir()
        for path in source.rglob("*")
        if path.suffix.lower() in formats.UNREAD
        and not any(part.startswith(".") for part in path.relative_to(source).parts)
    )
    return dict(sorted(found.items()))


def clean(folders: set[Path]) -> None:
    """Remove temporary files that a killed run left in these folders, if they are old enough to be nobody's."""
    for folder in folders:
        with suppress(OSError):
            for path in folder.iterdir():
                if _PART.fullmatch(path.name) and time.time() - path.stat().st_mtime > _STALE_SECONDS:
                    path.unlink(missing_ok=True)


def shown(path: Path | str) -> str:
    """A path for people: on one line and printable, whatever is in its name."""
    text = str(path)
    return text if text.isprintable() else ascii(text)


def _folder_for(source: Path, out: Path | None, label: str, *, many: bool) -> Path:
    named = source if source.name not in ("", "..") else source.resolve()
    if out is None:
        if not named.name:
            raise InputError(f"{shown(source)} has no sibling to write to; say where with --out")
        return named.with_name(f"{named.name}-{label}")
    return out / named.name if many else out


def _is_read(path: Path) -> bool:
    return formats.is_image(path) or formats.is_video(path)


def _file_for(source: Path, out: Path | None, label: str, format: str | None, video: str | None, *, many: bool) -> Path:
    suffix = formats.suffix_for(source, format, video)
    if out is None:
        return source.with_name(f"{source.stem}-{label}{suffix}")
    if formats.is_video(source):
        if many or out.is_dir() or not out.suffix:
            return out / f"{source.stem}{suffix}"
        if out.suffix.lower() not in formats.VIDEOS.values():
            raise InputError(f"a video is written as .mp4 or .mkv, not {out.suffix}; choose another --out")
        return out
    if many or out.is_dir() or not formats.is_image(out):
        return out / f"{source.stem}{suffix}"
    wanted = formats.suffix_for(out, format or out.suffix)  # also refuses what cannot be written
    if formats.BY_SUFFIX[wanted] is not formats.BY_SUFFIX[out.suffix.lower()]:
        raise InputError(f"--out {shown(out)} and --format {format} name two formats; leave out one of them")
    return out


def _mirrored(source: Path, folder: Path, format: str | None, video: str | None) -> Iterator[Job]:
    for path, problem in _walk(source):
        target = folder / path.relative_to(source)
        yield Job(path, target if problem else target.with_suffix(formats.suffix_for(path, format, video)), problem)


def _check_apart(source: Path, out: Path) -> None:
    inside, outside = Path(realpath(out)), Path(realpath(source))
    if inside == outside or outside in inside.parents:
        raise InputError(f"the output {shown(out)} lies inside the input {shown(source)}; choose another with --out")


def _walk(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Every image and video below, in sorted order, and what cannot be looked at but may hold some, with the reason.

    Links are followed, but no folder is entered twice.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        try:
            status = path.stat()
            if stat.S_ISDIR(status.st_mode):
                if (status.st_dev, status.st_ino) not in seen:
                    seen.add((status.st_dev, status.st_ino))
                    children = sorted(path.iterdir(), reverse=True)
                    waiting += [child for child in children if not child.name.startswith(".")]
            elif _is_read(path):  # a pipe would be waited for without end
                yield path, None if stat.S_ISREG(status.st_mode) else "is not a regular file; leave it out"
        except OSError as error:
            if _is_read(path):
                yield path, None  # reading says why not
            elif error.errno not in (errno.ENOENT, errno.ELOOP):
                yield path, f"cannot be listed ({error.strerror}), and what is in it is left out; change its mode"


def _without_collisions(jobs: list[Job]) -> Iterator[Job]:
    """Mark jobs whose target another job has, or is a source: no output may overwrite either."""
    taken: dict[str, Path] = {}
    sources = {realpath(job.source) for job in jobs}
    used = sources | {realpath(job.target) for job in jobs}
    for job in jobs:
        target = realpath(job.target)
        if job.problem:
            yield job
        elif target in sources:
            yield replace(job, problem=f"its output {shown(job.target)} is one of the inputs; choose another --out")
        elif formats.is_video(job.source) and realpath(job.incomplete) in used:
            yield replace(job, problem=f"{shown(job.incomplete)}, where a part of it would go, is in use; rename one")
        elif target not in taken:
            taken[target] = job.source
            yield job
        elif realpath(taken[target]) != realpath(job.source):  # else it was given twice
            other = shown(taken[target])
            yield replace(job, problem=f"{other} is already written to {shown(job.target)}; rename one of the two")
