"""What is looked at after a command has run."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from PIL import Image


def made(folder: str) -> list[str]:
    """Every file below, with the temporary ones."""
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def size(path: str) -> tuple[int, int]:
    """Width and height of an image that can be read to its end."""
    with Image.open(path) as image:
        image.load()
        return image.size


def times(path: Path | str) -> list[Fraction]:
    """When each frame of a video is shown, in seconds."""
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def figures(file: str = "f.json") -> dict[str, Any]:
    """What `evaluate --json` has written."""
    found: dict[str, Any] = json.loads(Path(file).read_text())
    return found
