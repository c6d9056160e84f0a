"""What is finished of a long job, in a hidden folder beside its output, so that a killed run goes on where it was."""

import hashlib
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from translate.metadata import Pixels
from translate.video.codecs import Codec
from translate.video.lock import LOCK, locked
from translate.video.mux import Part
from translate.video.read import Frame
from translate.video.write import Look, Segment

FRAMES = 120  # in a segment; fixed, so that where a run was stopped cannot be seen in the result


class Work:
    """The segments of one output, written in order.

    Args:
        target: the output.
        made_from: what the result depends on, as texts; where that has changed, all begins anew.

    Raises:
        VideoError: another run is making this output. One that was killed is not in the way.
    """

    def __init__(self, target: Path, made_from: dict[str, str]) -> None:
        self.folder = target.with_name(f".{hashlib.sha256(target.name.encode()).hexdigest()[:16]}.parts")
        self._lock = locked(self.folder)
        self.parts: list[Part] = []
        plan = self.folder / "plan.json"
        same, changed = compared(plan, made_from)
        self.note = f"{changed} changed since it was begun: it begins anew" if changed else None
        if same:
            self.parts = self._found()
        if not self.parts:
            for path in self.folder.iterdir():
                if path.name != LOCK:
                    path.unlink()
            put(plan, made_from)
        self.resumed = self.count  # frames that were there already
        self._segment: Segment | None = None
        self._times: list[tuple[int, int]] = []

    def __enter__(self) -> "Work":
        return self

    def __exit__(self, *_: object) -> None:
        if not self.parts:  # nothing to go on from
            self.remove()
        if self._lock:
            self._lock.close()

    @property
    def count(self) -> int:
        """Frames that are finished."""
        return sum(len(part.times) for part in self.parts)

    @property
    def last(self) -> tuple[int, int] | None:
        """Time and mark of the last of them."""
        return (self.parts[-1].times[-1][0], self.parts[-1].mark) if self.parts else None

    @property
    def memory(self) -> dict[str, Any] | None:
        """What `add` was given with the last frame, where that is needed."""
        return remembered(self.parts[-1].path.with_suffix(".npz")) if self.parts else None

    def add(
        self,
        frame: Frame,
        pixels: Pixels,
        look: Look,
        codec: Codec,
        options: dict[str, str],
        state: Any,
        memory: dict[str, Any] | None = None,
    ) -> None:
        """Encode a frame.

        `state()` gives what a finished segment is to remember of the reading: (lost, notes). `memory` is what the
        frames after this one depend on, in arrays; it is kept of the last frame of a segment.
        """
        if self._segment is None:
            self._segment = Segment(self._path(".part"), look, codec, options)
        self._segment.add(pixels)
        self._times.append((frame.pts, frame.duration))
        self._mark = frame.mark
        self._memory = memory
        if len(self._times) == FRAMES:
            self.finish(state)

    def finish(self, state: Any) -> None:
        """Close the segment that is begun, if one is."""
        if self._segment is None:
            return
        segment, self._segment = self._segment, None
        segment.close()
        lost, notes = state()
        part = Part(self._path(".mkv"), self._times, segment.delay, self._mark, str(segment.look.rate), lost, notes)
        self._path(".part").replace(part.path)
        if self._memory:
            remember(self._path(".npz"), self._memory)
        put(self._path(".json"), {name: value for name, value in vars(part).items() if name != "path"})
        if self.parts:
            self.parts[-1].path.with_suffix(".npz").unlink(missing_ok=True)  # only the last one's is ever needed
        self.parts.append(part)
        self._times = []

    def remove(self) -> None:
        """The output is there: what it was made from can go."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, suffix: str) -> Path:
        return self.folder / f"{len(self.parts):06d}{suffix}"

    def _found(self) -> list[Part]:
        """The finished segments from the first one on; what lies behind a gap is left, and written anew in its turn."""
        parts: list[Part] = []
        while (path := self.folder / f"{len(parts):06d}.json").exists() and path.with_suffix(".mkv").exists():
            parts.append(Part.read(path))
            if len(parts[-1].times) != FRAMES:  # the last one
                break
        return parts


def compared(plan: Path, made_from: dict[str, str]) -> tuple[bool, str]:
    """Whether what `put` wrote is just this, and else, if there is anything, the names of what has changed."""
    with suppress(OSError, ValueError):
        before = json.loads(plan.read_text())
        changed = [name for name in made_from | before if before.get(name) != made_from.get(name)]
        return not changed, ", ".join(changed)
    return False, ""


def remember(path: Path, memory: dict[str, Any]) -> None:
    """Write arrays at once or not at all."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, **memory)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def remembered(path: Path) -> dict[str, Any] | None:
    """What `remember` wrote; None where there is nothing."""
    try:
        with np.load(path) as arrays:
            return dict(arrays)
    except FileNotFoundError:
        return None


def put(path: Path, content: dict[str, Any]) -> None:
    """Write JSON at once or not at all."""
    part = path.with_suffix(".part.json.tmp")
    with part.open("w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
