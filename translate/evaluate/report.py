"""What an evaluation has found, and how it is kept: one JSON with the environment that it was measured in."""

import json
import math
import platform
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from translate.evaluate import intervals
from translate.evaluate.intervals import Measured

Figures = dict[str, float]  # of one picture, by measure


@dataclass
class Report:
    """The figures of one evaluation, and what they were measured on.

    Args:
        evaluation: which one.
        protocol: the folders and settings, for who wants to repeat it.
        results: of each set of pictures, by measure.
        pictures: of each set, of each picture, by measure.
        notes: what to bear in mind, a line each.
        skipped: files that could not be used, with the reason.
    """

    evaluation: str
    protocol: dict[str, Any]
    results: dict[str, dict[str, Measured]] = field(default_factory=dict)
    pictures: dict[str, dict[str, Figures]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    skipped: dict[Path, str] = field(default_factory=dict)

    def add_means(self) -> None:
        """Take the mean of every measure of the pictures into the results, infinite ones left out where others are not.

        One picture that is equal to its counterpart would otherwise make the mean PSNR of a hundred infinite.
        """
        for of, pictures in self.pictures.items():
            values: dict[str, list[float]] = {}
            for figures in pictures.values():
                for name, value in figures.items():
                    values.setdefault(name, []).append(value)
            for name, each in values.items():
                finite = [value for value in each if math.isfinite(value)]
                if 0 < len(finite) < len(each):
                    self.notes.append(f"{name}: {len(each) - len(finite)} infinite of {len(each)} left out ({of})")
                self.results.setdefault(of, {})[name] = intervals.mean(finite or each)

    def write(self, path: Path, device: str = "cpu") -> None:
        """Write it as JSON, whole or not at all; what is infinite becomes null."""
        fields = {**asdict(self), "skipped": {str(name): reason for name, reason in self.skipped.items()}}
        order = {"evaluation": None, "environment": environment(device), **fields}
        part = path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            part.write_text(json.dumps(_finite(order), indent=2, allow_nan=False, default=str) + "\n", encoding="utf-8")
            part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise


def environment(device: str = "cpu") -> dict[str, Any]:
    """The machine, the versions and the date (UTC), for the JSON beside every figure."""
    packages = ("translate-images", "torch", "triton", "numpy", "opencv-python-headless", "pillow")
    return {
        "cpu": _cpu(),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{name: _version(name) for name in packages},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
