"""A network as an ONNX file, for programs without torch; what is written was run beside torch first."""

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from translate.errors import ExportError, InputError
from translate.models import Model

OPSET = 18
BY_SIZE = ("PretrainedGenerator", "Colouriser", "Restorer")  # what they do depends on the picture's height and width
TOLERANCE = 5e-4  # of the value range, an eighth of a step of 8 bit
INPUT, OUTPUT = "image", "result"


def to_onnx(model: Model, path: Path) -> float:
    """Write a network of opset 18 for one picture of any size, whole or not at all.

    It takes `image`, (1, 3, H, W) float32, and gives `result`, (1, 3, scale·H, scale·W). The file's metadata say what
    else has to be known: `scale`, `value_range` of both, the `multiple_of` that H and W must be, and their `minimum`.

    Args:
        model: on the CPU, in float32, as from `translate.checkpoints.load`.
        path: of the file.

    Returns:
        The largest difference between torch and onnxruntime, at two sizes, in the units of the value range.

    Raises:
        InputError: a package is not installed.
        ExportError: the network cannot be written, or ONNX gives something else.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(f"--onnx needs packages ({error.name}): pip install 'translate-images[onnx]'") from None
    if model.architecture in BY_SIZE:
        raise ExportError(
            f"a {model.architecture} looks at pictures according to their size, which ONNX cannot express"
        )
    smallest = _rounded(max(model.minimum, 8), model.multiple_of)
    sizes = [(smallest + n * model.multiple_of, smallest + m * model.multiple_of) for n, m in ((1, 2), (0, 0), (3, 2))]
    part = path.with_name(path.name + ".part")
    try:
        _written(model, part, sizes[0])
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(part, options, providers=["CPUExecutionProvider"])
        apart = max(_difference(model, session, size) for size in sizes[1:])
        low, high = model.value_range
        if not apart <= TOLERANCE * (high - low):
            raise ExportError(f"onnxruntime gives something else than torch, up to {apart:.2g}; {path} is not written")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return apart


def _written(model: Model, path: Path, size: tuple[int, int]) -> None:
    step = model.multiple_of
    names = torch.export.Dim("rows"), torch.export.Dim("columns")
    free = {n: name if step == 1 else step * name for n, name in enumerate(names, 2)}
    log = logging.getLogger("torch.onnx")
    level = log.level
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch's exporter and onnxscript think of each other
            log.setLevel(logging.ERROR)
            program: Any = torch.onnx.export(
                model.network,
                (torch.zeros(1, 3, *size),),
                dynamo=True,
                dynamic_shapes=(free,),
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                verbose=False,
            )
        facts: dict[str, object] = {"scale": model.scale, "multiple_of": model.multiple_of, "minimum": model.minimum}
        facts |= {"architecture": model.architecture, "value_range": "{} {}".format(*model.value_range)}
        program.model.metadata_props.update({name: str(value) for name, value in facts.items()})
        program.save(path, external_data=False)
    except torch.onnx.errors.OnnxExporterError as error:
        raise ExportError(f"a {model.architecture} cannot be written as ONNX: {str(error).splitlines()[0]}") from error
    finally:
        log.setLevel(level)


def _difference(model: Model, session: Any, size: tuple[int, int]) -> float:
    low, high = model.value_range
    x = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)) * (high - low) + low
    with torch.inference_mode():
        expected = model.network(x).numpy()
    (found,) = session.run([OUTPUT], {INPUT: x.numpy()})
    if found.shape != expected.shape:
        raise ExportError(f"onnxruntime gives {found.shape} where torch gives {expected.shape}")
    return float(np.abs(found - expected).max())


def _rounded(side: int, step: int) -> int:
    return -(-side // step) * step
