"""Networks that enlarge, of other projects: each written out with torch's own layers, and loaded."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from comparing import far, randomised, same
from PIL import Image
from public_networks import saved
from torch import Tensor, nn

from translate.checkpoints import load
from translate.evaluate.fidelity import compare

pytestmark = pytest.mark.usefixtures("seeded")


DATA = Path(os.environ.get("TRANSLATE_DATA", Path(__file__).parents[2] / "shared" / "data"))

# SRGAN


class SrganBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.prelu = nn.PReLU()
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bn2(self.conv2(self.prelu(self.bn1(self.conv1(x)))))


class SrganUp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv, self.prelu = nn.Conv2d(width, width * 4, 3, padding=1), nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(F.pixel_shuffle(self.conv(x), 2))


class PublicSrgan(nn.Module):
    def __init__(self, width: int, blocks: int, ups: int, merge: str) -> None:
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv2d(3, width, 9, padding=4), nn.PReLU())
        self.trunk = [f"block{n + 2}" for n in range(blocks)]
        for name in self.trunk:
            self.add_module(name, SrganBlock(width))
        last = nn.PReLU() if merge == "prelu" else nn.BatchNorm2d(width)
        self.trunk.append(f"block{blocks + 2}")
        self.add_module(self.trunk[-1], nn.Sequential(nn.Conv2d(width, width, 3, padding=1), last))
        tail = nn.Sequential(*(SrganUp(width) for _ in range(ups)), nn.Conv2d(width, 3, 9, padding=4))
        self.add_module(f"block{blocks + 3}", tail)
        self.end = f"block{blocks + 3}"

    def forward(self, x: Tensor) -> Tensor:
        first = y = self.block1(x)
        for name in self.trunk:
            y = self.get_submodule(name)(y)
        return (torch.tanh(self.get_submodule(self.end)(first + y)) + 1) / 2


@pytest.mark.parametrize("merge", ["norm", "prelu"])
@pytest.mark.parametrize(("blocks", "ups"), [(5, 2), (1, 1), (10, 3)])
def test_srgan(tmp_path: Path, merge: str, blocks: int, ups: int) -> None:
    public = randomised(PublicSrgan(4, blocks, ups, merge))
    model = load(saved(tmp_path, public.state_dict()))
    assert (model.architecture, model.scale, model.value_range) == ("SRGAN", 2**ups, (0.0, 1.0))
    same(model, public, torch.rand(2, 3, 8, 9))
    if blocks == 1:
        assert far(model, 31) == model.halo


# RRDBNet in its three naming schemes


class Dense(nn.Module):
    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        for n in range(5):
            self.add_module(f"conv{n + 1}", nn.Conv2d(width + n * growth, growth if n < 4 else width, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        seen = [x]
        for n in range(4):
            seen.append(F.leaky_relu(self.get_submodule(f"conv{n + 1}")(torch.cat(seen, 1)), 0.2))
        return x + 0.2 * self.conv5(torch.cat(seen, 1))


class Rrdb(nn.Module):
    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (Dense(width, growth) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.2 * self.rdb3(self.rdb2(self.rdb1(x)))


class PublicRrdb(nn.Module):
    def __init__(self, width: int = 6, growth: int = 4, blocks: int = 2, scale: int = 4) -> None:
        super().__init__()
        self.unshuffle = 4 // scale
        self.conv_first = nn.Conv2d(3 * self.unshuffle**2, width, 3, 1, 1)
        self.body = nn.Sequential(*(Rrdb(width, growth) for _ in range(blocks)))
        self.conv_body, self.conv_up1, self.conv_up2, self.conv_hr = (nn.Conv2d(width, width, 3, 1, 1) for _ in "abcd")
        self.conv_last = nn.Conv2d(width, 3, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_first(F.pixel_unshuffle(x, self.unshuffle))
        x = x + self.conv_body(self.body(x))
        for conv in (self.conv_up1, self.conv_up2):
            x = F.leaky_relu(conv(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        return self.conv_last(F.leaky_relu(self.conv_hr(x), 0.2))


def esrgan_name(key: str, blocks: int) -> str:
    key = re.sub(r"body\.(\d+)\.rdb", r"RRDB_trunk.\1.RDB", key)
    for ours, theirs in (("conv_body", "trunk_conv"), ("conv_up", "upconv"), ("conv_hr", "HRconv")):
        key = key.replace(ours, theirs)
    return key


def first_name(key: str, blocks: int) -> str:
    key = re.sub(r"body\.(\d+)\.rdb(\d)\.conv(\d)", r"model.1.sub.\1.RDB\2.conv\3.0", key)
    layers = ("conv_first", "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last")
    for layer, place in zip(layers, ("0", f"1.sub.{blocks}", "3", "6", "8", "10"), strict=True):
        key = key.replace(layer, f"model.{place}")
    return key


def test_the_dense_network_is_the_published_one() -> None:
    with torch.device("meta"):
        sizes = {n: PublicRrdb(64, 32, *n).state_dict() for n in ((23, 4), (23, 2), (6, 4))}
    counted = {n: (len(state), sum(t.numel() for t in state.values())) for n, state in sizes.items()}
    assert counted == {(23, 4): (702, 16_697_987), (23, 2): (702, 16_703_171), (6, 4): (192, 4_467_779)}
    assert first_name("body.22.rdb3.conv5.weight", 23) == "model.1.sub.22.RDB3.conv5.0.weight"


@pytest.mark.parametrize("name", [lambda key, blocks: key, esrgan_name, first_name], ids=["BasicSR", "ESRGAN", "first"])
@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("blocks", [1, 3])
def test_rrdb(tmp_path: Path, name: Callable[[str, int], str], scale: int, blocks: int) -> None:
    public = randomised(PublicRrdb(blocks=blocks, scale=scale))
    state = {name(key, blocks): tensor for key, tensor in public.state_dict().items()}
    model = load(saved(tmp_path, {"params_ema": state}))
    assert (model.architecture, model.scale, model.multiple_of) == ("RRDBNet", scale, 4 // scale)
    same(model, public, torch.rand(2, 3, 8, 12))
    if blocks == 1 and name is first_name:
        assert far(model, 61 * model.multiple_of) == model.halo


# SRVGGNetCompact


class PublicCompact(nn.Module):
    def __init__(self, width: int, convs: int, scale: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1), nn.PReLU(width)]
        for _ in range(convs):
            layers += [nn.Conv2d(width, width, 3, 1, 1), nn.PReLU(width)]
        self.body = nn.ModuleList([*layers, nn.Conv2d(width, 3 * scale**2, 3, 1, 1)])
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for layer in self.body:
            y = layer(y)
        return F.pixel_shuffle(y, self.scale) + F.interpolate(x, scale_factor=self.scale, mode="nearest")


@pytest.mark.parametrize(("convs", "tensors", "parameters"), [(16, 53, 621_424), (32, 101, 1_213_296)])
def test_the_compact_network_is_the_published_one(convs: int, tensors: int, parameters: int) -> None:
    state = PublicCompact(64, convs, 4).state_dict()
    assert (len(state), sum(t.numel() for t in state.values())) == (tensors, parameters)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("convs", [0, 2, 5])
def test_compact(tmp_path: Path, scale: int, convs: int) -> None:
    public = randomised(PublicCompact(5, convs, scale))
    model = load(saved(tmp_path, {"params": public.state_dict()}))
    assert (model.architecture, model.scale, model.multiple_of) == ("SRVGGNetCompact", scale, 1)
    same(model, public, torch.rand(2, 3, 7, 9))
    assert far(model, 21) == model.halo


# Real files


@pytest.mark.parametrize(
    ("name", "expected"),
    [("realesr-animevideov3-x4.fp16.pth", 28.25), ("srgan_leftthomas_x4_netG_epoch_100.pth", 30.70)],
)
def test_a_real_file_scores_what_it_did_elsewhere(name: str, expected: float) -> None:
    folder = DATA / "sr_bench" / "Set5"
    if not folder.is_dir() or not (DATA / "checkpoints" / name).is_file():
        pytest.skip(f"{DATA} lacks sr_bench/Set5 or checkpoints/{name}; TRANSLATE_DATA names the folder with both")
    model, figures = load(DATA / "checkpoints" / name), []
    for path in sorted((folder / "LRx4").glob("*.png")):
        with Image.open(path) as low, Image.open(folder / "HR" / path.name) as high:
            x = torch.from_numpy(np.array(low.convert("RGB"))).permute(2, 0, 1)[None] / 255
            y = (model.network(x)[0].permute(1, 2, 0) * 255).round().clamp(0, 255).byte().numpy()
            original = np.asarray(high.convert("RGB"))[: y.shape[0], : y.shape[1]]
            figures.append(compare(original, y, "y", 4)["psnr"])
    assert np.mean(figures) == pytest.approx(expected, abs=0.02)
