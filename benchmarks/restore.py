"""How much nearer to the originals photographs come that were aged at random, in colour and as grey prints.

python benchmarks/restore.py --src DIR [--seeds 6] [--weights NAME] [--parts] [--out FILE.json]

Each seed ages every photograph as `sources.py damage --seed` does; the few that it leaves as they were do not count.
The intervals are of the pictures' means over the seeds. --parts also measures with `--grain off` and `--scratches off`.
"""

import argparse
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

import numpy as np
from _environment import pictures_in, read_rgb, write_report
from sources import damaged

from translate import checkpoints
from translate.evaluate import intervals
from translate.evaluate.colour import delta_e
from translate.evaluate.fidelity import compare
from translate.images import Picture
from translate.translator import Translator
from translate.weights import registry

WAYS = {  # what the network does: repairs, cleans
    "restored": (True, True),
    "grain off": (True, False),
    "scratches off": (False, True),
    "tones alone": (False, False),
}
Figures = dict[str, dict[str, list[float]]]  # by picture and measure, one for each seed


def figures(original: np.ndarray, picture: np.ndarray) -> dict[str, float]:
    return {**compare(original, picture, "rgb", 0), "delta_e": delta_e(original, picture)}


def translator(weights: str, way: str) -> Translator:
    model = checkpoints.load(registry.find(weights)[0])
    model.network.repairs, model.network.cleans = WAYS[way]
    return Translator(model, "cpu", "fp32")


def measured(ways: dict[str, Translator], pictures: dict[str, np.ndarray], seeds: int) -> dict[str, object]:
    """One row for "aged" and for each way, and how many dB each way brings."""
    rows: dict[str, Figures] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for seed in range(seeds):
        for name, original in pictures.items():
            aged = damaged(original, name, seed)[0]
            if np.array_equal(aged, original):
                continue
            before = figures(original, aged)
            for way in ["aged", *ways]:
                now = before
                if way != "aged":
                    ((result, _),) = ways[way]([Picture(aged)])
                    now = figures(original, result.pixels)
                    now |= {"gain": now["psnr"] - before["psnr"], "ssim_gain": now["ssim"] - before["ssim"]}
                for measure, value in now.items():
                    rows[way][name][measure].append(value)
    means: dict[str, object] = {}
    for way, of in rows.items():
        measures = next(iter(of.values()))
        means[way] = {m: asdict(intervals.mean([float(np.mean(p[m])) for p in of.values()])) for m in measures}
    return means


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--src", type=Path, required=True, help="photographs in good condition, none of the training")
    parser.add_argument("--seeds", type=int, default=6, help="how often each of them ages")
    parser.add_argument("--weights", default="restore", help="the weights to measure")
    parser.add_argument("--parts", action="store_true", help="what each part of it brings")
    parser.add_argument("--out", type=Path, help="the figures as JSON")
    options = parser.parse_args()

    ways = {way: translator(options.weights, way) for way in (WAYS if options.parts else ["restored"])}
    photographs = {name: read_rgb(path) for name, path in pictures_in(options.src).items()}
    grey = {name: np.repeat(grey_of(pixels), 3, 2) for name, pixels in photographs.items()}
    results = {}
    for kind, pictures in (("colour", photographs), ("grey", grey)):
        results[kind] = measured(ways, pictures, options.seeds)
        print(f"{kind:16s}{'PSNR':>9s}{'gain':>16s}{'SSIM':>8s}{'gain':>8s}{'ΔE':>7s}")
        for way, row in results[kind].items():
            value = {measure: of["value"] for measure, of in row.items()}
            gains = ""
            if way != "aged":
                half = value["gain"] - row["gain"]["low"]
                gains = f"{value['gain']:+9.2f} ± {half:.2f}"
            print(
                f"{way:16s}{value['psnr']:9.2f}{gains:>16s}{value['ssim']:8.3f}"
                f"{value.get('ssim_gain', 0):+8.3f}{value['delta_e']:7.1f}"
            )
    about = {"weights": options.weights, "pictures": len(photographs), "seeds": options.seeds}
    write_report(options.out, {**about, "results": results})


def grey_of(pixels: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) -> (H, W, 1), the luma of BT.601."""
    return np.round(pixels @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)[..., None]


if __name__ == "__main__":
    main()
