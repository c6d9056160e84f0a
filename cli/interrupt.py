"""Ctrl-C: some libraries swallow it while they are imported, so it is noted, and raised again where that is over."""

import os
import signal
import sys
import threading
from typing import NoReturn

_noted = False
saved = False  # whether a training run has something to go on from that it had not when it began


def say() -> None:
    """The line that an interrupted command ends with."""
    again = "run the same command again to go on"
    if sys.argv[1:2] in (["sample"], ["evaluate"]):
        again = "nothing was written"
    if "train" in sys.argv[1:2] and "--resume" not in sys.argv:
        again = "add --resume to the same command to go on" if saved else "nothing was saved yet"
    print(f"translate: interrupted; {again}", file=sys.stderr, flush=True)


def listen() -> None:
    """From now on it raises KeyboardInterrupt, and is noted; a process that was made deaf to it stays so."""
    global _noted, saved
    _noted = saved = False
    _hear(_note)


def check() -> None:
    """Raise the KeyboardInterrupt that a library has swallowed."""
    if _noted:
        raise KeyboardInterrupt


def defer(wanted: threading.Event) -> None:
    """From now on the first one sets `wanted`, that there be something to go on from; the second raises again."""

    def ask(*_: object) -> None:
        wanted.set()
        _hear(_note)
        print("translate: saving after this step; Ctrl-C again stops at once", file=sys.stderr, flush=True)

    if not wanted.is_set():
        _hear(ask)


def _hear(handler: "signal._HANDLER") -> None:
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, handler)


def _note(*_: object) -> NoReturn:
    global _noted
    _noted = True
    raise KeyboardInterrupt


def _end(*_: object) -> NoReturn:
    say()
    os._exit(130)


_hear(_end)  # while the command line itself is imported, and nothing is begun
