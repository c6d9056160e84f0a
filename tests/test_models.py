import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.models import patchgan, srgan
from translate.models.cyclegan import ResnetGenerator
from translate.models.patchgan import PatchDiscriminator, UNetDiscriminator
from translate.models.srgan import SRResNet

pytestmark = pytest.mark.usefixtures("seeded")


def image(h: int, w: int, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, h, w) * 2 - 1


def support(network: nn.Module, size: tuple[int, int], at: tuple[int, int]) -> Tensor:
    """Which input pixels, (H, W), the output pixel `at` depends on.

    With positive weights and inputs no activation cuts anything off and nothing cancels: the gradient is positive
    wherever there is a path at all.
    """
    network = network.double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_().add_(1e-3)
    x = torch.rand(1, 3, *size, dtype=torch.float64).requires_grad_()
    (grad,) = torch.autograd.grad(network(x)[0, :, at[0], at[1]].sum(), x)
    return (grad[0] != 0).all(dim=0) & (grad[0] != 0).any(dim=0)


def extent(mask: Tensor) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of a mask that is a full rectangle."""
    rows, columns = mask.any(dim=1).nonzero().flatten(), mask.any(dim=0).nonzero().flatten()
    top, bottom, left, right = int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])
    assert mask.sum() == (bottom - top + 1) * (right - left + 1)
    return top, bottom, left, right


# CycleGAN's generator


class PlainBlock(nn.Module):
    def __init__(self, channels: int, affine: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=False)]
            layers += [nn.InstanceNorm2d(channels, affine=affine), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.layers(x)
        return y


def plain_generator(width: int, blocks: int, transposed: bool, affine: bool) -> nn.Sequential:
    """The same network, of torch's own modules; its parameters come in the same order."""

    def norm(channels: int) -> list[nn.Module]:
        return [nn.InstanceNorm2d(channels, affine=affine), nn.ReLU()]

    def up(inputs: int) -> list[nn.Module]:
        if transposed:
            return [nn.ConvTranspose2d(inputs, inputs // 2, 3, 2, 1, output_padding=1, bias=False)]
        return [nn.Upsample(scale_factor=2), nn.ReflectionPad2d(1), nn.Conv2d(inputs, inputs // 2, 3, bias=False)]

    return nn.Sequential(
        *(nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7, bias=False), *norm(width)),
        *(nn.Conv2d(width, width * 2, 3, 2, 1, bias=False), *norm(width * 2)),
        *(nn.Conv2d(width * 2, width * 4, 3, 2, 1, bias=False), *norm(width * 4)),
        *(PlainBlock(width * 4, affine) for _ in range(blocks)),
        *(*up(width * 4), *norm(width * 2)),
        *(*up(width * 2), *norm(width)),
        *(nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()),
    )


@pytest.mark.parametrize(("width", "blocks"), [(4, 1), (6, 3)])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("size", [(16, 16), (20, 28)])
def test_generator_is_the_network_of_plain_modules(
    width: int, blocks: int, transposed: bool, affine: bool, size: tuple[int, int]
) -> None:
    network = ResnetGenerator(width, blocks, transposed=transposed, affine=affine)
    plain = plain_generator(width, blocks, transposed, affine)
    # Ours keeps the parameters of a norm beside the weight that comes before; nothing else changes their order.
    for ours, theirs in zip(network.parameters(), plain.parameters(), strict=True):
        assert ours.shape == theirs.shape
        with torch.no_grad():  # larger than initialised, so that the output is no flat grey
            theirs.copy_(ours.normal_(1, 0.2) if ours.dim() == 1 else ours.mul_(10))
    x = image(*size, batch=2)
    with torch.no_grad():
        y, expected = network(x), plain(x)
        last = network.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    assert expected.std() > 0.1
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(last, expected, rtol=0, atol=1e-4)
    assert last.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("size", [(16, 16), (20, 44), (36, 16)])
@pytest.mark.parametrize("transposed", [False, True])
def test_generator_keeps_size_and_range(size: tuple[int, int], transposed: bool) -> None:
    network = ResnetGenerator(4, 1, transposed=transposed)
    nn.init.normal_(network.head.weight, 0, 10)  # without a squashing at the end it would leave the range
    y = network(image(*size, batch=2))
    assert y.shape == (2, 3, *size)
    assert y.abs().max() <= 1
    assert y.abs().max() > 0.9


def test_generator_of_the_paper_has_its_parameters() -> None:
    """11.378 million in the public implementation, less the 5248 biases of the convolutions before a norm."""
    widths = [64, 128, 256, *[256] * 18, 128, 64]
    network = ResnetGenerator(transposed=True)
    assert sum(p.numel() for p in network.parameters()) == 11_378_179 - sum(widths)


def test_generator_can_be_built_again_from_its_config() -> None:
    network = ResnetGenerator(4, 2, transposed=True, affine=True)
    again = ResnetGenerator(**network.config)  # type: ignore[arg-type]
    again.load_state_dict(network.state_dict())
    x = image(16, 16)
    assert torch.equal(again(x), network(x))


# The discriminators


def test_patch_discriminator_sees_70_by_70(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the norms: through their statistics everything depends on everything."""
    monkeypatch.setattr(patchgan, "normalise", lambda x, affine, activation: F.leaky_relu(x, 0.2))
    for at in ((7, 7), (7, 6)):
        top, bottom, left, right = extent(support(PatchDiscriminator(3, 2), (128, 128), at))
        assert (bottom - top + 1, right - left + 1) == (70, 70)
        # Its middle: an output pixel is 8 input pixels, and the unpadded map would begin at (70 - 1) / 2.
        assert (top, left) == (8 * at[0] - 23, 8 * at[1] - 23)


@pytest.mark.parametrize("inputs", [3, 6])
def test_patch_discriminator_has_a_score_a_patch(inputs: int) -> None:
    scores = PatchDiscriminator(inputs, 4)(torch.randn(2, inputs, 64, 96))
    assert scores.shape == (2, 1, 6, 10)
    assert scores.std() > 0


def test_patch_discriminator_is_the_network_of_plain_modules() -> None:
    network = PatchDiscriminator(3, 4)
    plain = nn.Sequential(
        *(nn.Conv2d(3, 4, 4, 2, 1), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(4, 8, 4, 2, 1, bias=False), nn.InstanceNorm2d(8), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(8, 16, 4, 2, 1, bias=False), nn.InstanceNorm2d(16), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(16, 32, 4, 1, 1, bias=False), nn.InstanceNorm2d(32), nn.LeakyReLU(0.2)),
        nn.Conv2d(32, 1, 4, 1, 1),
    )
    for ours, theirs in zip(network.parameters(), plain.parameters(), strict=True):
        with torch.no_grad():
            theirs.copy_(ours.normal_(0, 0.2))
    x = image(48, 40)
    torch.testing.assert_close(network(x), plain(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(8, 8), (24, 40)])
def test_unet_discriminator_has_a_score_a_pixel(size: tuple[int, int]) -> None:
    assert UNetDiscriminator(4)(torch.rand(2, 3, *size)).shape == (2, 1, *size)


def test_unet_discriminator_is_held_by_spectral_norm() -> None:
    """After a few power iterations no convolution between the first and the last stretches anything."""
    network = UNetDiscriminator(4)
    for _ in range(20):
        network(torch.rand(1, 3, 8, 8))
    layers = [*network.down, *network.up, *network.refine]
    assert len(layers) == 8
    for conv in layers:
        assert torch.linalg.matrix_norm(conv.weight.flatten(1), ord=2).item() == pytest.approx(1, abs=0.1)  # type: ignore[operator]


# SRGAN's generator


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("tail", srgan.TAILS)
def test_srresnet_enlarges(scale: int, tail: str) -> None:
    network = SRResNet(4, 1, scale, tail)
    assert network(torch.rand(2, 3, 7, 10)).shape == (2, 3, 7 * scale, 10 * scale)
    assert network.config == {"width": 4, "blocks": 1, "scale": scale, "tail": tail}


@pytest.mark.parametrize("tail", srgan.TAILS)
def test_srresnet_adds_to_the_bilinear_enlargement(tail: str) -> None:
    network, x = SRResNet(4, 1, 2, tail), torch.rand(1, 3, 6, 5)
    base = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    assert (network(x) - base).abs().max() > 1e-3
    last = network.up[0] if network.tail is None else network.tail[-1]
    with torch.no_grad():
        for parameter in last.parameters():
            parameter.zero_()
    torch.testing.assert_close(network(x), base)


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("tail", srgan.TAILS)
@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_srresnet_sees_as_far_as_its_convolutions(scale: int, tail: str, blocks: int) -> None:
    """One input pixel for the first convolution, two a block, and one for the convolution before the enlargement.

    The staged tail adds one more, however many stages there are: what it does at 2 or 4 times the size reaches at most
    into the next input pixel.
    """
    network = SRResNet(2, blocks, scale, tail)
    radius = 2 * blocks + (2 if tail == "direct" else 3)
    middle, size = 10, 21
    reaches = []
    for row, column in itertools.product(range(scale), range(scale)):
        at = middle * scale + row, middle * scale + column
        top, bottom, left, right = extent(support(network, (size, size), at))
        reaches += [middle - top, bottom - middle, middle - left, right - middle]
    assert set(reaches) == {radius}
    assert srgan.halo(network) == radius


def test_a_tail_that_is_not_known() -> None:
    with pytest.raises(ValueError, match="tail is 'steep'; known are direct and staged"):
        SRResNet(4, 1, 4, "steep")
