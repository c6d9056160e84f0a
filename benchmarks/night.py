"""Is it night, and still the same place? Judges day photographs that were translated to night.

python benchmarks/night.py --data DIR [--translated DIR] [--out FILE.json]

--data holds day_night/ with trainA and testA (day), trainB and testB (night); --translated holds pictures named like
those of testA. A logistic regression on EfficientNet-lite0's features and a colour histogram learns day from night on
the training photographs; it has to tell at least 95 % of the real test photographs right before it may judge.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from _environment import counterparts, pictures_in, read_rgb, write_report
from torch import Tensor, nn
from torch.nn import functional
from translate.train.metrics import edge_correlation

from translate.features import FeatureNetwork

SHORT_SIDE = 256
BINS = 16
GAMMA = 2.5
WEIGHT_DECAY = 1e-2  # anything from 1e-3 to 1e-1 gives 98 % in a cross-validation on the training photographs
ENOUGH = 0.95

Picture = np.ndarray


def read(path: Path) -> Picture:
    """A photograph, uint8 (H, W, 3), its short side 256 pixels."""
    picture = read_rgb(path)
    height, width = picture.shape[:2]
    factor = SHORT_SIDE / min(height, width)
    size = (round(width * factor), round(height * factor))
    return picture if factor == 1 else cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def darkened(picture: Picture) -> Picture:
    """The cheapest night there is: a gamma of 2.5."""
    return np.round(255 * (picture / 255) ** GAMMA).astype(np.uint8)


def histogram(picture: Picture) -> Tensor:
    """The share of pixels in each sixteenth of the red, green and blue range, under a square root: (48,)."""
    counts = np.stack([np.bincount(picture[..., c].ravel() // (256 // BINS), minlength=BINS) for c in range(3)])
    return torch.from_numpy(np.sqrt(counts / counts.sum(axis=1, keepdims=True))).float().flatten()


@torch.inference_mode()
def describe(network: FeatureNetwork, pictures: Sequence[Picture]) -> Tensor:
    """Embedding and histogram, (N, 1280 + 48); one picture at a time since their sizes differ."""
    rows = []
    for picture in pictures:
        x = torch.from_numpy(picture.copy()).unsqueeze(0).permute(0, 3, 1, 2) / 255  # (1, 3, H, W), channels last
        rows.append(torch.cat([network.embed(x)[0], histogram(picture)]))
    return torch.stack(rows)


class Judge:
    """A logistic regression on standardised features, trained to the optimum; nothing in it is random."""

    def __init__(self, day: Tensor, night: Tensor) -> None:
        features = torch.cat([day, night])
        labels = torch.cat([torch.zeros(len(day)), torch.ones(len(night))])
        self.mean, self.std = features.mean(dim=0), features.std(dim=0) + 1e-6
        self.linear = nn.Linear(features.shape[1], 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        optimiser = torch.optim.LBFGS(self.linear.parameters(), max_iter=200, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimiser.zero_grad()
            error = functional.binary_cross_entropy_with_logits(self.score(features), labels)
            value: Tensor = error + WEIGHT_DECAY * self.linear.weight.square().sum()
            value.backward()
            return value

        optimiser.step(loss)

    def score(self, features: Tensor) -> Tensor:
        """(N, D) to (N,): above zero is night."""
        scores: Tensor = self.linear((features - self.mean) / self.std)
        return scores.squeeze(1)

    def night_share(self, features: Tensor) -> float:
        return float((self.score(features) > 0).double().mean())


def judgement(night_share: float, originals: Sequence[Picture], others: Sequence[Picture]) -> dict[str, float]:
    """One row: the share called night, and how far the edges of the originals were kept (any size will do)."""
    kept = []
    for original, other in zip(originals, others, strict=True):
        height, width = original.shape[:2]
        kept.append(edge_correlation(original, cv2.resize(other, (width, height), interpolation=cv2.INTER_AREA)))
    return {
        "called_night": night_share,
        "edges_mean": float(np.mean(kept)),
        "edges_median": float(np.median(kept)),
        "edges_min": float(np.min(kept)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds day_night/")
    parser.add_argument("--translated", type=Path, help="a folder with a picture for each of testA")
    parser.add_argument("--out", type=Path, help="the figures as JSON")
    options = parser.parse_args()

    folders = {name: pictures_in(options.data / "day_night" / name) for name in ("trainA", "trainB", "testA", "testB")}
    translated = counterparts(folders["testA"], options.translated) if options.translated else {}
    network = FeatureNetwork().to(memory_format=torch.channels_last)

    training = {}
    for name in ("trainA", "trainB"):
        pictures = [read(path) for path in folders[name].values()]
        print(f"reading {len(pictures)} photographs of {name} and their mirror images")
        mirrored = [picture[:, ::-1] for picture in pictures]
        training[name] = torch.cat([describe(network, pictures), describe(network, mirrored)])
    judge = Judge(training["trainA"], training["trainB"])

    days, nights = ([read(path) for path in folders[name].values()] for name in ("testA", "testB"))
    day_share, night_share = (judge.night_share(describe(network, pictures)) for pictures in (days, nights))
    accuracy = ((1 - day_share) * len(days) + night_share * len(nights)) / (len(days) + len(nights))

    dark = [darkened(picture) for picture in days]
    elsewhere = [nights[index % len(nights)] for index in range(len(days))]
    rows = {
        "untouched day photographs": judgement(day_share, days, days),
        f"the same, gamma {GAMMA}": judgement(judge.night_share(describe(network, dark)), days, dark),
        "real nights of other places": judgement(night_share, days, elsewhere),
    }
    if translated:
        pictures = [read(path) for path in translated.values()]
        rows["translated"] = judgement(judge.night_share(describe(network, pictures)), days, pictures)

    print(
        f"the judge is right on {accuracy:.1%} of {len(days)} day and {len(nights)} night photographs not seen before\n"
    )
    print(f"{'':28s}{'called night':>14s}{'edges: mean':>14s}{'median':>9s}{'min':>9s}")
    for name, row in rows.items():
        print(
            f"{name:28s}{row['called_night']:14.1%}"
            f"{row['edges_mean']:14.2f}{row['edges_median']:9.2f}{row['edges_min']:9.2f}"
        )
    write_report(options.out, {"judge_accuracy": accuracy, "rows": rows})
    if accuracy < ENOUGH:
        raise SystemExit(f"the judge must be right on {ENOUGH:.0%} of the real photographs to judge others")


if __name__ == "__main__":
    main()
