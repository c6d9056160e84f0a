"""Files of networks that only spandrel knows; a module of its name stands in its place."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from translate import images
from translate.checkpoints import load
from translate.errors import CheckpointError
from translate.weights import registry

Photo = Callable[..., Path]


class Strange(nn.Module):
    """No network that is known here; with a buffer of whole numbers, as attention has."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 12, 5, padding=2)
        self.register_buffer("index", torch.arange(4))

    def forward(self, x: Tensor) -> Tensor:
        return torch.pixel_shuffle(self.first(x), 2)


class Descriptor:
    def __init__(self, model: nn.Module, **changes: Any) -> None:
        self.model, self.scale, self.input_channels, self.output_channels = model, 2, 3, 3
        self.architecture = SimpleNamespace(name="Strange")
        self.size_requirements = SimpleNamespace(multiple_of=4, minimum=0)
        vars(self).update(changes)

    def __call__(self, x: Tensor) -> Tensor:
        return self.model(x).clamp(0, 1)  # type: ignore[no-any-return]


@pytest.fixture
def spandrel(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What of spandrel is used, for one network; gives what its descriptor shall say instead."""

    class ModelLoader:
        def load_from_state_dict(self, state: dict[str, Tensor]) -> Descriptor:
            model = Strange()
            model.load_state_dict(state)
            return Descriptor(model, **changes)

    changes: dict[str, Any] = {}
    module = ModuleType("spandrel")
    module.__spec__ = SimpleNamespace()  # type: ignore[assignment]
    vars(module).update(ModelLoader=ModelLoader, ImageModelDescriptor=Descriptor)
    monkeypatch.setitem(sys.modules, "spandrel", module)
    return changes


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    torch.save({"params": Strange().state_dict()}, tmp_path / "strange.pth")
    return tmp_path / "strange.pth"


def test_spandrel_knows_more(spandrel: dict[str, Any], file: Path, run: Any, photo: Photo, tmp_path: Path) -> None:
    model = load(file)
    assert (model.architecture, model.scale, model.multiple_of, model.halo) == ("Strange", 2, 4, None)
    assert any("spandrel" in note for note in model.notes)
    photo(tmp_path / "in.png", 21, 30)
    out = tmp_path / "out.png"
    ran = run("upscale", tmp_path / "in.png", "--x2", "--weights", file, "--out", out, "--precision", "bf16")
    assert ran.code == 0, ran.out + ran.err
    assert images.read(out).pixels.shape == (42, 60, 3)
    assert run("weights", "add", file, "--name", "strange").code == 0
    kept = load(registry.entries()["strange"].path).network
    x = torch.rand(1, 3, 8, 8)
    assert torch.equal(kept(x), model.network(x))


def test_what_spandrel_does_not_take(spandrel: dict[str, Any], file: Path, tmp_path: Path) -> None:
    for changes, said in (({"input_channels": 1}, "takes no plain RGB"), ({"output_channels": 1}, "gives no RGB")):
        spandrel.clear()
        spandrel.update(changes)
        with pytest.raises(CheckpointError, match=f"fits no known network.*; spandrel says Strange, which {said}"):
            load(file)
    torch.save({"other.weight": torch.ones(3)}, tmp_path / "other.pth")
    with pytest.raises(
        CheckpointError, match=r"fits no known network.*; spandrel does not take it either \("
    ) as caught:
        load(tmp_path / "other.pth")
    assert "\n" not in str(caught.value)
    spoilt = Strange().state_dict()
    spoilt["first.weight"][0] = float("nan")
    torch.save(spoilt, tmp_path / "spoilt.pth")
    with pytest.raises(CheckpointError, match=r"'first\.weight' holds values that are not finite"):
        load(tmp_path / "spoilt.pth")


def test_a_spandrel_that_is_broken_is_said(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "spandrel.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "spandrel", raising=False)
    with pytest.raises(CheckpointError, match=r"spandrel cannot be imported \(operator torchvision::nms does not"):
        load(file)
