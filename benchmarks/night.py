"""Is it night, and still the same place? Judges day photographs that were translated to night.

python benchmarks/night.py --data DIR [--translated DIR] [--out FILE.json]

--data holds day_night/ with trainA and testA (day), trainB and testB (night); --translated holds pictures named like
those of testA. The judge is that of `translate evaluate domain`, which gives the same verdict on them; here it is
also asked about the day photographs under a gamma of 2.5, and has to be right on 95 % of the real ones.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _environment import write_report

from translate.evaluate.appearance import edge_correlation
from translate.evaluate.domain import ENOUGH
from translate.evaluate.fidelity import Pixels
from translate.evaluate.folders import Reader, find, match, small
from translate.evaluate.judge import Judge, describe
from translate.features import FeatureNetwork
from translate.models.layers import placed

GAMMA = 2.5


def darkened(picture: Pixels) -> Pixels:
    """The cheapest night there is."""
    return np.round(255 * (picture / 255) ** GAMMA).astype(np.uint8)


def judgement(night: np.ndarray, originals: Sequence[Pixels], others: Sequence[Pixels]) -> dict[str, float]:
    """One row: the share called night, and how far the edges of the originals were kept."""
    kept = [edge_correlation(original, other) for original, other in zip(originals, others, strict=True)]
    return {
        "called_night": float(night.mean()),
        "edges_mean": float(np.mean(kept)),
        "edges_median": float(np.median(kept)),
        "edges_min": float(np.min(kept)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds day_night/")
    parser.add_argument("--translated", type=Path, help="a folder with a picture for each of testA")
    parser.add_argument("--out", type=Path, help="the figures as JSON")
    options = parser.parse_args()

    data, reader, network = options.data / "day_night", Reader(), placed(FeatureNetwork())

    def pictures(paths: Sequence[Path]) -> list[Pixels]:
        return [small(pixels) for _, pixels in reader.pictures(paths)]

    def night(shown: Sequence[Pixels]) -> np.ndarray:
        return judge.probabilities(describe(network, shown))[:, 1] > 0.5

    kinds = [pictures(list(find(data / name).values())) for name in ("trainA", "trainB")]
    judge = Judge([describe(network, kind, mirrored=True) for kind in kinds])
    days, nights = (pictures(list(find(data / name).values())) for name in ("testA", "testB"))
    dark = [darkened(picture) for picture in days]
    elsewhere = [nights[index % len(nights)] for index in range(len(days))]
    of_days, of_nights = night(days), night(nights)
    accuracy = (np.sum(~of_days) + np.sum(of_nights)) / (len(days) + len(nights))
    rows = {
        "untouched day photographs": judgement(of_days, days, days),
        f"the same, gamma {GAMMA}": judgement(night(dark), days, dark),
        "real nights of other places": judgement(of_nights, days, elsewhere),
    }
    if options.translated:
        translated = pictures([pair[1] for pair in match(data / "testA", options.translated).values()])
        rows["translated"] = judgement(night(translated), days, translated)

    print(f"the judge is right on {accuracy:.1%} of {len(days)} day and {len(nights)} night photographs\n")
    print(f"{'':28s}{'called night':>14s}{'edges: mean':>14s}{'median':>9s}{'min':>9s}")
    for name, row in rows.items():
        called, *edges = row.values()
        print(f"{name:28s}{called:14.1%}{edges[0]:14.2f}{edges[1]:9.2f}{edges[2]:9.2f}")
    write_report(options.out, {"judge_accuracy": float(accuracy), "rows": rows})
    if accuracy < ENOUGH:
        raise SystemExit(f"the judge must be right on {ENOUGH:.0%} of the real photographs to judge others")


if __name__ == "__main__":
    main()
