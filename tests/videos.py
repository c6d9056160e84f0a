"""Videos, written with PyAV alone, and how they are translated."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from torch import Tensor, nn

from translate.engine import Done
from translate.frames import Job
from translate.models import Model
from translate.models.cyclegan import ResnetGenerator
from translate.translator import Translator
from translate.video import colour, job
from translate.video.colour import Colour
from translate.video.read import Video


class Same(nn.Module):
    """Gives back what it gets, enlarged by repetition."""

    def __init__(self, scale: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return x.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)


def ready(scale: int = 1) -> Translator:
    return Translator(Model(Same(scale), "Same", scale=scale), "cpu", "fp32")


def normed() -> Translator:
    """A network whose norms take the statistics of the frame."""
    torch.manual_seed(0)
    return Translator(Model(ResnetGenerator(4, 1), "ResnetGenerator", 1, 4, 16, (-1, 1)), "cpu", "fp32")


def made(source: Path, target: Path, scale: int = 1, **options: Any) -> Done:
    *_, done = job.run(ready(scale), Job(source, target), job.Options(**options))
    assert isinstance(done, Done)
    return done


def packets(path: Path, index: int) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        found = [packet for packet in container.demux(container.streams[index]) if packet.size]
        return [(packet.pts * packet.time_base, bytes(packet)) for packet in found]


def pixels(path: Path) -> list[Any]:
    with Video(path) as video:
        return [frame.picture.pixels for frame in video.frames()]


def scene(n: int, height: int = 32, width: int = 48) -> Any:
    """Slopes with a moving bar, (H, W, 3) uint8, its colours far from the corners of the cube."""
    image = np.add.outer(np.linspace(60, 150, height), np.linspace(0, 40, width))[..., None] + np.array([10, 0, -15])
    image[:, (3 * n) % width : (3 * n) % width + 6] += [25, 10, 0]
    return image.astype(np.uint8)


def write_video(
    path: Path, frames: int = 30, *, codec: str = "libx264", format: str = "yuv420p",
    size: tuple[int, int] = (32, 48), pts: Callable[[int], int] = lambda n: n, base: Fraction = Fraction(1, 25),
    matrix: int = 1, full: bool = False, options: dict[str, str] | None = None, rotation: int = 0,
    aspect: Fraction = Fraction(1), audio: int = 0, sound: str = "aac", audio_offset: float = 0.0,
    subtitles: bool = False, deep: bool = False, container: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:  # fmt: skip
    """A video of `scene`, by PyAV alone."""
    look = Colour(matrix, full, 1, 1)
    with av.open(str(path), "w", container_options=container or {}) as out:
        stream = out.add_stream(codec, 25, options or {}, width=size[1], height=size[0], pix_fmt=format)
        context: Any = stream.codec_context
        context.time_base, context.sample_aspect_ratio = base, aspect
        stream.time_base = base
        look.put(context)
        if rotation:
            stream.set_display_rotation(rotation)
        sounds: list[Any] = [out.add_stream(sound, 48000, layout="mono") for _ in range(audio)]
        for number, sound in enumerate(sounds):
            sound.metadata["language"] = ("eng", "deu")[number]
        texts = out.add_stream("srt" if path.suffix == ".mkv" else "mov_text") if subtitles else None
        if texts:
            texts.codec_context.subtitle_header = b"[Script Info]\n[V4+ Styles]\n[Events]\n"
        out.metadata.update(metadata or {})
        out.start_encoding()
        for n in range(frames):
            image = scene(n, *size)
            frame = colour.to_frame(image.astype(np.uint16) * 257 if deep else image, format, look)
            frame.pts, frame.time_base = pts(n), base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        for number, sound in enumerate(sounds):
            for n in range(int(frames / 25 * 48000) // 1024):
                wave = (3000 * np.sin(np.arange(1024) * (0.05 + number / 50))).astype(np.int16)[None]
                block = av.AudioFrame.from_ndarray(wave, "s16", "mono")
                block.sample_rate, block.pts = 48000, n * 1024 + int(audio_offset * 48000)
                block.time_base = Fraction(1, 48000)
                out.mux(sound.encode(block))
            out.mux(sound.encode(None))
        if texts:
            for n in range(3):
                words = f"line {n}".encode()
                packet = av.Packet(words if path.suffix == ".mkv" else len(words).to_bytes(2, "big") + words)
                packet.pts = packet.dts = 300 * n
                packet.duration, packet.time_base, packet.stream = 200, Fraction(1, 1000), texts
                out.mux(packet)
    return path


def noise(n: int, height: int, width: int) -> Any:
    return np.random.default_rng(n).integers(0, 255, (height, width, 3), dtype=np.uint8)


def video(name: str = "drive.mp4", frames: int = 24, *, height: int = 32, width: int = 48, **options: str) -> Path:
    """A video whose packets are large, so that a cut goes through them."""
    with av.open(name, "w", container_options=options) as out:
        stream = out.add_stream("libx264", 25, {"g": "6"}, width=width, height=height, pix_fmt="yuv420p")
        for n in range(frames):
            frame = av.VideoFrame.from_ndarray(noise(n, height, width), "rgb24")
            frame.pts = n
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return Path(name)
