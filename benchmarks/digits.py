"""Figures of the digits from noise: what was asked for, the trade-off of the truncation, and data for a classifier.

    python benchmarks/digits.py --data mnist_6000_1000.npz

JSON in results/mnist-from-noise.json, and the trade-off as weights/cgan-digits-truncation.png.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from translate import checkpoints, images, sampling
from translate.evaluate.classifier import classify, fit
from translate.evaluate.generated import Judge, Labelled
from translate.evaluate.report import environment
from translate.train.labelled import Pictures
from translate.weights import registry

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("cgan-digits", "dcgan-digits", "gan-digits")
COUNT, SEEDS, FEW, ADDED = 1000, 5, 20, 100


def made(network: Any, count: int, seed: int, truncation: float | None = None) -> Labelled:
    labels = [number % len(network.classes) for number in range(count)] if network.classes else []
    z = sampling.latents(network, seed, count, truncation)
    pixels = np.stack(list(sampling.pictures(network, z, labels, truncation)))[..., :1]
    of = torch.tensor(labels or [0] * count)
    return Labelled(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), of, network.classes)


def sheet(network: Any) -> np.ndarray:
    """Eight pictures of each class, or 80 without classes; nobody picked them."""
    rows = max(len(network.classes), 10)
    labels = [row for row in range(rows) for _ in range(8)] if network.classes else []
    tiles = np.stack(list(sampling.pictures(network, sampling.latents(network, 0, rows * 8), labels)))
    grid = tiles.reshape(rows, 8, *tiles.shape[1:]).swapaxes(1, 2).reshape(rows * 28, 8 * 28, 3)
    return grid.repeat(2, 0).repeat(2, 1)


def plot(points: list[dict[str, float]], real: dict[str, float]) -> np.ndarray:
    """Precision (up) over recall (right), a dot a truncation; the cross is what real pictures reach."""
    side, margin = 480, 60
    canvas = np.full((side + 2 * margin, side + 2 * margin, 3), 255, np.uint8)

    def at(x: float, y: float) -> tuple[int, int]:
        return round(margin + x * side), round(margin + (1 - y) * side)

    def text(what: str, where: tuple[int, int]) -> None:
        cv2.putText(canvas, what, where, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)

    for tick in np.linspace(0, 1, 6):
        cv2.line(canvas, at(0, tick), at(1, tick), (225, 225, 225))
        cv2.line(canvas, at(tick, 0), at(tick, 1), (225, 225, 225))
        text(f"{tick:.1f}", (margin - 34, at(0, tick)[1] + 5))
        text(f"{tick:.1f}", (at(tick, 0)[0] - 12, side + margin + 20))
    text("recall", (margin + side // 2 - 20, side + margin + 44))
    text("precision", (margin - 50, margin - 20))
    places = [at(point["recall"], point["precision"]) for point in points]
    cv2.polylines(canvas, [np.array(places)], False, (190, 120, 30), 2, cv2.LINE_AA)
    for point, place in zip(points, places, strict=True):
        cv2.circle(canvas, place, 5, (190, 60, 20), -1, cv2.LINE_AA)
        text(f"{point['truncation']:g}", (place[0] + 8, place[1] - 8))
    cv2.drawMarker(canvas, at(real["recall"], real["precision"]), (0, 0, 0), cv2.MARKER_TILTED_CROSS, 12, 2)
    return canvas


def augmentation(network: Any, train: Pictures, test: Pictures) -> dict[str, Any]:
    """Accuracy on the test digits of a classifier from 20 real digits a class, without and with generated ones.

    The generator has seen all 6,000, so this says what its pictures are worth, not what one could do with 200.
    """
    accuracies: dict[str, list[float]] = {"real": [], "real and generated": []}
    for seed in range(SEEDS):
        random = np.random.default_rng(seed)
        every = [random.permutation(np.flatnonzero(train.labels.numpy() == digit))[:FEW] for digit in range(10)]
        few = torch.from_numpy(np.concatenate(every))
        x, y = train.pixels[few], train.labels[few]
        more = made(network, ADDED * 10, 1000 + seed)
        both = torch.cat([x, more.pixels]), torch.cat([y, more.labels])
        for name, (pixels, labels), epochs in (("real", (x, y), 36), ("real and generated", both, 6)):
            _, called = classify(fit(pixels, labels, 10, seed=seed, epochs=epochs), test.pixels)
            accuracies[name].append(float((called == test.labels.numpy()).mean()))
    of = {
        name: {"mean": float(np.mean(a)), "std": float(np.std(a, ddof=1)), "each": a} for name, a in accuracies.items()
    }
    return {"real a class": FEW, "generated a class": ADDED, **of}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data
    train, test = Pictures(data), Pictures(data, test=True)
    judge = Judge(*(Labelled(x.pixels, x.labels, x.classes) for x in (train, test)))
    real = judge.of_real(COUNT)
    out: dict[str, Any] = {"environment": environment(), "pictures": COUNT}
    out["real"] = {name: asdict(figure) for name, figure in real.items()}
    networks = {name: checkpoints.load_from_noise(registry.find(name)[0]) for name in NAMES}
    for name, network in networks.items():
        figures, shares = judge.measure(made(network, COUNT, 0))
        out[name] = {measure: asdict(figure) for measure, figure in figures.items()} | {"shares": shares}
        images.write(ROOT / "weights" / f"{name}.jpg", images.Picture(sheet(network)))
        print(name, {measure: round(figure.value, 3) for measure, figure in figures.items()}, shares, flush=True)
    digits = networks["cgan-digits"]
    out["truncation"] = []
    for truncation in sampling.truncations(digits):
        figures, _ = judge.measure(made(digits, COUNT, 0, truncation))
        values = {name: figure.value for name, figure in figures.items()}
        out["truncation"].append({"truncation": truncation} | values)
        print(truncation, values, flush=True)
    curve = plot(out["truncation"], {name: figure.value for name, figure in real.items()})
    images.write(ROOT / "weights" / "cgan-digits-truncation.png", images.Picture(curve))
    out["augmentation"] = augmentation(digits, train, test)
    print(out["augmentation"])
    path = ROOT / "benchmarks" / "results" / "mnist-from-noise.json"
    path.write_text(json.dumps(out, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
