"""eps and slope of instance norm and of `normalise`, other than the defaults, in both backends, against float64."""

import importlib
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from kernel_cases import laid_out, normal, plain_instance_norm
from torch import Tensor

from translate import kernels

OPTIONS: dict[str, Any] = {"activation": "leaky_relu", "slope": 0.3, "eps": 0.1}

pytestmark = [
    pytest.mark.usefixtures("triton_device"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # numpy's, in the interpreter
]


@pytest.fixture(params=["reference", "triton, whole planes", "triton, chunks"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The reference, and both ways through Triton's kernels."""
    if request.param.endswith("chunks"):
        launch = importlib.import_module("translate.kernels._instance_norm_launch_triton")
        for name, value in {"PLANES": 0, "TILE": 64, "PROGRAMS": 6}.items():
            monkeypatch.setattr(launch, name, value)
    return str(request.param.split(",")[0])


def values(device: str, layout: str = "contiguous") -> list[Tensor]:
    """A picture whose second channel is far from 0, weight, bias and residual, in float32."""
    x = normal(2, 3, 6, 7) + torch.tensor([0, 9, 1])[:, None, None]
    tensors = (laid_out(x, layout), 1 + normal(3, seed=1) / 4, normal(3, seed=2), normal(2, 3, 6, 7, seed=3))
    return [t.to(device, torch.float32).requires_grad_() for t in tensors]


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("pad", [0, 2])
def test_the_norm_and_its_gradients(triton_device: str, backend: kernels.Backend, pad: int, layout: str) -> None:
    inputs = values(triton_device, layout)
    wide = [t.detach().double().requires_grad_() for t in inputs]
    y = kernels.instance_norm(*inputs[:3], residual=inputs[3], **OPTIONS, pad=pad, backend=backend)
    expected = F.pad(plain_instance_norm(*wide[:3], residual=wide[3], **OPTIONS), [pad] * 4, mode="reflect")
    torch.testing.assert_close(y.double(), expected, rtol=1e-4, atol=1e-4)
    grad = normal(*expected.shape, seed=4).to(triton_device)
    found, wanted = torch.autograd.grad(y, inputs, grad.float()), torch.autograd.grad(expected, wide, grad)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-3, atol=1e-3)


def test_the_norm_differentiated_twice(triton_device: str, backend: kernels.Backend) -> None:
    def penalty(y: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
        (grad,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
        return torch.autograd.grad(grad.square().sum(), (x, weight))

    x, weight = values(triton_device)[:2]
    wide = [t.detach().double().requires_grad_() for t in (x, weight)]
    found = penalty(kernels.instance_norm(x, weight, **OPTIONS, backend=backend), x, weight)
    for a, b in zip(found, penalty(plain_instance_norm(*wide, **OPTIONS), *wide), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-3, atol=1e-3 * float(b.abs().max()))


def test_the_norm_in_half_precision_and_without_parameters(triton_device: str, backend: kernels.Backend) -> None:
    x = normal(2, 3, 6, 7).to(triton_device).half()
    y, expected = kernels.instance_norm(x, **OPTIONS, backend=backend), plain_instance_norm(x.double(), **OPTIONS)
    torch.testing.assert_close(y.double(), expected, rtol=2e-3, atol=2e-3)


def test_normalise(triton_device: str, backend: kernels.Backend) -> None:
    x, weight, bias, residual = (t.detach() for t in values(triton_device))
    statistics = kernels.instance_statistics(x, backend=backend)
    y = kernels.normalise(x, statistics, weight, bias, residual=residual, **OPTIONS, backend=backend)
    wide = [t.double() for t in (x, weight, bias)]
    expected = plain_instance_norm(*wide, residual=residual.double(), **OPTIONS)
    torch.testing.assert_close(y.double(), expected, rtol=1e-4, atol=1e-4)


def test_the_compiled_norm() -> None:
    """Under the compiler it is made of plain operations, and for ONNX of torch's own."""
    torch.compiler.reset()
    x = values("cpu")[0].detach()
    expected = plain_instance_norm(x.double(), **OPTIONS).float()
    compiled = torch.compile(kernels.instance_norm, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x, **OPTIONS), expected, rtol=1e-4, atol=1e-4)

    class Norm(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return kernels.instance_norm(x, **OPTIONS)

    exported = torch.export.export(Norm(), (x,)).module()
    torch.testing.assert_close(exported(x), expected, rtol=1e-4, atol=1e-4)
