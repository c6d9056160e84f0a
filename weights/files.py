"""Weights files: fp16 safetensors that say which network they are for."""

import json
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn


def save_weights(path: Path, network: nn.Module, dtype: torch.dtype = torch.float16) -> None:
    """Write a network's weights, whole or not at all; the same weights give the same bytes.

    Args:
        path: ends in .safetensors.
        dtype: half precision for weights of our own; float32 keeps those of others exactly.
        network: its class and its `config`, the arguments that it was built with, go into the file's header.
    """
    tensors = {
        name: tensor.detach().to("cpu", dtype if tensor.is_floating_point() else None).contiguous()
        for name, tensor in network.state_dict().items()
    }
    about = {"network": type(network).__name__} | getattr(network, "config", {})
    # One entry, as safetensors writes several in random order.
    data = save(tensors, {"translate": json.dumps(about, sort_keys=True)})
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(data)
    temporary.replace(path)
