"""Videos through the command line, and jobs that are stopped and go on."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
from helpers import times
from PIL import Image
from videos import video

from translate import images
from translate.translator import Translator
from translate.video.read import Video

pytestmark = pytest.mark.usefixtures("inside", "short")


Run = Callable[..., Any]
NIGHT = ("cyclegan", "--to", "night", "--preset", "ultrafast", "--src")


def test_a_video_and_a_folder_with_one(run: Run) -> None:
    Path("in/deep").mkdir(parents=True)
    shutil.copy(video(), "in/deep/drive.mov")
    Image.new("RGB", (20, 20)).save("in/a.png")
    ran = run(*NIGHT, "drive.mp4")
    assert ran.code == 0
    assert "done: drive.mp4: 24 frames in, 24 frames out" in ran.out
    assert times("drive-night.mp4") == times("drive.mp4")
    assert run(*NIGHT, "drive.mp4").counts == (0, 1, 0)
    ran = run(*NIGHT, "in")
    assert (ran.code, ran.counts) == (0, (2, 0, 0))
    assert times("in-night/deep/drive.mp4") == times("drive.mp4")
    assert Path("in-night/a.png").is_file()
    assert sorted(path.name for path in Path("in-night/deep").iterdir()) == ["drive.mp4"]


def test_enlarged_by_the_command(run: Run) -> None:
    video("clip.mkv", 3)
    ran = run("upscale", "--x4", "clip.mkv", "--preset", "ultrafast", "--json")
    assert [record["status"] for record in ran.records] == ["done"]
    with av.open("clip-x4.mkv") as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (192, 128)


def test_taken_apart(run: Run) -> None:
    video(frames=10)
    command = (*NIGHT, "drive.mp4", "--frames-out", "pictures", "--start", "0.08")
    ran = run(*command)
    assert (ran.code, ran.counts) == (0, (1, 0, 0))
    names = [f"{n:06d}.png" for n in range(1, 9)]
    assert sorted(os.listdir("pictures")) == [".translate", *names, "timecodes.txt"]  # noqa: PTH208
    assert sorted(os.listdir("pictures/.translate")) == ["lock", "made", "plan.json"]  # noqa: PTH208
    shown = [f"{float(1000 * time):.6f}" for time in times("drive.mp4")[2:]]
    assert Path("pictures/timecodes.txt").read_text().splitlines()[2:] == shown
    before = Path("pictures/000004.png").stat().st_mtime_ns
    third = images.read("pictures/000003.png").pixels
    Path("pictures/000003.png").unlink()
    assert "8 frames in, 8 pictures out, of which 1 were made now" in run(*command).out
    assert (images.read("pictures/000003.png").pixels == third).all()
    assert Path("pictures/000004.png").stat().st_mtime_ns == before
    assert images.read("pictures/000003.png").pixels.shape == (32, 48, 3)
    ran = run(*NIGHT, "pictures", "--frames-out", "more")
    assert (ran.code, "--frames-out takes apart one video" in ran.err) == (2, True)


def test_a_look_before(run: Run) -> None:
    video()
    ran = run(*NIGHT, "drive.mp4", "--preview", "3", "--start", "0.2")
    assert (ran.code, ran.counts) == (0, (1, 0, 0))
    assert "3 moments before and after are in drive-night-preview.png" in ran.out
    assert "output:" not in ran.out  # no video is written
    assert sorted(os.listdir()) == ["drive-night-preview.png", "drive.mp4"]  # noqa: PTH208
    sheet = images.read("drive-night-preview.png").pixels
    assert sheet.shape == (3 * 32 + 2 * 8, 2 * 48 + 8, 3)
    with Video(Path("drive.mp4")) as source:
        frames = [frame.picture.pixels for frame in source.frames()]
    for row, time in enumerate((0.327, 0.58, 0.833)):  # the middles of the thirds of what is left of 0.96 s
        first = next(n for n in range(24) if n / 25 >= time)
        assert (sheet[40 * row : 40 * row + 32, :48] == frames[first]).all()
    ran = run(*NIGHT, "drive.mp4", "--preview", "3", "--dry-run")
    assert ran.lines[-1] == "planned: drive.mp4 -> drive-night-preview.png"
    ran = run("upscale", "drive.mp4", "--preview", "1")
    assert images.read("drive-x4-preview.png").pixels.shape == (128, 2 * 192 + 8, 3)
    Image.new("RGB", (20, 20)).save("a.png")
    ran = run(*NIGHT, "a.png", "--preview", "1")
    assert (ran.code, "--preview shows moments of videos, and there are none here" in ran.err) == (2, True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full to write to")
@pytest.mark.parametrize("stage", [".part", "joined.part"])
def test_a_full_disk(stage: str, run: Run, monkeypatch: Any) -> None:
    video()
    real = av.open

    def full(file: Any, mode: str | None = None, **options: Any) -> Any:
        part = mode == "w" and (str(file).endswith("joined.part") == (stage == "joined.part"))
        return real("/dev/full" if part and isinstance(file, str) else file, mode, **options)

    monkeypatch.setattr(av, "open", full)
    ran = run(*NIGHT, "drive.mp4")
    assert (ran.code, ran.counts) == (1, (0, 0, 1))
    assert "cannot be written: the disk is full; make room and run it again" in ran.failures[0]
    assert not Path("drive-night.mp4").exists()
    monkeypatch.setattr(av, "open", real)
    ran = run(*NIGHT, "drive.mp4")
    assert (ran.code, "goes on after 24 finished frames" in ran.out) == (0, stage == "joined.part")
    assert times("drive-night.mp4") == times("drive.mp4")


def test_interrupted_and_gone_on(run: Run, monkeypatch: Any) -> None:
    video()
    real, calls = Translator.__call__, []

    def call(self: Translator, pictures: Any) -> Any:
        calls.append(1)
        if len(calls) == 21:
            signal.raise_signal(signal.SIGINT)
        return real(self, pictures)

    monkeypatch.setattr(Translator, "__call__", call)
    ran = run(*NIGHT, "drive.mp4")
    assert ran.code == 130
    assert "run the same command again to go on" in ran.err
    assert not Path("drive-night.mp4").exists()
    ran = run(*NIGHT, "drive.mp4")
    assert (ran.code, "drive.mp4: goes on after 16 finished frames" in ran.out) == (0, True)
    assert len(calls) == 21 + 8
    assert times("drive-night.mp4") == times("drive.mp4")


@pytest.mark.parametrize("last", [2, 7])
def test_killed_and_gone_on(last: int, run: Run, table: Path) -> None:
    """Killed when something is on disk, but not yet under its name: a segment, its description, the whole."""
    video()
    run(*NIGHT, "drive.mp4", "--out", "whole.mp4")
    code = (
        "import os, sys; from pathlib import Path; from translate.weights import registry\n"
        f"registry.FOLDER = Path({str(table)!r})\n"
        "from translate.video import segments\nsegments.FRAMES = 8\ncalls = []\n"
        "real = os.fsync\n"
        f"die = lambda: len(calls) == {last} and os.kill(os.getpid(), 9)\n"
        "os.fsync = lambda file: calls.append(1) or die() or real(file)\n"
        "from translate.cli.main import main\nmain()"
    )
    process = subprocess.run([sys.executable, "-c", code, *NIGHT, "drive.mp4"], capture_output=True, timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert not Path("drive-night.mp4").exists()
    ran = run(*NIGHT, "drive.mp4")
    assert ran.code == 0
    assert ("goes on after" in ran.out) == (last > 3)
    with av.open("whole.mp4") as one, av.open("drive-night.mp4") as other:
        assert [bytes(p) for p in one.demux()] == [bytes(p) for p in other.demux()]
    assert times("drive-night.mp4") == times("drive.mp4")
    assert sorted(os.listdir()) == ["drive-night.mp4", "drive.mp4", "whole.mp4"]  # noqa: PTH208
