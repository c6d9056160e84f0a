"""Fixed sources for judging the other models: a folder of photographs, each damaged, drawn, made grey or made small.

python benchmarks/sources.py damage --src DIR --out DIR [--seed N] [--masks DIR]
python benchmarks/sources.py sketch --src DIR --out DIR [--kind xdog]
python benchmarks/sources.py grey --src DIR --out DIR
python benchmarks/sources.py small --src DIR --out DIR [--seed N] [--scale 4]

Writes a PNG for each picture; the small ones are made with blur, noise and JPEG. What is done depends on the seed and
the file's name only, so that a part of the folder gives the same files. --masks keeps where marks have destroyed the
picture, white on black.
"""

import argparse
import zlib
from pathlib import Path

import numpy as np
import torch
from _environment import pictures_in, read_rgb
from PIL import Image
from torch import Tensor

from translate.train.damage import damage
from translate.train.damage.lowres import degrade
from translate.train.sketch import DETECTORS, sketch


def damaged(pixels: np.ndarray, name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (H, W, 3) -> the damaged picture, (H, W, 3), and the mask, (H, W), in bytes."""
    seeds = torch.tensor([zlib.crc32(name.encode()) + (seed << 32)])
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    picture, _, mask = damage(x, seeds)
    return _bytes(picture[0].permute(1, 2, 0)), _bytes(mask[0, 0])


def small(pixels: np.ndarray, name: str, seed: int, scale: int) -> np.ndarray:
    """uint8 (H, W, 3) -> (H // scale, W // scale, 3) in bytes, as `train srgan --degradation realistic` makes them."""
    rng = np.random.default_rng(zlib.crc32(name.encode()) + (seed << 32))
    return _bytes(torch.from_numpy(degrade(np.float32(1 / 255) * pixels, scale, rng)))


def _bytes(x: Tensor) -> np.ndarray:
    return (x * 255).round().byte().numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="what", required=True)
    for name in ("damage", "sketch", "grey", "small"):
        command = kinds.add_parser(name)
        command.add_argument("--src", type=Path, required=True)
        command.add_argument("--out", type=Path, required=True)
    for name in ("damage", "small"):
        kinds.choices[name].add_argument("--seed", type=int, default=0)
    kinds.choices["damage"].add_argument("--masks", type=Path)
    kinds.choices["small"].add_argument("--scale", type=int, default=4)
    kinds.choices["sketch"].add_argument("--kind", choices=sorted(DETECTORS), default="xdog")
    options = parser.parse_args()

    for name, path in (pictures := pictures_in(options.src)).items():
        pixels = read_rgb(path)
        if options.what == "sketch":
            _save(sketch(pixels, options.kind), options.out, name)
            continue
        if options.what == "grey":
            _save(np.asarray(Image.fromarray(pixels).convert("L").convert("RGB")), options.out, name)
            continue
        if options.what == "small":
            _save(small(pixels, name, options.seed, options.scale), options.out, name)
            continue
        picture, mask = damaged(pixels, name, options.seed)
        _save(picture, options.out, name)
        if options.masks:
            _save(mask, options.masks, name)
    print(f"{len(pictures)} pictures in {options.out}")


def _save(pixels: np.ndarray, folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / f"{name}.png")


if __name__ == "__main__":
    main()
