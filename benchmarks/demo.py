"""`make demo`: translate, enlarge and colour real photographs as a user would, and lay the results side by side."""

import subprocess
import sys
import time
from pathlib import Path

import skimage.data
from PIL import Image
from sheet import contact_sheet
from sklearn.datasets import load_sample_images

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "demo"


def main() -> None:
    photos, frames, old = DEMO / "photos", DEMO / "frames", DEMO / "old"
    for folder in (photos, frames, old):
        folder.mkdir(parents=True, exist_ok=True)
    pictures = dict(zip(("china", "flower"), load_sample_images().images, strict=True))
    pictures |= {name: getattr(skimage.data, name)() for name in ("astronaut", "chelsea", "coffee", "rocket")}
    for name, pixels in pictures.items():
        image = Image.fromarray(pixels)
        image.save(photos / f"{name}.jpg", quality=95)
        image.reduce(4).save(frames / f"{name}.jpg", quality=75)  # as small pictures mostly are
        image.convert("L").save(old / f"{name}.jpg", quality=95)

    began = time.perf_counter()
    translate("cyclegan", "--src", f"{photos.relative_to(ROOT)}/", "--to", "night", "--overwrite")
    translate("upscale", "--x4", f"{frames.relative_to(ROOT)}/", "--overwrite")
    translate("colourise", f"{old.relative_to(ROOT)}/", "--overwrite")
    seconds = time.perf_counter() - began

    contact_sheet(pairs(photos, DEMO / "photos-night"), DEMO / "night.png", columns=2, tile=384)
    contact_sheet(pairs(frames, DEMO / "frames-x4"), DEMO / "x4.png", columns=2, tile=384)
    contact_sheet(pairs(old, DEMO / "old-colour"), DEMO / "colour.png", columns=2, tile=384)
    print(f"\n{3 * len(pictures)} pictures in {seconds:.0f} s, start-up included")
    print(f"inputs    {photos}  {frames}  {old}")
    print(f"outputs   {photos}-night  {frames}-x4  {old}-colour")
    print(f"sheets    {DEMO / 'night.png'}  {DEMO / 'x4.png'}  {DEMO / 'colour.png'}")


def translate(*arguments: str) -> None:
    """Run the command as it would be typed."""
    print(f"\n$ translate {' '.join(arguments)}", flush=True)
    subprocess.run([Path(sys.executable).with_name("translate"), *arguments], cwd=ROOT, check=True)


def pairs(inputs: Path, outputs: Path) -> list[tuple[Path, Path]]:
    return [(path, outputs / path.name) for path in sorted(inputs.iterdir())]


if __name__ == "__main__":
    main()
