import itertools
import re
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from translate import kernels

# How far a result may be from the definition in float64: (rtol, atol). bfloat16 has 8 bits, and rounds a few times.
TOLERANCE = {torch.float64: (1e-9, 1e-9), torch.float32: (1e-4, 1e-4), torch.bfloat16: (2e-2, 5e-2)}
ACTIVATIONS = ("none", "relu", "leaky_relu")
DTYPES = tuple(TOLERANCE)
LAYOUTS = ("contiguous", "channels_last", "transposed", "strided", "expanded")
SIDES = (1, 2, 3, 5, 7, 8, 13)

quick = settings(max_examples=40, deadline=None, derandomize=True)
sizes = st.tuples(st.integers(1, 3), st.integers(1, 5), st.sampled_from(SIDES), st.sampled_from(SIDES))
layouts, dtypes, activations = st.sampled_from(LAYOUTS), st.sampled_from(DTYPES), st.sampled_from(ACTIVATIONS)
seeds = st.integers(0, 99)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def laid_out(x: Tensor, layout: str) -> Tensor:
    """The same values in other strides; "expanded" repeats the first channel without a copy."""
    if layout == "channels_last":
        return x.contiguous(memory_format=torch.channels_last)
    if layout == "transposed":
        return x.transpose(2, 3).contiguous().transpose(2, 3)
    if layout == "strided":
        b, c, h, w = x.shape
        wide = x.new_full((b, c + 1, h, 2 * w + 1), 1e3)
        wide[:, 1:, :, 1::2] = x
        return wide[:, 1:, :, 1::2]
    return x[:, :1].expand(x.shape) if layout == "expanded" else x


def assert_near(actual: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    assert actual.dtype == dtype
    rtol, atol = TOLERANCE[dtype]
    torch.testing.assert_close(actual.double(), expected, rtol=rtol, atol=atol)


def activate(y: Tensor, activation: str, slope: float = 0.2) -> Tensor:
    if activation == "none":
        return y
    return torch.where(y > 0, y, y * (0 if activation == "relu" else slope))


def plain_instance_norm(
    x: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    residual: Tensor | None = None,
    activation: str = "none",
    slope: float = 0.2,
    eps: float = 1e-5,
) -> Tensor:
    var, mean = torch.var_mean(x, dim=(2, 3), correction=0, keepdim=True)
    y = (x - mean) / torch.sqrt(var + eps)
    y = y if weight is None else y * weight[:, None, None]
    y = y if bias is None else y + bias[:, None, None]
    return activate(y if residual is None else y + residual, activation, slope)


def plain_upsample_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, padding: str) -> Tensor:
    y = F.interpolate(x, scale_factor=2, mode="nearest")
    return F.conv2d(F.pad(y, (1, 1, 1, 1), mode="constant" if padding == "zeros" else "reflect"), weight, bias)


def scattered(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Transposed convolution by its definition: each input pixel adds its multiple of the kernel at twice its place."""
    (b, _, h, w), (_, o, k, _) = x.shape, weight.shape
    y = x.new_zeros(b, o, 2 * h + k, 2 * w + k)
    for row, column in itertools.product(range(h), range(w)):
        y[:, :, 2 * row : 2 * row + k, 2 * column : 2 * column + k] += torch.einsum(
            "bi,ioyx->boyx", x[:, :, row, column], weight
        )
    return y[:, :, 1 : 2 * h + 1, 1 : 2 * w + 1] + bias[:, None, None]


# instance_norm


@quick
@given(sizes, dtypes, layouts, layouts, activations, st.booleans(), st.booleans(), st.booleans(), seeds)
def test_instance_norm_is_its_definition(
    size: tuple[int, int, int, int],
    dtype: torch.dtype,
    layout: str,
    residual_layout: str,
    activation: kernels.Activation,
    affine: bool,
    add: bool,
    wide_parameters: bool,
    seed: int,
) -> None:
    if size[2] * size[3] == 1:
        size = (*size[:3], 2)
    x = laid_out((normal(*size, seed=seed) * 2 + 1).to(dtype), layout)
    residual = laid_out(normal(*size, seed=seed + 1).to(dtype), residual_layout) if add else None
    # Under autocast the parameters stay in float32 beside an x in half precision.
    kind = torch.float32 if wide_parameters and dtype == torch.bfloat16 else dtype
    weight, bias = ((1 + normal(2, size[1], seed=seed) / 4).to(kind)) if affine else (None, None)

    y = kernels.instance_norm(x, weight, bias, residual=residual, activation=activation, slope=0.3)

    wide = [None if t is None else t.double() for t in (x, weight, bias, residual)]
    expected = plain_instance_norm(*wide[:3], residual=wide[3], activation=activation, slope=0.3)
    assert_near(y, expected, dtype)


@quick
@given(sizes, dtypes, layouts, layouts, activations, st.booleans(), seeds)
def test_instance_norm_has_the_gradients_of_its_definition(
    size: tuple[int, int, int, int],
    dtype: torch.dtype,
    layout: str,
    grad_layout: str,
    activation: kernels.Activation,
    affine: bool,
    seed: int,
) -> None:
    if size[2] * size[3] < 8:  # two nearly equal values would be blown up by their tiny deviation
        size = (*size[:2], 3, 5)
    if dtype != torch.float64:  # rounding may take a value across the kink
        activation = "none"
    values = [normal(*size, seed=seed) * 2 + 1, normal(*size, seed=seed + 1)]
    if affine:
        values += [*(1 + normal(2, size[1], seed=seed) / 4)]
    values = [value.to(dtype) for value in values]
    values[0] = laid_out(values[0], layout)
    grad = laid_out(normal(*size, seed=seed + 2).to(dtype), grad_layout)

    def gradients(function: Callable[..., Tensor], kind: torch.dtype) -> tuple[Tensor, ...]:
        x, residual, *parameters = inputs = [value.to(kind).detach().requires_grad_() for value in values]
        y = function(x, *parameters, residual=residual, activation=activation)
        return torch.autograd.grad(y, inputs, grad.to(kind))

    pairs = zip(gradients(kernels.instance_norm, dtype), gradients(plain_instance_norm, torch.float64), strict=True)
    for actual, expected in pairs:
        assert_near(actual, expected, dtype)


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize(("dtype", "offset"), [(torch.float32, 1000), (torch.float32, 10), (torch.bfloat16, 100)])
def test_instance_norm_of_values_far_from_zero(layout: str, dtype: torch.dtype, offset: float) -> None:
    """A mean of 1000 deviations: neither E[x²] - mean² nor a mean of 8 bits would leave anything of the variance."""
    x = laid_out((normal(2, 5, 16, 17) + offset).to(dtype), layout)
    x[0, 0] = normal(16, 17)  # and one that is not far
    grad = normal(2, 5, 16, 17, seed=1).to(dtype)
    inputs = [x.clone(memory_format=torch.preserve_format).requires_grad_(), x.double().requires_grad_()]
    actual, expected = kernels.instance_norm(inputs[0]), plain_instance_norm(inputs[1])
    rtol, atol = {torch.float32: (0.0, 1e-4), torch.bfloat16: (4e-3, 2e-3)}[dtype]
    torch.testing.assert_close(actual.double(), expected, rtol=rtol, atol=atol)
    actual.backward(grad)  # type: ignore[no-untyped-call]
    expected.backward(grad.double())  # type: ignore[no-untyped-call]
    assert inputs[0].grad is not None
    torch.testing.assert_close(inputs[0].grad.double(), inputs[1].grad, rtol=rtol, atol=atol)


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_instance_norm_of_a_plain_channel_is_the_bias(layout: str) -> None:
    x = laid_out(torch.full((1, 2, 8, 8), 200.0), layout).requires_grad_()
    y = kernels.instance_norm(x, torch.tensor([3.0, 4.0]), torch.tensor([0.5, -0.5]))
    torch.testing.assert_close(y, torch.tensor([0.5, -0.5])[None, :, None, None].expand(y.shape), rtol=0, atol=1e-3)
    y.square().sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [0.0, 100.0])  # far from zero there is another path
def test_instance_norm_keeps_the_memory_format(dtype: torch.dtype, offset: float) -> None:
    x = (normal(2, 3, 5, 7) + offset).to(dtype)
    for memory_format, other in itertools.permutations((torch.contiguous_format, torch.channels_last)):
        inputs = x.contiguous(memory_format=memory_format).requires_grad_()
        residual = normal(2, 3, 5, 7).to(dtype).contiguous(memory_format=other)
        y = kernels.instance_norm(inputs, residual=residual, activation="relu")
        assert y.is_contiguous(memory_format=memory_format)
        (grad,) = torch.autograd.grad(y, inputs, torch.ones_like(y))
        assert grad.is_contiguous(memory_format=memory_format)


def away_from_kinks(affine: bool, add: bool) -> list[Tensor | None]:
    """x, weight, bias and residual such that no value before the activation is near zero."""
    for seed in itertools.count():
        x, residual = normal(2, 2, 2, 3, seed=seed), normal(2, 2, 2, 3, seed=seed + 1000)
        weight, bias = 1 + normal(2, 2, seed=seed) / 4
        inputs = [x, weight if affine else None, bias if affine else None, residual if add else None]
        if plain_instance_norm(*inputs[:3], residual=inputs[3]).abs().min() > 0.02:
            return [None if t is None else t.requires_grad_() for t in inputs]
    raise AssertionError


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("add", [False, True])
def test_instance_norm_gradients_are_those_of_differences(
    activation: kernels.Activation, affine: bool, add: bool
) -> None:
    inputs = away_from_kinks(affine, add)

    def function(x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None) -> Tensor:
        return kernels.instance_norm(x, weight, bias, residual=residual, activation=activation)

    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)
    # The gradient is computed in another way where it is to be differentiated again.
    grad, wanted = normal(2, 2, 2, 3, seed=7), [t for t in inputs if t is not None]
    once, twice = (torch.autograd.grad(function(*inputs), wanted, grad, create_graph=again) for again in (False, True))
    torch.testing.assert_close(once, twice, rtol=1e-12, atol=1e-12)


def test_instance_norm_gradient_penalty_in_half_precision() -> None:
    x = normal(2, 3, 5, 7).bfloat16().requires_grad_()
    (grad,) = torch.autograd.grad(kernels.instance_norm(x, activation="relu").square().sum(), x, create_graph=True)
    grad.float().square().sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad.dtype == torch.bfloat16
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("wanted", ["x", "weight", "bias", "residual"])
def test_instance_norm_gradients_go_where_they_are_needed(wanted: str) -> None:
    def inputs() -> dict[str, Tensor]:
        x, residual = normal(2, 3, 4, 5), normal(2, 3, 4, 5, seed=1)
        return {"x": x, "weight": normal(3), "bias": normal(3, seed=1), "residual": residual}

    def run(inputs: dict[str, Tensor]) -> None:
        y = kernels.instance_norm(**inputs, activation="leaky_relu")
        y.backward(normal(2, 3, 4, 5, seed=2))  # type: ignore[no-untyped-call]

    every, one = inputs(), inputs()
    for tensor in every.values():
        tensor.requires_grad_()
    one[wanted].requires_grad_()
    run(every)
    run(one)
    assert torch.equal(one.pop(wanted).grad, every[wanted].grad)
    assert all(tensor.grad is None for tensor in one.values())
    with torch.no_grad():
        assert not kernels.instance_norm(**every).requires_grad


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_instance_norm_leaves_its_inputs_alone(layout: str, activation: kernels.Activation) -> None:
    inputs = [laid_out(normal(2, 3, 4, 5), layout), normal(3), normal(3, seed=1), laid_out(normal(2, 3, 4, 5), layout)]
    before, versions = [t.clone() for t in inputs], [t._version for t in inputs]
    x, weight, bias, residual = (t.requires_grad_() for t in inputs)
    grad = normal(2, 3, 4, 5, seed=2)
    y = kernels.instance_norm(x, weight, bias, residual=residual, activation=activation)
    y.backward(grad)  # type: ignore[no-untyped-call]
    assert all(torch.equal(a, b) for a, b in zip(inputs, before, strict=True))
    assert [t._version for t in inputs] == versions
    assert torch.equal(grad, normal(2, 3, 4, 5, seed=2))


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_instance_norm_gives_the_same_bits_again(layout: str) -> None:
    def run() -> list[Tensor]:
        x = laid_out(normal(2, 8, 33, 31).float(), layout).requires_grad_()
        weight = normal(8).float().requires_grad_()
        y = kernels.instance_norm(x, weight, activation="relu")
        return [y, *torch.autograd.grad(y, (x, weight), normal(2, 8, 33, 31, seed=1).float())]

    assert all(torch.equal(a, b) for a, b in zip(run(), run(), strict=True))


def test_instance_norm_refuses_one_pixel_in_torch_s_words() -> None:
    x = torch.zeros(2, 3, 1, 1)
    with pytest.raises(ValueError, match="Expected more than 1 spatial element") as theirs:
        F.instance_norm(x)
    with pytest.raises(ValueError, match=f"^{re.escape(str(theirs.value))}$"):
        kernels.instance_norm(x)


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        ((3, 4, 4), {}, r"\(B, C, H, W\), got \(3, 4, 4\)"),
        ((1, 3, 4, 4, 4), {}, r"got \(1, 3, 4, 4, 4\)"),
        ((1, 3, 4, 4), {"weight": torch.ones(4)}, r"weight is \(4,\), but the input has 3 channels"),
        ((1, 3, 4, 4), {"bias": torch.ones(1)}, r"bias is \(1,\), but the input has 3 channels"),
        ((1, 3, 4, 4), {"residual": torch.ones(1, 3, 4, 1)}, r"residual is \(1, 3, 4, 1\).* is \(1, 3, 4, 4\)"),
        ((1, 3, 4, 5), {"pad": 4}, r"pad is 4; it must be less than the sides of the input, \(1, 3, 4, 5\)"),
        ((1, 3, 4, 4), {"pad": -1}, "pad is -1; it must be"),
        ((1, 3, 4, 4), {"activation": "gelu"}, "'gelu'; known are 'none', 'relu' and 'leaky_relu'"),
        ((1, 3, 4, 4), {"activation": "leaky_relu", "slope": -0.1}, "slope is -0.1; it must be positive"),
    ],
)
def test_instance_norm_says_what_does_not_fit(x: tuple[int, ...], options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kernels.instance_norm(torch.zeros(x), **options)  # type: ignore[arg-type]


# upsample_conv2d


@quick
@given(sizes, st.integers(1, 4), dtypes, layouts, st.sampled_from(["zeros", "replicate"]), activations, st.booleans())
def test_upsample_conv2d_is_its_definition(
    size: tuple[int, int, int, int],
    outputs: int,
    dtype: torch.dtype,
    layout: str,
    padding: kernels.Padding,
    activation: kernels.Activation,
    biased: bool,
) -> None:
    x = laid_out(normal(*size).to(dtype), layout)
    weight = (normal(outputs, size[1], 3, 3, seed=1) / 3).to(dtype)
    bias = normal(outputs, seed=2).to(dtype) if biased else None
    y = kernels.upsample_conv2d(x, weight, bias, padding=padding, activation=activation, slope=0.3)
    expected = plain_upsample_conv2d(x.double(), weight.double(), None if bias is None else bias.double(), padding)
    assert_near(y, activate(expected, activation, 0.3), dtype)


@pytest.mark.parametrize("padding", ["zeros", "replicate"])
def test_upsample_conv2d_gradients_are_those_of_differences(padding: kernels.Padding) -> None:
    inputs = [normal(1, 2, 2, 3), normal(2, 2, 3, 3, seed=1), normal(2, seed=2)]
    inputs = [t.requires_grad_() for t in inputs]

    def function(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return kernels.upsample_conv2d(x, weight, bias, padding=padding, activation="leaky_relu")

    assert plain_upsample_conv2d(*inputs, padding).abs().min() > 1e-3  # type: ignore[arg-type]
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)
    (by_plain,) = torch.autograd.grad(plain_upsample_conv2d(*inputs, padding).square().sum(), inputs[1])  # type: ignore[arg-type]
    (by_kernel,) = torch.autograd.grad(kernels.upsample_conv2d(*inputs, padding=padding).square().sum(), inputs[1])
    torch.testing.assert_close(by_kernel, by_plain)


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
        assert_near(y, activate(shuffled(x, weight, bias, factor), activation, widened(slope)), dtype)


def shuffled(x: Tensor, weight: Tensor, bias: Tensor, factor: int) -> Tensor:
    """Out[o, y·f + i, x·f + j] is channel o·f² + i·f + j of the convolution."""
    y = F.conv2d(F.pad(x.double(), [weight.shape[-1] // 2] * 4), weight.double(), bias.double())
    b, c, h, w = y.shape
    out = y.new_empty(b, c // factor**2, h * factor, w * factor)
    for i, j in itertools.product(range(factor), repeat=2):
        out[:, :, i::factor, j::factor] = y[:, i * factor + j :: factor**2]
    return out


def widened(slope: float | Tensor) -> float | Tensor:
    return slope.double()[:, None, None] if isinstance(slope, Tensor) else slope


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


# what all of them refuse


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: kernels.upsample_conv2d(x, torch.ones(4, 2, 3, 3)), r"\(O, 3, 3, 3\), got \(4, 2, 3, 3\)"),
        (lambda x: kernels.upsample_conv2d(x, torch.ones(4, 3, 4, 4)), r"\(O, 3, 3, 3\), got \(4, 3, 4, 4\)"),
        (lambda x: kernels.upsample_conv2d(x, torch.ones(4)), r"\(O, 3, 3, 3\), got \(4,\)"),
        (lambda x: kernels.upsample_conv2d(x, torch.ones(4, 3, 3, 3), padding="reflect"), "'reflect'; known are"),
        (lambda x: kernels.upsample_conv2d(x, torch.ones(4, 3, 3, 3), activation="gelu"), "'gelu'; known are"),
        (lambda x: kernels.conv_transpose2d(x, torch.ones(2, 4, 3, 3)), r"\(3, O, 3, 3\).*got \(2, 4, 3, 3\)"),
        (lambda x: kernels.conv_transpose2d(x, torch.ones(3, 4, 5, 5)), r"got \(3, 4, 5, 5\)"),
        (lambda x: kernels.conv_transpose2d(x, torch.ones(3)), r"got \(3,\)"),
        (lambda x: kernels.conv_pixel_shuffle(x, torch.ones(6, 3, 3, 3)), r"\(n·4, 3, k, k\).*got \(6, 3, 3, 3\)"),
        (lambda x: kernels.conv_pixel_shuffle(x, torch.ones(8, 2, 3, 3)), r"got \(8, 2, 3, 3\)"),
        (lambda x: kernels.conv_pixel_shuffle(x, torch.ones(8, 3, 2, 2)), r"k odd, got \(8, 3, 2, 2\)"),
        (lambda x: kernels.conv_pixel_shuffle(x, torch.ones(8, 3, 3, 5)), r"got \(8, 3, 3, 5\)"),
        (lambda x: kernels.conv_pixel_shuffle(x, torch.ones(8)), r"got \(8,\)"),
        (lambda x: kernels.conv_pixel_shuffle(x, torch.ones(8, 3, 3, 3), activation="gelu"), "'gelu'; known are"),
        (lambda x: kernels.bias_leaky_relu(x, torch.ones(4)), r"bias is \(4,\), but the input is \(1, 3, 4, 4\)"),
    ],
)
def test_wrong_shapes_are_named(call: Callable[[Tensor], Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(torch.ones(1, 3, 4, 4))
