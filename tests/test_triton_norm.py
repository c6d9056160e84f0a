"""Instance norm and bias + leaky ReLU in Triton against their definitions in float64.

Without a GPU Triton's interpreter runs the kernels, at small sizes and not in bfloat16, which it gets wrong.
"""

import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_cases import laid_out, normal, plain_instance_norm
from torch import Tensor

from translate import kernels

TOLERANCE = {torch.float32: (1e-4, 1e-4), torch.float16: (2e-3, 2e-3)}
# Odd, prime, the 31² of a PatchGAN; powers of two and not; and a tile of several planes.
SHAPES = [(2, 3, 1, 2), (1, 1, 5, 7), (2, 5, 13, 11), (1, 20, 16, 16), (1, 3, 31, 31), (3, 17, 2, 3)]
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}

pytestmark = [
    pytest.mark.usefixtures("triton_device"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # numpy's, in the interpreter
]
brief = settings(
    max_examples=10, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
shapes, dtypes = st.sampled_from(SHAPES), st.sampled_from(sorted(TOLERANCE, key=str))
layouts = st.sampled_from(["contiguous", "channels_last", "strided", "expanded"])
activations = st.sampled_from(["none", "relu", "leaky_relu"])


@pytest.fixture(params=["whole planes", "chunks"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways through the kernels, at sizes that the interpreter can do: "chunks" are of one or two small tiles."""
    if request.param == "chunks":
        launch = importlib.import_module("translate.kernels._instance_norm_launch_triton")
        for name, value in {"PLANES": 0, "TILE": 128, "PROGRAMS": 6}.items():
            monkeypatch.setattr(launch, name, value)
    return str(request.param)


@brief
@given(shapes, dtypes, layouts, layouts, activations, st.booleans(), st.booleans(), st.integers(0, 99))
def test_instance_norm_and_its_gradients_are_those_of_its_plain_instance_norm(
    way: str,
    triton_device: str,
    shape: tuple[int, int, int, int],
    dtype: torch.dtype,
    layout: str,
    other: str,
    activation: kernels.Activation,
    affine: bool,
    add: bool,
    seed: int,
) -> None:
    x = laid_out((normal(*shape, seed=seed) * 2 + 1).to(triton_device, dtype), layout)
    residual = laid_out(normal(*shape, seed=seed + 1).to(triton_device, dtype), other) if add else None
    weight, bias = (1 + normal(2, shape[1], seed=seed) / 4).to(triton_device, torch.float32) if affine else (None, None)
    grad = laid_out(normal(*shape, seed=seed + 2).to(triton_device, dtype), other)
    inputs = [None if t is None else t.detach().requires_grad_() for t in (x, weight, bias, residual)]
    wide = [None if t is None else t.detach().double().requires_grad_() for t in inputs]

    y = kernels.instance_norm(*inputs[:3], residual=inputs[3], activation=activation, backend="triton")
    expected = plain_instance_norm(*wide[:3], residual=wide[3], activation=activation)

    assert y.dtype == dtype
    rtol, atol = TOLERANCE[dtype]
    torch.testing.assert_close(y.double(), expected, rtol=rtol, atol=atol)
    if layout in FORMATS:
        assert y.is_contiguous(memory_format=FORMATS[layout])
    if shape[2] * shape[3] < 6:  # two nearly equal values would be blown up by their tiny deviation
        return
    grad = torch.where(expected.abs() < 4 * atol, 0, grad)  # rounding may take these across the kink
    present = [place for place, t in enumerate(inputs) if t is not None]
    actual = torch.autograd.grad(y, [inputs[place] for place in present], grad)
    wanted = torch.autograd.grad(expected, [wide[place] for place in present], grad.double())
    for place, a, b in zip(present, actual, wanted, strict=True):
        assert a.dtype == inputs[place].dtype
        scale = 1.0 if place in (0, 3) else shape[0] * shape[2] * shape[3]  # the parameters' are sums over all pixels
        torch.testing.assert_close(a.double(), b, rtol=4 * rtol, atol=4 * atol * scale**0.5)


def test_a_plane_of_more_than_65536_pixels(triton_device: str) -> None:
    """In the chunks that a GPU would take it in."""
    x = normal(1, 1, 257, 256).float().to(triton_device).requires_grad_()
    grad = normal(1, 1, 257, 256, seed=1).float().to(triton_device)
    wide = x.detach().double().requires_grad_()
    y, expected = kernels.instance_norm(x, backend="triton"), plain_instance_norm(wide)
    torch.testing.assert_close(y.double(), expected, rtol=1e-4, atol=1e-4)
    (actual,), (wanted,) = torch.autograd.grad(y, x, grad), torch.autograd.grad(expected, wide, grad.double())
    torch.testing.assert_close(actual.double(), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backend", ["reference", "triton"])
@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "expanded"])
@pytest.mark.parametrize(("shape", "pad"), [((2, 3, 2, 3), 1), ((1, 17, 5, 4), 3), ((1, 2, 13, 7), 3)])
def test_the_result_reflected_and_its_gradients(
    way: str, triton_device: str, backend: kernels.Backend, shape: tuple[int, ...], pad: int, layout: str
) -> None:
    values = [laid_out(normal(*shape, seed=n).to(triton_device), layout) for n in (0, 1)]
    inputs = [value.to(triton_device, torch.float32).requires_grad_() for value in values]
    wide = [value.requires_grad_() for value in values]
    y = kernels.instance_norm(inputs[0], residual=inputs[1], activation="leaky_relu", pad=pad, backend=backend)
    expected = F.pad(plain_instance_norm(wide[0], residual=wide[1], activation="leaky_relu"), [pad] * 4, mode="reflect")
    torch.testing.assert_close(y.double(), expected, rtol=1e-4, atol=1e-4)
    assert y.is_contiguous() or layout != "contiguous"
    assert y.is_contiguous(memory_format=torch.channels_last) or layout != "channels_last"
    grad = laid_out(normal(*expected.shape, seed=2).to(triton_device), layout)
    results = [torch.autograd.grad(y, inputs, grad.to(y), retain_graph=True) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    for a, b in zip(results[0], torch.autograd.grad(expected, wide, grad), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize(("pad", "margin"), [(0, 1), (1, 1), (2, 3)])
def test_a_residual_inside_of_a_larger_tensor_is_not_copied(
    way: str, triton_device: str, monkeypatch: pytest.MonkeyPatch, layout: str, pad: int, margin: int
) -> None:
    x = laid_out(normal(2, 5, 6, 9).to(triton_device), layout)
    around = laid_out(normal(2, 5, 6 + 2 * margin, 9 + 2 * margin, seed=1).to(triton_device), layout)
    inside = around[:, :, margin:-margin, margin:-margin]
    expected = F.pad(plain_instance_norm(x, residual=inside, activation="relu"), [pad] * 4, mode="reflect")

    if way == "chunks":  # the only one of the two that the sizes of networks take
        monkeypatch.setattr("translate.kernels._instance_norm_launch_triton.like", lambda *_: pytest.fail("copied"))
    given = [t.float() for t in (x, around)]
    residual = given[1][:, :, margin:-margin, margin:-margin]
    y = kernels.instance_norm(given[0], residual=residual, activation="relu", pad=pad, backend="triton")
    torch.testing.assert_close(y.double(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("offset", [1000.0, -30.0])
def test_a_mean_that_is_large_beside_the_deviation(way: str, triton_device: str, layout: str, offset: float) -> None:
    x = laid_out((normal(2, 5, 16, 17) + offset).float(), layout).to(triton_device)
    x[0, 0] -= offset
    y = kernels.instance_norm(x, backend="triton")
    torch.testing.assert_close(y.double(), plain_instance_norm(x.double()), rtol=0, atol=1e-4)


@pytest.mark.parametrize("layout", FORMATS)
def test_what_is_not_finite_stays_in_its_plane(way: str, triton_device: str, layout: str) -> None:
    x = laid_out(normal(2, 3, 9, 8).float(), layout).to(triton_device)
    clean = kernels.instance_norm(x, backend="triton")
    x[0, 1, 4, 4] = torch.inf
    x[1, 2, 0, 0] = torch.nan
    y = kernels.instance_norm(x, activation="relu", backend="triton")
    for sample, channel in ((0, 1), (1, 2)):
        assert y[sample, channel].isnan().all()
        y[sample, channel] = clean[sample, channel].relu()
    assert torch.equal(y, clean.relu())


def test_a_plain_plane_and_denormals_become_the_bias(way: str, triton_device: str) -> None:
    bias = torch.tensor([0.5, -0.5], device=triton_device)
    for value in (200.0, 1e-40):
        x = torch.full((1, 2, 8, 8), value, device=triton_device)
        assert torch.equal(kernels.instance_norm(x, None, bias, backend="triton"), bias.view(1, 2, 1, 1).expand_as(x))


@pytest.mark.parametrize("layout", FORMATS)
def test_the_same_bits_again_and_in_a_batch(way: str, triton_device: str, layout: str) -> None:
    x, grad = (laid_out(normal(3, 5, 13, 11, seed=seed).float(), layout).to(triton_device) for seed in (0, 1))

    def run(part: slice) -> tuple[Tensor, Tensor]:
        inputs = x[part].detach().requires_grad_()
        y = kernels.instance_norm(inputs, activation="leaky_relu", backend="triton")
        return y, torch.autograd.grad(y, inputs, grad[part])[0]

    first, again, alone = run(slice(3)), run(slice(3)), run(slice(1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert all(torch.equal(a[1:2], b) for a, b in zip(first, alone, strict=True))


@pytest.mark.parametrize("pad", [0, 2])
def test_a_gradient_penalty(triton_device: str, pad: int) -> None:
    values = [normal(2, 3, 4, 5), 1 + normal(3, seed=1) / 4]

    def penalty(function: Callable[..., Tensor], dtype: torch.dtype, **options: Any) -> tuple[Tensor, ...]:
        x, weight = (value.to(triton_device, dtype).requires_grad_() for value in values)
        y = function(x, weight, activation="leaky_relu", **options)
        y = F.pad(y, [pad] * 4, mode="reflect") if function is plain_instance_norm and pad else y
        (grad,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        return torch.autograd.grad(grad.square().sum(), (x, weight))

    actual = penalty(kernels.instance_norm, torch.float32, backend="triton", pad=pad)
    for a, b in zip(actual, penalty(plain_instance_norm, torch.float64), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("wanted", [0, 1, 2, 3])
def test_gradients_go_where_they_are_needed(triton_device: str, wanted: int) -> None:
    inputs = [t.float().to(triton_device) for t in (normal(2, 3, 4, 5), normal(3), normal(3), normal(2, 3, 4, 5))]
    inputs[wanted].requires_grad_()
    kernels.instance_norm(*inputs[:3], residual=inputs[3], activation="relu", backend="triton").sum().backward()  # type: ignore[no-untyped-call]
    assert [t.grad is not None for t in inputs] == [place == wanted for place in range(4)]
    with torch.inference_mode():
        assert not kernels.instance_norm(*inputs[:3], backend="triton").requires_grad


@pytest.fixture
def op(triton_device: str) -> Any:
    return importlib.import_module("translate.kernels._instance_norm_triton")


@pytest.mark.parametrize("layout", FORMATS)
def test_the_operators_keep_torch_s_rules(op: Any, triton_device: str, layout: str) -> None:
    x, residual = (laid_out(normal(2, 3, 4, 5, seed=seed).float(), layout).to(triton_device) for seed in (0, 1))
    weight, bias = normal(2, 3).float().to(triton_device)
    inputs = [t.requires_grad_() for t in (x, weight, bias, residual)]
    torch.library.opcheck(op.instance_norm, (*inputs, "leaky_relu", 0.2, 1e-5, 0))
    torch.library.opcheck(op.instance_norm, (*inputs, "relu", 0.2, 1e-5, 2), test_utils="test_faketensor")
    x = x.detach()
    y, mean, m2 = op.instance_norm(x, None, None, None, "relu", 0.2, 1e-5, 0)
    torch.library.opcheck(op.instance_norm_grad, (y, x, y, mean, m2, None, "relu", 0.2, 1e-5, True))
    torch.library.opcheck(op.instance_statistics, (x,))
    torch.library.opcheck(op.normalise, (x, mean, m2, 20, None, None, None, "relu", 0.2, 1e-5))
