"""The tables of known weights: those that are shipped, the user's own, and public ones that can be fetched."""

import difflib
import hashlib
import tomllib
from dataclasses import MISSING, dataclass, fields, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from translate import userfolder
from translate.errors import CheckpointError, InputError, UnknownModelError

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Entry:
    """One set of weights.

    Args:
        name: of the entry, and of its file and card.
        task: the command that it is for: as "cyclegan", "upscale" or "sample".
        summary: one line.
        licence: of the weights, and what is known about that of the training images.
        sha256: of the file.
        target: what `--to` calls the domain that it translates to; None for upscaling.
        scale: how many times it enlarges.
        source: of the user's own: the file or address that it was converted from.
        source_sha256: of that.
        notes: what was assumed when it was converted.
        folder: where its file lies; None for what is shipped.
    """

    name: str
    task: str
    summary: str
    licence: str
    sha256: str
    target: str | None = None
    scale: int = 1
    source: str | None = None
    source_sha256: str | None = None
    notes: str | None = None
    folder: Path | None = None

    @property
    def path(self) -> Path:
        """The weights file."""
        return (self.folder or FOLDER) / f"{self.name}.safetensors"

    @property
    def card(self) -> Path:
        """The model card."""
        return (self.folder or FOLDER) / f"{self.name}.md"


@dataclass(frozen=True)
class Public:
    """Weights of others that `translate weights pull` fetches; `sha256` is None where the publisher gives none.

    Those of [measuring] are kept as they are, and `task` says what they measure.
    """

    name: str
    task: str
    url: str
    licence: str
    sha256: str | None = None
    target: str | None = None


def own_folder() -> Path:
    """The user's own weights: $TRANSLATE_WEIGHTS, or where the platform keeps the data of programs."""
    return userfolder.own_folder("weights")


@cache
def shipped() -> dict[str, Entry]:
    """The entries of the package by name, in the table's order: where several fit, the first one is the default."""
    path = FOLDER / "registry.toml"
    others = ("public", "measuring")
    return {name: _checked(Entry, path, name, entry) for name, entry in _table(path).items() if name not in others}


@cache
def public() -> dict[str, Public]:
    """What can be fetched, by name."""
    return _of_others("public")


@cache
def measuring() -> dict[str, Public]:
    """The files that evaluations need and that can be fetched, by name; see `weights.measuring`."""
    return _of_others("measuring")


@cache
def entries() -> dict[str, Entry]:
    """All entries by name: the shipped ones and then the user's own, each of which is a TOML beside its file.

    Raises:
        InputError: one of the tables was edited and is wrong now.
    """
    found = dict(shipped())
    for path in sorted(own_folder().glob("*.toml")):
        table = _table(path)
        if list(table) != [path.stem]:
            raise InputError(f"{path} must hold [{path.stem}] and nothing else; correct it, or remove it")
        entry = replace(_checked(Entry, path, path.stem, table[path.stem]), folder=path.parent)
        found.setdefault(entry.name, entry)
    return found


def forget() -> None:
    """Read the tables again when they are next asked for."""
    for table in (shipped, public, measuring, entries):
        table.cache_clear()


E = TypeVar("E", Entry, Public)


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no TOML: {' '.join(str(error).split())}; correct it, or remove it") from None


def _of_others(section: str) -> dict[str, Public]:
    path = FOLDER / "registry.toml"
    return {name: _checked(Public, path, name, entry) for name, entry in _table(path).get(section, {}).items()}


def _checked(kind: type[E], path: Path, name: str, entry: Any) -> E:
    """An entry made of a table's fields, if they are the right ones."""
    if not isinstance(entry, dict):
        raise InputError(f"{path}: {name} is no table; correct it, or remove it")
    known = {field.name: field for field in fields(kind) if field.name != "name"}
    problem = next((f"lacks {key}" for key in known if known[key].default is MISSING and key not in entry), None)
    for key, value in entry.items():
        if key not in known:
            problem = f"has {key}, which is not known"
        elif not isinstance(value, known[key].type):  # type: ignore[arg-type]
            problem = f"has {key} = {value!r}, which is of the wrong kind"
    if problem:
        raise InputError(f"{path}: [{name}] {problem}; correct it, or remove it")
    return kind(name, **entry)


def default_for(task: str, *, target: str | None = None, scale: Fraction | int = 1) -> Entry:
    """The first entry for a task that translates to `target`, or enlarges by `scale` or the least that is more."""
    fitting = [entry for entry in entries().values() if entry.task == task]
    for entry in sorted(fitting, key=lambda entry: entry.scale):
        if entry.target == target and entry.scale >= scale:
            return entry
    if not fitting:
        raise UnknownModelError(f"no weights for {task} are shipped; name some with --weights")
    if target is None:
        most = max(entry.scale for entry in fitting)
        raise UnknownModelError(
            f"there are no weights for ×{float(scale):g}; the most is ×{most}, or name some with --weights"
        )
    known = list(dict.fromkeys(entry.target for entry in fitting if entry.target))
    raise UnknownModelError(f"there are no weights for --to {target}{_nearest(str(target), known)}")


def find(name_or_file: str) -> tuple[Path, Entry | None]:
    """The weights file that `--weights` means: the name of an entry, whose file is checked, or a path."""
    entry = entries().get(name_or_file)
    if entry is not None:
        return verified(entry), entry
    if name_or_file in public():
        raise UnknownModelError(f"{name_or_file} is not here yet; fetch it with: translate weights pull {name_or_file}")
    path = Path(name_or_file)
    if path.exists() or path.suffix:
        return path, None
    raise UnknownModelError(f"there are no weights named {name_or_file!r}{_nearest(name_or_file, list(entries()))}")


def label(name_or_file: str) -> str:
    """What to call results of these weights: the name of the entry, or the file's without its suffix."""
    return name_or_file if name_or_file in entries() else Path(name_or_file).stem


def sha256_of(path: Path) -> str:
    """The hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verified(entry: Entry) -> Path:
    """The path of an entry's file, if it is there and has the right hash."""
    remedy = (
        f"remove {entry.path.with_suffix('.toml')} and add it again" if entry.folder else "install the package again"
    )
    if not entry.path.is_file():
        raise CheckpointError(f"{entry.path} is missing; {remedy}")
    found = sha256_of(entry.path)
    if found != entry.sha256:
        raise CheckpointError(f"{entry.path} has sha256 {found[:12]}…, not {entry.sha256[:12]}…; {remedy}")
    return entry.path


def public_named(name: str) -> Public:
    """The public entry of that name."""
    if name not in public():
        known = [*public(), *dict.fromkeys(entry.task for entry in measuring().values())]
        raise UnknownModelError(f"there are no public weights named {name!r}{_nearest(name, known)}")
    return public()[name]


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name.lower(), known, 1)
    return (f" (did you mean {close[0]}?)" if close else "") + f"; there are {', '.join(known)}"
