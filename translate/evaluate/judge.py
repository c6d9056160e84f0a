"""Which kind of picture is it? A small classifier on features, trained on real pictures in a second."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from translate.evaluate.embedding import Features, embed, stacked
from translate.evaluate.fidelity import Pixels
from translate.features import FeatureNetwork

BINS = 16
WEIGHT_DECAY = 2e-2  # on day and night, anything from 2e-3 to 2e-1 gives 98 % in a cross-validation


class Judge:
    """A logistic regression on standardised features, trained to the optimum; nothing in it is random.

    Args:
        kinds: the features of the real pictures of each kind, (N, D); two kinds or more.
    """

    def __init__(self, kinds: Sequence[Features]) -> None:
        features = torch.from_numpy(np.concatenate(kinds)).double()
        labels = torch.cat([torch.full((len(kind),), index) for index, kind in enumerate(kinds)])
        self._mean, self._std = features.mean(dim=0), features.std(dim=0) + 1e-6
        self._weight = torch.zeros(features.shape[1], len(kinds), dtype=torch.float64, requires_grad=True)
        self._bias = torch.zeros(len(kinds), dtype=torch.float64, requires_grad=True)
        standard = (features - self._mean) / self._std
        optimiser = torch.optim.LBFGS([self._weight, self._bias], max_iter=200, line_search_fn="strong_wolfe")

        def loss() -> torch.Tensor:
            optimiser.zero_grad()
            error = functional.cross_entropy(standard @ self._weight + self._bias, labels)
            value: torch.Tensor = error + WEIGHT_DECAY * self._weight.square().sum()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimiser.step(loss)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def probabilities(self, features: Features) -> NDArray[np.float64]:
        """(N, D) to (N, kinds): how sure it is that each picture is of each kind; the rows add up to 1."""
        standard = (torch.from_numpy(features).double() - self._mean) / self._std
        result: NDArray[np.float64] = (standard @ self._weight + self._bias).softmax(dim=1).numpy()
        return result


def describe(network: FeatureNetwork, pictures: Iterable[Pixels], *, mirrored: bool = False) -> Features:
    """What the judge sees of pictures, uint8 (H, W, 3): the network's features and a histogram, (N, 1280 + 48).

    With `mirrored`, each row is followed by that of the mirror image.
    """
    colours: list[Features] = []

    def views() -> Iterator[Pixels]:
        for picture in pictures:
            for view in (picture, picture[:, ::-1])[: 1 + mirrored]:
                colours.append(histogram(view))
                yield view

    embeddings = stacked(embed(network, views()))
    return np.hstack([embeddings, stacked(colours)])


def histogram(picture: Pixels) -> Features:
    """The share of pixels in each sixteenth of the red, green and blue range, under a square root: (48,)."""
    counts = np.stack([np.bincount(picture[..., c].ravel() // (256 // BINS), minlength=BINS) for c in range(3)])
    shares: Features = np.sqrt(counts / counts.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares.ravel()
