"""Weights files: fp16 safetensors that say which network they are for."""

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import nn


def save_weights(path: Path, network: nn.Module, **metadata: str) -> None:
    """Write a network's weights in half precision, whole or not at all.

    Args:
        path: ends in .safetensors.
        network: has a `config` of the arguments that it was built with.
        metadata: more strings for the file's header.
    """
    tensors = {name: tensor.detach().half().cpu().contiguous() for name, tensor in network.state_dict().items()}
    config: Any = getattr(network, "config", {})
    header = {"network": type(network).__name__, "config": json.dumps(config), **metadata}
    temporary = path.with_suffix(".part")
    temporary.write_bytes(save(tensors, header))
    temporary.replace(path)


__all__ = ["save_weights"]
