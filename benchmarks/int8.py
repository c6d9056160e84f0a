"""What 8-bit whole numbers save and cost in upscaling: time beside fp32, and PSNR on Set5 and Set14.

python benchmarks/int8.py [--weights NAME ...] [--data DIR] [--rounds 7] [--out FILE.json]

--data holds sr_bench/Set5 and sr_bench/Set14 with HR/ and LRx4/; PSNR is of networks that enlarge four times.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from _environment import write_report

from translate import checkpoints
from translate.evaluate import sr
from translate.models import Model
from translate.network import Network
from translate.translator import Translator
from translate.weights import registry

SIZE = 384, 512
PRECISIONS = ("fp32", "int8")
WEIGHTS = ["srresnet-x4-real", "srgan-x4-real", "srresnet-x4", "srgan-x4"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", nargs="+", default=WEIGHTS)
    parser.add_argument("--data", type=Path, help="the folder that holds sr_bench/")
    parser.add_argument("--rounds", type=int, default=7, help="how often each is timed, in turns")
    parser.add_argument("--out", type=Path, help="the figures as JSON")
    options = parser.parse_args()

    figures = {}
    for name in options.weights:
        model = checkpoints.load(registry.find(name)[0])
        figures[name] = {"seconds": timed(model, options.rounds)}
        exact, quick = (figures[name]["seconds"][precision] for precision in PRECISIONS)
        print(f"{name}: {exact:.2f} s in fp32, {quick:.2f} s in int8, {exact / quick:.2f} times as fast")
        if options.data and model.scale == 4:
            figures[name]["psnr"] = fidelity(model, options.data / "sr_bench")
            for precision, found in figures[name]["psnr"].items():
                print(f"  {precision}: {', '.join(f'{value:.3f} dB on {which}' for which, value in found.items())}")
    write_report(options.out, {"threads": torch.get_num_threads(), "size": SIZE, "results": figures})


def timed(model: Model, rounds: int) -> dict[str, float]:
    """Median seconds of one pass in each precision."""
    networks = {precision: Network(model, "cpu", precision).of(precision) for precision in PRECISIONS}
    x = torch.rand(1, 3, *SIZE).contiguous(memory_format=torch.channels_last)
    seconds: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    with torch.inference_mode():
        for network in networks.values():
            network(x)
        for _ in range(rounds):
            for precision, network in networks.items():
                began = time.perf_counter()
                network(x)
                seconds[precision].append(time.perf_counter() - began)
    return {precision: statistics.median(found) for precision, found in seconds.items()}


def fidelity(model: Model, data: Path) -> dict[str, Any]:
    """PSNR of the luminance, 4-pixel border, in dB."""
    return {
        precision: {
            name: sr.evaluate(
                data / name / "HR", data / name / "LRx4", translator=Translator(model, "cpu", precision)
            ).results["weights"]["psnr"].value
            for name in ("Set5", "Set14")
        }
        for precision in PRECISIONS
    }  # fmt: skip


if __name__ == "__main__":
    main()
