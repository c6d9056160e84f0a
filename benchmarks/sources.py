"""Fixed sources for judging restoration and sketch to photo: a folder of photographs, each damaged or drawn.

python benchmarks/sources.py damage --src DIR --out DIR [--seed N] [--masks DIR]
python benchmarks/sources.py sketch --src DIR --out DIR [--kind pencil]

Writes a PNG for each picture. The damage depends on the seed and the file's name only, so that a part of the folder
gives the same files. --masks keeps where marks have destroyed the picture, white on black.
"""

import argparse
import zlib
from pathlib import Path

import numpy as np
import torch
from _environment import pictures_in, read_rgb
from PIL import Image
from torch import Tensor

from translate.train.damage import damage_and_mask


def damaged(pixels: np.ndarray, name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (H, W, 3) -> the damaged picture, (H, W, 3), and the mask, (H, W), in bytes."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()) + (seed << 32))
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    picture, mask = damage_and_mask(x, generator)
    return _bytes(picture[0].permute(1, 2, 0)), _bytes(mask[0, 0])


def _bytes(x: Tensor) -> np.ndarray:
    return (x * 255).round().byte().numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["damage"])
    parser.add_argument("--src", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--masks", type=Path)
    options = parser.parse_args()

    pictures = pictures_in(options.src)
    for folder in filter(None, (options.out, options.masks)):
        folder.mkdir(parents=True, exist_ok=True)
    for name, path in pictures.items():
        picture, mask = damaged(read_rgb(path), name, options.seed)
        Image.fromarray(picture).save(options.out / f"{name}.png")
        if options.masks:
            Image.fromarray(mask).save(options.masks / f"{name}.png")
    print(f"{len(pictures)} pictures in {options.out}")


if __name__ == "__main__":
    main()
