"""The dense block's gradients in Triton against those of its definition in float64.

The biases decide every sign before leaky ReLU, so that rounding takes nothing across its kink.
"""

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import dense_parameters, laid_out, normal, plain_dense_block
from torch import Tensor
from triton_draws import dtypes, few, layouts

from translate import kernels
from translate.models.layers import placed
from translate.models.rrdb import RRDBNet

TOLERANCE = {torch.float32: 1e-5, torch.float16: 4e-3}  # of the largest number
PARTS = ("x", "weights", "biases", "residual")
SLOPE, SCALE = 0.3, 0.5
sides = st.sampled_from([1, 2, 3, 7])

Block = Callable[[Tensor, Sequence[Tensor], Sequence[Tensor], Tensor | None], Tensor]


def in_triton(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], residual: Tensor | None) -> Tensor:
    options = {"slope": SLOPE, "scale": SCALE, "residual": residual}
    return kernels.dense_block(x, weights, biases, backend="triton", **options)  # type: ignore[arg-type]


def by_definition(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], residual: Tensor | None) -> Tensor:
    return plain_dense_block(x, list(weights), list(biases), residual, SLOPE, SCALE)


def inputs(device: str, dtype: torch.dtype, size: Sequence[int], growth: int, count: int) -> dict[str, list[Tensor]]:
    """A block of so many convolutions for images of (B, C, H, W)."""
    weights, biases = dense_parameters(size[1], growth, count)
    found = {
        "x": [normal(*size)],
        "weights": [0.2 * weight for weight in weights],
        "biases": [torch.arange(len(bias)) % 2 * 8.0 - 4 for bias in biases],
        "residual": [normal(*size, seed=1)],
    }
    return {name: [tensor.to(device, dtype).requires_grad_() for tensor in part] for name, part in found.items()}


def gradients(block: Block, given: dict[str, list[Tensor]], grad: Tensor) -> list[Tensor]:
    """Those of all tensors that ask for one."""
    (x,), weights, biases, residual = (given[name] for name in PARTS)
    y = block(x, weights, biases, residual[0] if residual else None)
    return list(torch.autograd.grad(y, [t for part in given.values() for t in part if t.requires_grad], grad))


def assert_as_defined(given: dict[str, list[Tensor]], grad: Tensor) -> list[Tensor]:
    """The gradients are right; returns them."""
    wide = {
        name: [t.detach().cpu().double().requires_grad_(t.requires_grad) for t in part] for name, part in given.items()
    }
    found = gradients(in_triton, given, grad)
    for actual, expected in zip(found, gradients(by_definition, wide, grad.cpu().double()), strict=True):
        assert actual.dtype == grad.dtype
        assert float((actual.cpu().double() - expected).abs().max() / expected.abs().max()) < TOLERANCE[grad.dtype]
    return found


@few(10)
@given(
    st.integers(1, 2),
    sides,
    sides,
    st.sampled_from([(1, 1, 1), (3, 2, 5), (16, 16, 2), (19, 5, 2)]),
    dtypes,
    layouts,
    layouts,
    st.sets(st.sampled_from(PARTS), min_size=1),
    st.booleans(),
)
def test_gradients_are_those_of_the_definition(
    triton_device: str,
    batch: int,
    height: int,
    width: int,
    block: tuple[int, int, int],
    dtype: torch.dtype,
    layout: str,
    grad_layout: str,
    wanted: set[str],
    add: bool,
) -> None:
    size = batch, block[0], height, width
    given = inputs(triton_device, dtype, size, *block[1:])
    if not add:
        given["residual"], wanted = [], wanted - {"residual"} or {"x"}
    given = {
        name: [laid_out(t.detach(), layout).requires_grad_(name in wanted) for t in part]
        for name, part in given.items()
    }
    assert_as_defined(given, laid_out(normal(*size, seed=2).to(triton_device, dtype), grad_layout))


def test_one_weight_and_one_bias_alone(triton_device: str) -> None:
    given = inputs(triton_device, torch.float32, (1, 3, 2, 3), 2, 3)
    for part in given.values():
        for n, tensor in enumerate(part):
            tensor.requires_grad_(len(part) == 3 and n == 1)
    assert len(assert_as_defined(given, normal(1, 3, 2, 3).float().to(triton_device))) == 2


def test_over_several_programs_the_same_bits_again_and_in_a_batch(
    triton_device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More pixels and channels than a program has; nothing runs from one image or row into the next."""
    blocks = {"BLOCK_M": 16, "BLOCK_N": 16, "BLOCK_I": 16}
    monkeypatch.setattr("translate.kernels._dense_triton.tiles", lambda *_: blocks)
    given, grad = inputs(triton_device, torch.float32, (2, 17, 3, 3), 17, 2), normal(2, 17, 3, 3, seed=3)
    grad = grad.float().to(triton_device)
    first = assert_as_defined(given, grad)
    assert all(torch.equal(a, b) for a, b in zip(first, gradients(in_triton, given, grad), strict=True))
    one = given | {name: [given[name][0][1:].detach().requires_grad_()] for name in ("x", "residual")}
    assert torch.equal(first[0][1:], gradients(in_triton, one, grad[1:])[0])


def test_at_zero_it_takes_the_slope_as_torch_does(triton_device: str) -> None:
    given = inputs(triton_device, torch.float32, (1, 3, 2, 2), 2, 2)
    with torch.no_grad():
        given["weights"][0].zero_()
        given["biases"][0].zero_()
    assert_as_defined(given, torch.ones(1, 3, 2, 2, device=triton_device))


def test_one_buffer_and_the_weights_are_all_that_is_kept(triton_device: str) -> None:
    given, kept = inputs(triton_device, torch.float32, (1, 3, 2, 2), 2, 4), []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        in_triton(given["x"][0], given["weights"], given["biases"], given["residual"][0])
    buffer, *rest = kept
    assert buffer.shape == (1, 3 + 3 * 2, 2, 2)
    assert [t.data_ptr() for t in rest] == [t.data_ptr() for t in given["weights"]]


def test_without_a_gradient_of_the_result_there_are_none(triton_device: str) -> None:
    class Cut(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: object, grad: Tensor) -> None:
            return None

    given = inputs(triton_device, torch.float32, (1, 3, 2, 2), 2, 2)
    y = in_triton(given["x"][0], given["weights"], given["biases"], given["residual"][0])
    Cut.apply(y).sum().backward()  # type: ignore[no-untyped-call]
    assert all(tensor.grad is None for part in given.values() for tensor in part)


def test_a_second_derivative_is_refused(triton_device: str) -> None:
    given = inputs(triton_device, torch.float32, (1, 3, 2, 2), 2, 2)
    x = given["x"][0]
    y = in_triton(x, given["weights"], given["biases"], None)
    (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match=r"Trying to backward through translate\.dense_block_grad"):
        slope.sum().backward()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_with_autocast_the_convolutions_alone_are_in_half_precision(triton_device: str, dtype: torch.dtype) -> None:
    """The numbers that are added to are those of float32, whose 1e-3 float16 would not see beside 8."""
    given = inputs(triton_device, torch.float32, (1, 3, 2, 3), 2, 3)
    (x,), weights, biases, _ = (given[name] for name in PARTS)
    residual = normal(1, 3, 2, 3, seed=1).mul(1e-3).add(8).to(triton_device, dtype).requires_grad_()
    with torch.autocast(triton_device, torch.float16):
        y = in_triton(x, weights, biases, residual)
    wide = [t.detach().cpu().double().requires_grad_() for t in (x, residual, *weights, *biases)]
    expected = by_definition(wide[0], wide[2:5], wide[5:], wide[1])
    torch.testing.assert_close(y.cpu(), expected.float(), rtol=0, atol=1e-3)
    tensors, grad = [x, residual, *weights, *biases], normal(1, 3, 2, 3, seed=2).float().to(triton_device)
    found = torch.autograd.grad(y, tensors, grad)
    for tensor, a, b in zip(tensors, found, torch.autograd.grad(expected, wide, grad.cpu().double()), strict=True):
        assert a.dtype == tensor.dtype
        assert float((a.cpu().double() - b).abs().max() / b.abs().max()) < TOLERANCE[torch.float16]


def test_a_network_is_trained_as_with_the_reference(triton_device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = placed(RRDBNet(4, 2, 1, doublings=0), triton_device)
    x, found, chosen = torch.rand(1, 3, 2, 3, device=triton_device), [], []
    for backend in ("reference", "triton"):
        monkeypatch.setattr("translate.kernels._dispatch._default", backend)
        loss = network(x).square().mean()
        found.append([loss, *torch.autograd.grad(loss, list(network.parameters()))])
        chosen += kernels.explain(network, x)
    assert chosen == [f"dense_block: {backend}, as asked for" for backend in ("reference", "triton")]
    for expected, actual in zip(*found, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-6)


def test_torch_library_finds_nothing_wrong(triton_device: str) -> None:
    from translate.kernels._dense_triton import dense_block

    given = inputs(triton_device, torch.float32, (1, 3, 2, 3), 2, 2)
    (x,), weights, biases, (residual,) = (given[name] for name in PARTS)
    torch.library.opcheck(dense_block, (x, weights, biases, residual, SLOPE, SCALE))
    torch.library.opcheck(dense_block, (x.detach(), weights, biases, None, SLOPE, SCALE))


def test_it_compiles_without_a_graph_break(triton_device: str) -> None:
    given = inputs(triton_device, torch.float32, (1, 3, 2, 3), 2, 2)
    (x,), weights, biases, (residual,) = (given[name] for name in PARTS)
    tensors = [x, *weights, *biases, residual]
    results = []
    for block in (in_triton, torch.compile(in_triton, fullgraph=True, backend="aot_eager")):
        y = block(x, weights, biases, residual)
        results.append([y, *torch.autograd.grad(y.square().sum(), tensors)])
    for expected, actual in zip(*results, strict=True):
        assert actual.stride() == expected.stride()
        assert torch.equal(actual, expected)
