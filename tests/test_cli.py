"""The command line as a user meets it: what it makes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import made, size
from PIL import Image, ImageCms

from translate import images
from translate.models.cyclegan import ResnetGenerator
from translate.models.restorer import Restorer
from translate.weights.files import save_weights

pytestmark = pytest.mark.usefixtures("inside")


Photo = Callable[..., Path]
Run = Callable[..., Any]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
NIGHT = ("cyclegan", "--to", "night", "--src")

# What the two commands make


def test_a_folder_into_night(run: Run, photos: Path) -> None:
    ran = run("cyclegan", "--src", "photos/", "--to", "night")
    assert (ran.code, ran.counts, ran.err) == (0, (3, 0, 0), "")
    assert ran.lines[0] == "output: photos-night"
    assert made("photos-night") == made("photos") == ["a.png", "b.jpg", "deep er/ü.png"]
    for name in made("photos"):
        assert size(f"photos-night/{name}") == size(f"photos/{name}")
        assert images.read(f"photos-night/{name}").pixels.std() > 1


@pytest.mark.parametrize(
    ("arguments", "outputs"),
    [
        ("--x4 photos", ["photos-x4/a.png", "photos-x4/sub/c.png"]),
        ("photos --x4", ["photos-x4/a.png", "photos-x4/sub/c.png"]),
        ("photos", ["photos-x4/a.png", "photos-x4/sub/c.png"]),
        ("--x4 photos/a.png photos/sub", ["photos/a-x4.png", "photos/sub-x4/c.png"]),
        ("photos/a.png --x4 photos/sub --out o", ["o/a.png", "o/sub/c.png"]),
        ("--x4 photos/a.png", ["photos/a-x4.png"]),
        ("--x4 photos/a.png --out big.tif", ["big.tif"]),
        ("--x4 photos/a.png --out big", ["big/a.png"]),
        ("photos --out big/er", ["big/er/a.png", "big/er/sub/c.png"]),
    ],
)
def test_four_times_larger(arguments: str, outputs: list[str], run: Run, photo: Photo) -> None:
    inputs = {str(photo(Path("photos/a.png"))), str(photo(Path("photos/sub/c.png"), seed=1))}
    assert run("upscale", *arguments.split()).code == 0
    assert set(made(".")) == inputs | set(outputs)
    assert {size(output) for output in outputs} == {(112, 80)}


def test_again_does_what_is_left(run: Run, photos: Path) -> None:
    assert run(*NIGHT, "photos").counts == (3, 0, 0)
    Path("photos-night/b.jpg").unlink()
    times = {name: Path("photos-night", name).stat().st_mtime_ns for name in made("photos-night")}
    ran = run(*NIGHT, "photos")
    assert (ran.code, ran.counts) == (0, (1, 2, 0))
    assert "--overwrite makes them again" in ran.out
    assert {name: Path("photos-night", name).stat().st_mtime_ns for name in times} == times
    assert run(*NIGHT, "photos", "--overwrite").counts == (3, 0, 0)
    assert all(Path("photos-night", name).stat().st_mtime_ns > time for name, time in times.items())


def test_dry_run_does_nothing(run: Run, photos: Path, photo: Photo) -> None:
    run("upscale", "photos/a.png", "--out", "photos-x4")
    before = made(".")
    ran = run("upscale", "photos", "--dry-run")
    assert (ran.code, made(".")) == (0, before)
    assert ran.lines == [
        "output: photos-x4",
        "skipped: photos/a.png -> photos-x4/a.png",
        "planned: photos/b.jpg -> photos-x4/b.jpg",
        "planned: photos/deep er/ü.png -> photos-x4/deep er/ü.png",
    ]
    records = run("upscale", "photos", "--dry-run", "--json", "--overwrite").records
    assert [record["status"] for record in records] == ["planned"] * 3
    photo(Path("photos/a.jpg"))
    ran = run("upscale", "photos", "--dry-run", "--format", "png")
    assert ran.code == 1
    assert ran.failures == ["failed: photos/a.png -> photos-x4/a.png: photos/a.jpg is already written to "
                            "photos-x4/a.png; rename one of the two"]  # fmt: skip


def test_json_is_one_line_a_file_and_nothing_else(run: Run, photos: Path) -> None:
    Path("photos/c\nc.png").write_text("no image")
    ran = run(*NIGHT, "photos", "--json")
    assert ran.code == 1
    assert [(record["status"], record["source"]) for record in ran.records] == [
        ("done", "photos/a.png"),
        ("done", "photos/b.jpg"),
        ("failed", "photos/c\nc.png"),
        ("done", "photos/deep er/ü.png"),
    ]
    assert all(Path(record["target"]).exists() == (record["status"] == "done") for record in ran.records)
    assert all(record["seconds"] > 0 and record["message"] is None for record in ran.records[:2])
    assert "holds no image" in ran.records[2]["message"]
    assert "output: photos-night" in ran.err
    assert ran.counts == (3, 0, 1)
    assert [record["status"] for record in run(*NIGHT, "photos", "--json").records][:2] == ["skipped"] * 2


def test_format_and_quality(run: Run, photos: Path) -> None:
    for quality in (10, 95):
        assert run(*NIGHT, "photos", "--format", "jpg", "--quality", quality, "--out", f"q{quality}").code == 0
    assert made("q10") == made("q95") == ["a.jpg", "b.jpg", "deep er/ü.jpg"]
    with Image.open("q10/a.jpg") as image:
        assert image.format == "JPEG"
    assert 2 * Path("q10/a.jpg").stat().st_size < Path("q95/a.jpg").stat().st_size


@pytest.mark.parametrize(("given", "wanted"), [("native", (28, 20)), ("10", (14, 10)), ("40", (56, 40))])
def test_size(given: str, wanted: tuple[int, int], run: Run, photo: Photo) -> None:
    photo(Path("a.png"))
    assert run(*NIGHT, "a.png", "--size", given, "--out", "b.png").code == 0
    assert size("b.png") == wanted


def test_batch(run: Run, photo: Photo) -> None:
    for n, side in enumerate((20, 20, 24, 20, 20, 20)):
        photo(Path(f"in/{n}.png"), side, seed=n)
    for batch in (1, 2):
        assert run(*NIGHT, "in", "--batch", batch, "--out", f"out{batch}", "--precision", "fp32").counts == (6, 0, 0)
    for name in made("in"):
        one, two = (images.read(f"out{batch}/{name}").pixels.astype(int) for batch in (1, 2))
        assert np.abs(one - two).max() <= 1


@pytest.mark.parametrize("command", [NIGHT, ("upscale",)])
def test_exif_and_profile_go_through_and_it_is_turned_once(command: tuple[str, ...], run: Run, photo: Photo) -> None:
    tags = Image.Exif()
    tags[0x010F], tags[0x0112] = "Maker", 6
    photo(Path("a.jpg"), 20, 28, exif=tags, icc_profile=SRGB)
    assert run(*command, "a.jpg", "--out", "b.jpg").code == 0
    with Image.open("b.jpg") as image:
        scale = 4 if command[0] == "upscale" else 1
        assert image.size == (20 * scale, 28 * scale)
        assert (image.getexif()[0x010F], image.getexif().get(0x0112, 1)) == ("Maker", 1)
        assert image.info["icc_profile"] == SRGB
    result = np.asarray(images.read("b.jpg").pixels.mean(2))
    assert result[:, 0].mean() > result[:, -1].mean() + 20  # the slope, turned to the right


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P", "1", "16"])
@pytest.mark.parametrize("command", [NIGHT, ("upscale",)])
def test_kinds_of_pixels(mode: str, command: tuple[str, ...], run: Run, photo: Photo) -> None:
    name = "a.jpg" if mode == "CMYK" else "a.png"
    if mode == "16":
        images.write(name, images.Picture(np.random.default_rng(0).integers(0, 65536, (20, 28, 3), dtype=np.uint16)))
    elif mode in ("P", "1"):
        with Image.open(photo(Path(name))) as image:
            image.convert(mode).save(name)
    else:
        photo(Path(name), mode=mode)
    assert run(*command, name, "--out", "b.png").code == 0
    result, enlarged = images.read("b.png"), command[0] == "upscale"
    assert result.pixels.shape == ((80, 112, 3) if enlarged else (20, 28, 3))
    assert result.pixels.dtype == (np.uint16 if mode == "16" else np.uint8)
    assert (result.alpha is not None) == (mode == "RGBA")
    assert result.grey == (mode in ("L", "1") and enlarged)
    if mode == "16":
        assert len(np.unique(result.pixels % 257)) > 200  # not 8 bit made longer
        assert result.pixels.max() > 40_000


def test_what_a_format_cannot_hold_is_said(run: Run, photo: Photo) -> None:
    photo(Path("in/clear.png"), mode="RGBA")
    photo(Path("in/plain.png"))
    with Image.open(photo(Path("in/opaque.png"))) as image:
        image.convert("RGBA").save("in/opaque.png")  # has nothing to lose
    images.write("in/z.png", images.Picture(np.full((20, 28, 3), 257, np.uint16), np.zeros((20, 28), np.uint16)))
    alpha, deep = "alpha is lost: JPEG has none; ", "16 bit became 8: {} has no more; "
    for suffix, clear, z in (("jpg", alpha, alpha + deep), ("webp", "", deep), ("png", "", "")):
        said = [
            f"done: in/{name}.png: {words.format(suffix.upper().replace('JPG', 'JPEG'))}--format png keeps it"
            for name, words in (("clear", clear), ("z", z))
            if words
        ]
        ran = run(*NIGHT, "in", "--format", suffix, "--out", suffix)
        assert (ran.code, [line for line in ran.lines if line.startswith("done: ")]) == (0, said)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1)])
def test_tiny_and_narrow(shape: tuple[int, int], run: Run, photo: Photo) -> None:
    photo(Path("a.png"), *shape)
    assert run(*NIGHT, "a.png", "--out", "night.png").code == 0
    assert size("night.png") == (shape[1], shape[0])
    assert run("upscale", "a.png", "--out", "x4.png").code == 0
    assert size("x4.png") == (4 * shape[1], 4 * shape[0])


def test_names(run: Run, photo: Photo) -> None:
    names = [" two  words .png", ":dog: [red]x[/red].png", "line\nbreak.png", "日本 é.png", "x" * 250 + ".png"]
    for name in names:
        photo(Path("in", name))
    Path("in/:dog: [red].png").write_text("no image")
    ran = run(*NIGHT, "in")
    assert (ran.code, ran.counts, made("in-night")) == (1, (5, 0, 1), sorted(names))
    assert ran.failures[0].startswith("failed: in/:dog: [red].png: holds no image")


@pytest.mark.parametrize(
    ("command", "folder", "times"),
    [
        ("pix2pix --to photo --src photos", "photos-photo", 1),
        ("colourise photos", "photos-colour", 1),
        ("colorize photos", "photos-colour", 1),
        ("restore photos", "photos-restored", 1),
        ("restore --scratches off --colourise photos", "photos-restored", 1),
        ("restore photos --colourise --x4", "photos-restored", 4),
    ],
)
def test_the_other_commands(run: Run, photos: Path, command: str, folder: str, times: int) -> None:
    ran = run(*command.split())
    assert (ran.code, ran.counts, ran.err) == (0, (3, 0, 0), "")
    assert made(folder) == made("photos")
    for name in made(folder):
        assert size(f"{folder}/{name}") == tuple(times * side for side in size(f"photos/{name}"))


def difference(one: str, other: str) -> float:
    """The largest between two pictures, in steps of 8 bit."""
    return float(np.abs(images.read(one).pixels.astype(int) - images.read(other).pixels).max())


@pytest.mark.parametrize(
    ("second", "extra"),
    [("colourise", "--colourise"), ("upscale", "--x4"), ("upscale --tile 16", "--x4 --tile 16")],
)
def test_a_chain_of_networks_is_one_after_the_other(run: Run, photos: Path, second: str, extra: str) -> None:
    """At once and in parts."""
    png = ["--format", "png"]
    run("restore", "photos", "--out", "restored", *png)
    run(*second.split(), "restored", "--out", "after")
    run("restore", "photos", *extra.split(), "--out", "both", *png)
    for name in made("after"):
        assert difference(f"restored/{name}", f"photos/{name.replace('b.png', 'b.jpg')}") > 10
        assert difference(f"both/{name}", f"after/{name}") <= 1
    assert made("both") == made("after")


def test_scratches_and_grain_can_be_left(run: Run, photos: Path) -> None:
    network = Restorer(4)
    torch.nn.init.constant_(network.head.bias, 5.0)  # it takes everything for a scratch
    torch.nn.init.constant_(network.denoiser.last.bias, 0.2)  # and lightens by that what it cleans
    save_weights(Path("other.safetensors"), network)
    changed = {}
    for scratches in ("auto", "off"):
        for grain in ("auto", "off"):
            options = ("--weights", "other.safetensors", "--scratches", scratches, "--grain", grain)
            run("restore", "photos/a.png", *options, "--out", f"{scratches} {grain}.png")
            changed[scratches, grain] = difference(f"{scratches} {grain}.png", "photos/a.png")
    assert changed["off", "off"] == 0
    assert changed["off", "auto"] == pytest.approx(51, abs=5)
    spread = np.ptp(images.read("photos/a.png").pixels), np.ptp(images.read("auto off.png").pixels)
    assert spread[1] < spread[0] / 2, "painted over, all is alike"
    assert changed["auto", "auto"] > changed["off", "auto"]


def test_weights_that_enlarge_are_not_for_other_commands(run: Run, photos: Path) -> None:
    ran = run("colourise", "photos", "--weights", "tiny-x4")
    assert (ran.code, "tiny-x4 enlarges ×4, not ×1" in ran.err) == (2, True)


# What is said


def test_to_and_weights_must_agree(run: Run, photos: Path) -> None:
    ran = run(*NIGHT, "photos", "--weights", "cyclegan-day")
    said = "translate: --to night and --weights cyclegan-day contradict each other; choose one\n"
    assert (ran.code, ran.out, ran.err) == (2, "", said)
    assert run(*NIGHT, "photos", "--weights", "cyclegan-night", "--dry-run").code == 0


def test_results_are_named_after_the_whole_name(run: Run, photos: Path, tmp_path: Path) -> None:
    save_weights(tmp_path / "night.safetensors", ResnetGenerator(4, 1))
    for version in ("1.0", "1.5"):
        assert run("weights", "add", tmp_path / "night.safetensors", "--name", f"night-{version}").code == 0
        ran = run("cyclegan", "--src", "photos", "--weights", f"night-{version}")
        assert (ran.code, ran.lines[0]) == (0, f"output: photos-night-{version}")
        assert made(f"photos-night-{version}") == made("photos")


def test_starts_where_a_unix_module_is_missing() -> None:
    code = "import sys; sys.modules.update(resource=None, fcntl=None); from translate.cli import main"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).stderr == b""


def test_the_installed_command_ends_as_main_says(tmp_path: Path) -> None:
    """It leaves without taking the interpreter apart: what was said still arrives, whoever listens or has gone."""

    def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "translate", *arguments]
        return subprocess.run(command, text=True, stderr=subprocess.PIPE, **options)

    said = run("weights", "list", stdout=subprocess.PIPE)
    assert said.returncode == 0
    assert "cyclegan-night" in said.stdout
    wrong = run("upscale", "--x4", str(tmp_path / "missing"), stdout=subprocess.PIPE)
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        assert "Traceback" not in run("weights", "list", stdout=gone).stderr
