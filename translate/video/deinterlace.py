"""Whole frames from interlaced ones, whose odd and even rows were taken one after the other."""

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.filter import Graph
    from av.video.frame import VideoFrame


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
        inside: deque[VideoFrame | None] = deque()  # what the filter holds; None: it has been given out
        looks, before = None, None
        for frame in frames:
            look = frame.width, frame.height, frame.format.name
            if graph is None or look != looks:
                yield from _out(graph, inside, last=True)
                graph = _graph(frame) if frame.interlaced_frame else None
                self.used |= graph is not None
                if graph and before and look == looks:
                    inside.append(None)
                    graph.vpush(before)
                looks = look
            before = frame
            if graph is None:
                yield frame
                continue
            inside.append(frame)
            graph.vpush(frame)
            yield from _out(graph, inside)
        yield from _out(graph, inside, last=True)


def _graph(frame: "VideoFrame") -> "Graph | None":
    """None for frames that are too small for the filter."""
    import av.filter

    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000))
    graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=all"), graph.add("buffersink"))
    try:
        graph.configure()
    except av.error.FFmpegError:
        return None
    return graph


def _out(graph: "Graph | None", inside: "deque[VideoFrame | None]", *, last: bool = False) -> "Iterator[VideoFrame]":
    """What the filter has ready, of those frames that are marked; with `last`, all of it.

    It is given the others, too, as they stand beside marked ones.
    """
    import av

    if graph is None:
        return
    if last:
        graph.vpush(None)
    while inside:
        try:
            whole = graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        frame = inside.popleft()
        if frame is None:
            continue
        whole.pts, whole.duration = frame.pts, frame.duration
        yield whole if frame.interlaced_frame else frame
