from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from translate.errors import TrainingError
from translate.train.state import CHECKPOINT, Checkpoint, Ema, ImagePool


def test_ema_is_the_average_by_hand() -> None:
    source, averaged = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        source.weight.fill_(1.0)
    ema = Ema(source, averaged, 0.3)
    expected = 1.0
    for update, value in enumerate((2.0, -1.0, 5.0, 0.5, 3.0), start=1):
        with torch.no_grad():
            source.weight.fill_(value)
        ema.update()
        decay = min(0.3, (1 + update) / (10 + update))  # 2/11, 3/12, 4/13, and then 0.3
        expected = decay * expected + (1 - decay) * value
        assert averaged.weight.item() == pytest.approx(expected, rel=1e-6)
    assert source.weight.item() == 3.0
    assert not averaged.weight.requires_grad

    other = Ema(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False), 0.3)
    other.load_state_dict(ema.state_dict())
    assert torch.equal(other.network.weight, averaged.weight)  # type: ignore[arg-type]
    assert other.updates == 5


def numbered(*numbers: int) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 3, 4, 4).clone()


def test_pool_gives_back_what_it_was_given() -> None:
    torch.manual_seed(0)
    pool = ImagePool(3)
    assert pool.swap(numbered(0, 1, 2)).flatten(1)[:, 0].tolist() == [0, 1, 2]
    kept, old = {0, 1, 2}, 0
    for number in range(3, 203):
        batch = numbered(number).requires_grad_()
        out = pool.swap(batch)
        assert out.shape == batch.shape
        assert not out.requires_grad
        assert len(out.unique()) == 1
        given = int(out[0, 0, 0, 0])
        if given != number:  # an older one leaves the pool, the new one takes its place
            kept = kept - {given} | {number} if given in kept else set()
            old += 1
        assert {int(image[0, 0, 0]) for image in pool.images} == kept
    assert 70 < old < 130


def test_pool_holds_copies() -> None:
    pool, batch = ImagePool(1), numbered(1)
    pool.swap(batch)
    batch.fill_(9)
    assert pool.images[0].unique().tolist() == [1]


def test_pool_without_room_gives_the_new_images() -> None:
    pool = ImagePool(0)
    assert all(torch.equal(pool.swap(numbered(i, i + 1)), numbered(i, i + 1)) for i in range(10))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_pool_read_from_a_checkpoint_works_on_a_gpu() -> None:
    pool = ImagePool(1)
    pool.load_state_dict({"images": list(numbered(1))})
    torch.manual_seed(0)
    out = torch.cat([pool.swap(numbered(number).cuda()) for number in range(2, 12)])
    assert out.is_cuda
    assert 1 in out.unique().tolist()


def test_checkpoint_is_due_after_its_minutes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock = [1000.0]
    monkeypatch.setattr("translate.train.state.time.monotonic", lambda: clock[0])
    checkpoint = Checkpoint(tmp_path, {}, {}, minutes=2)
    for time, due in ((1119.0, False), (1121.0, True)):
        clock[0] = time
        assert checkpoint.due() == due
    checkpoint.save(1)
    for time, due in ((1240.0, False), (1242.0, True)):
        clock[0] = time
        assert checkpoint.due() == due


def test_checkpoint_is_written_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, {"lr": 1.0, "steps": 9}, {"part": nn.Linear(1, 1)}, minutes=1)
    checkpoint.save(1)
    before = (tmp_path / CHECKPOINT).read_bytes()

    def full(state: Any, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(TrainingError, match=r"cannot be written \(No space left.*\); the one before is kept"):
        checkpoint.save(2)
    assert list(tmp_path.iterdir()) == [tmp_path / CHECKPOINT]
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    assert checkpoint.load() == 1
