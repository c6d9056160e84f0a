"""What the command adds to the bare network: rate, start-up, and memory against the number of files.

python benchmarks/pipeline.py [--weights NAME] [--count 60] [--side 256] [--many 2000] [--out FILE.json]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from _environment import write_report
from PIL import Image

from translate import checkpoints
from translate.device import PRECISIONS, choose_precision
from translate.models.layers import placed
from translate.weights import registry

TRANSLATE = str(Path(sys.executable).with_name("translate"))


def photographs(folder: Path, count: int, side: int) -> Path:
    """Smooth noise with grain, as JPEGs: it decodes and compresses about as a photograph does."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for index in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).resize(
            (side, side), Image.Resampling.BICUBIC
        )
        pixels = np.asarray(coarse).astype(int) + random.integers(-12, 13, (side, side, 1))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{index:05}.jpg", quality=92)
    return folder


def bare_rate(weights: str, count: int, side: int) -> float:
    """Images a second of the network alone, in this process, on tensors that are already there."""
    model = checkpoints.load(registry.find(weights)[0])
    network = placed(model.network, "cpu", PRECISIONS[choose_precision("auto", "cpu").value])
    x = torch.rand(1, 3, side, side).mul_(2).sub_(1).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        network(x)
        began = time.perf_counter()
        for _ in range(count):
            network(x)
    return count / (time.perf_counter() - began)


# A process's peak begins with that of its parent, so the commands are started by one without torch.
LAUNCH = """
import resource, subprocess, sys, time
began = time.perf_counter()
code = subprocess.run(sys.argv[1:]).returncode
seconds = time.perf_counter() - began
print(seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024, file=sys.stderr)
sys.exit(code)
"""


def run(*arguments: str) -> tuple[float, int, str]:
    """Seconds, peak bytes and output of one command."""
    command = [sys.executable, "-S", "-c", LAUNCH, TRANSLATE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"translate {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
    seconds, peak = done.stderr.split()[-2:]
    return float(seconds), int(peak), done.stdout


def first_image(folder: Path, out: Path, weights: str) -> float:
    """Seconds from the start of the command to its first finished image."""
    began = time.perf_counter()
    command = [TRANSLATE, "cyclegan", "--src", str(folder), "--weights", weights, "--out", str(out), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        while json.loads(process.stdout.readline())["status"] != "done":
            pass
        seconds = time.perf_counter() - began
        process.kill()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="cyclegan-night")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--many", type=int, default=2000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        some = photographs(folder / "some", options.count, options.side)
        rates = []
        for repeat in range(3):  # in turn, as the machine's speed drifts
            bare = bare_rate(options.weights, options.count, options.side)
            out = folder / f"out{repeat}"
            seconds, peak, text = run("cyclegan", "--src", str(some), "--weights", options.weights, "--out", str(out))
            inside = float(text.split(" done, ")[1].split("(")[1].split()[0])
            rates.append((bare, inside, options.count / seconds))
        bare, inside, whole = (statistics.median(column) for column in zip(*rates, strict=True))
        figures = {
            "network_images_a_second": bare,
            "command_images_a_second": whole,
            "command_without_start_up_images_a_second": inside,
            "command_over_network": statistics.median(row[2] / row[0] for row in rates),
            "command_without_start_up_over_network": statistics.median(row[1] / row[0] for row in rates),
            "help_seconds": statistics.median(run("--help")[0] for _ in range(5)),
            "first_image_seconds": statistics.median(
                first_image(some, folder / f"first{repeat}", options.weights) for repeat in range(3)
            ),
            "peak_megabytes": peak / 1e6,
        }
        for count in (20, options.many):
            few = photographs(folder / str(count), count, 64)
            _, peak, _ = run("cyclegan", "--src", str(few), "--weights", options.weights)
            figures[f"peak_megabytes_{count}_files_of_64"] = peak / 1e6
    for key, value in figures.items():
        print(f"{key:45s}{value:10.3f}")
    write_report(options.out, {"weights": options.weights, "count": options.count, "side": options.side, **figures})


if __name__ == "__main__":
    main()
