"""What goes for every operation, in Triton and in the reference: awkward tensors, and the same bits twice."""

from collections.abc import Callable

import pytest
import torch
from kernel_cases import CALLS, TOLERANCE, laid_out, normal
from torch import Tensor

from translate import kernels

pytestmark = [
    pytest.mark.usefixtures("always_folded"),
    pytest.mark.usefixtures("triton_device"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # numpy's, in the interpreter
    pytest.mark.parametrize("call", CALLS.values(), ids=CALLS),
    pytest.mark.parametrize("backend", ["reference", "triton"]),
]
WITHOUT_BACKWARD = (CALLS["normalise"], CALLS["quantise"])  # no gradient in Triton, or none at all
Call = Callable[..., Tensor]


def assert_same(y: Tensor, expected: Tensor, atol: float = 0.0) -> None:
    """Near what the reference gives in float64, or for whole numbers that number or the next."""
    rtol, at_least = TOLERANCE.get(y.dtype, (0, 1))
    kind = torch.float64 if y.is_floating_point() else torch.int64
    torch.testing.assert_close(y.cpu().to(kind), expected.to(kind), rtol=rtol, atol=max(atol, at_least), equal_nan=True)


def reference(call: Call, x: Tensor) -> Tensor:
    return call(x.detach().cpu().double(), backend="reference")


@pytest.mark.parametrize(
    "shape", [(1, 3, 1, 1), (2, 3, 1, 7), (1, 3, 11, 2), (1, 3, 31, 31), (1, 3, 257, 256)], ids=str
)
def test_shapes(triton_device: str, backend: kernels.Backend, call: Call, shape: tuple[int, ...]) -> None:
    if triton_device == "cpu" and backend == "triton" and shape[2] * shape[3] > 40:
        pytest.skip("too much for the interpreter")
    if "instance_norm" in call.__code__.co_names and (shape[2] == 1 or shape[3] < 2):
        pytest.skip("nothing to normalise, or to reflect")
    x = normal(*shape).float().to(triton_device)
    assert_same(call(x, backend=backend), reference(call, x))


@pytest.mark.parametrize("layout", ["transposed", "strided", "expanded", "channels_last"])
def test_strides(triton_device: str, backend: kernels.Backend, call: Call, layout: str) -> None:
    x = laid_out(normal(2, 3, 4, 5).float().to(triton_device), layout)
    before = x.clone()
    assert_same(call(x, backend=backend), reference(call, x))
    assert torch.equal(x, before)


@pytest.mark.parametrize("value", [1e-40, float("inf"), float("-inf"), float("nan")])
def test_extreme_values(triton_device: str, backend: kernels.Backend, call: Call, value: float) -> None:
    """One of them stays where the definition has it; a picture of denormals is as one of zeros."""
    x = torch.full((1, 3, 4, 5), value) if value == 1e-40 else normal(1, 3, 4, 5).float()
    x[0, 1, 2, 2] = value
    assert_same(call(x.to(triton_device), backend=backend), reference(call, x))


def test_a_mean_of_a_thousand_deviations(triton_device: str, backend: kernels.Backend, call: Call) -> None:
    x = (normal(1, 3, 9, 8) + 1000).float().to(triton_device)
    expected = reference(call, x)
    assert_same(call(x, backend=backend), expected, atol=2e-4 * max(1.0, float(expected.double().abs().max()) / 100))


def test_inference_mode_with_a_tensor_that_asks_for_a_gradient(
    triton_device: str, backend: kernels.Backend, call: Call
) -> None:
    x = normal(1, 3, 4, 5).float().to(triton_device).requires_grad_()
    with torch.inference_mode():
        y = call(x, backend=backend)
    assert not y.requires_grad
    assert_same(y, reference(call, x))


def test_the_same_bits_twice(triton_device: str, backend: kernels.Backend, call: Call) -> None:
    differentiable = call is not CALLS["quantise"] and (backend == "reference" or call not in WITHOUT_BACKWARD)
    x = normal(2, 3, 7, 5).float().to(triton_device).requires_grad_(differentiable)

    def run() -> list[Tensor]:
        y = call(x, backend=backend)
        return [y, *(torch.autograd.grad(y, x, torch.ones_like(y).cumsum(3)) if differentiable else ())]

    assert all(torch.equal(a, b) for a, b in zip(run(), run(), strict=True))
