"""What the benchmark scripts share: where a figure was measured, how it is kept, which pictures a folder holds."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from translate.evaluate import report

LOAD = round(os.getloadavg()[0], 1)  # of the programs that run beside it, as the script has done nothing yet
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}


def environment(device: str = "cpu", known_commit: str | None = None) -> dict[str, Any]:
    """The machine, the versions, the date (UTC) and the commit, for the JSON beside every figure."""
    return {**report.environment(device), "load": LOAD, "commit": known_commit or commit()}


def commit() -> str:
    """The repository's commit, with "+changes" where tracked files differ from it."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changes = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+changes" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def write_report(path: Path | None, figures: dict[str, Any], where: dict[str, Any] | None = None) -> None:
    """Keep the figures as JSON, whole or not at all, the environment first; nothing to do without a path."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps({"environment": where or environment(), **figures}, indent=2) + "\n")
        part.replace(path)


def pictures_in(folder: Path) -> dict[str, Path]:
    """The picture files of a folder by name without suffix, sorted; the script ends where there are none."""
    found = {path.stem: path for path in sorted(folder.glob("*")) if path.suffix.lower() in SUFFIXES}
    if not found:
        raise SystemExit(f"no pictures in {folder}")
    return found


def counterparts(names: dict[str, Path], folder: Path) -> dict[str, Path]:
    """The pictures of another folder that bear the same names; the script ends where one is missing."""
    found = pictures_in(folder)
    if missing := [name for name in names if name not in found]:
        raise SystemExit(f"{folder} lacks {len(missing)} of {len(names)} pictures, first {missing[0]}")
    return {name: found[name] for name in names}


def read_rgb(path: Path) -> np.ndarray:
    """A picture as uint8 (H, W, 3)."""
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))
