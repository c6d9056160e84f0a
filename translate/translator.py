"""A network that is ready to translate pictures: padding, precision, memory, and back to whole numbers."""

import copy
from dataclasses import replace

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from translate import kernels
from translate.device import PRECISIONS, available_bytes, choose_device, choose_precision
from translate.errors import ImageError
from translate.images import Picture
from translate.metadata import Pixels
from translate.models import Model
from translate.models.layers import placed


class Translator:
    """A network, ready to translate pictures on one device in one precision.

    Args:
        model: from `translate.checkpoints.load`.
        device: "auto", or a name that torch knows.
        precision: "auto", "fp32", "bf16" or "fp16". With "auto", 16-bit pictures are computed in fp32.
    """

    def __init__(self, model: Model, device: str = "auto", precision: str = "auto") -> None:
        self.model = model
        self.device = choose_device(device).value
        self.precision = choose_precision(precision, self.device).value
        self._asked = precision != "auto"
        self._networks = {self.precision: self._network(self.precision)}

    @torch.inference_mode()
    def __call__(self, pictures: list[Picture]) -> list[tuple[Picture, str | None]]:
        """Translate pictures of one size and dtype; each result comes with a remark, or None.

        Raises:
            ImageError: there is too little memory, or the network gives NaN or infinity even in float32.
        """
        deep = pictures[0].pixels.dtype == np.uint16
        precision = "fp32" if deep and not self._asked else self.precision
        self._require_memory(pictures, precision)
        batch = self._prepare(pictures)
        result = self._compute(batch, precision)
        spoilt = ~_finite(result)
        if spoilt.any():
            if precision != "fp32":
                self._require_memory(pictures, "fp32")
                result[spoilt] = self._compute(batch[spoilt], "fp32")
            if not _finite(result).all():
                raise ImageError("the network gives NaN or infinity for it, even in fp32; try other weights")
        remark = f"{precision} gave NaN or infinity; computed again in fp32"
        height, width = (side * self.model.scale for side in pictures[0].pixels.shape[:2])
        pixels = self._quantise(result[:, :, :height, :width], deep)
        results = zip(pictures, pixels, spoilt.tolist(), strict=True)
        return [(self._finish(picture, rows), remark if again else None) for picture, rows, again in results]

    def _network(self, precision: str) -> nn.Module:
        network: nn.Module = copy.deepcopy(self.model.network)
        return placed(network, self.device, PRECISIONS[precision])

    def _prepare(self, pictures: list[Picture]) -> Tensor:
        """(B, 3, H, W) float32 in the model's range, channels_last, reflected up to a size that the network takes."""
        pixels = np.stack([picture.pixels for picture in pictures])
        below, right = (self._padding(n) for n in pixels.shape[1:3])
        if below or right:
            pixels = np.pad(pixels, [(0, 0), (0, below), (0, right), (0, 0)], mode="reflect")
        low, high = self.model.value_range
        x = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2).float()
        return x.mul_((high - low) / np.iinfo(pixels.dtype).max).add_(low)

    def _padding(self, length: int) -> int:
        multiple = self.model.multiple_of
        return max(self.model.minimum, -(-length // multiple) * multiple) - length

    def _require_memory(self, pictures: list[Picture], precision: str) -> None:
        height, width = (n + self._padding(n) for n in pictures[0].pixels.shape[:2])
        needed = len(pictures) * height * width * _bytes_per_pixel(self.model, PRECISIONS[precision].itemsize)
        free = available_bytes() if self.device.startswith("cpu") else None  # a GPU says itself when it is full
        if free is not None and needed > free:
            side = max(1, int(min(height, width) * (0.9 * free / needed) ** 0.5))
            raise ImageError(
                f"needs about {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free; "
                f"make it smaller, with --size {side} for example"
            )

    def _compute(self, batch: Tensor, precision: str) -> Tensor:
        """(B, 3, H, W) -> (B, 3, scale·H, scale·W) float32."""
        if precision not in self._networks:
            self._networks[precision] = self._network(precision)
        result: Tensor = self._networks[precision](batch)
        return result

    def _quantise(self, result: Tensor, deep: bool) -> Pixels:
        """Back to whole numbers on the device, so that little has to leave it: (B, H, W, 3), uint16 if deep."""
        if deep and result.is_mps:  # whose support of uint16 is not there in every torch
            result = result.cpu()
        pixels: Pixels = kernels.quantise(result, *self.model.value_range, bits=16 if deep else 8).cpu().numpy()
        return pixels

    def _finish(self, picture: Picture, pixels: Pixels) -> Picture:
        enlarges = self.model.scale > 1
        if picture.grey and enlarges:  # sharper, but no more colourful than it was
            pixels = np.repeat(pixels.mean(axis=2, keepdims=True).round().astype(pixels.dtype), 3, axis=2)
        alpha = picture.alpha
        if alpha is not None and enlarges:
            alpha = _scaled(alpha, (pixels.shape[1], pixels.shape[0]))
        return replace(picture, pixels=pixels, alpha=alpha, grey=picture.grey and enlarges)


def resized(picture: Picture, short_side: int, max_pixels: int) -> Picture:
    """A picture scaled to a short side, if it has no more pixels then than are allowed."""
    height, width = picture.pixels.shape[:2]
    scale = short_side / min(height, width)
    size = max(short_side, round(width * scale)), max(short_side, round(height * scale))
    if size[0] * size[1] > max_pixels:
        raise ImageError(f"--size makes it {size[0]} × {size[1]}, more than --max-pixels {max_pixels:,}; lower --size")
    alpha = None if picture.alpha is None else _scaled(picture.alpha, size)
    return replace(picture, pixels=_scaled(picture.pixels, size), alpha=alpha)


def _finite(result: Tensor) -> Tensor:
    """(B,) whether all of a picture's values are numbers."""
    return result.isfinite().flatten(1).all(1)


def _bytes_per_pixel(model: Model, itemsize: int) -> int:
    """Peak memory for one input pixel: activations of full width that live at once, and the result with its copies.

    Measured, at most a third too high: 750 to 880 for a CycleGAN of width 32 in float32, 1230 for a direct SRResNet of
    width 64, 12,300 for a staged one, and half of each activation in bfloat16.
    """
    config = getattr(model.network, "config", {})
    direct = 4 if config.get("tail") == "direct" else 3 * model.scale**2
    return (7 if model.scale == 1 else direct) * int(config.get("width", 1)) * itemsize + 24 * model.scale**2


def _scaled(array: Pixels, size: tuple[int, int]) -> Pixels:
    """(H, W) or (H, W, C) scaled to (width, height): areas averaged when it gets smaller, else bicubic."""
    method = cv2.INTER_AREA if size[0] < array.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(array, size, interpolation=method).astype(array.dtype, copy=False)
