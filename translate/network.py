"""A network on one device, from whole numbers to whole numbers."""

import copy
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from translate import kernels
from translate.device import PRECISIONS
from translate.metadata import Pixels
from translate.models import Model
from translate.models.int8 import in_int8
from translate.models.layers import placed
from translate.models.smoothing import begin_pass


class Network:
    """A model on a device, in every precision that is asked of it.

    Args:
        model: from `translate.checkpoints.load`.
        device: a name that torch knows.
        precision: "fp32", "bf16", "fp16" or "int8", to begin with.
    """

    def __init__(self, model: Model, device: str, precision: str) -> None:
        self.model, self.device = model, device
        self.placed = {precision: self._place(precision)}

    def result(self, pixels: Pixels, precision: str) -> Tensor:
        """What the network gives for (B, H, W, 3), in its own range: (B, 3, H·scale, W·scale)."""
        height, width = (side * self.model.scale for side in pixels.shape[1:3])
        y: Tensor = self.of(precision)(self.values(self.padded(pixels)))
        return y[:, :, :height, :width]

    def of(self, precision: str) -> nn.Module:
        """The network itself, for one pass."""
        begin_pass(id(self))
        if precision not in self.placed:
            self.placed[precision] = self._place(precision)
        return self.placed[precision]

    def _place(self, precision: str) -> nn.Module:
        network: nn.Module = copy.deepcopy(self.model.network)
        network = placed(network, self.device, PRECISIONS[precision])
        return in_int8(network) if precision == "int8" else network

    def padded(self, pixels: Pixels) -> Pixels:
        """(B, H, W, 3), reflected below and on the right up to a size that the network takes."""
        below, right = (self.padding(n) for n in pixels.shape[1:3])
        if below or right:
            return np.pad(pixels, [(0, 0), (0, below), (0, right), (0, 0)], mode="reflect")
        return pixels

    def padding(self, length: int) -> int:
        """How many pixels a side lacks to be one that the network takes."""
        multiple = self.model.multiple_of
        return max(self.model.minimum, -(-length // multiple) * multiple) - length

    def values(self, pixels: Pixels) -> Tensor:
        """(B, H, W, 3) -> (B, 3, H, W) float32 in the model's range on the device, channels_last."""
        low, high = self.model.value_range
        x = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2).float()
        return x.mul_((high - low) / np.iinfo(pixels.dtype).max).add_(low)

    def quantise(self, result: Tensor, dtype: np.dtype[Any]) -> Pixels:
        """Back to whole numbers on the device, so that little has to leave it: (B, H, W, 3)."""
        bits: Literal[8, 16] = 16 if dtype == np.uint16 else 8
        if bits == 16 and result.is_mps:  # whose support of uint16 is not there in every torch
            result = result.cpu()
        pixels: Pixels = kernels.quantise(result, *self.model.value_range, bits=bits).cpu().numpy()
        return pixels
