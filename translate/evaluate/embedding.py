"""Pictures to features: one row a picture, computed in batches in float32, with the memory of one batch."""

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from translate.evaluate.fidelity import Pixels
from translate.evaluate.inception import Inception
from translate.features import FeatureNetwork

NETWORK = "EfficientNetLite0"
BATCH = 16
Features = NDArray[np.float32]


def embed(network: FeatureNetwork | Inception, pictures: Iterable[Pixels]) -> Iterator[Features]:
    """The features (D,) of each picture, (H, W, 3) in [0, 255], at its own size; runs of one size go together."""
    device = next(network.parameters()).device
    for _, alike in itertools.groupby(pictures, lambda picture: picture.shape):
        while batch := list(itertools.islice(alike, BATCH)):
            x = torch.from_numpy(np.stack(batch)).to(device).permute(0, 3, 1, 2) / 255  # channels last in memory
            with torch.inference_mode(), whole_float32():
                rows = network.embed(x).cpu().numpy()
            yield from rows


@contextmanager
def whole_float32() -> Iterator[None]:
    """Keep a GPU from rounding the factors of float32 convolutions to 10 bits, as it otherwise may."""
    settings: Any = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before, settings.fp32_precision = settings.fp32_precision, "ieee"
    try:
        yield
    finally:
        settings.fp32_precision = before


def stacked(rows: Iterable[Features]) -> Features:
    """(N, D) of N rows (D,); (0, 0) of none."""
    table = list(rows)
    return np.stack(table) if table else np.empty((0, 0), np.float32)
