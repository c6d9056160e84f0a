"""How good a generator from noise is: are its pictures what was asked for, like the real ones, and as varied?"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from translate.errors import EvaluationError
from translate.evaluate.classifier import FEATURES, classify, fit
from translate.evaluate.distances import NEIGHBOURS, frechet_interval, kernel_distance, precision_recall
from translate.evaluate.intervals import Measured, share
from translate.evaluate.report import Report

NETWORK = "Classifier"
HELD_BACK = 5  # one picture of so many, where there is no test set
ENOUGH = 0.96
LEAST = 20  # pictures of a set


@dataclass(frozen=True)
class Labelled:
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
        test: real pictures that the classifier has not seen; left out, every fifth of `real` is held back.
        seed: of the classifier, and of the choice of pictures.

    Raises:
        EvaluationError: too few pictures or classes, or the fakes are of another size or of other classes.
    """
    _check(real, fake)
    if test is None:
        held = torch.arange(len(real.pixels)) % HELD_BACK == 0
        real, test = _part(real, ~held), _part(real, held)
    network = fit(real.pixels, real.labels, len(real.classes), seed=seed)
    seen, _ = classify(network, real.pixels)
    unseen, taken_for = classify(network, test.pixels)
    made, called = classify(network, fake.pixels)
    report = Report("generated", {"features": f"{NETWORK}, {FEATURES} numbers", "neighbours": NEIGHBOURS, "seed": seed})

    random = np.random.default_rng(seed)
    count = min(len(test.pixels), len(fake.pixels), len(real.pixels))
    reference = unseen[random.permutation(len(unseen))[:count]]
    for row, features in (("other real", seen), ("fake", made)):
        chosen = features[random.permutation(len(features))[:count]]
        report.results[row] = _distances(reference, chosen)
    report.protocol["compared"] = count

    right = int((taken_for == test.labels.numpy()).sum())
    report.results["other real"]["accuracy"] = share(right, len(test.labels))
    if right < ENOUGH * len(test.labels):
        report.notes.append(f"the classifier is right on only {right} of {len(test.labels)} real pictures")
    if fake.classes:
        asked = np.array([real.classes.index(name) for name in fake.classes])[fake.labels.numpy()]
        report.results["fake"]["as_asked"] = share(int((called == asked).sum()), len(called))
    shares = np.bincount(called, minlength=len(real.classes)) / len(called)
    report.protocol["shares"] = {name: round(float(part), 4) for name, part in zip(real.classes, shares, strict=True)}
    report.results["fake"]["largest_class"] = Measured(float(shares.max() * len(shares)))
    report.results["fake"]["smallest_class"] = Measured(float(shares.min() * len(shares)))
    return report


def _distances(real: np.ndarray, fake: np.ndarray) -> dict[str, Measured]:  # type: ignore[type-arg]
    precision, recall = precision_recall(real, fake)
    return {
        f"FD-{NETWORK}": frechet_interval(real, fake),
        f"KD-{NETWORK}": kernel_distance(real, fake),
        "precision": precision,
        "recall": recall,
    }


def _part(pictures: Labelled, chosen: Tensor) -> Labelled:
    return Labelled(pictures.pixels[chosen], pictures.labels[chosen], pictures.classes)


def _check(real: Labelled, fake: Labelled) -> None:
    if len(real.classes) < 2:
        raise EvaluationError("the real pictures have no classes; give one folder a class, or an .npz with labels")
    if real.pixels.shape[1:] != fake.pixels.shape[1:]:
        sizes = (" × ".join(map(str, x.pixels.shape[1:])) for x in (real, fake))
        raise EvaluationError("the real pictures are {}, but the fakes {}".format(*sizes))
    if other := [name for name in fake.classes if name not in real.classes]:
        raise EvaluationError(f"the fakes have a class {other[0]!r}, the real ones {', '.join(real.classes)}")
    if min(len(real.pixels), len(fake.pixels)) < LEAST:
        raise EvaluationError(f"{len(real.pixels)} real pictures and {len(fake.pixels)} fakes; {LEAST} are needed")
