"""Videos that are damaged, strange or in the way: one clear line each, and nothing lost."""

import errno
import os
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from helpers import times
from PIL import Image
from videos import noise, video

from translate.translator import Translator

pytestmark = pytest.mark.usefixtures("inside", "short")


Run = Callable[..., Any]
NIGHT = ("cyclegan", "--to", "night", "--preset", "ultrafast", "--src")


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv"])
def test_cut_short(name: str, run: Run) -> None:
    whole = video(f"whole{Path(name).suffix}", 40, **({"movflags": "+faststart"} if name.endswith("mp4") else {}))
    data = whole.read_bytes()
    Path(name).write_bytes(data[: len(data) * 6 // 10])
    ran = run(*NIGHT, name)
    assert (ran.code, ran.counts) == (1, (0, 0, 1))
    target = f"{Path(name).stem}-night-incomplete{Path(name).suffix}"
    assert f"is cut short: what could be read of it is in {target}; copy or download it again" in ran.failures[0]
    readable = len(times(target))
    assert 12 < readable < 40
    assert times(target) == times(whole)[:readable]
    with av.open(name) as container:  # what is left of the packets
        left = sum(packet.size > 0 for packet in container.demux(video=0))
    assert left - 1 <= readable <= left
    assert f"{readable} frames in, {readable} frames out" in ran.failures[0]


def test_damaged_in_the_middle(run: Run) -> None:
    path = video("hurt.mp4", 40)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 6000] = bytes(6000)
    path.write_bytes(data)
    ran = run(*NIGHT, "hurt.mp4")
    assert ran.code == 1
    assert "holds parts that cannot be decoded: what could be read of it is in hurt-night-incomplete" in ran.failures[0]
    assert 20 <= len(times("hurt-night-incomplete.mp4")) <= 40


def test_damaged_and_interrupted_after_that(run: Run, monkeypatch: Any) -> None:
    """What was lost in a segment that is finished counts when the job goes on."""
    path = video("hurt.mp4", 60)
    data = bytearray(path.read_bytes())
    early = len(data) // 5
    data[early : early + 4000] = bytes(4000)
    path.write_bytes(data)
    real, calls = Translator.__call__, []

    def call(self: Translator, pictures: Any) -> Any:
        calls.append(1)
        if len(calls) == 45:
            raise KeyboardInterrupt
        return real(self, pictures)

    monkeypatch.setattr(Translator, "__call__", call)
    assert run(*NIGHT, "hurt.mp4").code == 130
    ran = run(*NIGHT, "hurt.mp4")
    assert (ran.code, "goes on after" in ran.out) == (1, True)
    assert "holds parts that cannot be decoded: what could be read of it is in hurt-night-incomplete" in ran.failures[0]
    assert sorted(path.name for path in Path().glob("*night*")) == ["hurt-night-incomplete.mp4"]


def test_the_final_name_means_whole(run: Run) -> None:
    whole = video("whole.mp4", 24, movflags="frag_keyframe+empty_moov").read_bytes()
    path = Path("drive.mp4")
    path.write_bytes(whole[: len(whole) // 2])
    for _ in range(2):  # it is tried again
        ran = run(*NIGHT, "drive.mp4")
        assert (ran.code, ran.counts) == (1, (0, 0, 1))
        assert "what could be read of it is in drive-night-incomplete.mp4" in ran.failures[0]
        assert sorted(path.name for path in Path().glob("*night*")) == ["drive-night-incomplete.mp4"]
        assert 0 < len(times("drive-night-incomplete.mp4")) < 24
    path.write_bytes(whole)
    ran = run(*NIGHT, "drive.mp4")
    assert (ran.code, ran.counts) == (0, (1, 0, 0))
    assert sorted(path.name for path in Path().glob("*night*")) == ["drive-night.mp4"]
    assert len(times("drive-night.mp4")) == 24
    path.write_bytes(whole[: len(whole) // 2])
    assert run(*NIGHT, "drive.mp4", "--overwrite").code == 1
    assert len(times("drive-night.mp4")) == 24  # nothing whole is lost to a damaged source


def test_a_source_named_as_an_incomplete_one_is_not_touched(run: Run) -> None:
    before = video("drive-incomplete.mp4").read_bytes()
    ran = run(*NIGHT, "drive-incomplete.mp4", "--out", "drive.mp4")
    assert (ran.code, Path("drive-incomplete.mp4").read_bytes() == before) == (1, True)
    assert "drive-incomplete.mp4, where a part of it would go, is in use; rename one" in ran.failures[0]


def only_sound(name: str) -> None:
    with av.open(name, "w") as out:
        sound = out.add_stream("aac", 48000, layout="mono")
        for n in range(5):
            block = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            block.sample_rate, block.pts = 48000, 1024 * n
            out.mux(sound.encode(block))
        out.mux(sound.encode(None))


def no_frames(name: str) -> None:
    data = bytearray(video(name, 2).read_bytes())
    at = data.index(b"mdat") + 4
    data[at : at + 5000] = bytes(len(data[at : at + 5000]))  # the index is left, behind it
    Path(name).write_bytes(video(name, 2, movflags="+faststart").read_bytes()[:1500] if len(data) < 5000 else data)


def another_codec(name: str) -> None:
    Path(name).write_bytes(video(name).read_bytes().replace(b"avc1", b"zzz1"))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda name: Path(name).touch(), "the file is empty (0 bytes); copy or download it again"),
        (lambda name: Path(name).write_text("words " * 100), "holds no video, or its header is damaged or missing"),
        (lambda name: Path(name).write_bytes(video("b.mp4").read_bytes()[:2000]), "header is damaged or missing"),
        (lambda name: Image.new("RGB", (20, 20)).save(name, "PNG"), "holds a picture, not a video (png)"),
        (lambda name: Image.new("RGB", (20, 20)).save(name, "JPEG"), "holds a picture, not a video (jpeg)"),
        (only_sound, "holds no video stream; there is nothing to translate in it"),
        (no_frames, "holds no frames that can be decoded; copy or download it again"),
        (another_codec, "its video is in a codec that this build of PyAV cannot decode; convert it to H.264 first"),
    ],
)
def test_not_a_video(make: Callable[[str], object], said: str, run: Run) -> None:
    make("a.mp4")
    before = sorted(Path().iterdir())
    ran = run(*NIGHT, "a.mp4")
    assert (ran.code, ran.counts) == (1, (0, 0, 1))
    assert said in ran.failures[0]
    assert sorted(Path().iterdir()) == before


def test_the_size_changes_midway(run: Run) -> None:
    data = b""
    for height, width in ((32, 48), (48, 64)):
        with av.open("part.h264", "w", format="h264") as out:
            stream = out.add_stream("libx264", 25, width=width, height=height, pix_fmt="yuv420p")
            for n in range(10):
                out.mux(stream.encode(av.VideoFrame.from_ndarray(noise(n, height, width), "rgb24")))
            out.mux(stream.encode(None))
        data += Path("part.h264").read_bytes()
    Path("both.h264").write_bytes(data)
    with av.open("both.h264", format="h264") as source, av.open("both.mkv", "w") as out:
        copy = out.add_stream_from_template(source.streams.video[0], opaque=True)
        for n, packet in enumerate(packet for packet in source.demux() if packet.size):
            packet.pts = packet.dts = n
            packet.time_base, packet.stream = Fraction(1, 25), copy
            out.mux(packet)
    ran = run(*NIGHT, "both.mkv")
    assert ran.code == 0
    assert "the frame size changes midway, to 64×48; from there on frames are scaled to 48×32" in ran.out
    assert "20 frames in, 20 frames out" in ran.out


def test_interlaced_is_said_where_it_is_left(run: Run) -> None:
    with av.open("tv.mp4", "w") as out:
        options = {"x264-params": "interlaced=1:tff=1"}
        stream = out.add_stream("libx264", 25, options, width=64, height=64, pix_fmt="yuv420p")
        for n in range(4):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(noise(n, 64, 64), "rgb24")))
        out.mux(stream.encode(None))
    ran = run(*NIGHT, "tv.mp4", "--no-deinterlace")
    assert (ran.code, "it is interlaced, and its combed frames are taken as they are" in ran.out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--codec h266", "unknown codec 'h266'; there are h264, hevc, av1, prores, ffv1"),
        ("--codec prores --crf 3", "prores has no --crf; leave it out"),
        ("--codec ffv1 --out a.mp4", "ffv1 is not for mp4; name the output .mkv"),
        ("--out a.webm", "a video is written as .mp4 or .mkv, not .webm"),
        ("--start soon", "--start is 'soon'; it takes seconds, MM:SS or HH:MM:SS"),
        ("--start 2 --end 1", "--end 1 is not after the beginning"),
    ],
)
def test_wrong_usage(arguments: str, said: str, run: Run) -> None:
    video()
    ran = run("cyclegan", "--to", "night", "--src", "drive.mp4", *arguments.split())
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert said in ran.err
    assert sorted(os.listdir()) == ["drive.mp4"]  # noqa: PTH208


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--codec h266", "unknown codec 'h266'; there are h264, hevc, av1, prores, ffv1"),
        ("--codec ffv1 --crf 10", "ffv1 has no --crf; leave it out, or choose another --codec"),
        ("--codec prores --preset slow", "prores has no --preset; leave it out, or choose another --codec"),
    ],
)
@pytest.mark.parametrize("also", [True, False])
def test_a_wrong_codec_is_found_before_pictures_are_made(arguments: str, said: str, also: bool, run: Run) -> None:
    Path("in").mkdir()
    Image.new("RGB", (20, 20)).save("in/a.png")
    if also:
        shutil.copy(video(), "in/drive.mp4")
    before = sorted(Path().rglob("*"))
    ran = run("cyclegan", "--to", "night", "--src", "in", *arguments.split())
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert said in ran.err
    assert sorted(Path().rglob("*")) == before


def test_nothing_behind_the_end(run: Run) -> None:
    video()
    ran = run(*NIGHT, "drive.mp4", "--start", "5")
    assert (ran.code, "drive.mp4: has no frames there; it is 1.0 s long; nothing was made" in ran.out) == (1, True)


def test_hevc_has_another_name(run: Run) -> None:
    video(frames=2, height=64, width=64)
    ran = run("cyclegan", "--to", "night", "--preset", "ultrafast", "--src", "drive.mp4", "--codec", "h265")
    assert ran.code == 0
    with av.open("drive-night.mp4") as made:
        assert made.streams.video[0].codec_context.name == "hevc"


def test_an_encoder_that_is_not_there(run: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr(av, "codecs_available", {"libx264"})
    video()
    ran = run(*NIGHT, "drive.mp4", "--codec", "av1")
    assert (ran.code, "this build of PyAV has no libsvtav1 for --codec av1" in ran.err) == (2, True)


def test_a_preset_that_is_not_there(run: Run) -> None:
    video()
    ran = run("cyclegan", "--to", "night", "--src", "drive.mp4", "--preset", "hasty")
    assert ran.code == 1
    assert "libx264 does not take 48×32 yuv420p with {'crf': '18', 'preset': 'hasty'}" in ran.failures[0]
    assert sorted(os.listdir()) == ["drive.mp4"]  # noqa: PTH208


def test_output_equal_to_the_input(run: Run) -> None:
    before = video().read_bytes()
    ran = run(*NIGHT, "drive.mp4", "--out", "drive.mp4", "--overwrite")
    assert (ran.code, Path("drive.mp4").read_bytes() == before) == (1, True)
    assert "its output drive.mp4 is one of the inputs; choose another --out" in ran.failures[0]


def test_a_folder_that_is_closed(run: Run, monkeypatch: Any) -> None:
    video()
    Path("closed").mkdir()

    def closed(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", closed)
    ran = run(*NIGHT, "drive.mp4", "--out", "closed/a.mp4")
    assert (ran.code, ran.counts) == (1, (0, 0, 1))
    assert "cannot be written (Permission denied: closed/." in ran.failures[0]
    assert "choose another --out" in ran.failures[0]
