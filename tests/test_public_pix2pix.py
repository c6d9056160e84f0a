"""The U-Net of pix2pix, written out from its layer list with torch's own layers, and loaded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from comparing import randomised, same
from public_networks import affine_norm, saved
from torch import Tensor, nn

from translate.checkpoints import load
from translate.errors import CheckpointError

pytestmark = pytest.mark.usefixtures("seeded")


class Level(nn.Module):
    """One level of the public U-Net: what is inside it, and its input beside that, but for the outermost."""

    def __init__(self, layers: list[nn.Module], outermost: bool) -> None:
        super().__init__()
        self.model, self.outermost = nn.Sequential(*layers), outermost

    def forward(self, x: Tensor) -> Tensor:
        y = self.model(x)
        return y if self.outermost else torch.cat([x, y], 1)


def unet(width: int, depth: int, norm: Callable[[int], nn.Module], bias: bool, dropout: bool = False) -> nn.Module:
    sizes = [min(width * 2**n, width * 8) for n in range(depth)]
    inner: list[nn.Module] = []
    for n in range(depth - 1, 0, -1):
        down = [nn.LeakyReLU(0.2), nn.Conv2d(sizes[n - 1], sizes[n], 4, 2, 1, bias=bias)]
        down += [norm(sizes[n])] * bool(inner)
        up = [nn.ReLU(), nn.ConvTranspose2d(sizes[n] * (1 + bool(inner)), sizes[n - 1], 4, 2, 1, bias=bias)]
        up += [norm(sizes[n - 1]), *[nn.Dropout(0.5)] * (dropout and 3 < n < depth - 1)]
        inner = [Level([*down, *inner, *up], False)]
    ends = [nn.ReLU(), nn.ConvTranspose2d(sizes[0] * 2, 3, 4, 2, 1), nn.Tanh()]
    level = Level([nn.Conv2d(3, sizes[0], 4, 2, 1, bias=bias), *inner, *ends], True)
    network = nn.Module()
    network.model = level
    return network


def test_the_unet_is_the_published_one() -> None:
    with torch.device("meta"):
        state = unet(64, 8, nn.BatchNorm2d, False, True).state_dict()
    assert len(state) == 82
    parameters = [key for key in state if not key.endswith(("running_mean", "running_var", "num_batches_tracked"))]
    assert sum(state[key].numel() for key in parameters) == 54_413_955
    assert state["model.model.0.weight"].shape == (64, 3, 4, 4)
    assert state["model.model.3.weight"].shape == (128, 3, 4, 4)


@pytest.mark.parametrize("depth", [3, 5, 7, 8])
@pytest.mark.parametrize("norm", [nn.BatchNorm2d, nn.InstanceNorm2d, affine_norm])
def test_pix2pix(tmp_path: Path, depth: int, norm: Callable[[int], nn.Module]) -> None:
    batch = norm is nn.BatchNorm2d
    public = randomised(unet(2, depth, norm, bias=not batch, dropout=True))
    model = load(saved(tmp_path, public.state_dict()))
    assert (model.architecture, model.multiple_of, model.value_range) == ("UNetGenerator", 2**depth, (-1.0, 1.0))
    assert any("dropout" in note for note in model.notes)
    assert any("running statistics" in note for note in model.notes) == batch
    for module in public.modules():  # batch norm with the statistics of the batch, which is one image
        module.train(isinstance(module, nn.BatchNorm2d))
    same(model, public.model, torch.rand(1, 3, 2**depth, 2**depth * 2) * 2 - 1)  # type: ignore[arg-type]


def test_pix2pix_with_the_statistics_of_training(tmp_path: Path) -> None:
    public = randomised(unet(2, 4, nn.BatchNorm2d, False, dropout=True)).eval()
    model = load(saved(tmp_path, public.state_dict()), trained=True)
    assert not any("running statistics" in note for note in model.notes)
    same(model, public.model, torch.rand(1, 3, 16, 32) * 2 - 1)  # type: ignore[arg-type]
    without = unet(2, 4, affine_norm, True).state_dict()
    with pytest.raises(
        CheckpointError, match="has no batch norm with statistics of training, as --statistics training"
    ):
        load(saved(tmp_path, without), trained=True)


def test_statistics_by_command(tmp_path: Path, run: Any, photo: Any) -> None:
    file = saved(tmp_path, randomised(unet(2, 4, nn.BatchNorm2d, False)).state_dict())
    photo(tmp_path / "in.png", 32, 32)
    results = []
    for statistics in ("image", "training"):
        assert run("weights", "add", file, "--name", statistics, "--statistics", statistics).code == 0
        for n, options in enumerate((["--weights", file, "--statistics", statistics], ["--weights", statistics])):
            out = tmp_path / f"{statistics}{n}.png"
            assert run("cyclegan", "--src", tmp_path / "in.png", "--out", out, *options).code == 0
            results.append(out.read_bytes())
    assert results[0] == results[1] != results[2] == results[3]
    assert "'batch' is not one of 'image', 'training'" in run("weights", "add", file, "--statistics", "batch").err
