"""The folder that a video is taken apart into, and a hidden one in it that says what was made here, and from what."""

import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from translate import images
from translate.errors import InputError
from translate.frames import shown
from translate.images import Picture
from translate.video.lock import locked
from translate.video.options import TIMES
from translate.video.segments import compared, put, remember, remembered

HIDDEN = ".translate"
_NAMES = re.compile(rf"\d{{6,}}\.png|{re.escape(TIMES)}")  # that are given here


class Folder:
    """Numbered pictures; those that are there are not made again, and those of others are never touched.

    Args:
        path: of the folder.
        made_from: what the pictures depend on, as texts; where that has changed before all were made, they begin anew.
        overwrite: all begins anew in any case.

    Raises:
        InputError: the folder is finished, and made from something else; or all would begin anew, but for a picture
            that was not made here, or was changed since.
        VideoError: another run is making them.
    """

    def __init__(self, path: Path, made_from: dict[str, str], *, overwrite: bool) -> None:
        self.path, self._made_from, self._hidden = path, made_from, path / HIDDEN
        self._plan, self._list, self._memory = (self._hidden / name for name in ("plan.json", "made", "stabilise.npz"))
        self._lock = locked(self._hidden)
        same, changed = compared(self._plan, made_from)
        self.note = f"{changed} changed since it was begun: it begins anew" if changed else None
        self.anew, self._cleared = overwrite or not same, False
        made = self._made()
        whole = TIMES in made and all((path / name).exists() for name in made)
        self.finished = whole and not self.anew
        if whole and changed and not overwrite:
            self.__exit__()
            what = f"{shown(path)} is finished, and {changed} changed since"
            raise InputError(f"{what}; choose another --frames-out, or add --overwrite")
        if self.anew:
            for file in sorted(path.iterdir()):
                if _NAMES.fullmatch(file.name) and made.get(file.name) != _state(file):
                    self.__exit__()
                    what = f"{shown(file)} is in the way, and is not, or no longer, what was made there"
                    raise InputError(f"{what}; move it away, or choose another --frames-out")

    def __enter__(self) -> "Folder":
        return self

    def __exit__(self, *_: object) -> None:
        if not self._list.exists():  # nothing was made
            shutil.rmtree(self._hidden, ignore_errors=True)
        if self._lock:
            self._lock.close()

    def lacks(self, number: int) -> bool:
        """Whether a picture is to be made."""
        return self.anew or not self._path(number).exists()

    @property
    def memory(self) -> dict[str, Any] | None:
        """The last that `add` was given, if all pictures up to that one are there."""
        memory = remembered(self._memory)
        return memory if memory and not any(map(self.lacks, range(1, int(memory["done"]) + 1))) else None

    def add(self, number: int, picture: Picture, memory: dict[str, Any] | None) -> bool:
        """Write a picture if it is to be made, and say whether it was; `memory` is what those after it depend on."""
        if self.anew and not self._cleared:  # not before there is something in exchange
            self._clear()
        if lacking := self.lacks(number):
            images.write(self._path(number), picture)
            self._add(self._path(number))
        if memory:
            remember(self._memory, memory)
        return lacking

    def finish(self, times: str, *, whole: bool) -> None:
        """Write when each is shown; if the source is not `whole`, all begins anew the next time."""
        path = self.path / TIMES
        path.write_text(times)
        self._add(path)
        self._memory.unlink(missing_ok=True)
        if not whole:
            self._plan.unlink()

    def _path(self, number: int) -> Path:
        return self.path / f"{number:06d}.png"

    def _made(self) -> dict[str, str]:
        """The names of what was made here, and what was its state then."""
        lines = self._list.read_text().splitlines() if self._list.exists() else []
        return {name: state for name, _, state in (line.partition(" ") for line in lines)}

    def _add(self, path: Path) -> None:
        with self._list.open("a") as file:
            file.write(f"{path.name} {_state(path)}\n")

    def _clear(self) -> None:
        self._memory.unlink(missing_ok=True)
        for name, state in self._made().items():
            with suppress(FileNotFoundError):
                if _state(self.path / name) == state:
                    (self.path / name).unlink()
        self._list.unlink(missing_ok=True)
        put(self._plan, self._made_from)
        self._cleared = True


def _state(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"
