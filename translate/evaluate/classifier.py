"""A small classifier of small pictures, trained on real ones in less than a minute, and what it sees in them."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

EPOCHS = 8
BATCH = 64
FEATURES = 64  # numbers a picture, before the last layer
SIDE = 32  # larger pictures are averaged down to this


class Classifier(nn.Module):
    """Three convolutions and two linear layers on pictures of 32 pixels at most.

    Args:
        classes: how many.
        channels: of the pictures.
        size: their side.
    """

    def __init__(self, classes: int, channels: int, size: int) -> None:
        super().__init__()
        self.side = min(size, SIDE)
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in ((channels, 16), (16, 32), (32, 32)))
        self.hidden = nn.Linear(32 * (self.side // 4) ** 2, FEATURES)
        self.last = nn.Linear(FEATURES, classes)

    def features(self, pictures: Tensor) -> Tensor:
        """(B, C, H, W) bytes -> (B, 64)."""
        x = pictures.to(self.last.weight.device).float() / 127.5 - 1
        if x.shape[-1] > self.side:
            x = F.adaptive_avg_pool2d(x, self.side)
        first, second, third = self.convs
        x = F.max_pool2d(F.relu(first(x)), 2)
        x = F.max_pool2d(F.relu(second(x)), 2)
        return F.relu(self.hidden(F.relu(third(x)).flatten(1)))

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, C, H, W) bytes -> scores (B, classes)."""
        y: Tensor = self.last(self.features(pictures))
        return y


def fit(pictures: Tensor, labels: Tensor, classes: int, *, seed: int = 0, epochs: int = EPOCHS) -> Classifier:
    """Train one on (N, C, H, W) bytes and labels (N,); the same seed gives the same one.

    The pictures are moved by up to two pixels, which a small set needs.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Classifier(classes, pictures.shape[1], pictures.shape[-1])
        steps = epochs * -(-len(pictures) // BATCH)
        optimiser = torch.optim.Adam(network.parameters(), 2e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
        for _ in range(epochs):
            for chosen in torch.split(torch.randperm(len(pictures)), BATCH):
                down, right = torch.randint(-2, 3, (2,)).tolist()
                moved = pictures[chosen].roll((down, right), (2, 3))
                optimiser.zero_grad()
                F.cross_entropy(network(moved), labels[chosen]).backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
    return network.eval()


@torch.inference_mode()
def classify(network: Classifier, pictures: Tensor) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The features (N, 64) and the most likely labels (N,) of pictures (N, C, H, W), bytes."""
    features = torch.cat([network.features(part) for part in torch.split(pictures, 256)])
    return features.numpy(), network.last(features).argmax(1).numpy()
