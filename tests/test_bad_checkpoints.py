"""Files made to deceive: each is refused with one line, before it has taken memory or run anything."""

import io
import json
import pickle
import resource
import struct
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file
from torch import Tensor, nn

from translate.checkpoints import load
from translate.errors import CheckpointError
from translate.models.compact import SRVGGNetCompact
from translate.models.pix2pix import UNetGenerator
from translate.models.rrdb import RRDBNet
from translate.models.srgan import SRResNet
from translate.models.srgan_bn import SRGAN

GIGABYTE = 10**9


def peak() -> int:
    """The most memory that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def refusal(path: Path) -> str:
    """What `load` says when it refuses; one line that names the file, and next to no memory taken."""
    before = peak()
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert peak() - before < GIGABYTE / 4
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    assert len(message) < 300
    return message


def pickled(content: object, zipped: bool = True) -> bytes:
    torch.save(content, buffer := io.BytesIO(), _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


@pytest.fixture
def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return SRResNet(8, 1).state_dict()


class Asks:
    """Asks for a gigabyte when it is read, by a call that torch allows."""

    def __reduce__(self) -> tuple[type[bytearray], tuple[int]]:
        return bytearray, (GIGABYTE,)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_pickle_bomb(tmp_path: Path, state: dict[str, Tensor], zipped: bool) -> None:
    (path := tmp_path / "net.pth").write_bytes(pickled({**state, "extra": Asks()}, zipped))
    assert "(bytearray)" in refusal(path)


def test_a_zip_bomb(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(io.BytesIO(pickled(state))) as good, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        for info in good.infolist():
            content = bytes(GIGABYTE // 10) if info.filename.endswith("data/0") else good.read(info)
            bomb.writestr(info.filename, content)
    assert path.stat().st_size < GIGABYTE / 1000
    assert "is a compressed archive of 100," in refusal(path)


def test_an_archive_whose_directory_lies(tmp_path: Path, state: dict[str, Tensor]) -> None:
    whole = pickled(state)
    at = whole.rfind(b"PK\x01\x02") + 20  # sizes of the last entry of the directory, compressed and not
    lying = whole[:at] + struct.pack("<II", GIGABYTE, GIGABYTE) + whole[at + 8 :]
    (path := tmp_path / "net.pth").write_bytes(lying)
    refusal(path)


class Claims:
    """A tensor of a storage that claims more numbers than the file has."""

    def __reduce__(self) -> tuple[object, ...]:
        return torch._utils._rebuild_tensor_v2, (Storage(), 0, (GIGABYTE,), (1,), False, {})


class Storage:
    pass


class Pickler(pickle._Pickler):
    def persistent_id(self, obj: object) -> tuple[object, ...] | None:
        return ("storage", torch.FloatStorage, "0", "cpu", GIGABYTE, None) if isinstance(obj, Storage) else None


def test_a_storage_that_claims_to_be_huge(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    sizes = {"short": 2, "int": 4, "long": 4}
    for part in (torch.serialization.MAGIC_NUMBER, 1001, {"little_endian": True, "type_sizes": sizes}):
        pickle.dump(part, buffer, 2)
    Pickler(buffer, 2).dump({"conv_first.weight": Claims()})
    pickle.dump(["0"], buffer, 2)
    (path := tmp_path / "net.pth").write_bytes(buffer.getvalue() + struct.pack("<q", GIGABYTE) + bytes(100))
    assert "is truncated" in refusal(path)


def test_many_views_of_the_same_numbers(tmp_path: Path) -> None:
    one = torch.ones(8, 8, 3, 3)
    views = {f"body.{n}.conv{half}.weight": one.view(8, 8, 3, 3) for n in range(20) for half in (1, 2)}
    (path := tmp_path / "net.pth").write_bytes(pickled(views))
    assert "claims 92,160 bytes of tensors but holds 2,304" in refusal(path)


def test_laughs_nests_and_tars(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(b"\x80\x02]q\x00" + b"h\x00h\x00\x86q\x00" * 60 + b".")  # pairs of pairs, 2^60 lists
    refusal(path)
    path.write_bytes(b"\x80\x02" + b"]" * 9999 + b"a" * 9998 + b".")
    refusal(path)
    (tmp_path / "pickle").write_bytes(pickled(state))
    with tarfile.open(path, "w") as tar:
        tar.add(tmp_path / "pickle", "pickle")
    refusal(path)


@pytest.mark.parametrize("zeros", [1, 8, 100_000])
def test_padded_files_give_the_same_or_are_refused(tmp_path: Path, state: dict[str, Tensor], zeros: int) -> None:
    for content in (pickled(state), pickled(state, False)):
        (path := tmp_path / "net.pth").write_bytes(content + bytes(zeros))
        try:
            tensors = load(path).network.state_dict()
        except CheckpointError:
            assert "truncated" in refusal(path)
        else:
            assert all(torch.equal(state[key], tensors[key]) for key in tensors)
    (path := tmp_path / "net.safetensors").write_bytes(save(state) + bytes(zeros))
    assert "is truncated or padded" in refusal(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".bin"])
def test_renamed_files_are_read_for_what_they_are(tmp_path: Path, state: dict[str, Tensor], suffix: str) -> None:
    for content in (save(state), pickled(state), pickled(state, False)):
        (path := tmp_path / f"net{suffix}").write_bytes(content)
        tensors = load(path).network.state_dict()
        assert all(torch.equal(state[key], tensors[key]) for key in tensors)


def test_code_in_a_renamed_pickle_does_not_run(tmp_path: Path) -> None:
    class Code:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "ran",)

    (path := tmp_path / "net.safetensors").write_bytes(pickled({"head.weight": Code()}))
    assert "Python objects" in refusal(path)
    assert not (tmp_path / "ran").exists()


def header(**tensors: object) -> bytes:
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text


def described(shape: list[int], begin: int = 0, end: int = 8, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 2**62) + b"{}",
        struct.pack("<Q", 5) + b"{nope",
        header(a=described([GIGABYTE])) + bytes(8),
        header(a=described([GIGABYTE], 0, 4 * GIGABYTE)) + bytes(8),
        header(a=described([2]), b=described([2])) + bytes(8),
        header(a=described([2**62, 4], 0, 0)),
        header(a=described([-1])) + bytes(8),
        header(a=described([2], dtype="F99")) + bytes(8),
        header(a=described([2], 8, 0)) + bytes(8),
        header(a=described([0], 0, 0)),
        struct.pack("<Q", 50_000) + b'{"a":' * 10_000,
    ],
)
def test_a_header_that_lies(tmp_path: Path, content: bytes) -> None:
    (path := tmp_path / "net.safetensors").write_bytes(content)
    refusal(path)


@pytest.mark.parametrize(
    ("network", "key", "other", "said"),
    [
        (RRDBNet(6, 4, 1), "merge.weight", (4, 6, 3, 3), "looks like a RRDBNet, but 'merge.weight' is (4, 6, 3, 3)"),
        (RRDBNet(6, 4, 1), "head.weight", (6, 27, 3, 3), "'head.weight' is (6, 27, 3, 3) where the other layers ask"),
        (RRDBNet(6, 4, 2), "tail.0.bias", None, "nearest is RRDBNet, with 71 of 72 keys, but the file lacks"),
        (SRVGGNetCompact(6, 3), "up.weight", (50, 6, 3, 3), "looks like a SRVGGNetCompact, but 'up.weight' is (50,"),
        (SRVGGNetCompact(6, 3), "up.bias", None, "nearest is SRVGGNetCompact"),
        (SRGAN(6, 2), "tail.weight", (3, 6, 3, 3), "looks like a SRGAN, but 'tail.weight' is (3, 6, 3, 3) where"),
        (SRGAN(6, 2), "blocks.1.second_norm.running_var", None, "lacks 'blocks.1.second_norm.running_var'"),
        (UNetGenerator(2, 4), "down.0.conv.weight", (2, 1, 4, 4), "looks like a UNetGenerator, but 'down.0.conv.we"),
        (UNetGenerator(2, 4), "head.bias", None, "nearest is UNetGenerator"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_shapes_of_another_network(
    tmp_path: Path, network: nn.Module, key: str, other: tuple[int, ...] | None, said: str
) -> None:
    tensors = network.state_dict()
    if other is None:
        del tensors[key]
    else:
        tensors[key] = torch.ones(other)
    save_file(tensors, path := tmp_path / "net.safetensors")
    assert said in refusal(path)


def test_statistics_that_are_not_finite(tmp_path: Path) -> None:
    tensors = SRGAN(4, 1).state_dict()
    tensors["merge.1.running_var"][2] = float("nan")
    save_file(tensors, path := tmp_path / "net.safetensors")
    assert "'merge.1.running_var' holds values that are not finite" in refusal(path)
