"""The files of others that evaluations measure with, kept as they were published, as the figures are named after them.

They lie in the user's own folder, under their publisher's names, and their hashes are checked whenever they are used.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from translate.errors import CheckpointError, InputError
from translate.weights import download, registry
from translate.weights.registry import Public, sha256_of


def tasks() -> list[str]:
    """What there are files for: "inception", "lpips"."""
    return list(dict.fromkeys(entry.task for entry in registry.measuring().values()))


def missing(task: str) -> list[str]:
    """The addresses of its files that are not there."""
    return [entry.url for path, entry in _files(task).items() if not path.is_file()]


def find(task: str) -> list[Path]:
    """The files of a task, in the table's order, each with the right hash.

    Raises:
        InputError: some are not there; says where they come from, and where they belong.
        CheckpointError: one is another file, or cut short.
    """
    if urls := missing(task):
        raise InputError(
            f"the weights of {task} are not here yet; fetch them with: translate weights pull {task}, or put "
            f"{' and '.join(urls)} into {registry.own_folder()}"
        )
    files = _files(task)
    for path, entry in files.items():
        if (found := sha256_of(path)) != entry.sha256:
            raise CheckpointError(
                f"{path} is cut short or another file (sha256 {found[:12]}…, not {str(entry.sha256)[:12]}…); "
                f"fetch it again with: translate weights pull {task}, or from {entry.url}"
            )
    return list(files)


def pull(task: str, progress: download.Progress | None = None) -> Iterator[tuple[Path, bool]]:
    """Fetch what is missing or spoilt of a task; yield each file and whether it was there already.

    Raises:
        DownloadError: no connection, or it breaks off too often.
        CheckpointError: what came is another file; it is not kept.
    """
    for path, entry in _files(task).items():
        there = path.is_file() and sha256_of(path) == entry.sha256
        if not there:
            download.fetch(entry.url, path, entry.sha256, progress)
        yield path, there


def add(file: Path) -> Path | None:
    """Copy a file that is one of them, whatever its name; returns where it is kept, or None where it is none."""
    sha256 = sha256_of(file) if file.is_file() else None
    for entry in registry.measuring().values():
        if entry.sha256 == sha256:
            target = _path(entry)
            if not (target.is_file() and target.samefile(file)):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, part := target.with_name(target.name + ".part"))
                part.replace(target)
            return target
    return None


def _files(task: str) -> dict[Path, Public]:
    return {_path(entry): entry for entry in registry.measuring().values() if entry.task == task}


def _path(entry: Public) -> Path:
    return registry.own_folder() / Path(urlsplit(entry.url).path).name
