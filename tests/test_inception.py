"""The network of FID: the layers of the published file, and what sets its graph apart from others of the name."""

import numpy as np
import pytest
import torch
from torch import Tensor

from translate.evaluate import inception
from translate.evaluate.inception import BLOCKS, Block, Conv, Inception, Layer

# Shapes of the convolutions' weights in pytorch-fid's file.
FINE = """branch1x1:64x{i}x1x1 branch5x5_1:48x{i}x1x1 branch5x5_2:64x48x5x5 branch3x3dbl_1:64x{i}x1x1
branch3x3dbl_2:96x64x3x3 branch3x3dbl_3:96x96x3x3 branch_pool:{p}x{i}x1x1"""
MIDDLE = """branch1x1:192x768x1x1 branch7x7_1:{w}x768x1x1 branch7x7_2:{w}x{w}x1x7 branch7x7_3:192x{w}x7x1
branch7x7dbl_1:{w}x768x1x1 branch7x7dbl_2:{w}x{w}x7x1 branch7x7dbl_3:{w}x{w}x1x7 branch7x7dbl_4:{w}x{w}x7x1
branch7x7dbl_5:192x{w}x1x7 branch_pool:192x768x1x1"""
COARSE = """branch1x1:320x{i}x1x1 branch3x3_1:384x{i}x1x1 branch3x3_2a:384x384x1x3 branch3x3_2b:384x384x3x1
branch3x3dbl_1:448x{i}x1x1 branch3x3dbl_2:384x448x3x3 branch3x3dbl_3a:384x384x1x3 branch3x3dbl_3b:384x384x3x1
branch_pool:192x{i}x1x1"""
PUBLISHED = {
    "": "Conv2d_1a_3x3:32x3x3x3 Conv2d_2a_3x3:32x32x3x3 Conv2d_2b_3x3:64x32x3x3 Conv2d_3b_1x1:80x64x1x1 "
    "Conv2d_4a_3x3:192x80x3x3",
    "Mixed_5b.": FINE.format(i=192, p=32),
    "Mixed_5c.": FINE.format(i=256, p=64),
    "Mixed_5d.": FINE.format(i=288, p=64),
    "Mixed_6a.": "branch3x3:384x288x3x3 branch3x3dbl_1:64x288x1x1 branch3x3dbl_2:96x64x3x3 branch3x3dbl_3:96x96x3x3",
    "Mixed_6b.": MIDDLE.format(w=128),
    "Mixed_6c.": MIDDLE.format(w=160),
    "Mixed_6d.": MIDDLE.format(w=160),
    "Mixed_6e.": MIDDLE.format(w=192),
    "Mixed_7a.": "branch3x3_1:192x768x1x1 branch3x3_2:320x192x3x3 branch7x7x3_1:192x768x1x1 "
    "branch7x7x3_2:192x192x1x7 branch7x7x3_3:192x192x7x1 branch7x7x3_4:192x192x3x3",
    "Mixed_7b.": COARSE.format(i=1280),
    "Mixed_7c.": COARSE.format(i=2048),
}


@pytest.fixture(scope="module")
def network() -> Inception:
    torch.manual_seed(0)
    return Inception().eval().requires_grad_(False)


def test_names_and_shapes_are_those_of_the_published_file(network: Inception) -> None:
    expected = {"fc.weight": (1008, 2048), "fc.bias": (1008,)}
    for prefix, convs in PUBLISHED.items():
        for name, text in (conv.split(":") for conv in convs.split()):
            shape = tuple(map(int, text.split("x")))
            expected[f"{prefix}{name}.conv.weight"] = shape
            expected |= {
                f"{prefix}{name}.bn.{part}": shape[:1] for part in ("weight", "bias", "running_mean", "running_var")
            }
    assert {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} == expected


def test_sizes_on_the_way(network: Inception) -> None:
    """As the published graph has them: 35, 17 and 8 pixels a side; what goes in lies in [-1, 1]."""
    sizes, seen = {}, []
    hooks = [network.Conv2d_1a_3x3.register_forward_pre_hook(lambda _, given: seen.append(given[0]))]
    for name in BLOCKS:
        hook = network.get_submodule(name).register_forward_hook(
            lambda _, __, made, name=name: sizes.update({name: tuple(made.shape[1:])})
        )
        hooks.append(hook)
    x = torch.rand(1, 3, 299, 299)
    x[..., 0, 0], x[..., 0, 1] = 0, 1
    features = network.embed(x)
    for hook in hooks:
        hook.remove()
    assert features.shape == (1, 2048)
    assert (seen[0].min(), seen[0].max()) == (-1, 1)
    sides = [size[1] for size in sizes.values()]
    assert sides == [35] * 3 + [17] * 5 + [8] * 3
    assert [size[0] for size in sizes.values()] == [256, 288, 288, *[768] * 5, 1280, 2048, 2048]


def pooled_only(name: str, inputs: int, x: Tensor) -> Tensor:
    """What a block has pooled of one channel (1, 1, H, W), its batch norm undone."""
    block = Block(inputs, BLOCKS[name]).eval()
    weight = torch.zeros_like(block.branch_pool.conv.weight)
    weight[0, 0] = 1
    block.branch_pool.conv.load_state_dict({"weight": weight})
    with torch.inference_mode():
        made = block(torch.cat([x, torch.zeros(1, inputs - 1, *x.shape[2:])], 1))
    return made[:, [-BLOCKS[name].pooled]] * (1 + 1e-3) ** 0.5


@pytest.mark.parametrize(("name", "inputs"), [("Mixed_5b", 192), ("Mixed_6b", 768), ("Mixed_7b", 1280)])
def test_padding_does_not_count_in_the_means(name: str, inputs: int) -> None:
    """A plain surface stays plain up to its corners, which would be 4/9 of it otherwise."""
    torch.testing.assert_close(pooled_only(name, inputs, torch.ones(1, 1, 5, 5)), torch.ones(1, 1, 5, 5))


def test_the_last_block_takes_the_maximum() -> None:
    x = torch.zeros(1, 1, 5, 5)
    x[..., 2, 2] = 1
    neighbours = torch.nn.functional.pad(torch.ones(1, 1, 3, 3), [1] * 4)
    torch.testing.assert_close(pooled_only("Mixed_7c", 2048, x), neighbours)
    torch.testing.assert_close(pooled_only("Mixed_7b", 1280, x), neighbours / 9)


def test_batch_norm_has_the_eps_of_the_published_graph() -> None:
    conv = Conv(1, Layer(1)).eval()
    conv.conv.load_state_dict({"weight": torch.ones(1, 1, 1, 1)})
    conv.bn.running_var.zero_()
    torch.testing.assert_close(conv(torch.ones(1, 1, 1, 1)), torch.full((1, 1, 1, 1), 1e-3**-0.5))


def test_pictures_are_scaled_without_averaging() -> None:
    """A quarter of the width: between the second and third of four columns; what the others hold does not matter."""
    picture = np.zeros((100, 4 * 299, 3), np.uint8)
    picture[:, 1::4], picture[:, 2::4], picture[..., 1] = 200, 100, 7
    square = inception.scaled(picture)
    assert (square.shape, square.dtype) == ((299, 299, 3), np.float32)
    assert square == pytest.approx(np.broadcast_to([150, 7, 150], square.shape), abs=1e-3)
    already = np.random.default_rng(0).integers(0, 256, (299, 299, 3), np.uint8)
    assert np.array_equal(inception.scaled(already), already)
