import subprocess
import sys
from pathlib import Path

import pytest
import torch.distributed as dist
from runs import assert_close, needs_features, results, run, same, save_images
from shared_runs import configs, save_data

from translate.errors import TrainingError
from translate.train.distributed import share
from translate.train.state import CHECKPOINT, read_checkpoint

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
TAUGHT = ("colourise", "restore")  # by ImageNet, from the first step


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of all runs by two processes."""
    save_data(folder := tmp_path_factory.mktemp("shared"))
    subprocess.run([*TORCHRUN, Path(__file__).with_name("shared_runs.py"), folder], check=True, timeout=300)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [name for name in configs(Path()) if name not in TAUGHT] + [pytest.param(n, marks=needs_features) for n in TAUGHT],
)
def test_two_processes_have_the_result_of_one(name: str, folder: Path) -> None:
    """The same total batch; and cut and resumed they are the same bit for bit."""
    list(run(configs(folder)[name], folder / name))
    paths = [folder / name, folder / f"{name} shared", folder / f"{name} cut"]
    alone, shared, cut = (read_checkpoint(path / CHECKPOINT) for path in paths)
    assert_close(shared, alone, 1e-5)
    assert same(cut, shared)
    assert results(paths[2]) == results(paths[1])


@pytest.mark.slow
def test_torchrun_starts_the_command(tmp_path: Path) -> None:
    """The first process speaks and writes for both.

    It leaves as `translate` does: gloo's threads outlive their group, and now and then abort an interpreter that ends.
    """
    hr = save_images(tmp_path / "hr", 2)
    code = "from translate.cli.main import command; command()"
    arguments = f"train srgan --patch 8 --width 4 --blocks 1 --batch 2 --steps 2 --device cpu --hr {hr}".split()
    command = [*TORCHRUN, "--no-python", sys.executable, "-c", code, *arguments, "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("step 2/2") == 1
    assert done.stdout.count("saved to") == 1
    assert done.stderr.count("2 images in") == 1
    assert {path.name for path in (tmp_path / "out").iterdir()} == {CHECKPOINT, "srresnet.safetensors", "samples.png"}


def test_shares_are_alike_and_cover_each_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    assert share(3, 2).tolist() == list(range(6))
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    shares = []
    for rank in range(2):
        monkeypatch.setattr(dist, "get_rank", lambda rank=rank: rank)
        shares.append(share(4, 3).tolist())
        with pytest.raises(TrainingError, match="--batch 3 cannot be shared by 2 processes; make it a multiple of 2"):
            share(3, 2)
    assert shares == [[0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 10, 11]]
