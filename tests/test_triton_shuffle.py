"""Pixel shuffle and quantisation in Triton against their definitions in float64.

Without a GPU Triton's interpreter runs the kernels, at small sizes and not in bfloat16, which it gets wrong.
"""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import activate, assert_near, assert_same_derivatives, laid_out, normal, shuffled
from torch import Tensor
from triton_draws import activations, dtypes, few, layouts, sides, sizes

from translate import kernels

pytestmark = pytest.mark.usefixtures("triton_device")


# conv_pixel_shuffle


@few(12)
@given(sizes, st.sampled_from([1, 3, 70]), st.sampled_from([1, 2, 3, 4]), dtypes, layouts, activations)
def test_conv_pixel_shuffle_is_its_definition(
    triton_device: str,
    size: tuple[int, int, int, int],
    outputs: int,
    factor: int,
    dtype: torch.dtype,
    layout: str,
    activation: kernels.Activation,
) -> None:
    x = laid_out(normal(*size).to(triton_device, dtype), layout)
    weight = (normal(outputs * factor**2, size[1], 3, 3, seed=1) / (3 * size[1] ** 0.5)).to(x)
    bias = normal(outputs * factor**2, seed=2).to(x)
    per_channel = torch.linspace(-0.2, 0.5, outputs).to(x)  # learned slopes may have any sign
    for slope in (0.3, per_channel[:1], per_channel):
        y = kernels.conv_pixel_shuffle(
            x, weight, bias, factor=factor, activation=activation, slope=slope, backend="triton"
        )
        assert y.dtype == dtype
        assert y.is_contiguous(memory_format=torch.channels_last)
        assert_near(y, activate(shuffled(x, weight, bias, factor), activation, slope))


@pytest.mark.parametrize(
    ("activation", "slopes"), [("none", 0), ("relu", 0), ("leaky_relu", 0), ("leaky_relu", 1), ("leaky_relu", 2)]
)
def test_conv_pixel_shuffle_has_the_derivatives_of_its_reference(
    triton_device: str, activation: kernels.Activation, slopes: int
) -> None:
    def call(x: Tensor, weight: Tensor, bias: Tensor, *slope: Tensor, backend: kernels.Backend) -> Tensor:
        options: dict[str, Any] = {"slope": slope[0]} if slope else {}
        return kernels.conv_pixel_shuffle(x, weight, bias, activation=activation, backend=backend, **options)

    values = [normal(1, 2, 2, 3), normal(8, 2, 3, 3, seed=1), normal(8, seed=2)]
    learned = [torch.tensor([0.3, -0.1][:slopes])] if slopes else []
    assert_same_derivatives(call, values + learned, triton_device)


# quantise


def as_before(x: Tensor, low: float, high: float, bits: int) -> Tensor:
    """The steps that a picture took before there was an operation for them."""
    top = 2**bits - 1
    whole = x.sub(low).mul_(top / (high - low)).round_().clamp_(0, top)
    return whole.to(torch.int32).permute(0, 2, 3, 1).contiguous()


@few(25)
@given(
    st.tuples(st.integers(1, 2), st.sampled_from([1, 3, 4, 5]), sides, st.sampled_from([1, 7, 300])),
    layouts,
    st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (-0.3, 2.9)]),
    st.sampled_from([8, 16]),
    st.integers(0, 9),
)
def test_quantise_gives_the_bits_that_it_gave_before(
    triton_device: str, size: tuple[int, int, int, int], layout: str, ends: tuple[float, float], bits: Any, seed: int
) -> None:
    low, high = ends
    x = laid_out((normal(*size, seed=seed) * (high - low) + low).float(), layout)
    expected = as_before(x, low, high, bits)
    for backend, device in (("reference", "cpu"), ("triton", triton_device)):
        y = kernels.quantise(x.to(device), low, high, bits=bits, backend=backend)  # type: ignore[arg-type]
        assert y.dtype == {8: torch.uint8, 16: torch.uint16}[bits]
        assert y.is_contiguous()
        assert torch.equal(y.cpu().to(torch.int32), expected)


@pytest.mark.parametrize("backend", ["reference", "triton"])
def test_quantise_rounds_half_to_even_and_takes_what_is_not_finite(
    triton_device: str, backend: kernels.Backend
) -> None:
    nan, inf = float("nan"), float("inf")
    x = torch.tensor([0.5, 1.5, 2.5, 254.5, -0.5, -3, 300, 255, nan, inf, -inf]).repeat(5).view(1, 1, 5, 11)
    y = kernels.quantise(x.to(triton_device), 0, 255, backend=backend)
    assert y.flatten()[:11].tolist() == [0, 2, 2, 254, 0, 0, 255, 255, 0, 255, 0]


@pytest.mark.parametrize("backend", ["reference", "triton"])
def test_quantise_keeps_every_whole_number(triton_device: str, backend: kernels.Backend) -> None:
    whole = torch.arange(65536, dtype=torch.int32).view(1, 1, 256, 256)
    x = (whole.float() / 65535).to(triton_device)
    y = kernels.quantise(x, bits=16, backend=backend)
    assert torch.equal(y.cpu().to(torch.int32).view(-1), whole.view(-1))
