"""Every reference against differences in float64, and under torch.compile in one graph; networks there, too."""

import shutil
from collections.abc import Callable

import pytest
import torch
from kernel_cases import CALLS, normal
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck

from translate import kernels
from translate.models.cyclegan import ResnetGenerator
from translate.models.layers import placed
from translate.models.rrdb import RRDBNet
from translate.models.srgan import SRResNet

pytestmark = pytest.mark.usefixtures("always_folded")

DIFFERENTIABLE = {name: call for name, call in CALLS.items() if name != "quantise"}
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "cyclegan": lambda: ResnetGenerator(2, 1, affine=True),
    "cyclegan of the paper": lambda: ResnetGenerator(2, 1, transposed=True),
    "srgan": lambda: SRResNet(2, 1),
    "rrdb": lambda: RRDBNet(2, 2, 1, 1),
}


@pytest.fixture(autouse=True)
def forgotten() -> None:
    """Dynamo keeps what it has compiled, and gives up on code that it has compiled too often."""
    torch.compiler.reset()


@pytest.mark.parametrize("call", DIFFERENTIABLE.values(), ids=DIFFERENTIABLE)
def test_gradients_are_those_of_differences(call: Callable[..., Tensor]) -> None:
    x = normal(2, 3, 2, 3).requires_grad_()
    assert gradcheck(call, x)
    assert gradgradcheck(call, x)


def test_gradients_of_the_parameters_are_those_of_differences() -> None:
    """Those of the other operations are in their own files."""
    x, weight, bias = normal(1, 2, 2, 3), normal(2, 3, 3, 3, seed=1), normal(3, seed=2)
    inputs = [t.requires_grad_() for t in (x, weight, bias)]
    assert gradcheck(kernels.conv_transpose2d, inputs)
    inputs = [t.requires_grad_() for t in (normal(2, 3, 2, 2), normal(3, seed=1))]
    assert gradcheck(kernels.bias_leaky_relu, inputs)
    assert gradgradcheck(kernels.bias_leaky_relu, inputs)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("call", DIFFERENTIABLE.values(), ids=DIFFERENTIABLE)
def test_they_compile_in_one_graph(call: Callable[..., Tensor], layout: torch.memory_format) -> None:
    x = normal(2, 3, 4, 5).float().contiguous(memory_format=layout).requires_grad_()
    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    results = []
    for function in (call, compiled):
        y = function(x)
        results.append([y, *torch.autograd.grad(y.square().sum(), x)])
    for actual, expected in zip(*results, strict=True):
        assert actual.stride() == expected.stride()
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


def test_quantise_compiles_in_one_graph() -> None:
    x = normal(2, 3, 4, 5).float()
    compiled = torch.compile(kernels.quantise, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x), kernels.quantise(x))


@pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)
def test_networks_compile_in_one_graph(build: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    network = placed(build())
    x = torch.rand(1, 3, 16, 16)
    parameters = list(network.parameters())
    results = []
    for function in (network, torch.compile(network, fullgraph=True, backend="aot_eager")):
        y = function(x)
        results.append([y, *torch.autograd.grad(y.square().sum(), parameters)])
    for actual, expected in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, when Inductor is imported
@pytest.mark.skipif(shutil.which("g++") is None, reason="Inductor needs a C++ compiler")
def test_inductor_gives_the_same() -> None:
    x = normal(1, 3, 4, 4).float()
    compiled = torch.compile(CALLS["instance_norm"], fullgraph=True, backend="inductor")
    torch.testing.assert_close(compiled(x), CALLS["instance_norm"](x), rtol=1e-4, atol=1e-4)
