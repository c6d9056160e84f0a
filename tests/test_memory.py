"""How large a part of a picture is worked on at once, in numbers."""

import pytest
import torch
from torch import nn

from translate import memory
from translate.models import Model

COST = 1000  # bytes of a pixel


class Hungry(nn.Module):
    bytes_per_pixel = COST


def model(halo: int | None) -> Model:
    return Model(Hungry(), "Hungry", halo=halo)


def test_the_batch_counts() -> None:
    for batch, side in ((1, None), (2, None), (3, 141)):
        assert memory.tile_side(model(0), 4, (batch, 100, 100), 20_000 * COST) == side


@pytest.mark.parametrize(("halo", "side"), [(0, 500), (1, 498), (20, 460), (200, 100), (240, memory.SMALLEST)])
def test_a_tile_has_room_for_its_halo_on_both_sides(halo: int, side: int) -> None:
    assert memory.tile_side(model(halo), 4, (1, 1000, 700), 500**2 * COST) == side


@pytest.mark.parametrize(("pixels", "side"), [(200_000, 184), (100_000, 84), (70_000, memory.SMALLEST)])
def test_a_band_has_room_for_the_rows_beside_it(pixels: int, side: int) -> None:
    """A band is as wide as the picture."""
    assert memory.tile_side(model(None), 4, (1, 3000, 1000), pixels * COST) == side
    assert memory.tile_side(model(None), 4, (1, pixels // 1000, 1000), pixels * COST) is None


def test_what_torch_holds_of_a_gpu_and_does_not_use_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the first large picture would leave less room for the second."""
    told = {"mem_get_info": (100, 900), "memory_reserved": 700, "memory_allocated": 200}
    for name, value in told.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)
    assert memory.budget("cuda:0", model(0)) == 480  # 0.8 of 100 + 700 - 200


@pytest.mark.parametrize(("halo", "free", "most"), [
    (None, 10**12, memory.MOST), (8, 10**12, memory.MOST // 3), (None, 3 * 10**8, 10**8), (8, None, memory.MOST // 3),
])  # fmt: skip
def test_a_step_takes_a_third_of_what_is_free(
    halo: int | None, free: int | None, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: free)
    assert memory.budget("cpu", model(halo)) == most
