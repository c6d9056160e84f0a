"""Sheets of sample images."""

from pathlib import Path

import torch
from torch import Tensor

from translate import images


def save_sheet(path: Path, rows: list[Tensor], value_range: tuple[float, float] = (0.0, 1.0)) -> None:
    """Write a PNG with one row for each (B, 3, H, W) batch; all rows have the same B, H and W."""
    low, high = value_range
    grid = torch.cat([torch.cat(list(row.float()), dim=2) for row in rows], dim=1)
    pixels = ((grid - low) / (high - low) * 255).round().clamp(0, 255).byte()
    images.write(path, images.Picture(pixels.permute(1, 2, 0).cpu().contiguous().numpy()))
