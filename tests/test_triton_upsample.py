"""Upsampling, pixel shuffle and quantisation in Triton against their definitions in float64.

Without a GPU Triton's interpreter runs the kernels, at small sizes and not in bfloat16, which it gets wrong.
"""

import importlib
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from translate import kernels
from translate.models.cyclegan import ResnetGenerator
from translate.models.layers import placed
from translate.models.srgan import SRResNet

TOLERANCE = {torch.float32: (1e-4, 1e-4), torch.float16: (4e-3, 1e-2), torch.bfloat16: (3e-2, 6e-2)}
DTYPES = (torch.float32, torch.float16)
LIBRARY_TESTS = ("test_schema", "test_autograd_registration", "test_faketensor")  # torch.compile is tested apart

pytestmark = pytest.mark.usefixtures("triton_device")


def few(examples: int) -> settings:
    checks = [HealthCheck.function_scoped_fixture]
    return settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=checks)


sides = st.sampled_from([1, 2, 3, 5, 8])
sizes = st.tuples(st.integers(1, 2), st.sampled_from([1, 3, 16, 19]), sides, sides)
layouts = st.sampled_from(["contiguous", "channels_last", "strided", "expanded"])
dtypes, activations = st.sampled_from(DTYPES), st.sampled_from(["none", "relu", "leaky_relu"])


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def laid_out(x: Tensor, layout: str) -> Tensor:
    if layout == "strided":
        return torch.stack((x, x), -1).flatten(3)[..., ::2]
    if layout == "expanded":
        return x[:, :1].expand(x.shape)
    return x.contiguous(memory_format=torch.channels_last) if layout == "channels_last" else x


def assert_near(actual: Tensor, expected: Tensor) -> None:
    rtol, atol = TOLERANCE[actual.dtype]
    torch.testing.assert_close(actual.cpu().double(), expected.cpu(), rtol=rtol, atol=atol)


def activate(y: Tensor, activation: str, slope: float | Tensor) -> Tensor:
    if activation == "none":
        return y
    slope = slope.cpu().double()[:, None, None] if isinstance(slope, Tensor) else slope
    return torch.where(y > 0, y, y * (0 if activation == "relu" else slope))


def upsampled(x: Tensor, weight: Tensor, bias: Tensor | None, padding: str) -> Tensor:
    """The definition: nearest ×2, one pixel of padding, 3×3."""
    wide = F.interpolate(x.cpu().double(), scale_factor=2, mode="nearest")
    wide = F.pad(wide, [1] * 4, mode="constant" if padding == "zeros" else "reflect")
    return F.conv2d(wide, weight.cpu().double(), None if bias is None else bias.cpu().double())


def shuffled(x: Tensor, weight: Tensor, bias: Tensor, factor: int) -> Tensor:
    """The definition: out[o, y·f + i, x·f + j] is channel o·f² + i·f + j of the convolution."""
    y = F.conv2d(x.cpu().double(), weight.cpu().double(), bias.cpu().double(), padding=weight.shape[-1] // 2)
    b, c, h, w = y.shape
    out = y.new_empty(b, c // factor**2, h * factor, w * factor)
    for i, j in itertools.product(range(factor), repeat=2):
        out[:, :, i::factor, j::factor] = y[:, i * factor + j :: factor**2]
    return out


def assert_same_derivatives(call: Callable[..., Tensor], values: Sequence[Tensor], device: str) -> None:
    """First and second derivatives in Triton and float32 are those of the reference in float64."""
    found = []
    for backend, dtype, place in (("triton", torch.float32, device), ("reference", torch.float64, "cpu")):
        inputs = [value.to(place, dtype).requires_grad_() for value in values]
        y = call(*inputs, backend=backend)
        slope = torch.autograd.grad(y.square().sum(), inputs, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in slope), inputs)
        found.append([y, *slope, *second])
    for actual, expected in zip(*found, strict=True):
        error = (actual.cpu().double() - expected).abs().max() / expected.abs().max()
        assert error < 1e-5
        assert actual.dtype == torch.float32


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


x, weight = torch.ones(1, 3, 2, 2), torch.ones(4, 3, 3, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda **o: kernels.upsample_conv2d(x.double(), weight.double(), **o), "float64 is not one of"),
        (lambda **o: kernels.upsample_conv2d(x.half(), weight, **o), "dtypes differ: torch.float16, torch.float32"),
        (lambda **o: kernels.upsample_conv2d(x, weight, torch.ones(3), **o), r"the bias is \(3,\), not \(4,\)"),
        (lambda **o: kernels.upsample_conv2d(x[:0], weight, **o), "a tensor is empty"),
        (lambda **o: kernels.conv_transpose2d(x, weight[:3], torch.ones(4), **o), r"the bias is \(4,\), not \(3,\)"),
        (lambda **o: kernels.conv_pixel_shuffle(x, weight, torch.ones(3), **o), r"the bias is \(3,\), not \(4,\)"),
        (
            lambda **o: kernels.conv_pixel_shuffle(x, weight, activation="leaky_relu", slope=torch.ones(4), **o),
            r"the slopes are \(4,\), not \(1,\) or \(1,\)",
        ),
        (lambda **o: kernels.quantise(x.double(), **o), "float64 is not one of"),
        (lambda **o: kernels.quantise(x[:, :, :0], **o), "the input is empty"),
        (lambda **o: kernels.quantise(torch.ones(1).expand(2**12, 1, 2**9, 2**9), **o), "is too large"),
        (lambda **o: kernels.upsample_conv2d(torch.ones(1).expand(2**11, 3, 2**9, 2**9), weight, **o), "too large"),
    ],
)
def test_strictly_triton_says_what_is_in_the_way(call: Callable[..., Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(backend="triton")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: kernels.upsample_conv2d(x[0], weight), ValueError, r"takes \(B, I, H, W\), got \(3, 2, 2\)"),
        (lambda: kernels.conv_transpose2d(x[0], weight), ValueError, r"takes \(B, I, H, W\), got \(3, 2, 2\)"),
        (lambda: kernels.conv_pixel_shuffle(x[0], weight), ValueError, r"takes \(B, I, H, W\), got \(3, 2, 2\)"),
        (
            lambda: kernels.upsample_conv2d(x, weight, activation="leaky_relu", slope=float("nan")),
            ValueError,
            "slope is nan; it must be positive",
        ),
        (
            lambda: kernels.conv_pixel_shuffle(x, weight, activation="leaky_relu", slope=-0.1),
            ValueError,
            "slope is -0.1; it must be positive",
        ),
        (lambda: kernels.quantise(x[0]), ValueError, r"takes \(B, C, H, W\), got \(3, 2, 2\)"),
        (lambda: kernels.quantise(x.to(torch.uint8)), TypeError, "takes floats, got torch.uint8"),
        (lambda: kernels.quantise(x, 1, 1), ValueError, "low must be below high"),
        (lambda: kernels.quantise(x, 0, float("nan")), ValueError, "low must be below high"),
        (lambda: kernels.quantise(x, bits=12), ValueError, "bits is 12; it must be 8 or 16"),  # type: ignore[arg-type]
    ],
)
def test_wrong_use_is_named(call: Callable[[], Tensor], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_left_to_itself_the_choice_is_the_reference_on_a_cpu() -> None:
    def all_of_them() -> None:
        y = kernels.upsample_conv2d(x, weight)
        kernels.conv_transpose2d(y, weight)
        kernels.quantise(kernels.conv_pixel_shuffle(x, weight))

    names = ["upsample_conv2d", "conv_transpose2d", "conv_pixel_shuffle", "quantise"]
    assert [line.split(",")[0] for line in kernels.explain(all_of_them)] == [f"{name}: reference" for name in names]


# on a GPU


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
class TestOnAGpu:
    @pytest.mark.parametrize("dtype", list(TOLERANCE))
    @pytest.mark.parametrize("size", [(2, 256, 64, 64, 128), (1, 128, 135, 241, 64), (1, 64, 31, 31, 3)])
    def test_sizes_of_the_networks(self, dtype: torch.dtype, size: tuple[int, ...], monkeypatch: Any) -> None:
        monkeypatch.setattr(torch.backends.cudnn.conv, "fp32_precision", "ieee")  # type: ignore[attr-defined]
        inputs, outputs = size[1], size[4]
        x = laid_out(normal(*size[:4]).to("cuda", dtype), "channels_last")
        weight, bias = (normal(outputs, inputs, 3, 3, seed=1) / (3 * inputs**0.5)).to(x), normal(outputs).to(x)
        y = kernels.upsample_conv2d(x, weight, bias, padding="replicate", activation="relu", backend="triton")
        assert_near(y, activate(upsampled(x, weight, bias, "replicate"), "relu", 0))

    def test_more_elements_than_32_bits_count(self) -> None:
        x = torch.randn(5, 64, 1080, 1920, device="cuda", dtype=torch.float16)
        x = x.contiguous(memory_format=torch.channels_last)
        weight = torch.randn(64, 64, 3, 3, device="cuda", dtype=torch.float16) / 24
        y = kernels.upsample_conv2d(x, weight, backend="triton")
        assert y.numel() > 2**31
        assert torch.equal(y[4:], kernels.upsample_conv2d(x[4:], weight, backend="triton"))
        assert torch.equal(kernels.quantise(y)[4:], kernels.quantise(y[4:]))

    @torch.inference_mode()
    def test_a_cuda_graph_captures_them(self) -> None:
        x, weight = torch.randn(1, 64, 32, 32, device="cuda"), torch.randn(64, 64, 3, 3, device="cuda") / 24

        def network() -> Tensor:
            y = kernels.upsample_conv2d(x, weight, padding="replicate", backend="triton")
            return kernels.quantise(kernels.conv_pixel_shuffle(y, weight, backend="triton"), backend="triton")

        expected = network()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            captured = network()
        captured.zero_()
        graph.replay()
        assert torch.equal(captured, expected)
