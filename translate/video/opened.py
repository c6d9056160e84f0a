"""A video file that is opened for reading, or one line about why it cannot be."""

from pathlib import Path
from typing import TYPE_CHECKING

from translate.errors import VideoError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_STILL = ("_pipe", "image2")  # FFmpeg's names for readers of still pictures


def opened(path: Path) -> "tuple[InputContainer, VideoStream]":
    """A container and its main video stream; `VideoError` says in one line why not."""
    import av

    try:
        container = av.open(str(path), metadata_errors="replace")
    except av.error.InvalidDataError as error:
        empty = path.stat().st_size == 0
        what = "the file is empty (0 bytes)" if empty else "holds no video, or its header is damaged or missing"
        raise VideoError(f"{what}; copy or download it again") from error
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(f"cannot be opened: {line(error)}; check the name and its mode") from error
    from av.stream import Disposition

    problem = None
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if container.format.name.endswith(_STILL):
        problem = (
            f"holds a picture, not a video ({container.format.name.removesuffix('_pipe')}); give it its own suffix"
        )
    elif not streams:
        problem = "holds no video stream; there is nothing to translate in it"
    elif streams[0].codec_context is None:
        problem = "its video is in a codec that this build of PyAV cannot decode; convert it to H.264 first"
    if problem:
        container.close()
        raise VideoError(problem)
    streams[0].thread_type = "SLICE"  # with "FRAME", one damaged frame takes its neighbours along
    return container, streams[0]


def line(error: Exception) -> str:
    """What FFmpeg says of an error, on one line."""
    return " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
