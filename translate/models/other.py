"""Networks of others, through spandrel where it is installed: SwinIR, DAT, SPAN and some forty more."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from translate.models import Model


class Other(nn.Module):
    """A network that spandrel has built, which pads and clamps as its own project does.

    Args:
        descriptor: spandrel's `ImageModelDescriptor`.
    """

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.module: nn.Module = descriptor.model  # by this name, its prefix is taken off when a file is read
        self._descriptor = descriptor

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, 3, scale·H, scale·W) in [0, 1], float32."""
        dtype = next(self.module.parameters()).dtype
        # Some make tensors of their own in float32; autocast brings them together.
        with torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
            y: Tensor = self._descriptor(x.to(dtype))
        return y.float()


def load(state: Mapping[str, Tensor]) -> tuple[Model | None, str]:
    """The network that spandrel makes of the tensors, or None, and why."""
    try:
        import spandrel
    except Exception as error:  # of its dependencies: a torchvision for another torch raises what it likes
        return None, f"spandrel cannot be imported ({_line(error)})"
    try:
        descriptor = spandrel.ModelLoader().load_from_state_dict(dict(state))
    except Exception as error:  # each architecture reads its sizes off the tensors in its own way
        return None, f"spandrel does not take it either ({_line(error)})"
    if not isinstance(descriptor, spandrel.ImageModelDescriptor) or descriptor.input_channels != 3:
        return None, f"spandrel says {descriptor.architecture.name}, which takes no plain RGB pictures"
    if descriptor.output_channels != 3:
        return None, f"spandrel says {descriptor.architecture.name}, which gives no RGB pictures"
    network = Other(descriptor).eval().requires_grad_(False)
    wanted = descriptor.size_requirements
    return Model(
        network,
        descriptor.architecture.name,
        scale=descriptor.scale,
        multiple_of=max(1, wanted.multiple_of),
        minimum=max(1, wanted.minimum),
        notes=("read by spandrel; large pictures are not made in parts",),
    ), ""


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
