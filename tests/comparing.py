"""How a loaded network is compared with the one that its file was made with."""

import torch
from torch import Tensor, nn

from translate.models import Model


def randomised(network: nn.Module) -> nn.Module:
    """With weights and statistics that let every layer be seen in the output."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            inputs = module.weight[0].numel() if isinstance(module, nn.Conv2d) else module.in_channels * 4
            nn.init.normal_(module.weight, 0, (2 / inputs) ** 0.5)
            if module.bias is not None:
                nn.init.normal_(module.bias, 0, 0.1)
        elif isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, 0.1, 0.9)
        elif getattr(module, "affine", False):
            nn.init.uniform_(module.weight, 0.5, 1.5)  # type: ignore[arg-type]
            nn.init.normal_(module.bias, 0, 0.3)  # type: ignore[arg-type]
        if getattr(module, "running_mean", None) is not None:
            nn.init.normal_(module.running_mean, 0, 0.3)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
    return network.eval()


def same(model: Model, public: nn.Module, x: Tensor) -> None:
    """In double precision, so that only a real difference shows."""
    expected, y = public.double()(x.double()), model.network.double()(x.double())
    assert expected.std() > 0.05  # not the trivial image
    assert y.shape == expected.shape
    assert (y - expected).abs().max() < 1e-5


def far(model: Model, size: int) -> int:
    """How many input pixels away the farthest one lies that an output pixel of the middle one depends on."""
    network = model.network.double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_().mul_(0.1).add_(1e-3)  # nothing cancels, and no tanh is flat
    x = torch.rand(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    middle = size // 2 // model.multiple_of * model.multiple_of
    reach = 0
    for at in (middle, middle + model.multiple_of - 1):  # the two ends of what is unshuffled into one pixel
        cell = slice(at * model.scale, (at + 1) * model.scale)
        (grad,) = torch.autograd.grad(network(x)[..., cell, cell].sum(), x)
        rows = grad.sum((0, 1, 3)).nonzero().flatten()
        assert rows.min() > 0
        assert rows.max() < size - 1
        reach = max(reach, at - int(rows.min()), int(rows.max()) - at)
    return reach
