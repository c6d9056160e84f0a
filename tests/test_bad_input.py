"""What the command line does with bad input: one clear line, and the rest goes on."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import made
from PIL import Image
from safetensors.torch import save_file

from translate import memory

pytestmark = pytest.mark.usefixtures("inside")


Photo = Callable[..., Path]
Run = Callable[..., Any]
NIGHT = ("cyclegan", "--to", "night", "--src")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def animate(path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])


BAD = {
    "cut.jpg": (truncate, "is damaged or cut short"),
    "text.png": (lambda path: path.write_text("text"), "holds no image of a known format"),
    "empty.png": (lambda path: path.write_bytes(b""), "the file is empty (0 bytes)"),
    "moves.gif": (animate, "holds 2 frames"),
    "huge.ppm": (lambda path: path.write_bytes(b"P6 20000 20000 255 "), "20000 × 20000 pixels are more than"),
    "gone.png": (lambda path: (path.unlink(), path.symlink_to("nowhere")), "no such file"),
    "loop.png": (lambda path: (path.unlink(), path.symlink_to(path.name)), "symbolic links"),
    "pipe.png": (lambda path: (path.unlink(), os.mkfifo(path)), "not a regular file"),
    "new\nline.png": (lambda path: path.write_text("text"), "holds no image of a known format"),
}


def test_bad_files_fail_alone(run: Run, photos: Path, photo: Photo) -> None:
    for name, (spoil, _) in BAD.items():
        spoil(photo(photos / name) if not name.endswith("gif") else photos / name)
    ran = run(*NIGHT, "photos")
    assert (ran.code, ran.counts) == (1, (3, 0, len(BAD)))
    assert made("photos-night") == ["a.png", "b.jpg", "deep er/ü.png"]
    assert len(ran.failures) == len(BAD)
    for name, (_, said) in BAD.items():
        (line,) = (line for line in ran.failures if name.replace("\n", "\\n") in line)
        assert said in line
    assert run(*NIGHT, "photos").counts == (0, 3, len(BAD))


def test_max_pixels(run: Run, photo: Photo) -> None:
    photo(Path("a.png"))
    ran = run("upscale", "a.png", "--max-pixels", 559)
    assert ran.code == 1
    assert "raise it with --max-pixels 560" in ran.failures[0]
    assert run("upscale", "a.png", "--max-pixels", 560).code == 0


def test_vanished_and_unreadable(run: Run, photos: Path, monkeypatch: Any) -> None:
    real = Path.open

    def refuse(self: Path, *arguments: Any, **options: Any) -> Any:  # the superuser may read everything
        if self.name == "b.jpg":
            raise PermissionError(errno.EACCES, "Permission denied")
        if self.name == "a.png" and self.exists():
            self.unlink()
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    ran = run(*NIGHT, "photos")
    assert (ran.code, ran.counts) == (1, (1, 0, 2))
    assert ran.failures[0].startswith("failed: photos/a.png: cannot be opened: no such file")
    assert ran.failures[1].startswith("failed: photos/b.jpg: cannot be opened: no permission")


def test_full_disk(run: Run, photos: Path, monkeypatch: Any) -> None:
    calls = []

    def full(_: int) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    ran = run(*NIGHT, "photos")
    assert (ran.code, ran.counts, made("photos-night")) == (1, (2, 0, 1), ["a.png", "deep er/ü.png"])
    assert ran.failures == [
        "failed: photos/b.jpg: cannot be written: the disk is full; make room and run it again"
    ]  # fmt: skip
    assert run(*NIGHT, "photos").counts == (1, 2, 0)


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        ("--to night --src photos --out closed/a/b", "--out"),
        ("--to night --src photos/a.png --out closed/a.png", "--out"),
        ("--to night --src photos --video-out closed/a.mp4 --fps 25", "--video-out"),
        ("--to night --src drive.mp4 --frames-out closed/new", "--frames-out"),
    ],
)
def test_a_place_that_cannot_be_written_is_found_before_the_work(
    arguments: str, option: str, run: Run, photos: Path, monkeypatch: Any
) -> None:
    Path("closed").mkdir()
    Path("drive.mp4").touch()
    real = os.access  # the superuser may write everywhere

    def access(path: Path, mode: int) -> bool:
        return real(path, mode) and not (mode == os.W_OK and path.name == "closed")

    monkeypatch.setattr(os, "access", access)
    ran = run("cyclegan", *arguments.split())
    said = f"translate: cannot write to {Path('closed').absolute()}; choose another {option}\n"
    assert (ran.code, ran.err, made("closed")) == (2, said, [])
    assert "cyclegan-night on" not in ran.out  # no network was loaded
    assert run("cyclegan", *arguments.split(), "--dry-run").code == 0


def test_an_output_below_a_file(run: Run, photos: Path) -> None:
    Path("notes.txt").touch()
    ran = run(*NIGHT, "photos", "--out", "notes.txt/night")
    assert (ran.code, ran.err.endswith("notes.txt; choose another --out\n")) == (2, True)


def test_a_folder_that_cannot_be_made(run: Run, photos: Path) -> None:
    Path("out").mkdir()
    Path("out/deep er").write_text("in the way")
    ran = run(*NIGHT, "photos", "--out", "out")
    assert (ran.code, ran.counts) == (1, (2, 0, 1))
    assert "cannot make the folder out/deep er: File exists; choose another --out" in ran.failures[0]


def test_two_inputs_to_one_output(run: Run, photo: Photo) -> None:
    for name in ("in/a.png", "in/a.jpg"):
        photo(Path(name))
    ran = run(*NIGHT, "in", "--format", "png")
    assert (ran.code, ran.counts, made("in-night")) == (1, (1, 0, 1), ["a.png"])
    assert "in/a.jpg is already written to in-night/a.png" in ran.failures[0]


def test_too_little_memory(run: Run, photos: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 20 * 28 * 150)  # 136 bytes a pixel are needed
    ran = run(*NIGHT, "photos", "--precision", "fp32", "--tile", "off")
    assert (ran.code, ran.counts) == (1, (2, 0, 1))
    assert "GB of memory" in ran.failures[0]
    assert "--size" in ran.failures[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("cyclegan --src nowhere --to night", "nowhere does not exist"),
        ("cyclegan --src empty --to night", "empty holds no images or videos; the suffixes that are read are"),
        ("cyclegan --src texts --to night", "texts holds no images or videos"),
        ("cyclegan --src photos --to night --out photos", "the output photos lies inside the input photos"),
        ("upscale photos --out photos/x4", "the output photos/x4 lies inside the input photos"),
        ("cyclegan --src photos --to nigth", "for --to nigth (did you mean night?); there are night, day"),
        ("cyclegan --src photos --to NIGHT", "(did you mean night?)"),
        ("cyclegan --src photos --to zzz", "there are no weights for --to zzz; there are night, day"),
        ("cyclegan --src photos", "with --to or --weights"),
        ("cyclegan --src photos --weights cyclegan-nite", "(did you mean cyclegan-night?)"),
        ("cyclegan --src photos --weights tiny-x4", "tiny-x4 enlarges ×4, not ×1"),
        ("cyclegan --src photos --to a/b --weights tiny-x4", "'a/b' cannot be part of a file name"),
        ("upscale photos --weights cyclegan-day", "cyclegan-day enlarges ×1, not ×4"),
        ("upscale photos --precision half", "unknown precision 'half'; there are auto, fp32, bf16, fp16"),
        ("upscale photos --device gpu", "device 'gpu' cannot be used"),
        ("upscale photos --size 0", "--size is '0'; it takes native, or a number of pixels"),
        ("upscale photos --size big", "--size is 'big'"),
        ("upscale photos --format gif", "unknown image format 'gif'; there are jpg, png"),
        ("upscale photos/a.png --out a.gif", "unknown image format '.gif'"),
        ("upscale photos --quality 101", "'--quality'"),
        ("upscale photos --batch 0", "'--batch'"),
        ("upscale photos --x3", "No such option: --x3"),
        ("upscale", "Missing argument"),
        ("enlarge photos", "No such command 'enlarge'"),
        ("weights info nigth", "there are no weights named 'nigth'"),
    ],
)
def test_wrong_usage(arguments: str, said: str, run: Run, photos: Path) -> None:
    Path("empty").mkdir()
    Path("texts").mkdir()
    Path("texts/a.txt").touch()
    before = made(".")
    ran = run(*arguments.split())
    assert (ran.code, made(".")) == (2, before)
    assert said in ran.err
    if ran.err.startswith("translate: "):
        assert len(ran.err.splitlines()) == 1


class Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("ran",)


@pytest.mark.parametrize(
    ("name", "said", "code"),
    [
        ("cut.safetensors", "is truncated", 1),
        ("object.pth", "holds Python objects, which could run code", 1),
        ("other.safetensors", "fits no known network", 1),
        ("nowhere.pth", "is missing", 2),
    ],
)
def test_bad_checkpoints(name: str, said: str, code: int, run: Run, photos: Path, shelf: Path) -> None:
    Path("cut.safetensors").write_bytes((shelf / "tiny-x4.safetensors").read_bytes()[:-50])
    torch.save({"weight": torch.ones(2), "more": Code()}, "object.pth")
    save_file({"linear.weight": torch.ones(2, 2)}, "other.safetensors")
    ran = run(*NIGHT, "photos", "--weights", name)
    assert (ran.code, len(ran.err.splitlines())) == (code, 1)
    assert ran.err.startswith(f"translate: {name} {said}")
    assert not Path("ran").exists()
    assert not Path("photos-night").exists()


def test_a_file_as_weights(run: Run, photos: Path, shelf: Path) -> None:
    ran = run("cyclegan", "--src", "photos/a.png", "--weights", shelf / "cyclegan-day.safetensors")
    assert (ran.code, made("photos")[:2]) == (0, ["a-cyclegan-day.png", "a.png"])
