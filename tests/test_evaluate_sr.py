"""`translate evaluate sr` as a user meets it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import figures

from translate import images
from translate.evaluate import bicubic
from translate.evaluate.fidelity import compare

pytestmark = pytest.mark.usefixtures("inside")


Photo = Callable[..., Path]
Run = Callable[..., Any]


@pytest.fixture
def hr(tmp_path: Path, photo: Photo) -> Path:
    """Three originals, one in a folder of its own and one grey, whose sides are no multiples of 4."""
    photo(tmp_path / "hr" / "a.png", 41, 50, seed=1)
    photo(tmp_path / "hr" / "b.png", 40, 48, seed=2, mode="L")
    photo(tmp_path / "hr" / "sub" / "c.png", 43, 60, seed=3)
    return tmp_path / "hr"


def reduced(hr: Path, lr: Path) -> Path:
    for path in hr.rglob("*.png"):
        picture = images.read(path)
        height, width = (side // 4 * 4 for side in picture.pixels.shape[:2])
        target = lr / path.relative_to(hr)
        target.parent.mkdir(parents=True, exist_ok=True)
        pixels = bicubic.reduce(picture.pixels[:height, :width], 4)
        images.write(target, images.Picture(pixels, grey=picture.grey))
    return lr


def test_sr_beside_small_pictures_or_without(run: Run, hr: Path, tmp_path: Path) -> None:
    """Small pictures that are given and those that are made are the same; the mean is that of the pictures."""
    assert run("evaluate", "sr", "--hr", hr, "--json", "made.json").code == 0
    assert run("evaluate", "sr", "--hr", hr, "--lr", reduced(hr, tmp_path / "lr"), "--json", "given.json").code == 0
    made, given = figures("made.json"), figures("given.json")
    assert made["pictures"] == given["pictures"]
    assert set(given["pictures"]["bicubic"]) == {"a", "b", "sub/c"}
    assert given["results"]["bicubic"]["psnr"]["value"] == pytest.approx(
        np.mean([picture["psnr"] for picture in given["pictures"]["bicubic"].values()])
    )
    assert {key: given["protocol"][key] for key in ("scale", "channel", "border")} == {
        "scale": 4,
        "channel": "y",
        "border": 4,
    }
    assert given["environment"]["torch"]
    original = images.read(hr / "a.png").pixels[:40, :48]
    expected = compare(original, bicubic.enlarge(bicubic.reduce(original, 4), 4), "y", 4)
    assert given["pictures"]["bicubic"]["a"]["psnr"] == expected["psnr"]
    assert given["pictures"]["bicubic"]["a"]["ssim"] == expected["ssim"]


def test_sr_compares_grey_in_grey(run: Run, hr: Path) -> None:
    """At its full swing; as colour, the error would be 219/255 of it."""
    run("evaluate", "sr", "--hr", hr, "--json", "f.json")
    grey = images.read(hr / "b.png").pixels[..., 0]
    expected = compare(grey, bicubic.enlarge(bicubic.reduce(grey, 4), 4), "y", 4)["psnr"]
    assert figures()["pictures"]["bicubic"]["b"]["psnr"] == expected


@pytest.mark.parametrize("options", [(), ("--self-ensemble",)])
def test_sr_of_weights_is_that_of_what_they_make(run: Run, hr: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    lr = reduced(hr, tmp_path / "lr")
    assert run("upscale", "--x4", lr, "--out", "made", "--precision", "fp32", *options).code == 0
    assert run("evaluate", "sr", "--hr", hr, "--lr", lr, "--restored", "made", "--json", "r.json").code == 0
    ran = run("evaluate", "sr", "--hr", hr, "--lr", lr, "--weights", "tiny-x4", *options, "--json", "w.json")
    assert (ran.code, ran.err) == (0, "")
    assert "weights (3)" in ran.lines[0]
    assert figures("w.json")["pictures"]["weights"] == figures("r.json")["pictures"]["restored"]


def test_sr_of_the_originals_themselves_is_infinite(run: Run, hr: Path) -> None:
    ran = run("evaluate", "sr", "--hr", hr, "--restored", hr, "--json", "f.json")
    assert ran.code == 0
    (psnr,) = (line for line in ran.lines if line.startswith("PSNR"))
    assert psnr.rstrip().endswith("∞")
    assert figures()["results"]["restored"]["psnr"]["value"] is None
    assert figures()["results"]["restored"]["ssim"]["value"] == pytest.approx(1)


def test_one_equal_picture_does_not_make_the_mean_infinite(run: Run, hr: Path, tmp_path: Path) -> None:
    lr = reduced(hr, tmp_path / "lr")
    assert run("upscale", "--x4", lr, "--out", "made", "--precision", "fp32").code == 0
    name = min(path.name for path in hr.iterdir())
    (Path("made") / name).write_bytes((hr / name).read_bytes())
    ran = run("evaluate", "sr", "--hr", hr, "--restored", "made", "--json", "f.json")
    assert "note: psnr: 1 infinite of 3 left out (restored)" in ran.lines
    others = [figure["psnr"] for figure in figures()["pictures"]["restored"].values() if figure["psnr"] is not None]
    assert figures()["results"]["restored"]["psnr"]["value"] == pytest.approx(sum(others) / 2)


def test_sr_names_what_it_leaves_out(run: Run, hr: Path, photo: Photo, tmp_path: Path) -> None:
    lr = reduced(hr, tmp_path / "lr")
    (lr / "a.png").write_bytes(b"")
    photo(lr / "b.png", 10, 11)
    ran = run("evaluate", "sr", "--hr", hr, "--lr", lr, "--scale", 4, "--json", "f.json")
    assert ran.code == 1
    assert f"skipped: {lr / 'a.png'}: the file is empty" in ran.out
    assert f"skipped: {hr / 'b.png'}: is 48 × 40, not 4 times its small counterpart of 11 × 10" in ran.out
    assert set(figures()["pictures"]["bicubic"]) == {"sub/c"}
    assert set(figures()["skipped"]) == {str(lr / "a.png"), str(hr / "b.png")}


def test_sr_finds_the_scale_and_leaves_out_what_has_none(run: Run, photo: Photo, tmp_path: Path) -> None:
    """The first pair says it; where the small picture is not smaller, or the original hardly there, there is none."""
    for name, high, low in (("a", 60, 20), ("b", 63, 21), ("c", 30, 40), ("d", 2, 1)):
        photo(tmp_path / "hr" / f"{name}.png", high, high)
        photo(tmp_path / "lr" / f"{name}.png", low, low)
    ran = run("evaluate", "sr", "--hr", "hr", "--lr", "lr", "--json", "f.json")
    assert (ran.code, figures()["protocol"]["scale"], figures()["protocol"]["border"]) == (1, 3, 3)
    assert set(figures()["pictures"]["bicubic"]) == {"a", "b"}
    assert "skipped: hr/c.png: is 30 × 30, not 3 times its small counterpart of 40 × 40" in ran.out
    assert "skipped: hr/d.png: is 2 × 2, too small to be 3 times anything" in ran.out
    for name in ("a", "b"):
        (tmp_path / "hr" / f"{name}.png").unlink()
        (tmp_path / "lr" / f"{name}.png").unlink()
    ran = run("evaluate", "sr", "--hr", "hr", "--lr", "lr")
    assert ran.code == 1
    assert "hr has 0 usable images" in ran.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--weights", "tiny-x4", "--restored", "hr"), "--weights and --restored cannot both be"),
        (("--self-ensemble",), "--self-ensemble is for --weights; say which"),
        (("--weights", "tiny-x4", "--scale", "3"), "the weights enlarge ×4, not ×3"),
        (("--channel", "luma"), "--channel is 'luma'; there are y, y8, rgb"),
        (("--json", "no/f.json"), "--json no/f.json lies in a folder that is not there"),
        (("--json", "hr"), "--json hr is a folder"),
        (("--lr", "nowhere"), "nowhere is not there; name a folder"),
        (("--lr", "few"), "2 of 3 images of hr have no counterpart of that name in few: b.png, c.png"),
        (
            ("--restored", "more"),
            "6 of 9 images of more have no counterpart of that name in hr: 0.png, 1.png, 2",
        ),
        (("--lr", "twice"), "have one name; move one of them away"),
    ],
)
def test_sr_refuses_before_it_begins(run: Run, hr: Path, arguments: tuple[str, ...], message: str) -> None:
    few, more, twice = Path("few"), Path("more"), Path("twice")
    few.mkdir()
    shutil.copy(hr / "a.png", few)
    shutil.copytree(hr, more)
    for number in range(6):
        shutil.copy(hr / "a.png", more / f"{number}.png")
    shutil.copytree(hr, twice)
    shutil.copy(hr / "a.png", twice / "a.jpg")
    ran = run("evaluate", "sr", "--hr", "hr", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert len(ran.err.splitlines()) == 1
