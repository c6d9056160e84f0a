"""Is it a zebra, and is the meadow still the same? Judges horses that were translated to zebras, or back.

python benchmarks/animals.py --data DIR --to zebra|horse --translated DIR [--out FILE.json]

--data holds horse2zebra/ with trainA and testA (horses), trainB and testB (zebras); --translated holds pictures named
like those of the test folder. Two judges: that of `translate evaluate domain`, which has learnt from the training
folders, and the classifier of EfficientNet-lite0 itself, among the 1000 classes of ImageNet. The change is the mean
absolute difference in steps of 8 bits, inside and outside of where that classifier sees the animal: where the class
activation map (Zhou et al. 2016, arXiv:1512.04150) of its class is above a fifth of its maximum.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from _environment import read_rgb, write_report
from torch import Tensor

from translate.evaluate import domain
from translate.evaluate.folders import match
from translate.features import FeatureNetwork
from translate.train.data import to_tensor

CLASSES = {"horse": 339, "zebra": 340}  # in ImageNet: "sorrel" and "zebra"
FOLDERS = {"horse": "A", "zebra": "B"}
ANIMAL = 0.2


@torch.inference_mode()
def animal(network: FeatureNetwork, x: Tensor, kind: str) -> Tensor:
    """Where in (1, 3, H, W) the classifier sees the animal: (H, W), true or false."""
    maps = F.relu6(network.head(network(x, taps=[4])[0]))
    activation = torch.einsum("chw,c->hw", maps[0], network.classifier.weight[CLASSES[kind]])
    large = F.interpolate(activation[None, None], x.shape[2:], mode="bilinear")[0, 0]
    return large > ANIMAL * large.max()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds horse2zebra/")
    parser.add_argument("--to", choices=CLASSES, required=True)
    parser.add_argument("--translated", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="the figures as JSON")
    options = parser.parse_args()

    data, network = options.data / "horse2zebra", FeatureNetwork()
    source = next(kind for kind in CLASSES if kind != options.to)
    a, b = FOLDERS[source], FOLDERS[options.to]
    tests = {"test_a": data / f"test{a}", "test_b": data / f"test{b}"}
    report = domain.evaluate(data / f"train{a}", data / f"train{b}", options.translated, **tests)

    inside, outside, shares, imagenet = [], [], [], []
    for before, after in match(tests["test_a"], options.translated).values():
        pixels, changed = read_rgb(before), read_rgb(after)
        where = animal(network, to_tensor(pixels[None]), source).numpy()
        apart = np.abs(changed.astype(float) - pixels).mean(2)
        inside.append(apart[where].mean())
        outside.append(apart[~where].mean())
        shares.append(where.mean())
        imagenet.append(int(network.classify(to_tensor(changed[None])).argmax()) == CLASSES[options.to])
    figures = {
        "judge_right": report.results["judge"]["accuracy"].value,
        "called_as_asked": report.results["fake"]["called_b"].value,
        "imagenet_says_so": float(np.mean(imagenet)),
        "change_inside": float(np.mean(inside)),
        "change_outside": float(np.mean(outside)),
        "animal_share": float(np.mean(shares)),
    }
    for name, value in figures.items():
        print(f"{name:20s}{value:8.3f}")
    write_report(options.out, {"to": options.to, "pictures": len(inside), **figures})


if __name__ == "__main__":
    main()
