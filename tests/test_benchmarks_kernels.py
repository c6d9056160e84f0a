"""The benchmarks of kernels and networks at tiny sizes: that every figure is there, and that what is broken shows."""

import importlib
import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from translate import kernels

SCRIPTS = Path(__file__).resolve().parent.parent / "benchmarks"
Run = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run a script at tiny sizes on the CPU: its exit code, JSON and table."""
    monkeypatch.syspath_prepend(str(SCRIPTS))

    def run(name: str, *arguments: str) -> tuple[int, dict[str, Any], str]:
        out = tmp_path / "results.json"
        common = ["--quick", "--device", "cpu", "--dtypes", "fp32", "--out", str(out)]
        code = importlib.import_module(name).main([*common, *arguments])
        return code, json.loads(out.read_text()), capsys.readouterr().out

    yield run
    for name in ("kernels", "networks", "_measure", "_table", "_operations", "_plain_networks", "_environment"):
        sys.modules.pop(name, None)


WAYS = ("--ways", "ours", "nchw", "nhwc", "nchw_graph", "again")


@pytest.mark.parametrize(("name", "cases"), [("kernels", 13), ("networks", 5)])
def test_every_case_is_measured_and_checked(script: Run, name: str, cases: int) -> None:
    code, results, table = script(name, *WAYS)
    assert code == 0
    assert len(results["cases"]) == cases
    assert results["environment"]["torch"] == torch.__version__
    assert results["running"] is None
    assert all(0 < value < math.inf for value in results["ceilings"].values())
    for title, case in results["cases"].items():
        assert case["check"]["right"], title
        assert 0 <= case["check"]["relative_error"] < 1e-3
        assert case["nchw_graph"] == "-"
        for way in ("ours", "nchw", "nhwc", "again"):
            assert 0 < case[way]["seconds"] < math.inf, (title, way)
        assert case["ours"]["first_call"] > 0
        assert title.split()[0] in table
    if name == "kernels":
        case = next(case for title, case in results["cases"].items() if title.startswith("upsample_conv2d"))
        numbers = 8 * 4 * 4 + 8 * 8 * 9 + 8 * 8 * 8
        assert (case["bytes"], case["flops"]) == (4 * numbers, 2 * 16 * 8 * 8 * 4 * 4)
        assert case["best_seconds"] >= case["bytes"] / results["ceilings"]["copy_bytes_per_second"]


def test_a_broken_operation_is_reported_and_the_rest_goes_on(script: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any, **options: Any) -> Any:
        raise RuntimeError("it is broken\non two lines")

    right = kernels.upsample_conv2d
    monkeypatch.setattr(kernels, "instance_norm", broken)
    monkeypatch.setattr(kernels, "upsample_conv2d", lambda *a, **o: 1.001 * right(*a, **o))
    code, results, table = script("kernels", "--only", "^(instance_norm|upsample|quantise)", "--ways", "ours", "nhwc")
    assert code == 1
    for title, case in results["cases"].items():
        if title.startswith("instance_norm"):
            assert case["check"] == case["ours"] == {"error": "RuntimeError: it is broken on two lines"}
            assert case["nhwc"]["seconds"] > 0
        else:
            assert case["check"]["right"] == title.startswith("quantise")
    assert "failed: instance_norm+relu" in table
    assert "wrong: upsample_conv2d" in table
    assert "WRONG" in table


def test_it_goes_on_with_what_is_missing_and_ends_in_time(script: Run, tmp_path: Path) -> None:
    _, results, _ = script("kernels", "--only", "^quantise", "--ways", "ours")
    (title,) = results["cases"]
    results["cases"][title]["ours"]["seconds"] = 1.5
    (tmp_path / "results.json").write_text(json.dumps(results))
    _, again, table = script("kernels", "--only", "^(quantise|bias)", "--ways", "ours", "nchw", "--resume")
    assert again["cases"][title]["ours"]["seconds"] == 1.5
    assert again["cases"][title]["nchw"]["seconds"] > 0
    assert len(again["cases"]) == 3
    assert "1500000.0" in table
    _, none, _ = script("kernels", "--minutes", "0")
    assert none["cases"] == {}


def test_a_process_that_dies_is_blamed_on_what_was_running(
    script: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = importlib.import_module("_measure")
    results = measure.Results(tmp_path / "r.json", {"ceilings": {}})
    results.cases["a"] = {}
    results.data["running"] = ["a", "ours"]
    results.write()
    found = measure.Results(tmp_path / "r.json", {}, resume=True)
    assert found.blame("the process ended with -11")
    assert not found.blame("it ended")
    kept = json.loads((tmp_path / "r.json").read_text())
    assert kept["cases"] == {"a": {"ours": {"error": "the process ended with -11"}}}

    def fails() -> None:
        raise RuntimeError("an illegal memory access was encountered")

    assert found.attempt("a", "nchw", fails) == {"error": "RuntimeError: an illegal memory access was encountered"}
    monkeypatch.setattr(measure, "lost", lambda device: True)
    with pytest.raises(measure.Lost):
        found.attempt("a", "nhwc", fails)
    assert "illegal" in json.loads((tmp_path / "r.json").read_text())["cases"]["a"]["nhwc"]["error"]


def test_a_new_process_does_what_the_one_that_died_has_left(
    script: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = importlib.import_module("_measure")
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import os, sys, _measure\n"
        "options = _measure.parser('').parse_args()\n"
        "results = _measure.Results(options.out, {'environment': {}}, resume=options.resume)\n"
        "def work(name):\n"
        "    _measure.lost = lambda device: name == 'c'\n"
        "    if name == 'b': os._exit(11)\n"
        "    if name == 'c': raise RuntimeError('CUDA error')\n"
        "    return {'seconds': os.getpid()}\n"
        "with _measure.ending():\n"
        "    for name in 'abcd':\n"
        "        results.attempt(name, 'ours', lambda name=name: work(name))\n"
    )
    out = tmp_path / "w.json"
    monkeypatch.setattr(sys, "argv", [str(worker), "--out", str(out)])
    monkeypatch.setenv("PYTHONPATH", str(SCRIPTS))
    options = measure.parser("").parse_args(["--out", str(out)])
    assert measure.watch(options) == 0
    cases = json.loads(out.read_text())["cases"]
    assert cases["b"]["ours"] == {"error": "the process ended with 11"}
    assert cases["c"]["ours"] == {"error": "RuntimeError: CUDA error"}
    assert cases["a"]["ours"]["seconds"] != cases["d"]["ours"]["seconds"]  # the numbers of their processes
