"""×4 upscaling on Set5 and Set14, as `translate evaluate sr` measures it, beside bicubic.

python benchmarks/sr.py --data DIR [--weights NAME] [--self-ensemble] [--out FILE.json]

--data holds sr_bench/Set5 and sr_bench/Set14 with HR/ and LRx4/ (Matlab's bicubic).
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from _environment import write_report

from translate import checkpoints
from translate.evaluate import sr
from translate.models.ensemble import ensembled
from translate.translator import Translator
from translate.weights import registry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds sr_bench/")
    parser.add_argument("--weights", default="srresnet-x4", help="the weights to measure")
    parser.add_argument("--self-ensemble", action="store_true", help="the mean of eight positions")
    parser.add_argument("--out", type=Path, help="the figures as JSON")
    options = parser.parse_args()

    model = checkpoints.load(registry.find(options.weights)[0])
    translator = Translator(ensembled(model) if options.self_ensemble else model, "cpu", "fp32")
    figures = {}
    for name in ("Set5", "Set14"):
        folder = options.data / "sr_bench" / name
        report = sr.evaluate(folder / "HR", folder / "LRx4", translator=translator)
        for method in ("bicubic", "weights"):
            psnr, ssim = (report.results[method][measure].value for measure in ("psnr", "ssim"))
            print(f"{name:6s} {method:8s} {psnr:6.2f} dB  SSIM {ssim:.4f}")
        figures[name] = {"results": asdict(report)["results"], "pictures": report.pictures}
    protocol = "x4, BT.601 luminance, border 4"
    about = {"weights": options.weights, "self_ensemble": options.self_ensemble, "protocol": protocol}
    write_report(options.out, {**about, **figures})


if __name__ == "__main__":
    main()
