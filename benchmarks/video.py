"""The video command's frame rate against that of the bare network, and its memory for a short and a long video.

python benchmarks/video.py [--weights NAME] [--width 320] [--frames 12] [--repeat 5] [--minutes 10] [--out FILE.json]

The rate is that of whole jobs (open, decode, compute, encode, join, with H.264 in its usual setting) on a network that
is loaded, against the same network on the same frames as tensors; the two are measured in turn, as the machine's speed
drifts. The processor time of all threads together is given beside it: on a machine with other work, the clock says
little. The peak memory is that of a process that makes a video of 64×48 pixels with a network of a few channels.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from _environment import write_report

import translate
from translate.frames import Job
from translate.models.cyclegan import ResnetGenerator
from translate.translator import Translator
from translate.video import job
from translate.video.read import Video
from translate.weights.files import save_weights

RATE = 25


def pan(path: Path, frames: int, width: int, height: int) -> Path:
    """A video that moves over something as smooth as a photograph."""
    coarse = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    wide = cv2.resize(coarse, (width + 200, height + 20), interpolation=cv2.INTER_CUBIC)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", RATE, {"preset": "ultrafast"}, width=width, height=height, pix_fmt="yuv420p")
        for n in range(frames):
            left = 2 * abs(n % 200 - 100)
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(wide[10 : 10 + height, left : left + width]), "rgb24"
            )
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def bare(translator: Translator, source: Path) -> tuple[float, float]:
    """Seconds and processor seconds of the network alone, on tensors that are already there."""
    inner = translator._network
    network = inner.of(translator.precision)
    with Video(source) as video, torch.inference_mode():
        frames = [inner.values(inner.padded(f.picture.pixels[None])) for f in video.frames()]
        began = time.perf_counter(), time.process_time()
        for x in frames:
            network(x)
    return time.perf_counter() - began[0], time.process_time() - began[1]


def whole(translator: Translator, source: Path, target: Path, stabilise: bool) -> tuple[float, float]:
    """Seconds and processor seconds of the whole job."""
    began = time.perf_counter(), time.process_time()
    *_, done = job.run(translator, Job(source, target), job.Options(overwrite=True, stabilise=stabilise))
    assert done.status == "done", done.message  # type: ignore[union-attr]
    return time.perf_counter() - began[0], time.process_time() - began[1]


def peak_bytes(weights: Path, source: Path) -> int:
    """Peak memory of the command, in a process of its own."""
    target = source.with_name(f"{source.stem}-out.mp4")
    command = [sys.executable, __file__, "--make", str(weights), str(source), str(target)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def make(weights: str, source: str, target: str) -> None:
    """Do it and print the peak: that of /proc, as rusage would begin with the parent's."""
    whole(translate.load(weights), Path(source), Path(target), stabilise=True)
    status = Path("/proc/self/status").read_text()
    print(int(status.split("VmHWM:")[1].split()[0]) * 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="cyclegan-night")
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--make", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.make:
        make(*options.make)
        return
    figures: dict[str, Any] = {"weights": options.weights, "frames": options.frames, "width": options.width}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = pan(folder / "source.mp4", options.frames, options.width, options.width * 9 // 16)
        translator = translate.load(options.weights)
        bare(translator, pan(folder / "warm.mp4", 1, options.width, options.width * 9 // 16))
        taken = []
        for _ in range(options.repeat):
            alone = bare(translator, source)
            jobs = [whole(translator, source, folder / "out.mp4", way) for way in (False, True)]
            taken.append((alone, *jobs))
            print(taken[-1], flush=True)
        figures["network_seconds_a_frame"] = statistics.median(row[0][0] for row in taken) / options.frames
        for way, name in enumerate(("job", "job_with_stabilise"), 1):
            for clock, kind in enumerate(("rate", "processor_rate")):
                ratio = statistics.median(row[0][clock] / row[way][clock] for row in taken)
                figures[f"{name}_{kind}_over_network"] = ratio
        torch.manual_seed(0)
        save_weights(weights := folder / "small.safetensors", ResnetGenerator(4, 1))
        for title, seconds in (("10_seconds", 10.0), ("long", options.minutes * 60)):
            film = pan(folder / f"{title}.mp4", round(seconds * RATE), 64, 48)
            figures[f"peak_megabytes_{title}"] = peak_bytes(weights, film) / 1e6
        figures["long_minutes"] = options.minutes
        figures["peak_long_over_10_seconds"] = figures["peak_megabytes_long"] / figures["peak_megabytes_10_seconds"]
    for key, value in figures.items():
        print(f"{key:40s}{value}")
    write_report(options.out, figures)


if __name__ == "__main__":
    main()
