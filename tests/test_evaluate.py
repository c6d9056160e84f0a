"""`translate evaluate paired`, `unpaired` and `domain` as a user meets them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import figures
from PIL import Image
from runs import needs_features

from translate import images
from translate.evaluate import folders
from translate.evaluate.embedding import embed
from translate.evaluate.judge import histogram
from translate.features import FeatureNetwork

pytestmark = pytest.mark.usefixtures("inside")


Photo = Callable[..., Path]
Run = Callable[..., Any]

# Paired


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
    assert "fake (1)" in ran.out


def test_paired_without_a_pair_left(run: Run, photo: Photo, tmp_path: Path) -> None:
    photo(tmp_path / "real" / "a.png")
    photo(tmp_path / "fake" / "a.png", 21, 28)
    ran = run("evaluate", "paired", "--real", "real", "--fake", "fake")
    assert ran.code == 1
    assert "skipped: fake/a.png: is 28 × 21, but its counterpart 28 × 20" in ran.out
    assert "fake has 0 usable images; at least 1 are needed" in ran.err


def test_hidden_files_are_left_out_and_links_to_nowhere_are_named(run: Run, photos: Path) -> None:
    (photos / ".a.png").write_bytes(b"")
    (photos / "folder.png").mkdir()
    (photos / "lost.png").symlink_to("nowhere.png")
    ran = run("evaluate", "paired", "--real", "photos", "--fake", "photos")
    assert ran.code == 1
    assert [line for line in ran.lines if line.startswith("skipped: ")] == [
        "skipped: photos/lost.png: cannot be opened: no such file or folder; check the name"
    ]
    assert "fake (3)" in ran.out


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


@needs_features
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


@needs_features
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


@needs_features
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


@needs_features
def test_unpaired_with_too_few(run: Run, quick: None) -> None:
    coloured("real", (150, 20, 20), 4)
    ran = run("evaluate", "unpaired", "--real", "real", "--fake", "real")
    assert ran.code == 1
    assert "real has 4 usable images; at least 5 are needed" in ran.err


@needs_features
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


@needs_features
def test_domain_counts_what_is_held_back_when_it_has_too_few(run: Run, quick: None) -> None:
    for name, count in (("a", 13), ("b", 12), ("fake", 1), ("few", 6), ("others", 6)):
        coloured(name, (80, 80, 80), count)
    domain = ("evaluate", "domain", "--train-a", "a", "--fake", "fake", "--train-b")
    ran = run(*domain, "b")
    said = "b has 12 images: 9 usable ones to learn from, and 3 held back for testing; at least 13 are needed in all"
    assert (ran.code, ran.err) == (1, f"translate: {said}\n")
    ran = run(*domain, "few", "--test-a", "others", "--test-b", "b")
    assert (ran.code, ran.err) == (1, "translate: few has 6 usable images; at least 10 are needed\n")


@needs_features
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
