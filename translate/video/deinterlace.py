"""Whole frames from interlaced ones, whose odd and even rows were taken one after the other."""

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.filter import Graph
    from av.video.frame import VideoFrame

_Times = tuple[int | None, int]  # when a frame is shown, and for how long


class Deinterlacer:
    """FFmpeg's bwdif: the rows of the later field are made anew, of the rows beside them and the frames around.

    One frame comes out for each, at its time. Nothing happens before the first one that is marked as interlaced, and
    those that are not marked stay as they are.
    """

    def __init__(self) -> None:
        self.used = False

    def __call__(self, frames: "Iterable[VideoFrame]") -> "Iterator[VideoFrame]":
        """The same frames, whole."""
        graph: Graph | None = None
        inside: deque[_Times] = deque()  # of the frames that the filter holds
        looks = None
        for frame in frames:
            look = frame.width, frame.height, frame.format.name
            if graph is None or look != looks:
                yield from _out(graph, inside, last=True)
                self.used |= frame.interlaced_frame
                graph, looks = _graph(frame) if frame.interlaced_frame else None, look
            if graph is None:
                yield frame
                continue
            inside.append((frame.pts, frame.duration))
            graph.vpush(frame)
            yield from _out(graph, inside)
        yield from _out(graph, inside, last=True)


def _graph(frame: "VideoFrame") -> "Graph":
    import av.filter

    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000))
    graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
    graph.configure()
    return graph


def _out(graph: "Graph | None", inside: deque[_Times], *, last: bool = False) -> "Iterator[VideoFrame]":
    """What the filter has ready, with the times it came with; with `last`, all of it."""
    import av

    if graph is None:
        return
    if last:
        graph.vpush(None)
    while inside:
        try:
            frame = graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        frame.pts, frame.duration = inside.popleft()
        yield frame
