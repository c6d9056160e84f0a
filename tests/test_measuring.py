"""Networks that evaluations measure with: where their files come from, and what is called FID, KID and LPIPS."""

import hashlib
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import figures
from PIL import Image
from servers import Server
from torch import Tensor, nn
from torch.nn import functional

from translate.errors import CheckpointError, InputError
from translate.evaluate import inception, lpips
from translate.evaluate.inception import Inception
from translate.weights import measuring, registry

pytestmark = pytest.mark.usefixtures("inside")

Run = Callable[..., Any]
Publish = Callable[..., Path]
CHANNELS = (64, 192, 384, 256, 256)


def saved(tensors: dict[str, Tensor], **options: Any) -> bytes:
    torch.save(tensors, buffer := io.BytesIO(), **options)
    return buffer.getvalue()


@pytest.fixture
def publish(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publish]:
    """Have the table name files of given bytes, all of one task, at addresses of a host; returns the user's folder."""

    def named(task: str, files: dict[str, bytes], host: str = "https://host.invalid/", *, there: bool = True) -> Path:
        lines = ["[measuring]"]
        for number, (name, content) in enumerate(files.items()):
            sha256 = hashlib.sha256(content).hexdigest()
            lines.append(
                f'n{number} = {{ task = "{task}", licence = "none", url = "{host}{name}", sha256 = "{sha256}" }}'
            )
            if there:
                (registry.own_folder() / name).write_bytes(content)
        (tmp_path / "registry.toml").write_text("\n".join(lines))
        monkeypatch.setattr(registry, "FOLDER", tmp_path)
        registry.forget()
        return registry.own_folder()

    yield named
    registry.forget()


@pytest.fixture(scope="module")
def published_inception() -> dict[str, Tensor]:
    """A file like pytorch-fid's, of a network that has learnt nothing."""
    torch.manual_seed(0)
    network = Inception()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):  # the usual beginning leaves nothing of a picture after so many layers
            nn.init.kaiming_normal_(module.weight)
    norms = [name for name in network.state_dict() if name.endswith("running_var")]
    counts = {name.replace("running_var", "num_batches_tracked"): torch.tensor(0) for name in norms}
    return {**network.state_dict(), **counts}


@pytest.fixture(scope="module")
def alexnet() -> nn.Sequential:
    """AlexNet's features as torchvision numbers them."""
    torch.manual_seed(0)
    first, *others = (nn.Conv2d(3, 64, 11, 4, 2), nn.Conv2d(64, 192, 5, padding=2), nn.Conv2d(192, 384, 3, padding=1))
    others += [nn.Conv2d(384, 256, 3, padding=1), nn.Conv2d(256, 256, 3, padding=1)]
    layers: list[nn.Module] = [first, nn.ReLU()]
    for number, conv in enumerate(others):
        layers += [*([nn.MaxPool2d(3, 2)] if number < 2 else []), conv, nn.ReLU()]
    return nn.Sequential(*layers).requires_grad_(False)


@pytest.fixture
def heads() -> list[Tensor]:
    rng = torch.Generator().manual_seed(1)
    return [torch.rand(1, channels, 1, 1, generator=rng) for channels in CHANNELS]


@pytest.fixture
def lpips_files(alexnet: nn.Sequential, heads: list[Tensor]) -> dict[str, bytes]:
    """Files like torchvision's, classifier and all, and like that of the `lpips` package, in its old format."""
    classifier = {"classifier.1.weight": torch.zeros(4, 9)}
    return {
        "alexnet.pth": saved({f"features.{name}": x for name, x in alexnet.state_dict().items()} | classifier),
        "alex.pth": saved(
            {f"lin{n}.model.1.weight": head for n, head in enumerate(heads)}, _use_new_zipfile_serialization=False
        ),
    }


def pictures(folder: str, count: int, seed: int = 0, colour: int = 0) -> Path:
    """Coarse noise, the red of which is brighter by `colour`."""
    rng = np.random.default_rng(seed)
    Path(folder).mkdir()
    for number in range(count):
        noise = np.asarray(Image.fromarray(rng.integers(0, 120, (8, 10, 3), np.uint8)).resize((80, 64))).copy()
        noise[..., 0] += np.uint8(colour)
        Image.fromarray(noise).save(Path(folder) / f"{number:02}.png")
    return Path(folder)


# The files


def test_the_table_names_the_published_files() -> None:
    registry.forget()
    assert measuring.tasks() == ["inception", "lpips"]
    for entry in registry.measuring().values():
        assert re.fullmatch(r"https://\S+\.pth", entry.url)
        assert re.fullmatch("[0-9a-f]{64}", str(entry.sha256))
        if in_name := re.search(r"-([0-9a-f]{8})\.pth", entry.url):
            assert str(entry.sha256).startswith(in_name[1])
    assert len({Path(entry.url).name for entry in registry.measuring().values()}) == 3


def test_missing_files_are_named_with_their_addresses_and_the_folder(publish: Publish) -> None:
    folder = publish("lpips", {"a.pth": b"a", "b.pth": b"b", "c.pth": b"c"}, there=False)
    (folder / "b.pth").write_bytes(b"b")
    with pytest.raises(InputError) as caught:
        measuring.find("lpips")
    assert str(caught.value) == (
        "the weights of lpips are not here yet; fetch them with: translate weights pull lpips, or put "
        f"https://host.invalid/a.pth and https://host.invalid/c.pth into {folder}"
    )


@pytest.mark.parametrize("content", [b"", b"weight", b"other weights"])
def test_another_or_truncated_file_is_refused(publish: Publish, content: bytes) -> None:
    folder = publish("inception", {"net.pth": b"weights"})
    assert measuring.find("inception") == [folder / "net.pth"]
    (folder / "net.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"net\.pth is cut short or another file.*pull inception") as caught:
        measuring.find("inception")
    assert "\n" not in str(caught.value)


def test_pulled_and_repaired(run: Run, publish: Publish, server: Server) -> None:
    folder = publish("lpips", {"a.pth": server.content, "b.pth": server.content}, server.url(""), there=False)
    assert "pull NAME`: lpips" in run("weights", "list").out
    assert "fetch it with: translate weights pull lpips" in run("weights", "info", "lpips").err
    ran = run("weights", "pull", "lpips")
    assert (ran.code, ran.lines) == (0, [f"{folder / name} fetched" for name in ("a.pth", "b.pth")])
    assert measuring.find("lpips") == [folder / "a.pth", folder / "b.pth"]
    assert "pull NAME" not in run("weights", "list").out
    (folder / "b.pth").write_bytes(b"spoilt")
    ran = run("weights", "pull", "lpips")
    assert ran.lines == [f"{folder / 'a.pth'} is here already", f"{folder / 'b.pth'} fetched"]
    assert [path for path, _ in server.asked] == ["/a.pth", "/b.pth", "/b.pth"]


def test_what_is_not_the_published_file_is_not_kept(run: Run, publish: Publish, server: Server) -> None:
    folder = publish("inception", {"net.pth": b"the published one"}, server.url(""), there=False)
    ran = run("weights", "pull", "inception")
    assert ran.code == 1
    assert "it was not kept" in ran.err
    assert not list(folder.iterdir())


def test_added_from_anywhere_by_its_content(run: Run, publish: Publish, tmp_path: Path) -> None:
    folder = publish("inception", {"net.pth": b"weights"}, there=False)
    (tmp_path / "mine.bin").write_bytes(b"weights")
    ran = run("weights", "add", "mine.bin")
    assert (ran.code, ran.lines) == (0, [f"mine.bin measures, and is kept as {folder / 'net.pth'}"])
    assert measuring.find("inception") == [folder / "net.pth"]
    assert run("weights", "add", folder / "net.pth").code == 0  # over itself
    assert [path.name for path in folder.iterdir()] == ["net.pth"]
    assert measuring.find("inception")


# The figures


def test_fid_and_kid(
    run: Run, publish: Publish, published_inception: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the command to the table, on pictures of 75 pixels, which are the least, for the sake of time."""
    publish("inception", {"net.pth": saved(published_inception)})
    monkeypatch.setattr(inception, "SIDE", 75)
    pictures("real", 5)
    pictures("like", 5, seed=1)
    pictures("red", 5, seed=2, colour=130)
    ran = run(
        *("evaluate", "unpaired", "--real", "real", "--fake", "like", "--source", "red", "--device", "cpu"),
        *("--features", "inception", "--json", "f.json"),
    )
    assert (ran.code, ran.err) == (0, "")
    assert any(line.startswith("note: 5 pictures are few: FID is larger than for many") for line in ran.lines)
    assert "EfficientNet" not in ran.out + Path("f.json").read_text()
    found = figures()["results"]
    assert found["fake"].keys() >= {"FID", "KID", "precision", "recall"}
    for name in ("FID", "KID"):
        assert found["fake"][name]["value"] < found["source"][name]["value"]


def test_other_features_are_refused(run: Run, table: Path) -> None:
    pictures("real", 2)
    ran = run("evaluate", "unpaired", "--real", "real", "--fake", "real", "--features", "fid")
    assert ran.code == 2
    assert "--features is 'fid'; there are efficientnet-lite0, inception" in ran.err


def test_lpips_is_that_of_the_layers_in_the_files(
    publish: Publish, lpips_files: dict[str, bytes], alexnet: nn.Sequential, heads: list[Tensor]
) -> None:
    """The definition, written down once more with the layers as torchvision orders them."""
    publish("lpips", lpips_files)
    a, b = torch.rand(2, 3, 64, 80, generator=torch.Generator().manual_seed(2))
    expected = 0.0
    means, deviations = (torch.tensor(x).view(3, 1, 1) for x in ((-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)))
    for end, head in zip((2, 5, 8, 10, 12), heads, strict=True):
        x, y = (functional.normalize(alexnet[:end]((2 * z - 1 - means) / deviations), dim=0) for z in (a, b))
        expected += float((head[0] * (x - y) ** 2).sum(0).mean())
    assert lpips.load()(a[None], b[None]).item() == pytest.approx(expected, rel=1e-4)


def test_lpips_of_pairs(run: Run, publish: Publish, lpips_files: dict[str, bytes]) -> None:
    publish("lpips", lpips_files)
    pictures("real", 3)
    pictures("fake", 3)
    with Image.open("fake/01.png") as image:
        image.convert("L").convert("RGB").save("fake/01.png")
    for folder in ("real", "fake"):
        with Image.open(f"{folder}/02.png") as image:
            image.crop((0, 0, 40, 30)).save(f"{folder}/02.png")
    ran = run(
        "evaluate", "paired", "--real", "real", "--fake", "fake", "--lpips", "--device", "cpu", "--json", "f.json"
    )
    assert ran.code == 1
    assert "skipped: fake/02.png: 40 × 30 pixels are less than the 31 × 31 of LPIPS" in ran.out
    assert any(line.startswith("LPIPS ") for line in ran.lines)
    found = figures()["pictures"]["fake"]
    assert found["00"]["lpips"] == 0
    assert found["01"]["lpips"] > 0.001
    assert figures()["protocol"]["lpips"] == "v0.1, AlexNet"


def test_without_the_files_nothing_is_called_lpips(run: Run, publish: Publish, lpips_files: dict[str, bytes]) -> None:
    folder = publish("lpips", lpips_files, there=False)
    pictures("real", 1)
    ran = run("evaluate", "paired", "--real", "real", "--fake", "real", "--lpips")
    assert (ran.code, ran.out) == (2, "")
    assert "https://host.invalid/alexnet.pth and https://host.invalid/alex.pth into" in ran.err
    assert str(folder) in ran.err
    ran = run("evaluate", "paired", "--real", "real", "--fake", "real")
    assert ran.code == 0
    assert "LPIPS" not in ran.out
