"""Encoders: the one that suits a video, and one segment of it."""

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from translate.errors import InputError, VideoError
from translate.metadata import Pixels
from translate.video.codecs import CODECS, HARDWARE, Codec, named
from translate.video.colour import Colour, to_frame


@dataclass(frozen=True)
class Look:
    """Everything about the pictures of an output that its encoder has to know.

    `width` and `height` are those of the pictures; `rate` is frames a second; `aspect` is of a pixel, 0 if not known.
    """

    width: int
    height: int
    rate: Fraction
    aspect: Fraction
    colour: Colour
    bits: int
    chroma: str


def chosen(
    name: str | None, bits: int, crf: int | None, preset: str | None, hardware: tuple[int, int] | None = None
) -> tuple[str, Codec, dict[str, str], str | None]:
    """Name, codec and options of the encoder, and a note; H.264 plays everywhere, but for more than 8 bit that is HEVC.

    With `hardware`, the width and height of the output, the GPU's encoder is taken where it opens for that size. With a
    preset it is not, as the name of one is libx264's.

    Raises:
        InputError: no such codec, or no such setting of it, or this build of PyAV lacks its encoder.
    """
    import av

    name = named(name, crf, preset) or ("h264" if bits <= 8 else "hevc")
    codec, note = CODECS[name], None
    if hardware and bits == 8 and preset is None and name in HARDWARE:
        offered = HARDWARE[name]
        if offered.encoder in av.codecs_available and _opens(offered, *hardware):
            codec, note = offered, f"encoded by the GPU ({offered.encoder})"
        else:
            note = f"{offered.encoder} does not open here, and {codec.encoder} encodes"
    if codec.encoder not in av.codecs_available:
        raise InputError(
            f"this build of PyAV has no {codec.encoder} for --codec {name}; choose another of {', '.join(CODECS)}"
        )
    options = dict(codec.options) | _repeatable(codec)
    if codec.crf is not None:
        options |= {codec.quality: str(codec.crf if crf is None else crf), "preset": str(preset or codec.preset)}
    return name, codec, options, note


def _repeatable(codec: Codec) -> dict[str, str]:
    """What makes an encoder give the same twice.

    With AVX-512, x264's rate control (mbtree) seems to read memory that nobody has written: of videos 96, 320 and 426
    pixels wide no two were alike. Its code for AVX2 does not, and is as fast.
    """
    import torch

    wide = codec.encoder == "libx264" and torch.backends.cpu.get_cpu_capability() == "AVX512"
    return {"x264-params": "asm=AVX2"} if wide else {}


def _opens(codec: Codec, width: int, height: int) -> bool:
    """Whether an encoder that is compiled in finds what it needs: a GPU, its driver, and a size that they take."""
    import av

    context: Any = av.CodecContext.create(codec.encoder, "w")
    context.width, context.height, context.pix_fmt = evened(codec, width), evened(codec, height), "yuv420p"
    context.time_base, context.options = Fraction(1, 25), dict(codec.options)
    try:
        context.open()
    except av.error.FFmpegError:
        return False
    return True


class Segment:
    """A part of a video, or a whole one of an even rate, on its way to disk: the times only number the frames.

    Args:
        path: of the file; it is whole after `close`.
        look: of the pictures.
        codec: and
        options: from `chosen`.
        container: FFmpeg's name of the file's format.
    """

    def __init__(
        self, path: Path, look: Look, codec: Codec, options: dict[str, str], container: str = "matroska"
    ) -> None:
        import av

        os.environ.setdefault("SVT_LOG", "1")  # errors only; it prints its settings otherwise
        self.look, self.codec, self.count = look, codec, 0
        self.delay = 0  # by how many frames decoding has to run ahead of showing
        self._packets = 0
        self.format = pixel_format(codec, look)
        if min(look.width, look.height) < codec.least:  # x265 has been seen to write beyond its memory there
            least = f"{codec.encoder} takes no side below {codec.least} pixels"
            raise VideoError(f"{least}, and this is {look.width}×{look.height}; choose another --codec")
        try:
            self.container = av.open(str(path), "w", format=container)
            width, height = evened(codec, look.width), evened(codec, look.height)
            size: dict[str, Any] = {"width": width, "height": height, "pix_fmt": self.format}
            self.stream: Any = self.container.add_stream(codec.encoder, look.rate, options, **size)
            context: Any = self.stream.codec_context
            context.time_base, context.thread_count = 1 / look.rate, 0
            context.sample_aspect_ratio = look.aspect
            look.colour.put(context)
            self.container.start_encoding()
        except av.error.FFmpegError as error:
            asked = {name: value for name, value in options.items() if not name.endswith("-params")}
            raise _failed(
                error, f"{codec.encoder} does not take {width}×{height} {self.format} with {asked}"
            ) from error

    def add(self, pixels: Pixels) -> None:
        """Encode one picture, RGB (H, W, 3) of 8 or 16 bit."""
        height, width = pixels.shape[:2]
        below, right = evened(self.codec, height) - height, evened(self.codec, width) - width
        if below or right:
            pixels = np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="edge")
        frame = to_frame(pixels, self.format, self.look.colour)
        frame.pts, frame.time_base = self.count, 1 / self.look.rate
        self.count += 1
        self._mux(frame)

    def close(self) -> None:
        """Write what the encoder still holds, and everything to the disk."""
        self._mux(None)
        self.container.close()
        with Path(self.container.name).open("r+b") as file:  # Windows syncs only what may be written
            os.fsync(file.fileno())

    def _mux(self, frame: Any) -> None:
        import av

        try:
            for packet in self.stream.encode(frame):
                self.delay = max(self.delay, self._packets - round(packet.pts * packet.time_base * self.look.rate))
                self._packets += 1
                self.container.mux(packet)
        except av.error.FFmpegError as error:
            raise _failed(error, "cannot be encoded") from error


def pixel_format(codec: Codec, look: Look) -> str:
    """The nearest format to the source's that the codec has."""
    chroma = look.chroma if look.chroma in codec.chroma else codec.chroma[0]
    bits = min((depth for depth in codec.depths if depth >= look.bits), default=max(codec.depths))
    return f"yuv{chroma}p" if bits == 8 else f"yuv{chroma}p{bits}le"


def evened(codec: Codec, side: int) -> int:
    """A side as this codec can store it."""
    return side + side % 2 if codec.even else side


def _failed(error: Any, what: str) -> VideoError:
    import errno

    if error.errno == errno.ENOSPC:
        return VideoError("cannot be written: the disk is full; make room and run it again")
    text = " ".join(str(error.strerror or error).split())
    return VideoError(f"{what} ({text}); choose another --codec, --crf or --preset, or another --out")
