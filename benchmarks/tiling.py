"""A large picture in parts against the whole: difference, time and peak memory, beside plain tiles.

python benchmarks/tiling.py [--weights NAME] [--width 1728] [--height 1152] [--rows 128] [--out FILE.json]

Plain tiles normalise each tile by its own statistics, as most tools do; with a thumbnail, all of them by those that the
picture has when it is made small (Chen et al. 2022, arXiv:2103.11784). Times are medians; run it on an idle machine.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from _environment import read_rgb, write_report
from torch import Tensor, nn

from translate import checkpoints, kernels
from translate.bands import in_bands
from translate.models import Model
from translate.tiles import in_tiles
from translate.weights import registry

SIDE, HALO = 512, 64  # of the plain tiles: pixels, and how far they overlap


def put_together(parts: Iterator[tuple[int, int, Tensor]], like: Tensor) -> Tensor:
    result = torch.empty_like(like)
    for top, left, part in parts:
        result[:, :, top : top + part.shape[2], left : left + part.shape[3]] = part
    return result


def ways(model: Model, x: Tensor, rows: int) -> dict[str, Callable[[], Tensor]]:
    network, (height, width) = model.network, x.shape[2:]

    def source(top: int, bottom: int, left: int, right: int) -> Tensor:
        return x[:, :, top:bottom, left:right].contiguous(memory_format=torch.channels_last)

    def exact() -> Tensor:
        return put_together(in_bands(network, source, height, width, rows=rows, memory=1 << 30), x)

    def plain() -> Tensor:
        return put_together(in_tiles(network, source, height, width, side=SIDE, halo=HALO, multiple=4), x)

    def thumbnail() -> Tensor:
        small = F.interpolate(
            x, size=[-(-n * SIDE // max(height, width) // 4) * 4 for n in (height, width)], mode="area"
        )
        with learnt(network, small):
            return plain()

    return {"whole": lambda: network(x), "parts": exact, "plain_tiles": plain, "thumbnail": thumbnail}


@contextmanager
def learnt(network: nn.Module, small: Tensor) -> Iterator[None]:
    """Let every instance norm of the network take the statistics that it has on this picture."""
    own, known = kernels.instance_norm, []

    def learn(x: Tensor, *arguments: Any, **options: Any) -> Tensor:
        known.append(kernels.instance_statistics(x))
        return own(x, *arguments, **options)

    def apply(x: Tensor, *arguments: Any, pad: int = 0, **options: Any) -> Tensor:
        known.append(known.pop(0))  # the norms come in the same order every time
        return F.pad(kernels.normalise(x, known[-1], *arguments, **options), [pad] * 4, mode="reflect")

    try:
        kernels.instance_norm = learn
        network(small)
        kernels.instance_norm = apply
        yield
    finally:
        kernels.instance_norm = own


def against(whole: Tensor, result: Tensor) -> dict[str, float]:
    """How far a result is from the whole's, in steps of 8 bit, everywhere and across the tiles' edges."""
    error = (result - whole)[0].mean(0) * 127.5
    seams = [(error[y] - error[y - 1]).abs().mean() for y in range(SIDE, error.shape[0], SIDE)]
    seams += [(error[:, x] - error[:, x - 1]).abs().mean() for x in range(SIDE, error.shape[1], SIDE)]
    return {
        "max": float((result - whole).abs().max() * 127.5),
        "colour_shift": float((result - whole)[0].mean((1, 2)).abs().max() * 127.5),
        "local_shift_95%": float(np.quantile(np.abs(cv2.blur(error.numpy(), (64, 64))), 0.95)),
        "seam": float(torch.stack(seams).mean()) if seams else 0.0,
    }


def peak(script: str, arguments: list[str]) -> float:
    """GB of a process of its own that does it one way."""
    command = [sys.executable, script, *arguments]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="horse2zebra", help="of a ResNet generator; the default is downloaded")
    parser.add_argument("--width", type=int, default=1728)
    parser.add_argument("--height", type=int, default=1152)
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--photo", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", help="do it this way once and print the peak memory in GB")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.photo is None:
        from sklearn.datasets import load_sample_image

        pixels = load_sample_image("china.jpg")
    else:
        pixels = read_rgb(options.photo)
    pixels = cv2.resize(pixels, (options.width, options.height), interpolation=cv2.INTER_CUBIC)
    x = (torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1).contiguous(
        memory_format=torch.channels_last
    )
    model = checkpoints.load(registry.find(options.weights)[0])
    doing = ways(model, x, options.rows)
    with torch.inference_mode():
        if options.only:
            doing[options.only]()
            status = Path("/proc/self/status").read_text()  # rusage would begin with the peak of the parent
            print(int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e9)
            return
        seconds: dict[str, list[float]] = {way: [] for way in doing}
        results = {}
        for _ in range(options.repeat):
            for way, run in doing.items():
                began = time.perf_counter()
                results[way] = run()
                seconds[way].append(time.perf_counter() - began)
    sizes = {"weights": options.weights, "width": options.width, "height": options.height, "rows": options.rows}
    passed = [word for name, value in sizes.items() for word in (f"--{name}", str(value))]
    figures = {
        way: {
            "seconds": statistics.median(seconds[way]),
            "peak_gb": peak(__file__, [*passed, "--only", way]),
            **against(results["whole"], results[way]),
        }
        for way in doing
    }
    for way, found in figures.items():
        print(way, {name: round(value, 4) for name, value in found.items()})
    write_report(options.out, {"picture": [options.width, options.height], "rows": options.rows, **figures})


if __name__ == "__main__":
    main()
