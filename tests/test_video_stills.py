"""A folder of numbered pictures becomes a video, and a video that was taken apart the same video again."""

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from helpers import times
from PIL import Image

from translate.errors import InputError
from translate.video import segments
from translate.video.stills import Stills

Run = Callable[..., Any]
NIGHT = ("cyclegan", "--to", "night", "--preset", "ultrafast", "--src")


@pytest.fixture(autouse=True)
def here(inside: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "FRAMES", 4)


def pictures(count: int = 6, folder: str = "frames", first: int = 8) -> Path:
    path = Path(folder)
    path.mkdir()
    for n in range(count):
        slope = np.add.outer(np.linspace(0, 120, 32), np.linspace(0, 90, 48))[..., None] + [10 * n, 0, 0]
        Image.fromarray(slope.astype(np.uint8)).save(path / f"{first + n}.png")
    return path


def film(name: str = "drive.mp4", frames: int = 10, sound: bool = True) -> Path:
    """Frames that do not come at a regular pace, and a tone."""
    with av.open(name, "w") as out:
        stream = out.add_stream("libx264", 25, {"preset": "ultrafast"}, width=48, height=32, pix_fmt="yuv420p")
        context: Any = stream.codec_context
        context.time_base = Fraction(1, 12800)
        tone = out.add_stream("aac", 48000, layout="mono") if sound else None
        for n in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((32, 48, 3), 20 * n, np.uint8), "rgb24")
            frame.pts, frame.time_base = 512 * n + 37 * (n % 3), Fraction(1, 12800)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        for n in range(15 if tone else 0):
            block = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            block.sample_rate, block.pts = 48000, 1024 * n
            out.mux(tone.encode(block))  # type: ignore[union-attr]
        if tone:
            out.mux(tone.encode(None))
    return Path(name)


def test_there_and_back(run: Run) -> None:
    film()
    assert run(*NIGHT, "drive.mp4", "--frames-out", "apart").code == 0
    ran = run(*NIGHT, "apart", "--video-out", "again.mp4", "--audio-from", "drive.mp4")
    assert (ran.code, ran.counts) == (0, (1, 0, 0))
    assert "10 frames in, 10 frames out" in ran.out
    assert "kept audio (aac)" in ran.out
    assert times("again.mp4") == times("drive.mp4")
    with av.open("again.mp4") as made, av.open("drive.mp4") as source:
        assert [bytes(p) for p in made.demux(audio=0)] == [bytes(p) for p in source.demux(audio=0)]
    assert run(*NIGHT, "apart", "--video-out", "again.mp4").counts == (0, 1, 0)


def test_a_part_there_and_back_begins_at_once_unless_it_has_a_sound_to_keep_step_with(run: Run) -> None:
    film()
    assert run(*NIGHT, "drive.mp4", "--frames-out", "apart", "--start", "0.2").code == 0
    assert run(*NIGHT, "apart", "--video-out", "alone.mp4").code == 0
    assert run(*NIGHT, "apart", "--video-out", "last.mp4", "--start", "0.1").code == 0
    assert run(*NIGHT, "apart", "--video-out", "sounding.mp4", "--audio-from", "drive.mp4").code == 0
    part = times("drive.mp4")[5:]
    assert times("alone.mp4") == [time - part[0] for time in part]
    late = times("sounding.mp4")
    assert [time - late[0] for time in late] == [time - part[0] for time in part]
    assert abs(late[0] - part[0]) < Fraction(1, 1000)  # MP4 knows when it begins to the millisecond
    assert len(times("last.mp4")) == 2  # --start counts from the beginning of the pictures


@pytest.mark.parametrize("fps", ["25", "30000/1001", "23.976"])
def test_a_rate(fps: str, run: Run) -> None:
    pictures()
    ran = run(*NIGHT, "frames", "--video-out", "made.mp4", "--fps", fps)
    assert ran.code == 0, ran.err
    rate = Fraction(fps).limit_denominator(1001)
    assert times("made.mp4") == [n / rate for n in range(6)]
    assert "kept no other streams" in ran.out


def test_without_video_out_they_are_photographs(run: Run) -> None:
    pictures()
    Path("frames/timecodes.txt").write_text("# timestamp format v2\n" + "".join(f"{40 * n}\n" for n in range(6)))
    assert run(*NIGHT, "frames").counts == (6, 0, 0)
    assert sorted(os.listdir("frames-night")) == sorted(f"{n}.png" for n in range(8, 14))  # noqa: PTH208


def test_the_order_is_that_of_the_numbers() -> None:
    with Stills(pictures(), Fraction(25)) as stills:
        assert [path.stem for path in stills.paths] == ["8", "9", "10", "11", "12", "13"]
        assert stills.count(0.04, 0.12) == 2
        frames = list(stills.frames(0.04, 0.12))
        assert [frame.pts * stills.time_base for frame in frames] == [Fraction(1, 25), Fraction(2, 25)]
        assert [frame.picture.pixels[0, 0, 0] for frame in frames] == [10, 20]


def test_times_of_other_tools_are_milliseconds() -> None:
    folder = pictures(3)
    (folder / "timecodes.txt").write_text("# timecode format v2\n0\n41.708\n\n83.417\n")
    with Stills(folder, None) as stills:
        found = [1000 * frame.pts * stills.time_base for frame in stills.frames()]
        assert found == [0, Fraction("41.708"), Fraction("83.417")]
        assert abs(stills.rate - Fraction(24000, 1001)) < 0.001


def test_another_size_and_transparency_are_said(run: Run) -> None:
    folder = pictures(3)
    Image.new("RGBA", (64, 40)).save(folder / "9.png")
    ran = run(*NIGHT, "frames", "--video-out", "made.mp4", "--fps", "25")
    assert ran.code == 0
    assert "9.png is 64×40; such pictures are scaled to 48×32, as the first one is" in ran.out
    assert "its transparency is not kept" in ran.out
    assert len(times("made.mp4")) == 3


def test_one_that_is_damaged_is_named_and_nothing_is_made(run: Run) -> None:
    folder = pictures()
    (folder / "10.png").write_bytes(b"nothing")
    ran = run(*NIGHT, "frames", "--video-out", "made.mp4", "--fps", "25")
    assert (ran.code, ran.counts) == (1, (0, 0, 1))
    assert "10.png: " in ran.failures[0]
    assert not Path("made.mp4").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("frames --video-out a.mp4", "timecodes.txt is missing; say how many frames a second with --fps"),
        ("frames --video-out a.avi --fps 25", "a video is written as .mp4 or .mkv, not .avi"),
        ("frames --fps 25", "--fps and --audio-from are for --video-out"),
        ("frames --video-out a.mp4 --fps fast", "--fps is 'fast'; it takes frames a second"),
        ("frames --video-out a.mp4 --fps 0", "--fps is '0'; it takes frames a second"),
        ("frames --video-out a.mp4 --fps 25 --audio-from no.mp3", "--audio-from no.mp3 is no file"),
        ("frames/8.png --video-out a.mp4 --fps 25", "--video-out makes one video of one folder"),
        ("empty --video-out a.mp4 --fps 25", "empty holds no pictures"),
        ("short --video-out a.mp4", "short/timecodes.txt has 2 times for 3 pictures; repair it, or give --fps"),
        ("back --video-out a.mp4", "the times in back/timecodes.txt do not all go forward"),
        ("words --video-out a.mp4", "words/timecodes.txt is no list of milliseconds"),
    ],
)
def test_wrong_usage(arguments: str, said: str, run: Run) -> None:
    pictures(2)
    Path("empty").mkdir()
    for name, text in (("short", "0\n40\n"), ("back", "0\n40\n20\n"), ("words", "0\n40\nlater\n")):
        (pictures(3, name) / "timecodes.txt").write_text(text)
    before = sorted(Path().rglob("*"))
    ran = run(*NIGHT, *arguments.split())
    assert (ran.code, len(ran.err.splitlines())) == (2, 1), ran.out
    assert said in ran.err
    assert sorted(Path().rglob("*")) == before


def test_a_folder_without_pictures_is_an_error_of_usage() -> None:
    Path("none").mkdir()
    with pytest.raises(InputError, match="holds no pictures"):
        Stills(Path("none"), Fraction(25))


def test_a_damaged_first_picture_and_times_in_another_encoding(run: Run) -> None:
    folder = pictures(3)
    (folder / "timecodes.txt").write_bytes(b"# timestamp format v2\n# caf\xe9\n0\n40\n80\n")
    assert run(*NIGHT, "frames", "--video-out", "a.mp4").code == 0
    assert len(times("a.mp4")) == 3
    (folder / "8.png").write_bytes(b"no picture")
    ran = run(*NIGHT, "frames", "--video-out", "b.mp4", "--fps", "25")
    assert ran.code == 1
    assert "8.png: holds no image" in ran.failures[0]


def test_taking_apart_refuses_what_would_change_nothing(run: Run) -> None:
    film()
    ran = run(*NIGHT, "drive.mp4", "--frames-out", "apart", "--format", "jpg")
    assert (ran.code, "--frames-out writes PNGs, and --format changes nothing about them" in ran.err) == (2, True)


def test_a_look_at_a_film_that_does_not_say_how_long_it_is(run: Run) -> None:
    """As browsers record them: only its beginning can be shown."""
    with av.open("live.mkv", "w", options={"live": "1"}) as out:
        stream = out.add_stream("libx264", 25, {"preset": "ultrafast"}, width=48, height=32, pix_fmt="yuv420p")
        for n in range(20):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((32, 48, 3), 10 * n, np.uint8), "rgb24")))
        out.mux(stream.encode(None))
    with av.open("live.mkv") as source:
        assert source.duration is None
    ran = run(*NIGHT, "live.mkv", "--preview", "4")
    assert ran.code == 0
    assert "1 moments before and after" in ran.out
    assert "it does not say how long it is" in ran.out


def test_segments_are_synced_through_what_may_be_written(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows refuses to sync a file that is open for reading only."""
    real = os.fsync

    def fsync(file: int) -> None:
        os.write(file, b"")  # fails where it may not be written
        real(file)

    film()
    monkeypatch.setattr(os, "fsync", fsync)
    assert run(*NIGHT, "drive.mp4").code == 0
