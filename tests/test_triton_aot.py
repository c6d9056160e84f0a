"""Every Triton kernel, compiled for GPUs that are not here.

A row of ROWS is a kernel with the types and constants of one use. All rows are compiled in one process of their own, as
Triton cannot compile where its interpreter is on. To add a kernel, add a row.
"""

import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

TARGETS = {"sm_80": 163, "sm_90": 227, "sm_100": 227, "gfx942": 64}  # KiB of shared memory that a program may have


@dataclass(frozen=True)
class Row:
    """One use of a kernel; the arguments that are neither in `types` nor in `constants` are None."""

    kernel: str  # module:function
    types: str  # name:type of each argument; pointers are taken to be aligned, "i32/16" is divisible by 16
    constants: dict[str, Any]
    warps: int = 4
    options: dict[str, Any] = field(default_factory=dict)
    expected: str = ""  # an instruction that sm_90's code has to have, as a regular expression

    @property
    def name(self) -> str:
        return f"{self.kernel.split(':')[1]}[{' '.join(str(value) for value in self.constants.values())}]"


NORM = "_instance_norm_kernels_triton:"
GRAD = "_instance_norm_grad_kernels_triton:"
HALF = "x:*fp16 weight:*fp32 bias:*fp32 residual:*fp16 y:*fp16 mean:*fp32 m2:*fp32 pixels:i32/16 channels:i32/16"
BACK = "grad:*bf16 x:*bf16 y:*bf16 mean:*fp32 m2:*fp32 sums:*fp32 samples:i32 pixels:i32/16 channels:i32/16"
ENDS = " slope:fp32 eps:fp32"
TILED = " height:i32/16 width:i32/16 count:fp32" + ENDS
WHOLE = " weight:*fp32 grad_x:*bf16 masked:*bf16" + ENDS
PARTS = " means:*fp32 m2s:*fp32 pixels:i32/16 channels:i32/16 chunks:i32 chunk:i32/16"
BIAS, GAIN = "_bias_act_triton:", " pixels:i32/16 channels:i32/16 slope:fp32 gain:fp32"
DENSE = "_dense_kernels_triton:"
DENSE_SIZES = " height:i32/16 width:i32/16 pixels:i32/16 inputs:i32/16 outputs:i32/16 channels:i32/16 stride:i32/16"
UP, SHUFFLE, QUANTISE = "_upsample_triton:", "_pixel_shuffle_triton:", "_quantise_triton:"
SIZES = " height:i32/16 width:i32/16 pixels:i32/16 inputs:i32/16 outputs:i32/16 slope:fp32"
SHUFFLED = " pixels:i32/16 width:i32/16 outputs:i32/16 slope:fp32 slopes_stride:i32"
PICTURE = " pixels:i32/16 channels:i32 height:i32/16 width:i32/16 stride_b:i32/16 stride_y:i32/16 low:fp32 scale:fp32"
WIDE = r"LDG\.E\.128"
MATRIX = "HGMMA"


def norm(last: bool, activation: str, rows: int, columns: int) -> dict[str, Any]:
    return {"LAST": last, "ACTIVATION": activation, "BLOCK_P": rows, "BLOCK_C": columns}


def tiles(last: bool, rows: int, columns: int) -> dict[str, Any]:
    return {"LAST": last, "BLOCK_P": rows, "BLOCK_C": columns}


def up(k: int, replicate: bool, activation: str, precision: str, m: int, n: int, i: int) -> dict[str, Any]:
    """The blocks are those that `_upsample_triton.tiles` gives."""
    options = {"K": k, "REPLICATE": replicate, "ACTIVATION": activation, "PRECISION": precision}
    return {**options, "BLOCK_M": m, "BLOCK_N": n, "BLOCK_I": i}


def dense(precision: str, m: int, n: int, i: int) -> dict[str, Any]:
    """The blocks are those that `_dense_triton.tiles` gives."""
    return {"PRECISION": precision, "BLOCK_M": m, "BLOCK_N": n, "BLOCK_I": i}


def dense_grad(first: bool, precision: str, m: int, n: int, i: int) -> dict[str, Any]:
    return {"FIRST": first, "PRECISION": precision, "BLOCK_M": m, "BLOCK_N": n, "BLOCK_I": i}


def shuffle(factor: int, activation: str, pixels: int, outputs: int, phases: int) -> dict[str, Any]:
    blocks = {"BLOCK_P": pixels, "BLOCK_O": outputs, "BLOCK_F": phases}
    return {"FACTOR": factor, "ACTIVATION": activation, **blocks}


ROWS = [
    Row(UP + "conv_up2_kernel", "x:*fp16 weight:*fp16 bias:*fp16 out:*fp16" + SIZES,
        up(4, True, "relu", "ieee", 128, 128, 64), 8, {"num_stages": 3}, expected=MATRIX),
    Row(UP + "conv_up2_kernel", "x:*bf16 weight:*bf16 out:*bf16" + SIZES,
        up(3, False, "none", "ieee", 128, 64, 64), 4, {"num_stages": 3}, expected=MATRIX),
    Row(UP + "conv_up2_kernel", "x:*fp32 weight:*fp32 bias:*fp32 out:*fp32" + SIZES,
        up(4, False, "leaky_relu", "ieee", 64, 64, 16), 4, {"num_stages": 3}, expected=r"LDGSTS\S*\.128"),
    Row(DENSE + "dense_conv_kernel", "seen:*fp16 weight:*fp16 bias:*fp16 out:*fp16 slope:fp32 scale:fp32" + DENSE_SIZES,
        dense("ieee", 128, 32, 32), 4, {"num_stages": 3}, expected=MATRIX),
    Row(DENSE + "dense_conv_kernel",
        "seen:*bf16 weight:*bf16 bias:*bf16 x:*fp32 residual:*fp32 out:*fp32 slope:fp32 scale:fp32" + DENSE_SIZES,
        dense("ieee", 128, 64, 64), 4, {"num_stages": 3}, expected=MATRIX),
    Row(DENSE + "dense_conv_kernel", "seen:*fp32 weight:*fp32 bias:*fp32 out:*fp32 slope:fp32 scale:fp32" + DENSE_SIZES,
        dense("tf32", 128, 32, 32), 4, {"num_stages": 3}, expected=MATRIX),
    Row(DENSE + "dense_conv_kernel",
        "seen:*fp32 weight:*fp32 bias:*fp32 x:*fp32 residual:*fp32 out:*fp32 slope:fp32 scale:fp32" + DENSE_SIZES,
        dense("ieee", 64, 64, 16), 4, {"num_stages": 3}, expected=r"LDGSTS\S*\.128"),
    Row(DENSE + "dense_grad_kernel", "grads:*bf16 weight:*bf16 known:*bf16 out:*bf16 factor:fp32" + DENSE_SIZES,
        dense_grad(False, "ieee", 128, 32, 64), 4, {"num_stages": 3}, expected=MATRIX),
    Row(DENSE + "dense_grad_kernel", "grads:*fp16 weight:*fp16 known:*fp32 out:*fp32 factor:fp32" + DENSE_SIZES,
        dense_grad(True, "ieee", 128, 64, 64), 4, {"num_stages": 3}, expected=MATRIX),
    Row(DENSE + "dense_grad_kernel", "grads:*fp32 weight:*fp32 known:*fp32 out:*fp32 factor:fp32" + DENSE_SIZES,
        dense_grad(True, "tf32", 128, 64, 32), 4, {"num_stages": 3}, expected=MATRIX),
    Row(DENSE + "dense_grad_kernel", "grads:*fp32 weight:*fp32 known:*fp32 out:*fp32 factor:fp32" + DENSE_SIZES,
        dense_grad(False, "ieee", 64, 32, 16), 4, {"num_stages": 3}, expected=r"LDGSTS\S*\.128"),
    Row(SHUFFLE + "bias_shuffle_kernel", "x:*fp16 bias:*fp16 out:*fp16" + SHUFFLED,
        shuffle(2, "leaky_relu", 16, 64, 4), expected=r"STG\.E\.128"),
    Row(SHUFFLE + "bias_shuffle_kernel",
        "x:*fp32 bias:*fp32 slopes:*fp32 out:*fp32" + SHUFFLED.replace("outputs:i32/16", "outputs:i32"),
        shuffle(4, "leaky_relu", 64, 4, 16), expected=WIDE),
    Row(QUANTISE + "quantise_kernel", "x:*fp32 out:*u8 stride_c:i32/16" + PICTURE,
        {"stride_x": 1, "TOP": 255, "BLOCK_P": 256, "BLOCK_C": 4}, expected=WIDE),
    Row(QUANTISE + "quantise_kernel", "x:*fp32 out:*u16 stride_x:i32" + PICTURE,
        {"stride_c": 1, "TOP": 65535, "BLOCK_P": 256, "BLOCK_C": 4}),
    Row(NORM + "normalise_planes", HALF + ENDS, norm(False, "relu", 32768, 1), 16, expected=WIDE),
    Row(NORM + "normalise_planes", HALF + ENDS, norm(False, "leaky_relu", 4096, 1), 8, expected=WIDE),
    Row(NORM + "normalise_planes", HALF + ENDS, norm(True, "leaky_relu", 1024, 16), 16, expected=WIDE),
    Row(NORM + "normalise_planes", HALF.replace("/16", "") + ENDS, norm(False, "none", 1024, 2), 4),
    Row(NORM + "chunk_statistics", "x:*fp16" + PARTS, tiles(True, 32, 64), expected=WIDE),
    Row(NORM + "chunk_statistics", "x:*fp32" + PARTS, tiles(False, 2048, 1), expected=WIDE),
    Row(NORM + "merge_chunks", "x:*fp16 mean:*fp32 m2:*fp32" + PARTS, {"LAST": True, "BLOCK_J": 512, "BLOCK_C": 4}),
    Row(NORM + "normalise_tiles", HALF + TILED, norm(True, "relu", 32, 64) | {"PAD": 0, "MARGIN": 0}, expected=WIDE),
    Row(NORM + "normalise_tiles", HALF + TILED, norm(False, "none", 2048, 1) | {"PAD": 0, "MARGIN": 0}, expected=WIDE),
    Row(NORM + "normalise_tiles", HALF + TILED, norm(True, "relu", 32, 64) | {"PAD": 1, "MARGIN": 0}, expected=WIDE),
    Row(NORM + "normalise_tiles", HALF + TILED, norm(True, "none", 32, 64) | {"PAD": 1, "MARGIN": 1}, expected=WIDE),
    Row(NORM + "normalise_tiles", HALF + TILED, norm(True, "none", 32, 64) | {"PAD": 0, "MARGIN": 1}, expected=WIDE),
    Row(NORM + "normalise_tiles", HALF.replace("pixels:i32/16", "pixels:i32") + TILED,
        norm(False, "leaky_relu", 2048, 1) | {"PAD": 3, "MARGIN": 0}),
    Row(GRAD + "grad_planes", BACK + WHOLE, norm(False, "relu", 16384, 1), 16, expected=WIDE),
    Row(GRAD + "grad_planes", BACK + WHOLE, norm(True, "leaky_relu", 512, 16), 16, expected=WIDE),
    Row(GRAD + "grad_chunk_sums", BACK + " chunks:i32 chunk:i32/16" + ENDS, norm(True, "relu", 32, 64), expected=WIDE),
    Row(GRAD + "grad_tiles", BACK + WHOLE, norm(True, "leaky_relu", 32, 64), expected=WIDE),
    Row(BIAS + "bias_act", "x:*fp16 bias:*fp32 y:*fp16" + GAIN, tiles(True, 32, 64), expected=WIDE),
    Row(BIAS + "bias_act", "x:*fp32 bias:*fp32 y:*fp32" + GAIN, tiles(False, 2048, 1), expected=WIDE),
    Row(BIAS + "bias_act_grad", "grad:*bf16 y:*bf16 grad_x:*bf16 sums:*fp32 chunks:i32 chunk:i32/16" + GAIN,
        tiles(True, 32, 64), expected=WIDE),
]  # fmt: skip


def compiled(row: Row, target: str, folder: Path) -> dict[str, Any]:
    """Compile a row; what the tests look at."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    module, function = row.kernel.split(":")
    kernel = getattr(importlib.import_module(f"translate.kernels.{module}"), function)
    types = dict(part.split(":") for part in row.types.split())
    constants = row.constants | {name: None for name in kernel.arg_names if name not in types | row.constants}
    aligned = [(kernel.arg_names.index(name),) for name, kind in types.items() if kind[0] == "*" or "/16" in kind]
    source = ASTSource(
        kernel,
        {name: "constexpr" if name in constants else types[name].removesuffix("/16") for name in kernel.arg_names},
        constants,
        {place: [["tt.divisibility", 16]] for place in aligned},
    )
    cuda = target.startswith("sm_")
    gpu = GPUTarget("cuda", int(target[3:]), 32) if cuda else GPUTarget("hip", target, 64)
    result = triton.compile(source, gpu, {"num_warps": row.warps, **row.options})
    if not cuda:
        spills = re.findall(r"\.vgpr_spill_count:\s*(\d+)", result.asm["amdgcn"])
        return {"spilled": sum(map(int, spills)), "shared": result.metadata.shared}
    binary = folder / "kernel.cubin"
    binary.write_bytes(result.asm["cubin"])
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"

    def ask(question: str) -> str:
        return subprocess.run([tool, question, binary], capture_output=True, text=True, check=True).stdout

    usage = {name: int(value) for name, value in re.findall(r"(REG|STACK|LOCAL):(\d+)", ask("-res-usage"))}
    found = row.expected and target == "sm_90" and re.search(row.expected, ask("-sass"))
    return {
        "spilled": usage["STACK"] + usage["LOCAL"],
        "shared": result.metadata.shared,
        "found": bool(found),
    }


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """For each row what `compiled` found for each target."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip("Triton is not installed")
    folder = tmp_path_factory.mktemp("aot")
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(folder / "cache")
    command = [sys.executable, __file__, str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stderr
    found: list[dict[str, Any]] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_compiled_ahead_of_time(row: Row, results: list[dict[str, Any]]) -> None:
    for target, shared in TARGETS.items():
        result = results[ROWS.index(row)][target]
        assert "error" not in result, f"{target}: {result['error']}"
        assert result["spilled"] == 0, f"{target}: registers are spilled"
        assert result["shared"] <= shared * 1024, f"{target}: {result['shared']} bytes of shared memory"
        if row.expected and target == "sm_90":
            assert result["found"], f"{target}: no {row.expected}"


def main(folder: Path) -> None:
    results: list[dict[str, Any]] = [{} for _ in ROWS]
    for row, result in zip(ROWS, results, strict=True):
        for target in TARGETS:
            try:
                result[target] = compiled(row, target, folder)
            except Exception as error:
                result[target] = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
