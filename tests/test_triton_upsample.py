"""The convolutions that double the size in Triton, and networks of them, against their definitions in float64.

Without a GPU Triton's interpreter runs the kernels, at small sizes and not in bfloat16, which it gets wrong.
"""

import importlib

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import activate, assert_near, assert_same_derivatives, laid_out, normal, shuffled, upsampled
from torch import Tensor
from triton_draws import activations, dtypes, few, layouts, sizes

from translate import kernels
from translate.models.cyclegan import ResnetGenerator
from translate.models.layers import placed
from translate.models.srgan import SRResNet

LIBRARY_TESTS = ("test_schema", "test_autograd_registration", "test_faketensor")  # torch.compile is tested apart

pytestmark = pytest.mark.usefixtures("triton_device")


# upsample_conv2d


@few(8)
@given(sizes, st.sampled_from([1, 3, 17]), dtypes, layouts, st.booleans(), activations, st.booleans())
def test_upsample_conv2d_is_its_definition(
    triton_device: str,
    size: tuple[int, int, int, int],
    outputs: int,
    dtype: torch.dtype,
    layout: str,
    replicate: bool,
    activation: kernels.Activation,
    biased: bool,
) -> None:
    padding: kernels.Padding = "replicate" if replicate else "zeros"
    x = laid_out(normal(*size).to(triton_device, dtype), layout)
    weight = (normal(outputs, size[1], 3, 3, seed=1) / (3 * size[1] ** 0.5)).to(x)
    bias = normal(outputs, seed=2).to(x) if biased else None
    y = kernels.upsample_conv2d(x, weight, bias, padding=padding, activation=activation, slope=0.3, backend="triton")
    assert y.dtype == dtype
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert_near(y, activate(upsampled(x, weight, bias, padding), activation, 0.3))


def test_upsample_conv2d_over_several_blocks_and_twice_the_same(triton_device: str) -> None:
    """More pixels, inputs and outputs than a program has; the last block of each is not full."""
    x = normal(1, 33, 3, 43).to(triton_device, torch.float32)
    weight = (normal(129, 33, 3, 3, seed=1) / 17).to(x)
    y, again = (kernels.upsample_conv2d(x, weight, padding="replicate", backend="triton") for _ in range(2))
    assert_near(y, upsampled(x, weight, None, "replicate"))
    assert torch.equal(y, again)


@pytest.mark.parametrize("padding", ["zeros", "replicate"])
@pytest.mark.parametrize("size", [(1, 2, 1, 3), (2, 1, 3, 4)])
def test_upsample_conv2d_has_the_derivatives_of_its_reference(
    triton_device: str, size: tuple[int, int, int, int], padding: kernels.Padding
) -> None:
    def call(*inputs: Tensor, backend: kernels.Backend) -> Tensor:
        return kernels.upsample_conv2d(*inputs, padding=padding, activation="leaky_relu", backend=backend)  # type: ignore[misc,arg-type]

    values = [normal(*size), normal(3, size[1], 3, 3, seed=1), normal(3, seed=2)]
    assert_same_derivatives(call, values, triton_device)


# conv_transpose2d


@few(6)
@given(sizes, st.sampled_from([1, 17]), st.sampled_from([3, 4]), dtypes, layouts)
def test_conv_transpose2d_is_its_definition(
    triton_device: str, size: tuple[int, int, int, int], outputs: int, k: int, dtype: torch.dtype, layout: str
) -> None:
    x = laid_out(normal(*size).to(triton_device, dtype), layout)
    weight, bias = (normal(size[1], outputs, k, k, seed=1) / 5).to(x), normal(outputs, seed=2).to(x)
    y = kernels.conv_transpose2d(x, weight, bias, backend="triton")
    wide = [t.cpu().double() for t in (x, weight, bias)]
    assert_near(y, F.conv_transpose2d(*wide, stride=2, padding=1, output_padding=4 - k))  # type: ignore[call-overload]


@pytest.mark.parametrize("k", [3, 4])
def test_conv_transpose2d_has_the_derivatives_of_its_reference(triton_device: str, k: int) -> None:
    values = [normal(1, 2, 2, 3), normal(2, 3, k, k, seed=1), normal(3, seed=2)]
    assert_same_derivatives(kernels.conv_transpose2d, values, triton_device)


# all of them


def test_torch_library_finds_nothing_wrong(triton_device: str) -> None:
    def tensor(*shape: int) -> Tensor:
        return normal(*shape).float().to(triton_device).requires_grad_()

    for module, name, arguments in (
        ("_upsample_triton", "conv_up2", (tensor(1, 2, 1, 2), tensor(2, 2, 3, 3), tensor(2), False, "relu", 0.0)),
        ("_pixel_shuffle_triton", "bias_shuffle", (tensor(1, 8, 2, 3), None, tensor(2), 2, "leaky_relu", 1.0)),
        ("_quantise_triton", "quantised", (tensor(1, 3, 2, 3).detach(), 0.0, 255.0, 16)),
    ):
        operation = getattr(importlib.import_module(f"translate.kernels.{module}"), name)
        torch.library.opcheck(operation, arguments, test_utils=LIBRARY_TESTS)


def test_they_compile_without_a_graph_break(triton_device: str) -> None:
    weight = normal(2, 3, 3, 3).float().to(triton_device).requires_grad_()
    shuffling = normal(8, 2, 1, 1).float().to(triton_device)

    def network(x: Tensor) -> tuple[Tensor, Tensor]:
        y = kernels.upsample_conv2d(x, weight, padding="replicate", activation="relu", backend="triton")
        y = kernels.conv_pixel_shuffle(y, shuffling, backend="triton")
        return y, kernels.quantise(y, backend="triton")

    x = normal(1, 3, 2, 3).float().to(triton_device)
    y, whole = network(x)
    (expected,) = torch.autograd.grad(y.square().sum(), weight)
    compiled_y, compiled_whole = torch.compile(network, fullgraph=True, backend="aot_eager")(x)
    (actual,) = torch.autograd.grad(compiled_y.square().sum(), weight)
    assert torch.equal(compiled_whole, whole)
    torch.testing.assert_close(compiled_y, y)
    torch.testing.assert_close(actual, expected)


def test_autocast_takes_them_to_half_precision(triton_device: str) -> None:
    x, weight, bias = (t.float().to(triton_device) for t in (normal(1, 3, 4, 4), normal(4, 3, 3, 3) / 5, normal(4)))
    with torch.autocast(triton_device, torch.float16):
        for y, expected in (
            (kernels.upsample_conv2d(x, weight, bias, backend="triton"), upsampled(x, weight, bias, "zeros")),
            (kernels.conv_pixel_shuffle(x, weight, bias, backend="triton"), shuffled(x, weight, bias, 2)),
        ):
            assert y.dtype == torch.float16
            assert_near(y, expected)


@pytest.mark.parametrize(
    ("network", "size"),
    [
        (ResnetGenerator(4, 1), 16),
        (ResnetGenerator(4, 1, transposed=True, skip=True), 16),
        (SRResNet(4, 1), 3),
        (SRResNet(4, 1, tail="direct"), 3),
    ],
)
@torch.inference_mode()
def test_networks_give_the_same_in_triton(
    triton_device: str, network: torch.nn.Module, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed(network, triton_device)
    x = normal(1, 3, size, size + 4).float().to(triton_device)
    monkeypatch.setattr("translate.kernels._dispatch._default", "reference")
    expected = network(x)
    monkeypatch.setattr("translate.kernels._dispatch._default", "triton")
    torch.testing.assert_close(network(x), expected, rtol=1e-4, atol=1e-4)
