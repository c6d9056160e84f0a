"""The upsampling convolutions, pixel shuffle and bias + leaky ReLU in their references against float64."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import ACTIVATIONS, LAYOUTS, activate, assert_near, laid_out, normal, shuffled, upsampled
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from translate import kernels
from translate.kernels import _upsample

DTYPES = (torch.float64, torch.float32, torch.bfloat16)
SIDES = (1, 2, 3, 5, 7, 8, 13, 31)

quick = settings(max_examples=40, deadline=None, derandomize=True)
sizes = st.tuples(st.integers(1, 3), st.integers(1, 5), st.sampled_from(SIDES), st.sampled_from(SIDES))
layouts, dtypes, activations = st.sampled_from(LAYOUTS), st.sampled_from(DTYPES), st.sampled_from(ACTIVATIONS)


def scattered(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Transposed convolution by its definition: each input pixel adds its multiple of the kernel at twice its place."""
    (b, _, h, w), (_, o, k, _) = x.shape, weight.shape
    y = x.new_zeros(b, o, 2 * h + k, 2 * w + k)
    for row, column in itertools.product(range(h), range(w)):
        y[:, :, 2 * row : 2 * row + k, 2 * column : 2 * column + k] += torch.einsum(
            "bi,ioyx->boyx", x[:, :, row, column], weight
        )
    return y[:, :, 1 : 2 * h + 1, 1 : 2 * w + 1] + bias[:, None, None]


# upsample_conv2d

PADDINGS = st.sampled_from(["zeros", "replicate"])
FORMS = st.sampled_from([0, 1024])  # pixels from which on it folds: all of these, and none


@quick
@given(
    sizes,
    st.integers(1, 4),
    dtypes,
    layouts,
    st.sampled_from(["zeros", "replicate"]),
    activations,
    st.booleans(),
    FORMS,
)
def test_upsample_conv2d_is_its_definition(
    size: tuple[int, int, int, int],
    outputs: int,
    dtype: torch.dtype,
    layout: str,
    padding: kernels.Padding,
    activation: kernels.Activation,
    biased: bool,
    few: int,
) -> None:
    x = laid_out(normal(*size).to(dtype), layout)
    weight = (normal(outputs, size[1], 3, 3, seed=1) / 3).to(dtype)
    bias = normal(outputs, seed=2).to(dtype) if biased else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_upsample, "FEW", few)
        y = kernels.upsample_conv2d(x, weight, bias, padding=padding, activation=activation, slope=0.3)
    expected = upsampled(x, weight, bias, padding)
    assert_near(y, activate(expected, activation, 0.3), dtype)


@pytest.mark.parametrize("few", [0, 1024], ids=["folded", "nearest"])
@pytest.mark.parametrize("padding", ["zeros", "replicate"])
def test_upsample_conv2d_gradients_are_those_of_differences(
    padding: kernels.Padding, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_upsample, "FEW", few)
    inputs = [normal(1, 2, 2, 3), normal(2, 2, 3, 3, seed=1), normal(2, seed=2)]
    inputs = [t.requires_grad_() for t in inputs]

    def function(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return kernels.upsample_conv2d(x, weight, bias, padding=padding, activation="leaky_relu")

    assert upsampled(*inputs, padding).abs().min() > 1e-3  # type: ignore[arg-type]
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)
    (by_plain,) = torch.autograd.grad(upsampled(*inputs, padding).square().sum(), inputs[1])  # type: ignore[arg-type]
    (by_kernel,) = torch.autograd.grad(kernels.upsample_conv2d(*inputs, padding=padding).square().sum(), inputs[1])
    torch.testing.assert_close(by_kernel, by_plain)


def test_upsample_conv2d_folds_where_that_is_quicker(monkeypatch: pytest.MonkeyPatch) -> None:
    folded: list[Tensor] = []
    monkeypatch.setattr(_upsample, "fold", lambda weight, own=_upsample.fold: (folded.append(weight), own(weight))[1])
    weight = torch.ones(2, 2, 3, 3)
    for count, x in [(0, torch.ones(1, 2, 31, 33)), (1, torch.ones(1, 2, 32, 32)), (2, torch.ones(4, 2, 16, 16))]:
        kernels.upsample_conv2d(x, weight)
        assert len(folded) == count
    kernels.upsample_conv2d(x.bfloat16(), weight.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        kernels.upsample_conv2d(x, weight)
    assert len(folded) == 2


def test_upsample_conv2d_leaves_no_checkerboard() -> None:
    """On a plain image, away from the edges, all four phases are the same."""
    y = kernels.upsample_conv2d(torch.ones(1, 2, 6, 6), normal(3, 2, 3, 3).float(), padding="replicate")
    torch.testing.assert_close(y, y[:, :, 5:6, 5:6].expand(y.shape))


# conv_transpose2d


@quick
@given(sizes, st.integers(1, 4), st.sampled_from([3, 4]), dtypes, layouts)
def test_conv_transpose2d_is_its_definition(
    size: tuple[int, int, int, int], outputs: int, k: int, dtype: torch.dtype, layout: str
) -> None:
    x = laid_out(normal(*size).to(dtype), layout)
    weight, bias = (normal(size[1], outputs, k, k, seed=1) / 3).to(dtype), normal(outputs, seed=2).to(dtype)
    y = kernels.conv_transpose2d(x, weight, bias)
    assert y.shape == (size[0], outputs, 2 * size[2], 2 * size[3])
    wide = x.double(), weight.double(), bias.double()
    assert_near(y, scattered(*wide), dtype)
    assert_near(y, F.conv_transpose2d(*wide, stride=2, padding=1, output_padding={3: 1, 4: 0}[k]), dtype)


# conv_pixel_shuffle


@quick
@given(
    sizes, st.integers(1, 3), st.sampled_from([1, 3, 5]), st.sampled_from([1, 2, 3, 4]), dtypes, layouts, activations
)
def test_conv_pixel_shuffle_is_its_definition(
    size: tuple[int, int, int, int],
    outputs: int,
    k: int,
    factor: int,
    dtype: torch.dtype,
    layout: str,
    activation: kernels.Activation,
) -> None:
    x = laid_out(normal(*size).to(dtype), layout)
    weight = (normal(outputs * factor**2, size[1], k, k, seed=1) / k).to(dtype)
    bias = normal(outputs * factor**2, seed=2).to(dtype)
    per_channel = torch.linspace(0.1, 0.5, outputs, dtype=torch.float64).to(dtype)
    for slope in (0.3, per_channel[:1], per_channel):
        y = kernels.conv_pixel_shuffle(x, weight, bias, factor=factor, activation=activation, slope=slope)
        assert_near(y, activate(shuffled(x, weight, bias, factor), activation, slope), dtype)


def test_prelu_slopes_are_learned() -> None:
    inputs = [normal(1, 2, 3, 4), normal(8, 2, 3, 3, seed=1), torch.tensor([0.1, 0.4], dtype=torch.float64)]

    def function(x: Tensor, weight: Tensor, slope: Tensor) -> Tensor:
        return kernels.conv_pixel_shuffle(x, weight, activation="leaky_relu", slope=slope)

    assert gradcheck(function, [t.requires_grad_() for t in inputs])


# bias_leaky_relu


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4, 5)])
@pytest.mark.parametrize(("slope", "gain"), [(0.2, 1.0), (0.0, 2**0.5)])
def test_bias_leaky_relu_is_its_definition(
    dtype: torch.dtype, shape: tuple[int, ...], slope: float, gain: float
) -> None:
    x = normal(*shape).to(dtype)
    bias = normal(3, seed=1).float()  # float32 beside bfloat16, as under autocast
    before = x.clone()
    y = kernels.bias_leaky_relu(x, bias, slope=slope, gain=gain)
    shifted = x.double() + bias.double().view(3, *[1] * (len(shape) - 2))
    assert_near(y, torch.where(shifted > 0, shifted, slope * shifted) * gain, dtype)
    assert torch.equal(x, before)
    assert_near(kernels.bias_leaky_relu(x), torch.where(x > 0, x.double(), 0.2 * x.double()), dtype)
