"""Pictures to features: one row a picture, computed in batches in float32, with the memory of one batch."""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from translate.evaluate.fidelity import Pixels
from translate.features import FeatureNetwork

NETWORK = "EfficientNetLite0"
BATCH = 16
Features = NDArray[np.float32]


def embed(network: FeatureNetwork, pictures: Iterable[Pixels]) -> Iterator[Features]:
    """The pooled features (1280,) of each picture, uint8 (H, W, 3), at its own size; runs of one size go together."""
    device = next(network.parameters()).device
    for _, alike in itertools.groupby(pictures, lambda picture: picture.shape):
        while batch := list(itertools.islice(alike, BATCH)):
            x = torch.from_numpy(np.stack(batch)).to(device).permute(0, 3, 1, 2) / 255  # channels last in memory
            with torch.inference_mode():
                yield from network.embed(x).cpu().numpy()


def stacked(rows: Iterable[Features]) -> Features:
    """(N, D) of N rows (D,); (0, 0) of none."""
    table = list(rows)
    return np.stack(table) if table else np.empty((0, 0), np.float32)
