"""Which implementation an operation takes, and how one finds out."""

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from translate import kernels
from translate.kernels import _dispatch


def test_auto_takes_the_reference_on_a_cpu_and_says_why() -> None:
    x = torch.randn(1, 3, 4, 4)

    def twice() -> None:
        kernels.instance_norm(kernels.instance_norm(x))

    assert kernels.explain(twice) == ["instance_norm: reference, the tensors are on cpu"]
    assert kernels.explain(kernels.instance_norm, x, backend="reference") == ["instance_norm: reference, as asked for"]


def test_asking_for_triton_is_strict(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(1, 3, 4, 4)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(ValueError, match=r"^instance_norm cannot run in Triton: the tensors are on cpu; take backend="):
        kernels.instance_norm(x, backend="triton")
    monkeypatch.setattr(_dispatch, "_default", "triton")
    with pytest.raises(ValueError, match="the tensors are on cpu"):
        kernels.instance_norm(x)
    kernels.instance_norm(x, backend="reference")
    monkeypatch.setattr(_dispatch, "_default", "fast")
    with pytest.raises(ValueError, match="TRANSLATE_KERNELS is 'fast'; known are 'auto', 'triton' and 'reference'"):
        kernels.instance_norm(x)


def test_what_is_in_the_way_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    x = torch.ones(2)
    with pytest.raises(ValueError, match=r"torch\.float64 is not one of"):
        _dispatch.choose("op", "triton", (x, x.double()))
    with pytest.raises(ValueError, match="op cannot run in Triton: it is Monday; take"):
        _dispatch.choose("op", "triton", (x,), "it is Monday")
    monkeypatch.setattr(_dispatch, "_has_triton", False)
    with pytest.raises(ValueError, match="Triton is not installed"):
        _dispatch.choose("op", "triton", (x,))


def test_a_gpu_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(_dispatch, "_has_triton", True)
    on_gpu: Any = SimpleNamespace(device=torch.device("cuda"), dtype=torch.float32)
    obstacles = []
    for capability in ((7, 5), (8, 0), (9, 0)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, found=capability: found)
        obstacles.append(_dispatch._obstacle([on_gpu], cpu=False))
    assert obstacles == ["the GPU's compute capability is 7.5, below 8.0", None, None]


@pytest.mark.parametrize("backend", ["auto", "triton", "reference"])
def test_what_no_implementation_takes_is_refused_by_all(backend: kernels.Backend) -> None:
    x = torch.ones(2)
    with pytest.raises(ValueError, match=r"^op takes tensors on one device, got cpu and meta$"):
        _dispatch.choose("op", backend, (x, None, x.to("meta")))
    with pytest.raises(TypeError, match=r"^op takes floats, got torch\.int64$"):
        _dispatch.choose("op", backend, (x, x.long()))


def test_all_works_without_triton_and_the_variable_is_heard() -> None:
    code = (
        "import sys; sys.modules['triton'] = None\n"
        "import torch; from translate import kernels\n"
        "x = torch.randn(1, 3, 4, 4); kernels.instance_norm(x, backend='reference')\n"
        "try: kernels.instance_norm(x)\n"
        "except ValueError as error: print(error)"
    )
    environment = os.environ | {"TRANSLATE_KERNELS": "triton", "TRITON_INTERPRET": "1"}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert ran.stdout.startswith("instance_norm cannot run in Triton: Triton is not installed")
