"""The user's own weights: converted once, each with a TOML beside it that says where it came from."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from translate.errors import InputError
from translate.weights import registry
from translate.weights.registry import Entry


def require_free(name: str) -> None:
    """Refuse a name that is taken or is none; what is there already is never written over."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise InputError(f"{name!r} is no name for weights; use letters, digits, '-', '_' and '.'")
    entry = registry.entries().get(name)
    if entry is not None:
        where = f", remove {entry.path} and its .toml," if entry.folder else ""
        raise InputError(f"there are weights named {name} already; choose another --name{where} and try again")


def keep(entry: Entry, write: Callable[[Path], None]) -> Entry:
    """Write the weights and then the entry that names them, and return it with its folder and hash.

    Args:
        entry: without its hash.
        write: writes the weights to a path.
    """
    entry = replace(entry, folder=registry.own_folder())
    entry.path.parent.mkdir(parents=True, exist_ok=True)
    write(entry.path)
    entry = replace(entry, sha256=registry.sha256_of(entry.path))
    lines = [f"[{json.dumps(entry.name)}]"]
    for key, value in asdict(entry).items():
        if key not in ("name", "folder") and value is not None:
            # JSON's strings and numbers are TOML's too, but for one character.
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f"))
    table = entry.path.with_name(f"{entry.name}.toml")
    temporary = table.with_suffix(".part")
    temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="replace")
    temporary.replace(table)
    registry.forget()
    return entry
