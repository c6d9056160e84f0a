"""Instance norm in its reference against its definition in float64."""

import itertools
import re
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import ACTIVATIONS, LAYOUTS, assert_near, laid_out, normal, plain_instance_norm
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from translate import kernels

DTYPES = (torch.float64, torch.float32, torch.bfloat16)
SIDES = (1, 2, 3, 5, 7, 8, 13, 31)

quick = settings(max_examples=40, deadline=None, derandomize=True)
sizes = st.tuples(st.integers(1, 3), st.integers(1, 5), st.sampled_from(SIDES), st.sampled_from(SIDES))
layouts, dtypes, activations = st.sampled_from(LAYOUTS), st.sampled_from(DTYPES), st.sampled_from(ACTIVATIONS)
seeds = st.integers(0, 99)


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


def test_no_pictures_have_no_gradients() -> None:
    x = torch.zeros(0, 3, 4, 4, requires_grad=True)
    kernels.instance_norm(x).sum().backward()
    assert x.grad is not None
    assert x.grad.shape == (0, 3, 4, 4)
