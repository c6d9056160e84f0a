"""Random crops of training images."""

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from translate.errors import TrainingError
from translate.train.files import Images, Pixels, load_folders

Share = slice | Tensor  # of what is drawn: which of it is wanted


def shrink(pixels: Pixels, short_side: int) -> Pixels:
    """Scale an image so that its short side is `short_side`, averaging areas when it gets smaller."""
    h, w = pixels.shape[:2]
    scale = short_side / min(h, w)
    size = max(short_side, round(w * scale)), max(short_side, round(h * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    # Three channels at a time, as OpenCV averages areas of four at most.
    channels = range(0, pixels.shape[2], 3)
    return np.concatenate([cv2.resize(pixels[..., c : c + 3], size, interpolation=method) for c in channels], axis=2)


class Crops:
    """Random crops of one domain: resized to a random short side, cut out, mirrored half of the time.

    Every random number comes from torch's global generator, so that a resumed run draws what the whole one would have.
    The processes of one run draw the same numbers, those of all images, and cut out only their own share.

    Args:
        images: (H, W, C) uint8, with a short side of at least load[1].
        size: side of the crop, in pixels.
        load: smallest and largest short side that an image is resized to.
    """

    def __init__(self, images: Images[Pixels], size: int, load: tuple[int, int]) -> None:
        self.images, self.size, self.load = images, size, load

    @classmethod
    def of_folders(cls, folders: list[Path], size: int, load: tuple[int, int]) -> "Crops":
        """Crops of all the images in some folders."""
        if not size <= load[0] <= load[1]:
            raise TrainingError(f"crops of {size} do not fit into images with a short side of {load[0]} to {load[1]}")
        return cls(load_folders(folders, lambda pixels: shrink(pixels, load[1])), size, load)

    def draw(self, count: int, share: Share = slice(None)) -> list[Pixels]:
        """Draw `count` crops, and give those in `share`, each (size, size, C)."""
        crops = []
        for image, short, down, across, mirror in torch.rand(count, 5)[share].tolist():
            pixels = self.images[int(image * len(self.images))]
            pixels = shrink(pixels, self.load[0] + int(short * (self.load[1] - self.load[0] + 1)))
            h, w = pixels.shape[:2]
            top, left = int(down * (h - self.size + 1)), int(across * (w - self.size + 1))
            crop = pixels[top : top + self.size, left : left + self.size]
            crops.append(crop[:, ::-1] if mirror < 0.5 else crop)
        return crops

    def batch(self, count: int, share: Share = slice(None)) -> Tensor:
        """Draw `count` crops, and give those in `share`: (B, 3, size, size) in [-1, 1], channels_last."""
        return to_tensor(np.stack(self.draw(count, share))) * 2 - 1

    def colours(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (3,) over all pixels, before the tanh that a generator ends in."""
        pixels = np.concatenate([image[::8, ::8].reshape(-1, 3) for image in self.images])
        x = torch.atanh((torch.from_numpy(pixels).float() / 127.5 - 1).clamp(-0.99, 0.99))
        return x.mean(0), x.std(0)


def to_tensor(batch: Pixels) -> Tensor:
    """(B, H, W, 3) bytes -> (B, 3, H, W) in [0, 1], channels_last without a copy."""
    return torch.from_numpy(np.ascontiguousarray(batch)).permute(0, 3, 1, 2).float().div_(255)
