"""What several test files need: small photographs, small networks, and the command line in this process."""

import hashlib
import importlib.util
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from runs import blobs, save_images, tiny_cyclegan, tiny_srgan
from servers import Server

from translate.kernels import _upsample
from translate.models.colouriser import Colouriser
from translate.models.cyclegan import ResnetGenerator
from translate.models.pix2pix import UNetGenerator
from translate.models.restorer import Restorer
from translate.models.srgan import SRResNet
from translate.train.options import SRGAN, CycleGAN
from translate.video import segments
from translate.weights import registry
from translate.weights.files import save_weights

if not torch.cuda.is_available():  # has to be set before a kernel is defined
    os.environ["TRITON_INTERPRET"] = "1"

TABLE = """
[{name}]
task = "{task}"
summary = "for tests"
licence = "none"
sha256 = "{sha256}"
{key} = {value}
"""


@pytest.fixture(scope="session")
def triton_device() -> Iterator[str]:
    """Where Triton's kernels can be run: on the GPU, or without one in Triton's interpreter on the CPU.

    On the GPU, too, float32 is multiplied exactly, by them and by the convolutions that they are compared with.
    """
    if importlib.util.find_spec("triton") is None:
        pytest.skip("Triton is not installed")
    if not torch.cuda.is_available():
        yield "cpu"
        return
    kinds: Any = (torch.backends.cudnn.conv, torch.backends.cudnn.rnn)  # torch wants them alike
    before = [kind.fp32_precision for kind in kinds]
    for kind in kinds:
        kind.fp32_precision = "ieee"
    yield "cuda"
    for kind, precision in zip(kinds, before, strict=True):
        kind.fp32_precision = precision


@pytest.fixture
def always_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference of `upsample_conv2d` in the form that Triton has, at small sizes, too."""
    monkeypatch.setattr(_upsample, "FEW", 0)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """With several, the sums of a projected discriminator differ in the last bit after a resume."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Hear Ctrl-C even where a shell has started the tests in the background, which makes them deaf."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def silence(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Neither Pillow nor OpenCV nor a C library below them may print anything in the test."""
    yield
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def seeded() -> None:
    """The same random numbers in every run."""
    torch.manual_seed(0)


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's own folder is the working folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Videos are made in segments of 8 frames."""
    monkeypatch.setattr(segments, "FRAMES", 8)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Write a video into the test's own folder; its options are those of `write_video`."""

    from videos import write_video  # a machine with a GPU may have no PyAV

    def video(name: str = "drive.mp4", frames: int = 30, **options: Any) -> Path:
        return write_video(tmp_path / name, frames, **options)

    return video


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "TRANSLATE_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    served = Server()
    thread = threading.Thread(target=served.serve_forever, args=(0.02,))
    thread.start()
    yield served
    served.ended.set()
    served.shutdown()
    served.server_close()
    thread.join()


@pytest.fixture
def npz(tmp_path: Path) -> str:
    """24 pictures of 16 × 16 in two classes."""
    np.savez(path := tmp_path / "blobs.npz", **blobs(24))
    return str(path)


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like `weights/`, with networks that have learnt nothing, but change pictures."""
    folder = tmp_path_factory.mktemp("shelf")
    torch.manual_seed(0)
    restorer = Restorer(4)
    restorer.tones.last.bias.data[0] = -0.3  # of red by itself
    entries = {
        "cyclegan-night": (ResnetGenerator(4, 1, skip=True), "target", '"night"'),
        "cyclegan-day": (ResnetGenerator(4, 1), "target", '"day"'),
        "tiny-x4": (SRResNet(4, 1, tail="direct"), "scale", "4"),
        "tiny-photo": (UNetGenerator(4, 3), "target", '"photo"'),
        "tiny-colour": (Colouriser(4), "scale", "1"),
        "tiny-restore": (restorer, "scale", "1"),
    }
    tasks = {"tiny-x4": "upscale", "tiny-photo": "pix2pix", "tiny-colour": "colourise", "tiny-restore": "restore"}
    table = ""
    for name, (network, key, value) in entries.items():
        save_weights(file := folder / f"{name}.safetensors", network)
        (folder / f"{name}.md").write_text(f"# {name}\n\nnothing learnt\n")
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        table += TABLE.format(name=name, task=tasks.get(name, "cyclegan"), sha256=sha256, key=key, value=value)
    (folder / "registry.toml").write_text(table)
    return folder


@pytest.fixture
def table(shelf: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The registry holds the small networks, and no others; the user's own folder is empty."""
    monkeypatch.setattr(registry, "FOLDER", shelf)
    monkeypatch.setenv("TRANSLATE_WEIGHTS", str(tmp_path_factory.mktemp("own")))
    registry.forget()
    yield shelf
    registry.forget()


@pytest.fixture
def photo() -> Callable[..., Path]:
    """Write a small picture, smooth with a little noise, that differs with `seed`."""

    def make(
        path: Path, height: int = 20, width: int = 28, *, seed: int = 0, mode: str = "RGB", **options: Any
    ) -> Path:
        rng = np.random.default_rng(seed)
        slope = np.add.outer(np.linspace(0, 120, height), np.linspace(0, 90, width))[..., None]
        noise = rng.integers(0, 40, (height, width, len(Image.new(mode, (1, 1)).getbands())))
        pixels = (slope + noise).astype(np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.frombytes(mode, (width, height), pixels.tobytes()).save(path, **options)
        return path

    return make


@pytest.fixture
def photos(tmp_path: Path, photo: Callable[..., Path]) -> Path:
    """A folder of three pictures, one of them in a folder of its own."""
    folder = tmp_path / "photos"
    photo(folder / "a.png", seed=1)
    photo(folder / "b.jpg", 17, 33, seed=2)
    photo(folder / "deep er" / "ü.png", seed=3)
    return folder


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def failures(self) -> list[str]:
        return [line for line in self.lines if line.startswith("failed: ")]

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    @property
    def counts(self) -> tuple[int, int, int]:
        """Done, skipped, failed, from the summary."""
        (line,) = (line for line in self.out.splitlines() + self.err.splitlines() if " skipped, " in line)
        done, skipped, failed = (int(part.split()[0]) for part in line.split(" in ")[0].split(", "))
        return done, skipped, failed


@pytest.fixture
def run(table: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Run the command line in this process as `translate` would, with the small networks."""
    from translate.cli.main import main

    def translate(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["translate", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Ran(int(stop.value.code or 0), out, err)

    return translate


@pytest.fixture
def two(tmp_path: Path) -> CycleGAN:
    """A CycleGAN run of 6 steps that is done in a second."""
    return tiny_cyclegan(save_images(tmp_path / "a", 3), save_images(tmp_path / "b", 2, seed=1))


@pytest.fixture
def one(tmp_path: Path) -> SRGAN:
    """An SRGAN run of 6 steps without adversarial ones."""
    return tiny_srgan(save_images(tmp_path / "hr", 3))
