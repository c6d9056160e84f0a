"""How good a generator from noise is: are its pictures what was asked for, like the real ones, and as varied?"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from translate.errors import EvaluationError
from translate.evaluate.classifier import FEATURES, classify, fit
from translate.evaluate.distances import NEIGHBOURS, frechet_interval, kernel_distance, precision_recall
from translate.evaluate.embedding import Features
from translate.evaluate.intervals import Measured, share
from translate.evaluate.report import Report

Labels = npt.NDArray[np.int64]
NETWORK = "Classifier"
HELD_BACK = 5  # one picture of so many of each class, where there is no test set
ENOUGH = 0.96
LEAST = 20  # pictures of a set


class Labelled(NamedTuple):
    """Pictures (N, C, size, size), bytes, and their labels (N,), indices into `classes`; no classes, no labels."""

    pixels: Tensor
    labels: Tensor
    classes: tuple[str, ...]


def evaluate(real: Labelled, fake: Labelled, test: Labelled | None = None, *, seed: int = 0) -> Report:
    """Train a classifier on real pictures, test it on others, and ask it about the fakes.

    Distances, precision and recall are those of its features, at equal numbers, against the test pictures; the row of
    the real pictures says what other real ones reach.

    Args:
        real: pictures of at least two classes.
        fake: what was made; where it has classes, each must be one of the real ones.
        test: real pictures that the classifier has not seen; left out, every fifth of each class is held back.
        seed: of the classifier, and of the choice of pictures.

    Raises:
        EvaluationError: too few pictures or classes, or the fakes are of another size or of other classes.
    """
    judge = Judge(real, test, seed=seed)
    results, shares = judge.measure(fake)
    report = Report("generated", {"features": f"{NETWORK}, {FEATURES} numbers", "neighbours": NEIGHBOURS, "seed": seed})
    report.results = {"other real": judge.of_real(len(fake.pixels)), "fake": results}
    report.protocol["shares"] = shares
    if (accuracy := report.results["other real"]["accuracy"].value) < ENOUGH:
        report.notes.append(f"the classifier is right on only {accuracy:.1%} of the real pictures")
    return report


class Judge:
    """A classifier of real pictures, and what it thinks of sets of others; the arguments are those of `evaluate`."""

    def __init__(self, real: Labelled, test: Labelled | None = None, *, seed: int = 0) -> None:
        if len(real.classes) < 2:
            raise EvaluationError(
                "the real pictures have no classes; give one folder a class or an .npz with labels, "
                "or take `evaluate unpaired`"
            )
        if len(real.pixels) < LEAST:
            raise EvaluationError(f"there are {len(real.pixels)} real pictures; at least {LEAST} are needed")
        if test is not None:
            _require_like(real, test)
        else:
            held = _held_back(real.labels)
            real, test = _part(real, ~held), _part(real, held)
        self.classes, self.shape, self.random = real.classes, real.pixels.shape[1:], np.random.default_rng(seed)
        self.network = fit(real.pixels, real.labels, len(real.classes), seed=seed)
        self.seen, _ = classify(self.network, real.pixels)
        self.unseen, called = classify(self.network, test.pixels)
        self.accuracy = share(int((called == self._own(test)).sum()), len(called))

    def of_real(self, count: int) -> dict[str, Measured]:
        """What real pictures reach that it has learnt from, `count` of them at most, and how often it is right."""
        return self._distances(self.seen[self.random.permutation(len(self.seen))[:count]]) | {"accuracy": self.accuracy}

    def measure(self, fake: Labelled) -> tuple[dict[str, Measured], dict[str, float]]:
        """Every measure of a set of fakes, by its name, and the share of each class among them."""
        if fake.pixels.shape[1:] != self.shape:
            sizes = (" × ".join(map(str, shape)) for shape in (self.shape, fake.pixels.shape[1:]))
            raise EvaluationError("the real pictures are {}, but the fakes {}".format(*sizes))
        if other := [name for name in fake.classes if name not in self.classes]:
            raise EvaluationError(f"the fakes have a class {other[0]!r}, the real ones {', '.join(self.classes)}")
        if len(fake.pixels) < LEAST:
            raise EvaluationError(f"there are {len(fake.pixels)} fakes; at least {LEAST} are needed")
        features, called = classify(self.network, fake.pixels)
        results = self._distances(features[self.random.permutation(len(features))])
        if fake.classes:
            results["as_asked"] = share(int((called == self._own(fake)).sum()), len(called))
        shares = np.bincount(called, minlength=len(self.classes)) / len(called)
        results["largest_class"] = Measured(float(shares.max() * len(shares)))
        results["smallest_class"] = Measured(float(shares.min() * len(shares)))
        return results, {name: round(float(part), 4) for name, part in zip(self.classes, shares, strict=True)}

    def _own(self, pictures: Labelled) -> Labels:
        """The labels of pictures as indices into the classes of the real ones."""
        own: Labels = np.array([self.classes.index(name) for name in pictures.classes])[pictures.labels.numpy()]
        return own

    def _distances(self, features: Features) -> dict[str, Measured]:
        count = min(len(self.unseen), len(features))
        real, made = self.unseen[self.random.permutation(len(self.unseen))[:count]], features[:count]
        precision, recall = precision_recall(real, made)
        return {
            f"FD-{NETWORK}": frechet_interval(real, made),
            f"KD-{NETWORK}": kernel_distance(real, made),
            "precision": precision,
            "recall": recall,
        }


def _held_back(labels: Tensor) -> Tensor:
    """Which of the labelled are not learnt from, (N,) bool: every fifth of each class."""
    held = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(int(labels.max()) + 1):
        held[(labels == label).nonzero().flatten()[::HELD_BACK]] = True
    return held


def _require_like(real: Labelled, test: Labelled) -> None:
    """Refuse pictures to test with that a classifier of the real ones cannot be tested with."""
    problem = None
    if not test.classes:
        problem = "have no labels"
    elif other := [name for name in test.classes if name not in real.classes]:
        problem = f"have a class {other[0]!r}, the others {', '.join(real.classes)}"
    elif test.pixels.shape[1:] != real.pixels.shape[1:]:
        problem = "are of another size than the others, or grey where those are not"
    elif len(test.pixels) <= NEIGHBOURS:
        problem = f"are {len(test.pixels)}; more than {NEIGHBOURS} are needed"
    if problem:
        raise EvaluationError(f"the pictures that are set apart for tests {problem}; mend them, or take them out")


def _part(pictures: Labelled, chosen: Tensor) -> Labelled:
    return Labelled(pictures.pixels[chosen], pictures.labels[chosen], pictures.classes)
