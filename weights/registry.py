"""The table of known weights: what each turns into what, and where its file lies."""

import difflib
import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from translate.errors import CheckpointError, UnknownModelError

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Entry:
    """One set of weights.

    Args:
        name: of the entry, and of its file and card.
        task: the command that it is for: "cyclegan" or "upscale".
        summary: one line.
        licence: of the weights, and what is known about that of the training images.
        sha256: of the file.
        target: what `--to` calls the domain that it translates to; None for upscaling.
        scale: how many times it enlarges.
    """

    name: str
    task: str
    summary: str
    licence: str
    sha256: str
    target: str | None = None
    scale: int = 1

    @property
    def path(self) -> Path:
        """The weights file."""
        return FOLDER / f"{self.name}.safetensors"

    @property
    def card(self) -> Path:
        """The model card."""
        return FOLDER / f"{self.name}.md"


@cache
def entries() -> dict[str, Entry]:
    """All entries by name, in the table's order: where several fit, the first one is the default."""
    table = tomllib.loads((FOLDER / "registry.toml").read_text(encoding="utf-8"))
    return {name: Entry(name, **fields) for name, fields in table.items()}


def default_for(task: str, *, target: str | None = None, scale: int = 1) -> Entry:
    """The first entry for a task that translates to `target`, or enlarges by `scale`."""
    fitting = [entry for entry in entries().values() if entry.task == task]
    for entry in fitting:
        if entry.target == target and entry.scale == scale:
            return entry
    known = [entry.target for entry in fitting if entry.target]
    raise UnknownModelError(f"there are no weights for --to {target}{_nearest(str(target), known)}")


def find(name_or_file: str) -> tuple[Path, Entry | None]:
    """The weights file that `--weights` means: the name of an entry, whose file is checked, or a path."""
    entry = entries().get(name_or_file)
    if entry is not None:
        return verified(entry), entry
    path = Path(name_or_file)
    if path.exists() or path.suffix:
        return path, None
    raise UnknownModelError(f"there are no weights named {name_or_file!r}{_nearest(name_or_file, list(entries()))}")


def verified(entry: Entry) -> Path:
    """The path of an entry's file, if it is there and has the right hash."""
    if not entry.path.is_file():
        raise CheckpointError(f"{entry.path} is missing; install the package again")
    found = hashlib.sha256(entry.path.read_bytes()).hexdigest()
    if found != entry.sha256:
        raise CheckpointError(
            f"{entry.path} has sha256 {found[:12]}…, not {entry.sha256[:12]}…; install the package again"
        )
    return entry.path


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name.lower(), known, 1)
    return (f" (did you mean {close[0]}?)" if close else "") + f"; there are {', '.join(known)}"
