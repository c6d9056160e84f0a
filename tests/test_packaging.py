"""The promises of the packaging and of the shipped weights."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from translate import checkpoints
from translate.errors import CheckpointError, UnknownModelError
from translate.models import FROM_NOISE
from translate.weights import registry

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

NETWORKS = {  # of a task
    "cyclegan": "PretrainedGenerator",
    "pix2pix": "PretrainedGenerator",
    "upscale": "SRResNet",
    "colourise": "Colouriser",
    "restore": "Restorer",
}


def test_every_package_folder_is_listed() -> None:
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "translate").rglob("__init__.py")
        if not any(parent.is_symlink() for parent in path.parents)
    }
    folders |= {f"translate.{name}" for name in ("kernels", "cli", "weights")}
    assert folders == set(PROJECT["tool"]["setuptools"]["packages"])


@pytest.mark.parametrize("name", ["kernels", "cli", "weights"])
def test_the_links_point_to_the_folders_beside(name: str) -> None:
    link = ROOT / "translate" / name
    assert link.is_symlink()
    assert link.resolve() == ROOT / name


def test_importing_the_package_is_light() -> None:
    code = "import sys, translate; print(sorted({'torch', 'cv2', 'PIL', 'numpy', 'typer', 'rich'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "[]"


def test_the_library_never_imports_the_command_line() -> None:
    code = (
        "import sys, translate.engine, translate.train.cyclegan, translate.train.srgan, translate.weights.registry, "
        "translate.evaluate.sr, translate.evaluate.paired, translate.evaluate.unpaired, translate.evaluate.domain; "
        "print(sorted({'typer', 'rich', 'translate.cli'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("entry", registry.shipped().values(), ids=lambda entry: entry.name)
def test_every_entry_has_weights_a_card_and_a_sheet(entry: registry.Entry) -> None:
    if entry.task == "sample":
        network = checkpoints.load_from_noise(registry.verified(entry))
        assert type(network).__name__ in FROM_NOISE
    else:
        model = checkpoints.load(registry.verified(entry))
        assert model.scale == entry.scale
        assert model.architecture == NETWORKS[entry.task]
    card = entry.card.read_text(encoding="utf-8")
    for heading in ("## Data", "## Training", "## Figures", "## What it would gain from"):
        assert heading in card
    assert entry.path.with_suffix(".jpg").is_file()


def test_the_weights_folder_stays_small() -> None:
    assert sum(path.stat().st_size for path in (ROOT / "weights").iterdir() if path.is_file()) < 64e6


def test_defaults_and_unknown_names() -> None:
    assert registry.default_for("cyclegan", target="night").name == "cyclegan-night"
    assert registry.default_for("upscale", scale=4).name == "srresnet-x4-real"
    with pytest.raises(UnknownModelError, match=r"did you mean night\?"):
        registry.default_for("cyclegan", target="nigth")
    with pytest.raises(UnknownModelError, match="cyclegan-night"):
        registry.find("cyclegan-nigth")


def test_a_changed_weights_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entry = registry.entries()["srresnet-x4"]
    monkeypatch.setattr(registry, "FOLDER", tmp_path)
    with pytest.raises(CheckpointError, match="is missing"):
        registry.verified(entry)
    entry.path.write_bytes(b"something else")
    with pytest.raises(CheckpointError, match="sha256"):
        registry.verified(entry)
