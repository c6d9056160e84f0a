"""A contact sheet: each input left, its output right. Every n-th in sorted order, so that nobody picks.

python benchmarks/sheet.py INPUTS OUTPUTS --out sheet.png [--columns 4] [--tile 256] [--count 16]
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from _environment import counterparts, pictures_in
from PIL import Image, ImageOps

GAP = 4  # white pixels between two pairs


def contact_sheet(pairs: Sequence[tuple[Path, Path]], path: Path, columns: int = 4, tile: int = 256) -> None:
    """Write a PNG with `columns` pairs a row; every picture fitted, whole, into tile × tile pixels."""
    rows = -(-len(pairs) // columns)
    width, height = 2 * tile + GAP, tile + GAP
    sheet = Image.new("RGB", (columns * width - GAP, rows * height - GAP), "white")
    for index, pair in enumerate(pairs):
        row, column = divmod(index, columns)
        for side, picture in enumerate(pair):
            with Image.open(picture) as image:
                fitted = ImageOps.pad(image.convert("RGB"), (tile, tile), Image.Resampling.LANCZOS, color="white")
            sheet.paste(fitted, (column * width + side * tile, row * height))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", type=Path)
    parser.add_argument("outputs", type=Path, help="a folder with a picture of the same name for every input shown")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--tile", type=int, default=256, help="pixels a side")
    parser.add_argument("--count", type=int, default=16, help="how many pairs, spread evenly over the sorted inputs")
    options = parser.parse_args()

    inputs = pictures_in(options.inputs)
    count = min(options.count, len(inputs))
    names = [list(inputs)[index * len(inputs) // count] for index in range(count)]
    outputs = counterparts({name: inputs[name] for name in names}, options.outputs)
    contact_sheet([(inputs[name], outputs[name]) for name in names], options.out, options.columns, options.tile)
    print(f"{count} of {len(inputs)} pairs in {options.out}")


if __name__ == "__main__":
    main()
