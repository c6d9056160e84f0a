"""A folder that one run at a time works in."""

import os
from contextlib import suppress
from pathlib import Path
from typing import IO

from translate.errors import VideoError

LOCK = "lock"


def locked(folder: Path) -> IO[bytes] | None:
    """Make the folder and lock it until what is returned is closed, or this process ends, however it does.

    None where the system has no such locks, as on Windows; on a file system that knows none, nothing is locked.

    Raises:
        VideoError: another run has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:
        return None
    while True:
        with suppress(FileNotFoundError):  # the run before has just finished and removed it
            folder.mkdir(parents=True, exist_ok=True)
            file = (folder / LOCK).open("ab")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.close()
                raise VideoError("another run is making it; wait for that one, or name another output") from error
            except OSError:
                return file
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), (folder / LOCK).stat()):
                    return file
            file.close()
