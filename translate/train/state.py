"""What every recipe needs beside its loop: exact checkpoints, averaged weights, an image pool."""

import logging
import math
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from translate.errors import InputError, TrainingError
from translate.train.distributed import is_first
from translate.train.guard import diverged

log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"
SAVE = threading.Event()  # set: the run is to save after the step that it is at


@dataclass(frozen=True)
class Step:
    """One step of a run: how far it is, and the losses by name."""

    number: int
    of: int
    losses: dict[str, float]
    seconds: float
    saved: bool = False


class Ema:
    """An exponential moving average of a network's weights; `network` is the averaged copy.

    The decay grows from 0 to its final value, so that the first average is not one of random weights.
    """

    def __init__(self, source: nn.Module, network: nn.Module, decay: float) -> None:
        self.source, self.network, self.decay, self.updates = source, network.requires_grad_(False).eval(), decay, 0
        network.load_state_dict(source.state_dict())

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the source's weights of now."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(list(self.network.parameters()), list(self.source.parameters()), 1 - decay)
        for average, buffer in zip(self.network.buffers(), self.source.buffers(), strict=True):
            average.copy_(buffer)  # running statistics are averages already

    def state_dict(self) -> dict[str, Any]:
        """The average and its age."""
        return {"network": self.network.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.network.load_state_dict(state["network"])
        self.updates = state["updates"]


class ImagePool:
    """The last fakes, so that a discriminator also sees old ones (Shrivastava et al. 2017, arXiv:1612.07828)."""

    def __init__(self, size: int) -> None:
        self.size, self.images = size, list[Tensor]()

    def swap(self, batch: Tensor) -> Tensor:
        """(B, C, H, W) in, (B, C, H, W) out: each image is new or, half of the time once full, an older one."""
        out = []
        for image in batch.detach():
            if self.size == 0:
                out.append(image)
            elif len(self.images) < self.size:
                self.images.append(image.clone())
                out.append(image)
            elif torch.rand(()) < 0.5:
                index = int(torch.randint(self.size, ()))
                out.append(self.images[index].to(image.device))  # after a resume they are on the CPU
                self.images[index] = image.clone()
            else:
                out.append(image)
        return torch.stack(out).contiguous(memory_format=torch.channels_last)

    def state_dict(self) -> dict[str, Any]:
        """The images."""
        return {"images": self.images}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.images = list(state["images"])


class Checkpoint:
    """All the state of a run in one file, written whole or not at all.

    Args:
        folder: of the run.
        config: plain values; a resumed run must have the same, but for the number of steps.
        parts: everything with `state_dict` and `load_state_dict`, by name.
        minutes: between two checkpoints.
    """

    def __init__(self, folder: Path, config: dict[str, Any], parts: dict[str, Any], minutes: float) -> None:
        self.path, self.config, self.parts, self.minutes = folder / CHECKPOINT, config, parts, minutes
        self.last = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)  # not before: a start that fails leaves nothing
        for name, part in parts.items():
            if isinstance(part, nn.Module):
                weights = sum(parameter.numel() for parameter in part.parameters())
                log.info("%s: %s, %.2f million weights", name, type(part).__name__, weights / 1e6)

    def due(self, now: bool = False) -> bool:
        """Is it time for another, or is one wanted `now`, and is it this process that writes it?"""
        return is_first() and (now or SAVE.is_set() or time.monotonic() - self.last >= self.minutes * 60)

    def save(self, step: int) -> None:
        """Write the state after `step` steps, random numbers included.

        Raises:
            TrainingError: a weight is not finite, or there is no room; the file stays as it was.
        """
        for name, part in self.parts.items():
            if isinstance(part, nn.Module) and not all(weight.isfinite().all() for weight in part.parameters()):
                raise diverged(f"step {step}: weights of {name} are not finite", self.path)
        state = {name: part.state_dict() for name, part in self.parts.items()}
        state |= {"config": self.config, "step": step, "random": torch.get_rng_state()}
        if (device := self._device()).type == "cuda":
            state["random_cuda"] = torch.cuda.get_rng_state(device)
        temporary = self.path.with_suffix(".part")
        try:
            torch.save(state, temporary)
            temporary.replace(self.path)
        except (OSError, RuntimeError) as error:  # torch's own writer raises the latter
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            why = " ".join(str(error).split())
            raise TrainingError(f"{self.path} cannot be written ({why}); the one before is kept, if any") from error
        self.last = time.monotonic()

    def _device(self) -> torch.device:
        return torch.device(self.config.get("device", "cpu"))

    def load(self, new: Collection[str] = ()) -> int:
        """Put the saved state back and return the number of steps that it has behind it.

        Args:
            new: parts that begin only now if there is nothing of them.
        """
        state = read_checkpoint(self.path)
        saved = state.get("config", {})
        for name, value in self.config.items():
            if name not in ("steps", "gan_steps") and saved.get(name, value) != value:  # an older version lacks some
                raise InputError(
                    f"{self.path} was made with {name}={saved.get(name)}, not {value}; "
                    "resume with the options that it was started with"
                )
        restore({name: part for name, part in self.parts.items() if name in state or name not in new}, state, self.path)
        torch.set_rng_state(state["random"])
        if "random_cuda" in state and (device := self._device()).type == "cuda":
            torch.cuda.set_rng_state(state["random_cuda"], device)
        step, steps = int(state["step"]), self.config["steps"]
        if step >= steps:
            log.info("%s is at step %d of %d already; raise --steps to go on", self.path.parent, step, steps)
        else:
            log.info("%s goes on after step %d of %d", self.path.parent, step, steps)
        return step


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a training checkpoint to the CPU, tensors and plain values only."""
    if not path.is_file():
        raise InputError(f"{path} does not exist; name a checkpoint.pt of a run")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen types for a damaged file
        raise TrainingError(f"{path} cannot be read as a training checkpoint ({type(error).__name__})") from error
    return state


def restore(parts: dict[str, Any], saved: dict[str, Any], path: Path) -> None:
    """Load the saved state of each part, by name; `path` is where it was read."""
    for name, part in parts.items():
        if name not in saved:
            raise TrainingError(f"{path} holds no {name}; it was saved by another recipe or without this phase")
        try:
            part.load_state_dict(saved[name])
        except (RuntimeError, ValueError) as error:  # shapes differ
            raise TrainingError(f"{path}: its {name} has other layers than this run (width, blocks, norm …)") from error


def cosine(step: int, steps: int) -> float:
    """Learning rate over a run: a short linear start, then half a cosine to zero."""
    return min(1.0, (step + 1) / 200) * (1 + math.cos(math.pi * step / max(steps, 1))) / 2
