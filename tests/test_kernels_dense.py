"""The dense block's results against its definition, in Triton and in the reference, and what it refuses."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_cases import assert_near, dense_parameters, laid_out, normal, plain_dense_block
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from translate import kernels
from translate.models.layers import placed
from translate.models.rrdb import RRDBNet

sides = st.sampled_from([1, 2, 3, 7])
layouts = st.sampled_from(["contiguous", "channels_last", "strided", "expanded"])
seldom = settings(
    max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@seldom
@given(
    st.integers(1, 2),
    st.sampled_from([(1, 1, 1), (3, 2, 5), (16, 16, 2), (19, 5, 2)]),
    sides,
    sides,
    st.sampled_from([torch.float32, torch.float16]),
    layouts,
    st.booleans(),
)
@pytest.mark.parametrize("backend", ["reference", "triton"])
def test_it_is_its_definition(
    triton_device: str,
    backend: kernels.Backend,
    batch: int,
    sizes: tuple[int, int, int],
    height: int,
    width: int,
    dtype: torch.dtype,
    layout: str,
    add: bool,
) -> None:
    weights, biases = ([t.to(triton_device, dtype) for t in kind] for kind in dense_parameters(*sizes))
    x, residual = (
        laid_out(normal(batch, sizes[0], height, width, seed=n), layout).to(triton_device, dtype) for n in (0, 1)
    )
    options = {"slope": 0.3, "scale": 0.5}
    rest = residual if add else None
    y = kernels.dense_block(x, weights, biases, residual=rest, backend=backend, **options)  # type: ignore[arg-type]
    wide = [[t.cpu().double() for t in kind] for kind in ([x, residual], weights, biases)]
    assert_near(y, plain_dense_block(wide[0][0], *wide[1:], wide[0][1] if add else None, **options), dtype)


def test_several_blocks_and_the_same_bits_again_and_in_a_batch(
    triton_device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More pixels and channels than a program has; nothing runs from one image or row into the next."""
    blocks = {"BLOCK_M": 16, "BLOCK_N": 16, "BLOCK_I": 16}
    monkeypatch.setattr("translate.kernels._dense_triton.tiles", lambda *_: blocks)
    weights, biases = ([t.float().to(triton_device) for t in kind] for kind in dense_parameters(17, 1, 2))
    x = normal(2, 17, 3, 3).float().to(triton_device)
    first, again = (kernels.dense_block(x, weights, biases, backend="triton") for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(first[1:], kernels.dense_block(x[1:], weights, biases, backend="triton"))
    wide = [[t.cpu().double() for t in kind] for kind in (weights, biases)]
    assert_near(first, plain_dense_block(x.cpu().double(), *wide, None, 0.2, 0.2))


def test_the_reference_is_differentiable_twice() -> None:
    (weights, biases), x, residual = dense_parameters(2, 1, 3), normal(1, 2, 3, 2), normal(1, 2, 3, 2, seed=9)

    def block(*inputs: Tensor) -> Tensor:
        x, residual, *rest = inputs
        return kernels.dense_block(x, rest[:3], rest[3:], residual=residual)

    inputs = [t.requires_grad_() for t in (x, residual, *weights, *biases)]
    assert gradcheck(block, inputs)
    assert gradgradcheck(block, inputs)


@torch.inference_mode()
def test_the_network_gives_the_same_in_triton(triton_device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = placed(RRDBNet(8, 4, 1, doublings=0), triton_device)
    x = torch.rand(1, 3, 2, 3, device=triton_device)
    monkeypatch.setattr("translate.kernels._dispatch._default", "reference")
    expected = network(x)
    monkeypatch.setattr("translate.kernels._dispatch._default", "triton")
    found = []
    assert kernels.explain(lambda: found.append(network(x))) == ["dense_block: triton, as asked for"]
    torch.testing.assert_close(found[0], expected, rtol=1e-4, atol=1e-4)


WEIGHTS, BIASES = dense_parameters(3, 2, 2)
SINGLE = [[t.float() for t in kind] for kind in (WEIGHTS, BIASES)]
X = torch.ones(1, 3, 4, 4, dtype=torch.float64)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernels.dense_block(X[0], WEIGHTS, BIASES), r"takes \(B, C, H, W\), got \(3, 4, 4\)"),
        (lambda: kernels.dense_block(X, [], []), "got 0 weights, 0 biases"),
        (lambda: kernels.dense_block(X, WEIGHTS, BIASES[:1]), "got 2 weights, 1 biases"),
        (
            lambda: kernels.dense_block(X, WEIGHTS[::-1], BIASES),
            r"convolution 0 .* \(G, 3, 3, 3\) .* got \(3, 5, 3, 3\)",
        ),
        (
            lambda: kernels.dense_block(X, WEIGHTS[:1], BIASES[:1]),
            r"convolution 0 .* \(3, 3, 3, 3\) .* got \(2, 3, 3, 3\)",
        ),
        (lambda: kernels.dense_block(X, WEIGHTS, BIASES[::-1]), r"got \(2, 3, 3, 3\) and \(3,\)"),
        (lambda: kernels.dense_block(X, WEIGHTS, BIASES, residual=X[..., :1]), r"residual is \(1, 3, 4, 1\), but"),
        (lambda: kernels.dense_block(X, WEIGHTS, BIASES, slope=float("nan")), "slope is nan; it must be positive"),
        (lambda: kernels.dense_block(X, WEIGHTS, BIASES, backend="triton"), "float64 is not one of"),
        (
            lambda: kernels.dense_block(X.half(), *SINGLE, backend="triton"),
            "the dtypes differ: torch.float16, torch.float32",
        ),
        (
            lambda: kernels.dense_block(X[:0].float(), *SINGLE, backend="triton"),
            "a tensor is empty",
        ),
    ],
)  # fmt: skip
def test_wrong_use_is_named(triton_device: str, call: Callable[[], Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
