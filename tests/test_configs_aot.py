"""Every shipped configuration, compiled for the device that it was measured on, as the networks' calls launch it.

The calls are those of `_uses.uses`. Their launches are caught, so that no device is needed, and compiled in a process
of their own, as Triton cannot compile where its interpreter is on.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from test_triton_aot import TARGETS, Row, compiled

from translate.kernels import _configs
from translate.kernels._uses import Use, uses

POINTERS = {torch.float32: "*fp32", torch.float16: "*fp16", torch.bfloat16: "*bf16", torch.uint8: "*u8"}


def kind(value: Any) -> str:
    """The type of an argument as Triton's launcher sees it."""
    if isinstance(value, torch.Tensor):
        return POINTERS[value.dtype]
    if isinstance(value, float):
        return "fp32"
    return ("i64" if value >= 2**31 else "i32") + "/16" * (value % 16 == 0)


def row_of(kernel: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Row:
    """What was launched, as a row of the other kernels' tests."""
    given = dict(zip(kernel.arg_names, arguments, strict=False))
    given |= {name: value for name, value in options.items() if name in kernel.arg_names}
    rest = {name: value for name, value in options.items() if name not in given}
    fixed = {parameter.name for parameter in kernel.params if parameter.is_constexpr}
    constants = {name: value for name, value in given.items() if name in fixed or (type(value) is int and value == 1)}
    types = {name: kind(value) for name, value in given.items() if name not in constants and value is not None}
    where = f"{kernel.fn.__module__.rpartition('.')[2]}:{kernel.fn.__name__}"
    return Row(where, " ".join(":".join(pair) for pair in types.items()), constants, rest.pop("num_warps", 4), rest)


def launched(use: Use, dtype: torch.dtype) -> list[Row]:
    """What one image makes the operation launch."""
    import triton

    found: list[Row] = []

    def run(self: Any, *arguments: Any, grid: Any, warmup: bool, **options: Any) -> None:
        found.append(row_of(self, arguments, options))

    own, triton.runtime.jit.JITFunction.run = triton.runtime.jit.JITFunction.run, run
    try:
        inputs = []
        for shape in use.shapes:
            x = torch.empty((1, *shape) if len(shape) == 3 else shape, dtype=dtype)
            x = x.contiguous(memory_format=torch.channels_last) if len(shape) == 3 else x
            inputs.append(x.requires_grad_(use.backward))
        y = use.op(*inputs, backend="triton")
        if use.backward:
            torch.autograd.grad(y, inputs, torch.empty_like(y))
    finally:
        triton.runtime.jit.JITFunction.run = own
    return found


def compile_all(file: Path, folder: Path) -> list[dict[str, Any]]:
    """Compile in a process of its own what is launched with a file's configurations; a result for each launch."""
    own = folder / "own"
    own.mkdir()
    (own / "cpu.json").write_text(file.read_text())
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment |= {"TRITON_CACHE_DIR": str(folder / "cache"), "TRANSLATE_CONFIGS": str(own)}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, __file__, str(file), str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stderr
    found: list[dict[str, Any]] = json.loads(ran.stdout)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("file", sorted(_configs.SHIPPED.glob("*.json")), ids=lambda file: file.stem)
def test_every_shipped_configuration_compiles(file: Path, tmp_path: Path) -> None:
    results = compile_all(file, tmp_path)
    assert results
    for result in results:
        assert "error" not in result, result
        assert result["spilled"] == 0, result
        assert result["shared"] <= 1024 * TARGETS[json.loads(file.read_text())["target"]], result


def test_what_a_file_says_is_what_is_compiled(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    shape = {"channels": 3, "pixels": 256 * 256}
    record = {"kind": "channels_last 16 bit", "shape": shape, "blocks": {"tile": 512, "num_warps": 2}}
    file = tmp_path / "card.json"
    file.write_text(json.dumps({"target": "sm_90", "kernels": {"quantise": [record]}}))
    results = compile_all(file, tmp_path)
    # Of the two sizes of pictures one is near, and the other takes the default.
    assert {(result["constants"]["BLOCK_P"], result["warps"]) for result in results} == {(128, 2), (256, 4)}
    assert [result["spilled"] for result in results] == [0] * len(results)


def main(file: Path, folder: Path) -> None:
    """Compile the launches of the kernels that the file names, in its kinds' dtypes."""
    content = json.loads(file.read_text())
    kinds = [record["kind"] for records in content["kernels"].values() for record in records]
    dtypes = [torch.bfloat16] * any("16 bit" in kind for kind in kinds)
    dtypes += [torch.float32] * any("32 bit" in kind for kind in kinds)
    # Triton's own functions are in place by now; this lets the operations take tensors that are on no GPU.
    named = [use for use in uses() if set(use.tuned) & set(content["kernels"])]
    for name in ("_instance_norm", "_bias_act", "_upsample", "_pixel_shuffle", "_dense", "_quantise"):
        __import__(f"translate.kernels.{name}_triton")
    os.environ["TRITON_INTERPRET"] = "1"
    rows = []
    for use in named:
        for dtype in dtypes:
            rows += [row for row in launched(use, dtype) if row not in rows]
    del os.environ["TRITON_INTERPRET"]
    results = []
    for row in rows:
        facts = {"kernel": row.kernel, "constants": row.constants, "warps": row.warps}
        try:
            results.append(facts | compiled(row, content["target"], folder))
        except Exception as error:
            results.append(facts | {"error": f"{type(error).__name__}: {error}"})
    print(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
