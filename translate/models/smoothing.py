"""Instance-norm statistics that are smoothed over the frames of a video.

A network normalises every frame by its own mean and variance, so that something bright that comes into view makes all
the rest darker at once. Here each norm takes the running average over the frames so far instead.
"""

from contextvars import ContextVar, Token

from translate.kernels import Statistics

KEEP = 0.8  # of the statistics so far; the rest is the new frame's

_active: ContextVar["Smoothing | None"] = ContextVar("smoothing", default=None)


class Smoothing:
    """Statistics of each norm of a network, in the order of the forward pass, from one frame to the next.

    As a context it is in force for all networks of `translate.models` in this thread. Every frame is one pass with a
    batch of one, or several where one fails and is tried again: only `accept` keeps what the last of them has found.

    Args:
        kept: from an earlier `kept`, to go on from there; none at a beginning and after a cut.
    """

    def __init__(self, kept: tuple[Statistics, ...] = ()) -> None:
        self.kept = kept
        self._found: list[Statistics] = []

    def __enter__(self) -> "Smoothing":
        self._token: Token[Smoothing | None] = _active.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _active.reset(self._token)

    def begin(self) -> None:
        """Forget what the pass so far has found."""
        self._found = []

    def accept(self) -> None:
        """The frame is made: the next one builds on it."""
        self.kept = tuple(self._found)

    def add(self, now: Statistics) -> Statistics:
        """Statistics to normalise with, from those of the frame at the next norm, (1, C) each."""
        number = len(self._found)
        if number < len(self.kept):
            before = self.kept[number]
            m2 = before.m2 * (now.pixels / before.pixels)
            now = Statistics(now.pixels, now.mean.lerp(before.mean, KEEP), now.m2.lerp(m2, KEEP))
        self._found.append(now)
        return now


def begin_pass() -> None:
    """To be called before each pass of a network, as one that failed may have left something."""
    if smoothing := _active.get():
        smoothing.begin()


def smoothing() -> Smoothing | None:
    """What is in force, if anything is."""
    return _active.get()
