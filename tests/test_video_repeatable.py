"""The same frames make the same file."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from translate.video import write
from translate.video.colour import Colour


@pytest.mark.parametrize("name", ["h264", "hevc", "av1"])
def test_the_same_frames_give_the_same_video(name: str, tmp_path: Path) -> None:
    """x264 with AVX-512 did not, in small pictures that move."""
    rng = np.random.default_rng(0)
    scene = cv2.resize(rng.integers(0, 256, (40, 80, 3), dtype=np.uint8), (640, 320), interpolation=cv2.INTER_CUBIC)
    frames = [
        scene[n : n + 64, 4 * n : 4 * n + 96] // 2 + rng.integers(0, 12, (64, 96, 3), dtype=np.uint8)
        for n in range(100)
    ]
    _, codec, options, _ = write.chosen(name, 8, None, None)
    look = write.Look(96, 64, Fraction(25), Fraction(1), Colour(6), 8, "420")
    videos = []
    for n in range(4):
        segment = write.Segment(tmp_path / f"{n}.mkv", look, codec, options)
        for frame in frames:
            segment.add(frame)
        segment.close()
        with av.open(str(tmp_path / f"{n}.mkv")) as file:
            videos.append([frame.to_ndarray() for frame in file.decode(video=0)])
    for video in videos[1:]:
        for first, again in zip(videos[0], video, strict=True):
            np.testing.assert_array_equal(first, again)
