"""What the command line hands to the job that makes a video, and what it does not let it replace."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from translate.engine import Done
from translate.formats import DEFAULT_MAX_PIXELS
from translate.frames import Job
from translate.video import job
from translate.video.options import Options
from translate.weights import registry

pytestmark = pytest.mark.usefixtures("inside")

Run = Callable[..., Any]
UNSET = {
    **dict.fromkeys(("codec", "crf", "preset", "start", "end", "size", "fps", "sound", "preview")),
    "batch": 1,
    "deinterlace": True,
    "overwrite": False,
    "max_pixels": DEFAULT_MAX_PIXELS,
    "pictures": False,
}
PLAIN = {
    "--device or --precision": "cpu fp32",
    "--statistics": "image",
    "--scale": "1",
    "--self-ensemble": "False",
    "--colour-match": "False",
}


@pytest.fixture
def asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """The options of the one video that a command makes, which is not made; `made_by` as a dict."""
    seen: list[Options] = []

    def record(_: object, wanted: Job, options: Options) -> Iterator[Done]:
        seen.append(options)
        yield Done(wanted.source, wanted.target, "done")

    monkeypatch.setattr(job, "run", record)

    def ask(command: str) -> dict[str, Any]:
        Path("a.mp4").write_bytes(b"never opened")
        assert run(*command.split(), "--device", "cpu", "--precision", "fp32").code == 0
        options = asdict(seen.pop())
        return options | {"made_by": dict(options["made_by"])}

    return ask


def weights(*names: str) -> dict[str, str]:
    return {"--weights": " ".join(registry.sha256_of(registry.find(name)[0]) for name in names)}


@pytest.mark.parametrize(
    ("command", "names", "steady", "settings"),
    [
        ("cyclegan --to night --src a.mp4", ["cyclegan-night"], True, {}),
        ("colourise a.mp4", ["tiny-colour"], True, {}),
        ("upscale a.mp4", ["tiny-x4"], False, {"--scale": "4"}),
        ("restore a.mp4", ["tiny-restore"], False, {"--repairs": "True", "--cleans": "True"}),
    ],
)
def test_without_options(
    asked: Callable[..., dict[str, Any]], command: str, names: list[str], steady: bool, settings: dict[str, str]
) -> None:
    assert asked(command) == UNSET | {"stabilise": steady, "made_by": weights(*names) | PLAIN | settings}


def test_with_all_options(asked: Callable[..., dict[str, Any]]) -> None:
    given = "--codec h265 --crf 20 --preset fast --start 0:01 --end 3.5 --batch 2 --size 64 --max-pixels 9999"
    options = asked(f"cyclegan --to night --src a.mp4 {given} --overwrite --no-stabilise --no-deinterlace")
    expected: dict[str, Any] = {"codec": "hevc", "crf": 20, "preset": "fast", "start": 1.0, "end": 3.5, "batch": 2}
    expected |= {"size": 64, "max_pixels": 9999, "overwrite": True, "stabilise": False, "deinterlace": False}
    made_by = weights("cyclegan-night") | PLAIN
    assert options == UNSET | expected | {"made_by": made_by}


@pytest.mark.parametrize(
    ("command", "names", "made_by"),
    [
        ("upscale a.mp4 --self-ensemble", ["tiny-x4"], {"--scale": "4", "--self-ensemble": "True"}),
        ("upscale a.mp4 --scale 1.5", ["tiny-x4"], {"--scale": "3/2"}),
        ("upscale a.mp4 --colour-match low-frequency", ["tiny-x4"], {"--scale": "4", "--colour-match": "True"}),
        (
            "restore a.mp4 --scratches off --colourise --x4",
            ["tiny-restore", "tiny-colour", "tiny-x4"],
            {"--scale": "4", "--repairs": "False", "--cleans": "True"},
        ),
        ("restore a.mp4 --grain off", ["tiny-restore"], {"--repairs": "True", "--cleans": "False"}),
    ],
)
def test_what_the_pictures_depend_on_is_kept(
    asked: Callable[..., dict[str, Any]], command: str, names: list[str], made_by: dict[str, str]
) -> None:
    """So that a job which was stopped does not go on with pictures of another kind."""
    assert asked(command)["made_by"] == weights(*names) | PLAIN | made_by


def test_pictures_and_previews(asked: Callable[..., dict[str, Any]], photo: Callable[..., Path]) -> None:
    night = "cyclegan --to night --src"
    assert asked(f"{night} a.mp4 --frames-out apart")["pictures"]
    assert asked(f"{night} a.mp4 --preview 3")["preview"] == 3
    photo(Path("frames/1.png"))
    Path("sound.mp3").write_bytes(b"never opened")
    options = asked(f"{night} frames --video-out b.mp4 --fps 30000/1001 --audio-from sound.mp3")
    assert (options["fps"], options["sound"]) == (Fraction(30000, 1001), Path("sound.mp3"))


def test_the_sound_is_not_replaced(run: Run, photo: Callable[..., Path]) -> None:
    photo(Path("frames/1.png"))
    Path("a.mp4").write_bytes(b"sound")
    command = "cyclegan --to night --src frames --fps 25 --overwrite --video-out a.mp4 --audio-from ./a.mp4"
    ran = run(*command.split())
    assert (ran.code, "--audio-from and --video-out are both" in ran.err) == (2, True)
    assert Path("a.mp4").read_bytes() == b"sound"
