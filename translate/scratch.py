"""Room for what is kept of a whole picture: memory if there is enough, else a file that no crash can leave behind."""

import os
import shutil
import tempfile
from contextlib import suppress
from io import FileIO
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from translate.errors import ImageError


class Rows:
    """The activations of a picture, (1, C, H, W), read and written in bands of rows; a context manager.

    Args:
        height: H.
        width: W.
        channels: C.
        dtype: of the activations.
        memory: if they take more bytes, they go into a temporary file (in `TMPDIR`, which should be on a disk). It has
            no name, so it is gone when this process is, however that ends.

    Raises:
        ImageError: the disk has no room for them.
    """

    def __init__(self, height: int, width: int, channels: int, dtype: torch.dtype, memory: int) -> None:
        self.height, self.shape, self.dtype = height, (width, channels), dtype
        self._row = width * channels * dtype.itemsize
        self._file: FileIO | None = None
        if height * self._row <= memory:
            self._rows = torch.empty(height, width, channels, dtype=dtype)
            return
        needed, folder = height * self._row, tempfile.gettempdir()
        if (free := shutil.disk_usage(folder).free) < needed:
            raise _no_room(f"needs {needed / 1e9:.1f} GB in {folder}, where {free / 1e9:.1f} GB are free")
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - see __exit__
        with suppress(OSError):  # so that the next to look finds what is left; a failed write is told later
            getattr(os, "posix_fallocate", lambda *_: None)(self._file.fileno(), 0, needed)

    def read(self, top: int, bottom: int) -> Tensor:
        """(1, C, bottom - top, W), channels_last; not to be changed."""
        if self._file is None:
            return self._rows[top:bottom].permute(2, 0, 1)[None]
        rows = torch.empty(bottom - top, *self.shape, dtype=self.dtype)
        view = _bytes(rows)
        self._file.seek(top * self._row)
        while view:
            view = view[self._file.readinto(view) :]
        return rows.permute(2, 0, 1)[None]

    def write(self, top: int, x: Tensor) -> None:
        """Put (1, C, h, W) from row `top` on; `ImageError` if the disk is full by now."""
        rows = x[0].permute(1, 2, 0).to("cpu", self.dtype)
        if self._file is None:
            self._rows[top : top + rows.shape[0]] = rows
            return
        view = _bytes(rows.contiguous())
        self._file.seek(top * self._row)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise _no_room(f"cannot be kept in {tempfile.gettempdir()} ({error.strerror})") from error

    def __enter__(self) -> "Rows":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()


def _no_room(problem: str) -> ImageError:
    return ImageError(f"{problem}; make room, name another folder in TMPDIR, or make it smaller with --size")


def _bytes(x: Tensor) -> memoryview:
    """The memory of a contiguous tensor."""
    array: Any = x.view(torch.uint8).numpy()
    return memoryview(array).cast("B")
