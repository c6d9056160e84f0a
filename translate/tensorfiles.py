"""Files of tensors by name, from anywhere: read without running anything in them, and without taking more memory than
they are long."""

import json
import re
import warnings
import zipfile
from collections.abc import Mapping
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from translate.errors import CheckpointError, InputError

PICKLES = (".pth", ".pt", ".bin")
# What training code puts round the tensors; the first that is there counts.
WRAPPERS = (
    *("params_ema", "params", "state_dict", "model_state_dict", "generator_state_dict", "model"),
    *("generator", "netG", "net_g", "G"),
)
PREFIX = "module."  # of DataParallel
GENERATORS = ("netG.", "net_g.", "generator.", "G.")  # of modules that hold a discriminator too


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Read the tidied tensors of a .safetensors, .pth, .pt or .bin file; nothing in the file is ever executed.

    Which of the two kinds a file is of is read off its first bytes, as files get renamed.

    Raises:
        InputError: there is no such file, or it has another suffix.
        CheckpointError: damaged, holding Python objects, or no checkpoint at all.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is {'a folder' if path.is_dir() else 'missing'}; a weights file is needed")
    suffix = path.suffix.lower()
    if suffix != ".safetensors" and suffix not in PICKLES:
        raise InputError(f"{path.name} is no weights file; known are .safetensors, {', '.join(PICKLES)}")
    try:
        with path.open("rb") as file:
            head = file.read(9)
        if not head:
            raise CheckpointError("is empty")
        by_name = suffix == ".safetensors" and not head.startswith((b"PK", b"\x80"))
        plain = head[8:] == b"{" or by_name  # after the eight bytes of its length, the header is JSON
        return tidy(safetensors.torch.load_file(path) if plain else _read_pickle(path))
    except CheckpointError as error:
        raise CheckpointError(f"{path.name} {error}") from None
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read: {error.strerror or error}") from None
    except safetensors.SafetensorError:
        raise CheckpointError(f"{path.name} is truncated or padded, or not a safetensors file") from None


def read_header(path: Path) -> dict[str, Any]:
    """What `weights.files.save_weights` has noted: the network's class and the arguments it was built with.

    Empty for every other file.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get("translate", "{}"))
    except (safetensors.SafetensorError, ValueError, OSError):
        return {}
    return about if isinstance(about, dict) else {}


def tidy(content: object) -> dict[str, Tensor]:
    """Return the tensors by name, without the wrappers and prefixes that training code puts round them.

    Raises:
        CheckpointError: there are none, or one that is sparse, empty, or without its numbers.
    """
    for _ in range(len(WRAPPERS)):  # no further, because a wrapper can hold itself
        content = _inside(content)
    items = content.items() if isinstance(content, Mapping) else ()
    state = {str(key).removeprefix(PREFIX): value for key, value in items if isinstance(value, Tensor)}
    for prefix in GENERATORS:
        if generator := {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}:
            state = generator
    if not state:
        raise CheckpointError("holds no network's tensors")
    storages = {}
    for key, tensor in state.items():
        plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
        # A small file can hold a view that claims to be huge.
        if not plain or not 0 < tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes():
            raise CheckpointError(
                f"holds {key!r} of {tuple(tensor.shape)}, which is no plain tensor of that many numbers"
            )
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if claimed > sum(storages.values()):  # or many views of the same few numbers
        raise CheckpointError(f"claims {claimed:,} bytes of tensors but holds {sum(storages.values()):,}")
    return state


def _inside(content: object) -> object:
    """What a wrapper holds; anything else as it is."""
    if not isinstance(content, Mapping):
        return content
    for key in WRAPPERS:
        if isinstance(content.get(key), Mapping):
            return content[key]
    networks = {
        str(key): value
        for key, value in content.items()
        if isinstance(value, Mapping) and any(isinstance(tensor, Tensor) for tensor in value.values())
    }
    if not networks or any(isinstance(value, Tensor) for value in content.values()):
        return content
    if len(networks) > 1:
        raise CheckpointError(f"holds several networks ({', '.join(networks)}); save the one that is wanted alone")
    return next(iter(networks.values()))


def _read_pickle(path: Path) -> object:
    _bound(path)
    try:
        with warnings.catch_warnings(), path.open("rb") as file:  # given the path, torch would go by the suffix too
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle raises almost anything: KeyError, IndexError, struct.error, ...
        if refused := re.search(r"GLOBAL ([\w.]+)|(TorchScript)", str(error)):
            raise _objects(refused[1] or refused[2]) from None
        raise CheckpointError("is truncated, or not a checkpoint that torch.save wrote") from None


def _bound(path: Path) -> None:
    """Refuse, before torch reads it, what would take more memory than the file is long.

    torch.save packs without compressing, so that a file holds at least what it unpacks to. A pickle can do so with one
    call alone among those that torch allows: `bytearray(n)`.
    """
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, UnicodeError):
        entries = []  # torch says what is wrong with it
    if any("/code/" in entry.filename for entry in entries):
        raise _objects("TorchScript")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > size or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise CheckpointError(
            f"is a compressed archive of {unpacked:,} bytes in {size:,}, which torch.save never writes; unpack it first"
        )
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        if content.find(b"bytearray") >= 0:
            raise _objects("bytearray")


def _objects(name: str) -> CheckpointError:
    return CheckpointError(
        f"holds Python objects, which could run code when they are read ({name}): "
        "have whoever trusts it convert it to safetensors"
    )
