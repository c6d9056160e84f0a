"""What a process does with memory that is freed."""

import subprocess
import sys
from typing import Any

import pytest

from translate import device, heap

glibc = pytest.mark.skipif(heap._glibc() is None, reason="there is no glibc here")

# Forty tensors of 40 MB, each freed before the next: with how many page faults, and where is their memory then?
TENSORS = """
import resource, torch
from translate import heap
if {keep}:
    assert heap.keep()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = faults()
for _ in range(40):
    torch.ones(10_000_000)
print(faults() - before, heap.kept())
"""


@glibc
def test_memory_is_cleared_once() -> None:
    def told(keep: bool) -> list[int]:
        code = TENSORS.format(keep=keep)
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
        return [int(number) for number in ran.stdout.split()]

    (faults, kept), (fewer, more) = told(False), told(True)
    assert fewer < faults / 2
    assert kept < 40_000_000 < more


@glibc
def test_the_command_keeps_it() -> None:
    code = (
        "from translate import heap\nheap.keep = lambda: print('kept')\n"
        "from translate.cli import main\nmain.main = lambda: exit(3)\nmain.command()"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (told.returncode, told.stdout) == (3, "kept\n")


def test_what_is_kept_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "kept", lambda: 10**15)
    free = device.available_bytes()
    assert free is None or free > 10**15


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_other_systems(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `mallopt`, without `mallinfo2`, or without a C library of the process: all goes on as it was."""

    def fail(_: Any) -> Any:
        raise error

    monkeypatch.setattr(heap.ctypes, "CDLL", fail)
    assert not heap.keep()
    assert heap.kept() == 0
