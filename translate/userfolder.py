"""Where a program keeps what belongs to its user."""

import os
import sys
from pathlib import Path


def own_folder(name: str) -> Path:
    """The user's own `name`, such as "weights": $TRANSLATE_NAME, or where the platform keeps the data of programs."""
    if folder := os.environ.get(f"TRANSLATE_{name.upper()}"):
        return Path(folder)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "translate" / name
