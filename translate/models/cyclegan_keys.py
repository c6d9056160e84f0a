"""How public checkpoints of ResNet generators are read: CycleGAN's and CUT's, and the same layers under other names."""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from translate.models.cyclegan import ResnetGenerator
from translate.models.keys import STATISTICS, count, joined, length, split


def public_names(state: Mapping[str, Tensor]) -> dict[str, str]:
    """Layer names of the file -> ours, by the layers' order and sizes, or else by the CycleGAN project's table."""
    # Files of safetensors are sorted by name, where 10 comes before 4.
    by_number = sorted(state, key=lambda key: [(part.isdigit(), part.zfill(9)) for part in re.split(r"(\d+)", key)])
    return _in_order(state, state) or _in_order(by_number, state) or _table(state)


def _in_order(keys: Iterable[str], state: Mapping[str, Tensor]) -> dict[str, str]:
    """The names of a file whose layers come in the network's order, whatever they are called; {} if they do not."""
    convs: list[str] = []
    norms: dict[str, int] = {}  # layer -> convolutions up to it
    blurs: dict[str, int] = {}
    for layer in dict.fromkeys(split(key)[0] for key in keys):
        if joined(layer, "filt") in state:
            blurs[layer] = len(convs)
        elif state.get(joined(layer, "weight"), torch.empty(0)).dim() == 4:
            convs.append(layer)
        elif not convs or len(convs) in norms.values():
            return {}  # neither the norm of the convolution before it, nor anything that is known here
        else:
            norms[layer] = len(convs)
    blocks = (len(convs) - 6) // 2
    sizes = [state[joined(conv, "weight")].shape[-1] for conv in convs]
    if len(convs) % 2 or blocks < 0 or sizes != [7, *[3] * (len(convs) - 2), 7]:
        return {}
    ours = ["stem.conv", "down.0.conv", "down.1.conv"]
    ours += [f"blocks.{n}.{half}.conv" for n in range(blocks) for half in ("first", "second")]
    ours += ["up.0", "up.1", "head"]
    blurred = {2: "down.0", 3: "down.1", len(convs) - 3: "up.0", len(convs) - 2: "up.1"}
    if blocks == 0 or not set(blurs.values()) <= blurred.keys():
        blurred = {}
    names = dict(zip(convs, ours, strict=True))
    names |= {layer: f"{ours[n - 1].removesuffix('.conv')}.norm" for layer, n in norms.items()}
    return names | {layer: f"{blurred[n]}.blur" for layer, n in blurs.items() if n in blurred}


def _table(keys: Iterable[str]) -> dict[str, str]:
    """The CycleGAN project's `resnet_Nblocks`, for as many blocks as the keys have."""
    keys = list(keys)
    blocks = count((key for key in keys if ".conv_block." in key), "model.")
    # A dropout layer in the middle of a block moves its second convolution from 5 to 6.
    second = 5 if any(key.endswith(".conv_block.5.weight") for key in keys) else 6
    names: dict[str, str] = {}
    for theirs, ours in ((1, "stem"), (4, "down.0"), (7, "down.1")):
        names |= {f"model.{theirs}": f"{ours}.conv", f"model.{theirs + 1}": f"{ours}.norm"}
    for block in range(blocks):
        for theirs, ours in ((1, "first"), (second, "second")):
            names[f"model.{10 + block}.conv_block.{theirs}"] = f"blocks.{block}.{ours}.conv"
            names[f"model.{10 + block}.conv_block.{theirs + 1}"] = f"blocks.{block}.{ours}.norm"
    for theirs, ours in ((10, "up.0"), (13, "up.1")):
        names |= {f"model.{theirs + blocks}": ours, f"model.{theirs + blocks + 1}": f"{ours}.norm"}
    return names | {f"model.{17 + blocks}": "head"}


def convert(state: Mapping[str, Tensor], names: Mapping[str, str]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the tensors under our keys, without those that have no effect, and notes on what was left out.

    Running statistics are left out only where the convolutions have biases: without them they are those of a *batch*
    norm, which is another network, and their keys stay to say so.
    """
    tensors, biases, statistics = {}, {}, {}
    for key, tensor in state.items():
        layer, leaf = split(key)
        layer = names.get(layer, layer)
        if leaf == "bias" and (layer.endswith(".conv") or layer in ("up.0", "up.1")):
            biases[layer] = tensor
        elif leaf in STATISTICS and layer.endswith(".norm"):
            statistics[key] = tensor
        else:
            tensors[joined(layer, leaf)] = tensor
    notes = []
    public = re.compile(r"model\.|.*conv_block\.")
    if any(theirs != ours and not public.match(theirs) for theirs, ours in names.items()):
        notes.append("layers recognised by their order and sizes, as they have other names than the public files")
    if biases:
        notes.append("conv biases before instance norm dropped: they have no effect")
    if statistics and biases:
        notes.append("running statistics dropped: instance norm takes those of the image itself")
    if any(theirs.endswith("conv_block.6") and ours.endswith(".conv") for theirs, ours in names.items()) and biases:
        notes.append("trained with dropout, which is off here: the same image always gives the same result")
    return tensors | ({} if biases else statistics), tuple(notes)


def build(shapes: Mapping[str, torch.Size]) -> ResnetGenerator:
    """The generator whose tensors have these shapes, as far as there is one."""
    width = length(shapes, "stem.conv.weight")
    return ResnetGenerator(
        width,
        count(shapes, "blocks."),
        transposed=length(shapes, "up.0.weight") == width * 4,
        affine="stem.norm.weight" in shapes,
        skip="skip" in shapes,
        blur_down="down.0.blur.filt" in shapes,
        blur_up="up.0.blur.filt" in shapes,
    )
