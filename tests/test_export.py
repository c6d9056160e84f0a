"""Networks as ONNX files: what onnxruntime makes of them is what torch makes, at other sizes too."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from translate.errors import ExportError
from translate.models import ARCHITECTURES, Model
from translate.models.colouriser import Colouriser
from translate.models.compact import SRVGGNetCompact
from translate.models.cyclegan import ResnetGenerator
from translate.models.pix2pix import UNetGenerator
from translate.models.pretrained import PretrainedGenerator
from translate.models.rrdb import RRDBNet
from translate.models.srgan import SRResNet
from translate.models.srgan_bn import SRGAN

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "cyclegan": lambda: ResnetGenerator(2, 1, transposed=True, affine=True, skip=True),
    "cut": lambda: ResnetGenerator(2, 1, blur_down=True, blur_up=True),
    "pix2pix": lambda: UNetGenerator(2, 3),
    "srresnet": lambda: SRResNet(2, 1, tail="direct"),
    "srgan": lambda: SRGAN(2, 1, 2),
    "rrdb": lambda: RRDBNet(2, 2, 1, 1, unshuffle=2),
    "compact": lambda: SRVGGNetCompact(2, 1, 2),
}


def model_of(network: nn.Module) -> Model:
    (architecture,) = (kind for kind in ARCHITECTURES if kind.name == type(network).__name__)
    return architecture.model(network.eval().requires_grad_(False))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_is_the_network(name: str, tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package)
    runtime: Any = pytest.importorskip("onnxruntime")
    from translate.export import OPSET, to_onnx

    torch.manual_seed(0)
    network = NETWORKS[name]()
    for parameter in network.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.1)
    model = model_of(network)
    assert to_onnx(model, tmp_path / "net.onnx") < 1e-4
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
    import onnx

    file = onnx.load(tmp_path / "net.onnx")
    assert {entry.domain: entry.version for entry in file.opset_import}[""] == OPSET
    facts = {entry.key: entry.value for entry in file.metadata_props}
    assert facts["scale"] == str(model.scale)
    assert facts["value_range"] == "{} {}".format(*model.value_range)
    session = runtime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    low, high = model.value_range
    for height, width in ((32, 80), (48, 16)):
        x = torch.rand(1, 3, height, width) * (high - low) + low
        (found,) = session.run(["result"], {"image": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), network(x), rtol=0, atol=1e-4)


@pytest.mark.parametrize("network", [PretrainedGenerator(2), Colouriser(2)], ids=lambda network: type(network).__name__)
def test_what_goes_by_the_size_is_refused_at_once(network: nn.Module, tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    from translate.export import to_onnx

    with pytest.raises(ExportError, match=f"a {type(network).__name__} looks at pictures according to their size"):
        to_onnx(model_of(network), tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_what_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    from translate import export

    class Moody(nn.Module):  # changes after it was traced
        more = 0.0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2 + self.more

    network = Moody()
    written = export._written

    def then_changed(*arguments: Any) -> None:
        written(*arguments)
        network.more = 1.0

    monkeypatch.setattr(export, "_written", then_changed)
    with pytest.raises(ExportError, match="something else than torch, up to 1;"):
        export.to_onnx(Model(network, "Moody"), tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_without_the_packages(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    ran = run("weights", "export", "tiny-x4", "--onnx", tmp_path / "net.onnx")
    assert ran.code == 2
    assert "--onnx needs packages (onnx): pip install 'translate-images[onnx]'" in ran.err
    assert "say what to write" in run("weights", "export", "tiny-x4").err
    assert "must end in .onnx" in run("weights", "export", "tiny-x4", "--onnx", tmp_path / "net").err
    assert list(tmp_path.iterdir()) == []
