"""That each frame of a video is the one it should be: every frame shows its number."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import videos
from videos import made, pixels, ready

from translate import images
from translate.frames import Job
from translate.video import job

pytestmark = pytest.mark.usefixtures("short")

Make = Callable[..., Path]
DIGITS = 6  # binary ones, each a stripe


def numbered(n: int, height: int = 32, width: int = 48) -> Any:
    """The number as dark and light stripes across the width, (H, W, 3) uint8."""
    digits = np.array([n >> digit & 1 for digit in range(DIGITS)])
    row = np.where(digits, 180, 70)[np.arange(width) * DIGITS // width]
    return np.broadcast_to(row[None, :, None], (height, width, 3)).astype(np.uint8)


def number(frame: Any) -> int:
    """What a frame shows, which may have been turned by a quarter and enlarged."""
    along = frame.mean((0, 2)) if frame.shape[1] > frame.shape[0] else frame.mean((1, 2))[::-1]
    middles = (np.arange(DIGITS) * 2 + 1) * len(along) // (2 * DIGITS)
    return int(sum(int(light) << digit for digit, light in enumerate(along[middles] > 125)))


@pytest.fixture(autouse=True)
def with_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(videos, "scene", numbered)


@pytest.mark.parametrize(
    "options",
    [
        {"options": {"bf": "3", "b-adapt": "0"}},
        {"pts": lambda n: n + n * n // 7, "options": {"bf": "0"}},
        {"rotation": 90},
        {"codec": "ffv1", "name": "odd.mkv", "size": (33, 47)},
    ],
    ids=["b-frames", "variable", "rotated", "ffv1"],
)
@pytest.mark.parametrize("way", [{}, {"batch": 3}, {"stabilise": True}], ids=["", "batch", "stabilised"])
def test_every_frame_is_in_its_place(options: dict[str, Any], way: dict[str, Any], make: Make, tmp_path: Path) -> None:
    """Through several segments of 8."""
    source = make(frames=45, **options)
    assert [number(frame) for frame in pixels(source)] == list(range(45))
    done = made(source, target := tmp_path / "out.mkv", preset="ultrafast", **way)
    assert done.status == "done", done.message
    assert [number(frame) for frame in pixels(target)] == list(range(45))


def test_a_part_has_its_own_frames_and_so_have_its_pictures(make: Make, tmp_path: Path) -> None:
    source = make(frames=45)
    made(source, target := tmp_path / "out.mp4", scale=2, preset="ultrafast", start=0.4, end=1.48)
    assert [number(frame) for frame in pixels(target)] == list(range(10, 37))
    made(source, folder := tmp_path / "pictures", start=0.4, end=1.48, pictures=True)
    assert [number(images.read(path).pixels) for path in sorted(folder.glob("*.png"))] == list(range(10, 37))


def test_after_two_stops_every_frame_is_in_its_place(make: Make, tmp_path: Path) -> None:
    source, target = make(frames=45, options={"g": "6"}), tmp_path / "out.mp4"
    for stop in (11, 30):
        run = job.run(ready(), Job(source, target), job.Options(preset="ultrafast"))
        while next(run).frames < stop:  # type: ignore[union-attr]
            pass
        run.close()  # type: ignore[attr-defined]
    assert made(source, target, preset="ultrafast").status == "done"
    assert [number(frame) for frame in pixels(target)] == list(range(45))
