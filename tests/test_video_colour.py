"""Colours and depths of videos, and the encoders that keep them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from helpers import times
from videos import made, pixels, ready

from translate.engine import Done
from translate.frames import Job
from translate.video import codecs, colour, job, write
from translate.video.colour import Colour

Make = Callable[..., Path]


@pytest.mark.parametrize("matrix", [1, 6, 9, 7])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p10le"])
def test_an_identity_keeps_the_colours(format: str, full: bool, matrix: int, make: Make, tmp_path: Path) -> None:
    deep = "10" in format
    source = make("in.mkv", 3, codec="ffv1", format=format, matrix=matrix, full=full, deep=deep)
    made(source, target := tmp_path / "out.mkv", codec="ffv1")
    top = 65535 if deep else 255
    for before, after in zip(pixels(source), pixels(target), strict=True):
        assert before.dtype == after.dtype == (np.uint16 if deep else np.uint8)
        assert np.abs(before.astype(int) - after).max() / top <= (0.5 if deep else 2) / 255
    with av.open(str(target)) as container:
        context = container.streams.video[0].codec_context
        kept = context.format.name, context.colorspace, context.color_range, context.color_primaries, context.color_trc
        assert kept == (format, matrix, 2 if full else 1, 1, 1)


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "prores", "ffv1"])
def test_encoders(codec: str, make: Make, tmp_path: Path) -> None:
    if codecs.CODECS[codec].encoder not in av.codecs_available:
        pytest.skip(f"this PyAV has no {codecs.CODECS[codec].encoder}")
    source = make(size=(64, 96))
    done = made(source, target := tmp_path / "out.mkv", codec=codec)
    assert done.status == "done", done.message
    with av.open(str(target)) as container:
        context = container.streams.video[0].codec_context
        assert codec in (context.codec.canonical_name, context.name)
        assert (context.colorspace, context.color_range) == (1, 1)
    assert times(target) == times(source)
    for before, after in zip(pixels(source), pixels(target), strict=True):
        assert np.abs(before / 255 - after / np.iinfo(after.dtype).max).mean() < 0.02


def test_rgb_is_what_the_standard_says() -> None:
    frame = av.VideoFrame(2, 2, "yuv444p")
    for plane, value in zip(frame.planes, (81, 90, 240), strict=True):  # red in BT.601, limited range
        np.frombuffer(plane, np.uint8)[:] = value
    assert colour.to_rgb(frame, Colour(6), smooth=False)[0, 0].tolist() == [254, 0, 0]
    for plane, value in zip(frame.planes, (63, 102, 240), strict=True):  # red in BT.709
        np.frombuffer(plane, np.uint8)[:] = value
    red = colour.to_rgb(frame, Colour(1), smooth=False)[0, 0].astype(int)
    assert np.abs(red - [255, 0, 0]).max() <= 1


class OnGpu:
    """A translator that says it computes on a GPU."""

    scale, device, precision, keeps_luma = 1, "cuda", "fp32", False

    def __call__(self, pictures: list[Any]) -> list[Any]:
        return ready()(pictures)


@pytest.mark.parametrize("there", [False, True])
def test_the_encoder_of_a_gpu_or_else_the_usual_one(there: bool, make: Make, tmp_path: Path, monkeypatch: Any) -> None:
    look_alike = replace(codecs.CODECS["h264"], preset="ultrafast", crf=25)
    monkeypatch.setattr(write, "HARDWARE", {"h264": look_alike})
    monkeypatch.setattr(write, "_opens", lambda codec, width, height: there and (width, height) == (48, 32))
    source, target = make(), tmp_path / "out.mp4"
    first, *_, done = job.run(OnGpu(), Job(source, target), job.Options(codec="h264"))  # type: ignore[arg-type]
    said = "encoded by the GPU (libx264)" if there else "libx264 does not open here, and libx264 encodes"
    assert isinstance(first, job.Progress)
    assert first.note == said
    assert isinstance(done, Done)
    assert (done.status, times(target)) == ("done", times(source))


def test_when_the_encoder_of_a_gpu_is_asked() -> None:
    """None of these machines' encoders opens, but that is found out by trying."""
    plain = write.chosen("h264", 8, None, None)
    assert (plain[1].encoder, plain[3]) == ("libx264", None)
    assert write.chosen("h264", 8, None, "slow", (640, 360))[3] is None
    assert write.chosen("hevc", 10, None, None, (640, 360))[3] is None
    assert write.chosen("av1", 8, None, None, (640, 360))[3] is None
    _, codec, options, note = write.chosen("h264", 8, 21, None, (640, 360))
    if codec.encoder == "h264_nvenc":
        assert (options["cq"], note) == ("21", "encoded by the GPU (h264_nvenc)")
    else:
        assert (options["crf"], note) == ("21", "h264_nvenc does not open here, and libx264 encodes")


def test_the_default_plays_everywhere(make: Make, tmp_path: Path) -> None:
    for source, wanted in ((make(format="yuv444p"), ("h264", "yuv420p")), (make(matrix=6), ("h264", "yuv420p"))):
        done = made(source, target := tmp_path / "out.mp4", overwrite=True)
        with av.open(str(target)) as container:
            context = container.streams.video[0].codec_context
            assert (context.name, context.format.name) == wanted
        assert ("chroma of 444 became that of yuv420p; --codec ffv1 keeps more" in str(done.message)) == (
            "444" in str(pixel_format(source))
        )


def pixel_format(path: Path) -> str:
    with av.open(str(path)) as container:
        return str(container.streams.video[0].codec_context.format.name)


def test_10_bit_stays_10_bit(make: Make, tmp_path: Path) -> None:
    if "libx265" not in av.codecs_available:
        pytest.skip("this PyAV has no libx265")
    source = make(
        codec="libx265", format="yuv420p10le", deep=True, size=(64, 96), options={"x265-params": "log-level=none"}
    )
    made(source, target := tmp_path / "out.mp4", preset="ultrafast")
    with av.open(str(target)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.format.name, context.codec_tag) == ("hevc", "yuv420p10le", "hvc1")
