"""YUV numbers against those that the standards give for red, green and blue."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from videos import pixels

from translate.video import colour
from translate.video.colour import Colour
from translate.video.read import Video

RGB = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
TABLE = {  # of red, green and blue, by matrix (H.273), full range and depth
    (6, False, 8): ((81, 90, 240), (145, 54, 34), (41, 240, 110)),
    (1, False, 8): ((63, 102, 240), (173, 42, 26), (32, 240, 118)),
    (9, False, 8): ((74, 97, 240), (164, 47, 25), (29, 240, 119)),
    (6, True, 8): ((76, 85, 255), (150, 44, 21), (29, 255, 107)),
    (1, True, 8): ((54, 99, 255), (182, 30, 12), (18, 255, 116)),
    (9, True, 8): ((67, 92, 255), (173, 36, 11), (15, 255, 118)),
    (6, False, 10): ((326, 361, 960), (578, 215, 137), (164, 960, 439)),
    (1, False, 10): ((250, 409, 960), (691, 167, 105), (127, 960, 471)),
    (9, False, 10): ((294, 387, 960), (658, 189, 100), (116, 960, 476)),
    (6, True, 10): ((306, 339, 1023), (601, 173, 84), (117, 1023, 429)),
    (1, True, 10): ((217, 395, 1023), (732, 118, 47), (74, 1023, 465)),
    (9, True, 10): ((269, 369, 1023), (694, 143, 42), (61, 1023, 471)),
}


def frame_of(values: Any, format: str, size: tuple[int, int] = (16, 16)) -> av.VideoFrame:
    """One colour everywhere, by its numbers."""
    frame = av.VideoFrame(*size, format)
    dtype = np.uint16 if "10" in format else np.uint8
    for plane, value in zip(frame.planes, values, strict=True):
        np.frombuffer(plane, dtype)[:] = value
    return frame


def written(path: Path, frame: av.VideoFrame, codec: str = "ffv1", look: Colour | None = None) -> Path:
    """A video of one frame, with or without a word about its colours."""
    with av.open(str(path), "w") as out:
        size = {"width": frame.width, "height": frame.height}
        stream = out.add_stream(codec, 25, pix_fmt=frame.format.name, **size)
        if look:
            look.put(stream.codec_context)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("matrix", "full", "depth"), TABLE)
def test_numbers_are_the_standards(matrix: int, full: bool, depth: int) -> None:
    """There and back; by a step of the rounded numbers at most."""
    look, format, top = Colour(matrix, full), "yuv444p" if depth == 8 else "yuv444p10le", 255 if depth == 8 else 65535
    for values, rgb in zip(TABLE[matrix, full, depth], RGB, strict=True):
        found = colour.to_rgb(frame_of(values, format), look, smooth=False)[0, 0].astype(float)
        assert found * 255 / top == pytest.approx(rgb, abs=2.1 if depth == 8 else 0.6)
        pure = np.full((2, 2, 3), np.array(rgb) * (top // 255), np.uint8 if depth == 8 else np.uint16)
        planes = [np.frombuffer(plane, pure.dtype)[0] for plane in colour.to_frame(pure, format, look).planes]
        assert planes == pytest.approx(values, abs=1)


@pytest.mark.parametrize("format", ["yuv444p", "yuv420p"])
def test_files_say_how_they_are_meant(format: str, tmp_path: Path) -> None:
    for (matrix, full, depth), colours in TABLE.items():
        if depth == 8:
            path = written(tmp_path / f"{matrix}{full}.mkv", frame_of(colours[0], format), look=Colour(matrix, full))
            assert pixels(path)[0][0, 0].tolist() == pytest.approx(RGB[0], abs=2.1)


@pytest.mark.parametrize(("size", "matrix"), [((64, 48), 6), ((704, 576), 6), ((1280, 720), 1), ((1280, 536), 1)])
def test_files_that_do_not_say_are_taken_by_their_size(size: tuple[int, int], matrix: int, tmp_path: Path) -> None:
    path = written(tmp_path / "a.mkv", frame_of(TABLE[matrix, False, 8][0], "yuv444p", size))
    assert pixels(path)[0][0, 0].tolist() == pytest.approx(RGB[0], abs=2.1)


def test_motion_jpeg_has_the_full_range(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mkv", frame_of(TABLE[6, True, 8][0], "yuvj420p", (32, 32)), "mjpeg")
    assert pixels(path)[0][8, 8].tolist() == pytest.approx(RGB[0], abs=6)
    silent: Any = SimpleNamespace(colorspace=2, color_range=0, height=480, width=640, color_primaries=2, color_trc=2)
    for format, full in (("yuvj420p", True), ("yuv420p", False)):
        silent.pix_fmt = format
        assert Colour.of(silent) == Colour(6, full)


def test_what_is_rgb_or_grey_already(tmp_path: Path) -> None:
    image = np.broadcast_to(np.array([200, 90, 10], np.uint8), (16, 16, 3))
    for codec, format, name in (("ffv1", "bgr0", "a.mkv"), ("png", "rgb24", "b.mov")):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24").reformat(format=format)
        assert (pixels(written(tmp_path / name, frame, codec))[0] == image).all()
    assert (pixels(written(tmp_path / "grey.mkv", frame_of((77,), "gray")))[0] == 77).all()


def test_coarse_chroma_is_interpolated_only_where_it_is_asked_for(tmp_path: Path) -> None:
    """Half of the frame red, half of it grey, of the same luma: the edge is between two pixels, or a slope."""
    frame = frame_of((81, 128, 128), "yuv420p")
    for plane, value in zip(frame.planes[1:], (90, 240), strict=True):
        np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, :4] = value
    path = written(tmp_path / "a.mkv", frame, look=Colour(6))
    rows = {}
    for smooth in (False, True):
        with Video(path, smooth=smooth) as video:
            rows[smooth] = next(iter(video.frames())).picture.pixels[8, :, 0].astype(int)
    assert np.ptp(rows[False][:8]) == np.ptp(rows[False][8:]) == 0
    assert rows[False][7] - rows[False][8] > 150
    assert (np.diff(rows[True][6:10]) < -20).all()
