"""Instance-norm statistics that are smoothed over the frames of a video.

A network normalises every frame by its own mean and variance, so that something bright that comes into view makes all
the rest darker at once. Here each norm takes the running average over the frames so far instead.
"""

from contextvars import ContextVar, Token

import torch

from translate.kernels import Statistics

KEEP = 0.8  # of the statistics so far; the rest is the new frame's

_active: ContextVar["Smoothing | None"] = ContextVar("smoothing", default=None)


class Smoothing:
    """Statistics of each norm, in the order of the forward pass, from one frame to the next.

    As a context it is in force for all networks of `translate.models` in this thread. For every frame each network
    makes one pass with a batch of one, or several where one fails and is tried again: only what the last of them has
    found counts, once the frame is accepted.

    Attributes:
        kept: the statistics of each network, in the order in which they work; to be set to go on from earlier ones.
    """

    def __init__(self) -> None:
        self.kept: tuple[tuple[Statistics, ...], ...] = ()
        self._found: dict[int, list[Statistics]] = {}
        self._now = 0  # whose pass it is

    def __enter__(self) -> "Smoothing":
        self._token: Token[Smoothing | None] = _active.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _active.reset(self._token)

    def begin(self, network: int = 0) -> None:
        """A network, by any number of its own, begins a pass: forget what it has found in this frame."""
        self._now = network
        self._found[network] = []

    def accept(self) -> None:
        """The frame is made: the next one builds on it."""
        self.kept = tuple(tuple(found) for found in self._found.values())
        self._found = {}

    def add(self, now: Statistics) -> Statistics:
        """Statistics to normalise with, from those of the frame at the next norm, (1, C) each."""
        found = self._found.setdefault(self._now, [])
        stage, norm = list(self._found).index(self._now), len(found)
        if stage < len(self.kept) and norm < len(self.kept[stage]):
            before = self.kept[stage][norm]
            m2 = before.m2 * (now.pixels / before.pixels)
            now = Statistics(now.pixels, now.mean.lerp(before.mean, KEEP), now.m2.lerp(m2, KEEP))
        found.append(now)
        return now


def begin_pass(network: int) -> None:
    """To be called before each pass of a network, with a number of its own."""
    if smoothing := _active.get():
        smoothing.begin(network)


def smoothing() -> Smoothing | None:
    """What is in force, if anything is; nothing inside of `torch.compile`, which cannot follow this."""
    return None if torch.compiler.is_dynamo_compiling() else _active.get()
