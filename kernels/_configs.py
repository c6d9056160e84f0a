"""The block sizes of the Triton kernels: those measured on a device, else each kernel's own default.

There is one JSON a device: `configs/<device>.json` here, or the user's own, which `translate tune` writes to
$TRANSLATE_CONFIGS or the user's data folder, and which wins. Its "kernels" hold lists of such records:

    {"kind": "channels_last 16 bit", "shape": {"channels": 64, "pixels": 65536}, "blocks": {"tile": 4096, ...}}

A kernel asks for the record of its kind whose shape is nearest. The batch is never part of the shape, so that it does
not change the bits of an image; and nothing is ever measured at call time.
"""

import json
import logging
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from translate.userfolder import own_folder

SHIPPED = Path(__file__).resolve().parent / "configs"
FAR = 3.0  # doublings, of all numbers of a shape together, beyond which a record says nothing
COUNTS = {"programs", "num_stages"}  # blocks that need not be powers of two

log = logging.getLogger(__name__)


class Question(NamedTuple):
    """What a kernel asks for: how to launch it with arguments of this kind and shape."""

    kernel: str
    kind: str
    shape: tuple[tuple[str, int], ...]


_asked: dict[Question, dict[str, int]] | None = None  # where `listen` listens
_tried: dict[str, dict[str, int]] = {}  # by kernel, what `trying` gives it


def blocks(kernel: str, x: Tensor, kind: str, default: Mapping[str, int], **shape: int) -> dict[str, int]:
    """The block sizes of `kernel`: `default` with what was measured for the nearest shape on x's device.

    Args:
        kernel: its name in the files.
        x: on the device in question.
        kind: what has to agree exactly: memory format, width of the dtype.
        default: all the numbers there are, as they are where nothing was measured.
        shape: what has to be near, without the batch.
    """
    question = Question(kernel, kind, tuple(shape.items()))
    if _asked is not None:
        _asked[question] = dict(default)
    known = _tried.get(kernel) or _nearest(device_name(x.device), question)
    return {name: known.get(name, number) for name, number in default.items()} if known else dict(default)


def kind_of(x: Tensor, *words: str) -> str:
    """The words and the width of x's dtype: float16 and bfloat16 are alike."""
    return " ".join((*words, f"{8 * x.itemsize} bit"))


@cache
def device_name(device: torch.device) -> str:
    """What the device is called, such as "NVIDIA H100 80GB HBM3"; all processors are "cpu"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def own_file(name: str) -> Path:
    """The user's own file of the device of that name."""
    return own_folder("configs") / _file_name(name)


@contextmanager
def listen() -> Iterator[dict[Question, dict[str, int]]]:
    """Collect what kernels ask for, each with its default."""
    global _asked
    outer, _asked = _asked, {}
    try:
        yield _asked
    finally:
        _asked = outer


@contextmanager
def trying(kernel: str, candidate: Mapping[str, int]) -> Iterator[None]:
    """Give `kernel` these block sizes, whatever its shape."""
    _tried[kernel] = dict(candidate)
    try:
        yield
    finally:
        del _tried[kernel]


def forget() -> None:
    """Read the files again when they are next asked for."""
    _records.cache_clear()
    _nearest.cache_clear()


def read(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The records of a file by kernel; raises a ValueError of one line where it is not such a file."""
    try:
        kernels: Any = json.loads(path.read_text(encoding="utf-8"))["kernels"]
        for records in kernels.values():
            for record in records:
                _check(record["kind"], record["shape"], record["blocks"])
        return dict(kernels)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} holds no block sizes ({_words(error)})") from error


def _check(kind: str, shape: Mapping[str, int], found: Mapping[str, int]) -> None:
    if not isinstance(kind, str):
        raise ValueError(f"kind is {kind!r}")
    for name, number in (*shape.items(), *found.items()):
        if type(number) is not int or number < (name != "planes"):
            raise ValueError(f"{name} is {number!r}")
        if name in found and name not in COUNTS and number & (number - 1):
            raise ValueError(f"{name} is {number}, not a power of two")


def _words(error: Exception) -> str:
    words = f"there is no {error}" if isinstance(error, KeyError) else str(error)
    return words.splitlines()[0]


def _file_name(device: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-") + ".json"


@cache
def _records(device: str) -> dict[str, list[dict[str, Any]]]:
    for path, instead in ((own_file(device), "those that are shipped"), (SHIPPED / _file_name(device), "the defaults")):
        if path.is_file():
            try:
                return read(path)
            except ValueError as error:
                log.warning("%s; taking %s. Remove it, or run `translate tune` again", error, instead)
    return {}


@lru_cache(maxsize=4096)
def _nearest(device: str, question: Question) -> dict[str, int]:
    shape = dict(question.shape)
    near = [
        (sum(abs(math.log2(record["shape"][name] / number)) for name, number in shape.items()), record["blocks"])
        for record in _records(device).get(question.kernel, [])
        if record["kind"] == question.kind and record["shape"].keys() == shape.keys()
    ]
    away, found = min(near, key=lambda pair: pair[0], default=(math.inf, {}))
    return dict(found) if away <= FAR else {}
