"""Checkpoints that load: public ones, our own, and wrapped in the usual ways."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from public_networks import PublicCycleGan, PublicSrResNet, affine_norm, randomised, refusal, saved, tracking_norm
from safetensors.torch import save_file
from torch import nn

from translate.checkpoints import load
from translate.models.cyclegan import ResnetGenerator
from translate.models.pretrained import PretrainedGenerator
from translate.models.srgan import SRResNet
from translate.tensorfiles import read_tensors
from translate.weights.files import save_weights

pytestmark = pytest.mark.usefixtures("seeded")


# Public files


def test_the_independent_networks_are_the_published_ones() -> None:
    with torch.device("meta"):
        generator = PublicCycleGan(64, 9).state_dict()
        upscaler = PublicSrResNet(64, 16).state_dict()
    assert (len(generator), sum(t.numel() for t in generator.values())) == (48, 11_378_179)
    assert (len(upscaler), sum(t.numel() for t in upscaler.values())) == (74, 1_517_571)
    shapes = {
        "model.1.weight": (64, 3, 7, 7),
        "model.18.conv_block.5.weight": (256, 256, 3, 3),
        "model.19.weight": (256, 128, 3, 3),
        "model.22.bias": (64,),
        "model.26.weight": (3, 64, 7, 7),
    }
    assert {key: tuple(generator[key].shape) for key in shapes} == shapes
    assert "model.16.conv_block.6.weight" in PublicCycleGan(8, 9, dropout=True).state_dict()
    assert upscaler["upconv2.weight"].shape == (256, 64, 3, 3)


@pytest.mark.parametrize("blocks", [1, 2, 6])
@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("norm", [nn.InstanceNorm2d, affine_norm])
def test_public_cyclegan_gives_the_same_images(
    tmp_path: Path, blocks: int, dropout: bool, norm: Callable[[int], nn.Module]
) -> None:
    public = randomised(PublicCycleGan(8, blocks, dropout, norm))
    model = load(saved(tmp_path, public.state_dict()))
    x = torch.rand(2, 3, 24, 16) * 2 - 1
    assert (model.network(x) - public(x)).abs().max() < 1e-4
    assert public(x).std() > 0.1  # not the trivial image
    affine = norm is affine_norm
    assert model.network.config == {"width": 8, "blocks": blocks, "transposed": True, "affine": affine, "skip": False}
    assert model.architecture == "ResnetGenerator"
    assert (model.scale, model.multiple_of, model.minimum) == (1, 4, 16)
    assert (model.value_range, model.halo) == ((-1.0, 1.0), None)
    assert "conv biases before instance norm dropped: they have no effect" in model.notes
    assert any("dropout" in note for note in model.notes) == dropout


def test_cyclegan_from_before_torch_04(tmp_path: Path) -> None:
    old, new = PublicCycleGan(norm=tracking_norm), PublicCycleGan()
    randomised(new)
    old.load_state_dict(new.state_dict(), strict=False)
    state = old.state_dict()
    assert "model.11.conv_block.6.running_var" in state
    assert "model.2.num_batches_tracked" in state
    model = load(saved(tmp_path, state, _use_new_zipfile_serialization=False))
    x = torch.rand(1, 3, 16, 20) * 2 - 1
    assert (model.network(x) - new(x)).abs().max() < 1e-4
    assert any("running statistics" in note for note in model.notes)


def test_cyclegan_with_batch_norm_is_another_network(tmp_path: Path) -> None:
    public = PublicCycleGan(norm=nn.BatchNorm2d, bias=False)
    assert "'model.2.running_mean'" in refusal(saved(tmp_path, public.state_dict()))


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("wrapper", ["params", "params_ema"])
def test_public_srresnet_gives_the_same_images(tmp_path: Path, scale: int, wrapper: str) -> None:
    public = randomised(PublicSrResNet(8, 3, scale))
    model = load(saved(tmp_path, {wrapper: public.state_dict()}))
    x = torch.rand(2, 3, 9, 7)
    assert (model.network(x) - public(x)).abs().max() < 1e-4
    assert model.network.config == {"width": 8, "blocks": 3, "scale": scale, "tail": "staged"}
    assert (model.architecture, model.scale, model.multiple_of, model.minimum) == ("SRResNet", scale, 1, 1)
    assert (model.value_range, model.notes) == ((0.0, 1.0), ())


# Our own files


@pytest.mark.parametrize(
    "network",
    [
        ResnetGenerator(8, 2),
        ResnetGenerator(12, 3, transposed=True),
        ResnetGenerator(8, 1, skip=True),
        ResnetGenerator(8, 1, affine=True),
        ResnetGenerator(8, 0, transposed=True, affine=True),
        PretrainedGenerator(4),
        SRResNet(8, 2, 4, "direct"),
        SRResNet(8, 1, 3, "direct"),
        SRResNet(6, 2, 4),
        SRResNet(6, 2, 8),
    ],
    ids=lambda network: "-".join(map(str, network.config.values())),
)
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_own_files(tmp_path: Path, network: nn.Module, suffix: str) -> None:
    randomised(network)
    if suffix == ".pth":
        path = saved(tmp_path, network.state_dict())
    else:
        save_weights(path := tmp_path / "net.safetensors", network)
        network.load_state_dict({key: tensor.half().float() for key, tensor in network.state_dict().items()})
    model = load(path)
    assert model.network.config == network.config
    assert type(model.network) is type(network)
    x = torch.rand(1, 3, 16, 16)
    assert (model.network(x) - network(x)).abs().max() < 1e-4
    assert model.notes == ()


def test_is_ready_to_run(tmp_path: Path) -> None:
    path = saved(tmp_path, {key: t.double() for key, t in SRResNet(8, 1).state_dict().items()})
    network = load(path).network
    assert not network.training
    for parameter in network.parameters():
        assert (parameter.dtype, parameter.device.type, parameter.requires_grad) == (torch.float32, "cpu", False)
        assert parameter.dim() != 4 or parameter.is_contiguous(memory_format=torch.channels_last)


def test_does_not_hold_on_to_the_file(tmp_path: Path) -> None:
    save_file(SRResNet(8, 1).state_dict(), path := tmp_path / "net.safetensors")
    network = load(path).network
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())


def test_neither_draws_random_numbers_nor_imports_the_compiler(tmp_path: Path) -> None:
    path = saved(tmp_path, ResnetGenerator(8, 1).state_dict())
    code = (
        "import sys, torch; from translate.checkpoints import load; seed = torch.get_rng_state();"
        f"load({str(path)!r}); assert torch.equal(seed, torch.get_rng_state()); assert 'sympy' not in sys.modules"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


@pytest.mark.parametrize("tail", ["staged", "direct"])
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_halo_is_what_an_output_pixel_sees(tmp_path: Path, tail: str, scale: int) -> None:
    network = SRResNet(4, 1, scale, tail)  # type: ignore[arg-type]
    state = {key: tensor.abs() + 0.01 for key, tensor in network.state_dict().items()}  # nothing cancels
    model = load(saved(tmp_path, state))
    assert model.halo is not None
    middle = model.halo + 2
    x = torch.rand(1, 3, 2 * middle + 1, 2 * middle + 1, requires_grad=True)
    cell = slice(middle * scale, (middle + 1) * scale)
    model.network(x)[..., cell, cell].sum().backward()
    assert x.grad is not None
    rows = x.grad.sum((0, 1, 3)).nonzero().flatten()
    assert (rows.min().item(), rows.max().item()) == (middle - model.halo, middle + model.halo)


# Wrappers and prefixes


@pytest.mark.parametrize("wrapper", ["params_ema", "params", "state_dict", "model", "generator"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_wrappers_and_prefix(tmp_path: Path, wrapper: str, prefix: str) -> None:
    state = {prefix + key: tensor for key, tensor in SRResNet(8, 1).state_dict().items()}
    path = saved(tmp_path, {"epoch": 3, wrapper: state, "optimizer": {"lr": 1e-4}})
    assert read_tensors(path).keys() == SRResNet(8, 1).state_dict().keys()
    assert load(path).architecture == "SRResNet"


def test_moving_average_goes_first_and_wrappers_nest(tmp_path: Path) -> None:
    raw, average = SRResNet(8, 1).state_dict(), SRResNet(8, 1).state_dict()
    state = load(saved(tmp_path, {"state_dict": {"params": raw, "params_ema": average}})).network.state_dict()
    assert torch.equal(state["head.weight"], average["head.weight"])
    assert not torch.equal(state["head.weight"], raw["head.weight"])


def test_a_wrapper_that_holds_itself(tmp_path: Path) -> None:
    content: dict[str, object] = {}
    content["params"] = content
    assert "holds no network's tensors" in refusal(saved(tmp_path, content))


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".PTH"])
@pytest.mark.parametrize("zipped", [False, True])
def test_suffixes_and_both_kinds_of_pickle(tmp_path: Path, suffix: str, zipped: bool) -> None:
    state = SRResNet(8, 1).state_dict()
    path = saved(tmp_path, state, f"net{suffix}", _use_new_zipfile_serialization=zipped)
    assert path.read_bytes().startswith(b"PK") == zipped
    read = read_tensors(path)
    assert read.keys() == state.keys()
    assert all(torch.equal(read[key], state[key]) for key in state)
