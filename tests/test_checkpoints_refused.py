"""Checkpoints that are refused: with code in them, damaged, or of other networks."""

import os
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from public_networks import PublicCycleGan, PublicSrResNet, refusal, saved
from safetensors.torch import save_file
from torch import nn

from translate.errors import InputError
from translate.models.cyclegan import ResnetGenerator
from translate.models.srgan import SRResNet

pytestmark = pytest.mark.usefixtures("seeded")


# Files that must not run


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"echo > {self.marker}",)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("inside", ["alone", "beside"])
def test_code_in_a_pickle_does_not_run(tmp_path: Path, zipped: bool, inside: str) -> None:
    bomb = Bomb(tmp_path / "ran")
    state = {**SRResNet(8, 1).state_dict(), "extra": bomb} if inside == "beside" else bomb
    path = saved(tmp_path, state, _use_new_zipfile_serialization=zipped)
    message = refusal(path)
    assert "holds Python objects, which could run code" in message
    assert "system" in message
    assert "convert it to safetensors" in message
    assert not bomb.marker.exists()
    torch.load(path, weights_only=False)
    assert bomb.marker.exists()  # it was live


@pytest.mark.parametrize("protocol", range(6))
def test_code_in_a_bare_pickle_does_not_run(tmp_path: Path, protocol: int) -> None:
    bomb = Bomb(tmp_path / "ran")
    (path := tmp_path / "net.pth").write_bytes(pickle.dumps(bomb, protocol))
    assert "Python objects" in refusal(path) or "not a checkpoint" in refusal(path)
    assert not bomb.marker.exists()
    pickle.loads(path.read_bytes())
    assert bomb.marker.exists()


def test_whole_modules_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, nn.Linear(2, 2))
    assert "Python objects" in refusal(path)
    assert "Linear" in refusal(path)


def test_torchscript_is_refused(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "net.pt")
    assert "Python objects, which could run code when they are read (TorchScript)" in refusal(tmp_path / "net.pt")


def test_torchs_own_warnings_are_kept_quiet(tmp_path: Path) -> None:
    (path := tmp_path / "net.pth").write_bytes(pickle.dumps({"a": 1}, 4))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        refusal(path)
    assert not caught


# Files that are damaged, or none


def test_missing_folder_and_suffix(tmp_path: Path) -> None:
    assert "is missing" in refusal(tmp_path / "net.pth", InputError)
    (tmp_path / "folder.pth").mkdir()
    assert "is a folder" in refusal(tmp_path / "folder.pth", InputError)
    (tmp_path / "net.jpg").write_bytes(b"x")
    assert "known are .safetensors, .pth" in refusal(tmp_path / "net.jpg", InputError)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize(
    "content", [b"", b"hello, world\n" * 9, b"\x89PNG\r\n\x1a\n" + bytes(99), b"PK\x03\x04", b"\x80"]
)
def test_not_a_checkpoint(tmp_path: Path, suffix: str, content: bytes) -> None:
    (path := tmp_path / f"net{suffix}").write_bytes(content)
    assert ("truncated" if content else "empty") in refusal(path)


@pytest.mark.parametrize("name", ["zipped.pth", "legacy.pth", "net.safetensors"])
@pytest.mark.parametrize("share", [0.001, 0.01, 0.3, 0.7, 0.99])
def test_truncated(tmp_path: Path, name: str, share: float) -> None:
    state, path = SRResNet(8, 1).state_dict(), tmp_path / name
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        saved(tmp_path, state, name, _use_new_zipfile_serialization=name.startswith("zipped"))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert "is truncated" in refusal(path)


@pytest.mark.parametrize("content", [[1, 2], {}, {"epoch": 3}, {"params": {"epoch": 3}}, torch.ones(2)])
def test_no_tensors(tmp_path: Path, content: object) -> None:
    assert "holds no network's tensors" in refusal(saved(tmp_path, content))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite(tmp_path: Path, value: float) -> None:
    state = PublicSrResNet().state_dict()
    state["body.1.conv2.weight"][3, 2, 1, 0] = value
    assert "'body.1.conv2.weight' holds values that are not finite" in refusal(saved(tmp_path, state))


def test_weights_that_are_no_plain_tensors(tmp_path: Path) -> None:
    state = SRResNet(8, 1).state_dict()
    whole = {**state, "head.weight": state["head.weight"].to(torch.int8)}
    assert "'head.weight' as torch.int8" in refusal(saved(tmp_path, whole))
    for tensor in (torch.ones(1).expand(10**5, 3, 3, 3), torch.empty(10**9, 0), torch.empty(8, 3, device="meta")):
        assert "no plain tensor" in refusal(saved(tmp_path, {**state, "head.weight": tensor}))


# Other networks, other sizes


def test_keys_of_one_network_with_shapes_of_another(tmp_path: Path) -> None:
    for one, other, key, found, needed in (
        (PublicCycleGan(8), PublicCycleGan(4), "model.4.weight", (8, 4, 3, 3), (16, 8, 3, 3)),
        (ResnetGenerator(8, 2), ResnetGenerator(4, 2), "down.0.conv.weight", (8, 4, 3, 3), (16, 8, 3, 3)),
        (PublicSrResNet(8), PublicSrResNet(4), "conv_first.bias", (4,), (8,)),
        (SRResNet(8, 1), SRResNet(6, 1), "head.bias", (6,), (8,)),
    ):
        state = other.state_dict()
        first = next(iter(state))
        state[first] = one.state_dict()[first]  # where the width is read
        message = refusal(saved(tmp_path, state))
        assert f"{key!r} is {found} where the other layers ask for {needed}" in message


def test_upsampling_by_three(tmp_path: Path) -> None:
    message = refusal(saved(tmp_path, {"params": PublicSrResNet(8, 1, 3).state_dict()}))
    assert "'upconv1.weight' is (72, 8, 3, 3) where the other layers ask for (32, 8, 3, 3)" in message


def test_upsampling_of_neither_kind(tmp_path: Path) -> None:
    state = {**ResnetGenerator(8, 1).state_dict(), "up.1.weight": torch.ones(16, 8, 3, 3)}
    assert "'up.1.weight' is (16, 8, 3, 3)" in refusal(saved(tmp_path, state))


@pytest.mark.parametrize(
    ("network", "removed", "added", "said"),
    [
        (PublicCycleGan(), "model.19.weight", "", "nearest is ResnetGenerator, with 10 of 11 keys"),
        (PublicCycleGan(), "model.19.weight", "", "lacks 'model.19.weight'"),
        (PublicCycleGan(), "", "model.5.filt", "has 'model.5.filt' besides"),
        (ResnetGenerator(8, 2), "head.bias", "", "lacks 'head.bias'"),
        (
            PublicSrResNet(),
            "conv_hr.bias",
            "conv_body.weight",
            "lacks 'conv_hr.bias' and has 'conv_body.weight' besides",
        ),
        (PublicSrResNet(), "body.0.conv1.weight", "", "nearest is SRResNet"),
        (SRResNet(8, 1), "up.0.weight", "", "lacks 'up.0.weight'"),
        (SRResNet(8, 1), "", "weight", "has 'weight' besides"),
    ],
)
def test_names_the_nearest_network(tmp_path: Path, network: nn.Module, removed: str, added: str, said: str) -> None:
    state = network.state_dict()
    state.pop(removed, None)
    if added:
        state[added] = torch.ones(3)
    assert said in refusal(saved(tmp_path, state))


def test_names_what_is_known(tmp_path: Path) -> None:
    message = refusal(saved(tmp_path, {"encoder.0.weight": torch.ones(64, 3, 4, 4)}))
    assert (
        "fits no known network (ResnetGenerator, UNetGenerator, SRResNet, SRGAN, RRDBNet, SRVGGNetCompact, " in message
    )
    assert "'encoder.0.weight'" in message
