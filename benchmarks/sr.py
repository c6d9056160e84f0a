"""×4 upscaling on Set5 and Set14: PSNR and SSIM of the luminance, a border of 4 pixels left out, beside bicubic.

python benchmarks/sr.py --data DIR [--restored DIR] [--out FILE.json]

--data holds sr_bench/Set5 and sr_bench/Set14 with HR/ and LRx4/ (Matlab's bicubic); --restored holds Set5/ and Set14/
with files named like the low-resolution ones. Grey pictures are compared in grey, as the published figures are.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from _environment import counterparts, pictures_in, write_report
from PIL import Image
from translate.train.metrics import psnr_y, ssim_y

SCALE, BORDER = 4, 4
SETS = ("Set5", "Set14")


def bicubic(low: Image.Image) -> Image.Image:
    """Upscaled with Keys' kernel at a = -0.5 as in Matlab; torch and OpenCV use a = -0.75, which scores lower."""
    return low.resize((low.width * SCALE, low.height * SCALE), Image.Resampling.BICUBIC)


def compare(restored: Image.Image, high: Image.Image) -> dict[str, float]:
    """PSNR in dB and SSIM against the original, cut to the restored size where it is no multiple of 4."""
    if not (0 <= high.width - restored.width < SCALE and 0 <= high.height - restored.height < SCALE):
        raise SystemExit(f"restored is {restored.size}, the original {high.size}: not a picture upscaled by {SCALE}")
    grey = high.mode == "L"
    original = np.asarray(high if grey else high.convert("RGB"))[: restored.height, : restored.width]
    result = np.asarray(restored.convert("L" if grey else "RGB"))
    return {"psnr": psnr_y(result, original, BORDER), "ssim": ssim_y(result, original, BORDER)}


def measure(folder: Path, restored: Path | None) -> dict[str, dict[str, Any]]:
    """The figures of one set: method to {picture: figures}, with their mean under "mean"."""
    lows = pictures_in(folder / "LRx4")
    highs = counterparts(lows, folder / "HR")
    results = counterparts(lows, restored) if restored else {}
    figures: dict[str, dict[str, Any]] = {"bicubic": {}} | ({"restored": {}} if restored else {})
    for name in lows:
        with Image.open(lows[name]) as low, Image.open(highs[name]) as high:
            figures["bicubic"][name] = compare(bicubic(low), high)
            if restored:
                with Image.open(results[name]) as result:
                    figures["restored"][name] = compare(result, high)
    for pictures in figures.values():
        one = list(pictures.values())
        pictures["mean"] = {key: float(np.mean([figure[key] for figure in one])) for key in ("psnr", "ssim")}
    return figures


def show(name: str, figures: dict[str, dict[str, Any]]) -> None:
    print(f"{name:12s}" + "".join(f"{method:>20s}" for method in figures))
    for picture in figures["bicubic"]:
        cells = (figures[method][picture] for method in figures)
        print(f"{picture:12s}" + "".join(f"{cell['psnr']:10.2f} dB {cell['ssim']:6.4f}" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds sr_bench/")
    parser.add_argument("--restored", type=Path, help="the folder that holds the upscaled Set5/ and Set14/")
    parser.add_argument("--out", type=Path, help="the figures as JSON")
    options = parser.parse_args()

    report = {}
    for name in SETS:
        report[name] = measure(options.data / "sr_bench" / name, options.restored and options.restored / name)
        show(name, report[name])
    write_report(options.out, {"protocol": f"x{SCALE}, BT.601 luminance, border {BORDER}", **report})


if __name__ == "__main__":
    main()
