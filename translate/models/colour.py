"""The colours of the input for the result of an enlarging network that shifts them."""

from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor, nn

from translate.models import Model

STEPS = 3


class ColourMatched(nn.Module):
    """An enlarging network whose result, when it is shrunk again, has the colours of its input.

    What the shrunk result lacks is enlarged smoothly and added to it, three times (back-projection, Irani and Peleg
    1991). So the low frequencies, which the input holds, are the input's, and those above are the network's. It looks
    at neighbours and not at the whole picture, so that tiles stay exact.

    Args:
        network: (B, 3, H, W) -> (B, 3, scale·H, scale·W).
        scale: of the network.
        value_range: of input and result, which is cut to it first, as it will be in the file.
    """

    def __init__(self, network: nn.Module, scale: int, value_range: tuple[float, float]) -> None:
        super().__init__()
        self.network, self.scale, self.value_range = network, scale, value_range
        self.config, self.full_size = getattr(network, "config", {}), getattr(network, "full_size", 0)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 3, scale·H, scale·W), float32."""
        y: Tensor = self.network(x).float()
        for _ in range(STEPS):
            y = y.clamp(*self.value_range)
            lacks = x.float() - F.avg_pool2d(y, self.scale)
            y = y + F.interpolate(lacks, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return y


def matched(model: Model) -> Model:
    """The enlarging model with the colours of its result matched to those of its input."""
    network = ColourMatched(model.network, model.scale, model.value_range)
    return replace(model, network=network, halo=None if model.halo is None else model.halo + STEPS)
