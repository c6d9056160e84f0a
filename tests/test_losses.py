import math
from typing import get_args

import pytest
import torch
from runs import needs_features
from torch import Tensor, nn

from translate.features import FeatureNetwork
from translate.models.patchgan import PatchDiscriminator
from translate.models.stylegan import StyleDiscriminator
from translate.train.losses import (
    Scores,
    changed,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    grid,
    penalty,
    photorealism,
    r1_penalty,
)
from translate.train.options import Gan
from translate.train.projected import ProjectedDiscriminator

GANS = get_args(get_args(Gan)[0])


def soft(x: float) -> float:
    return math.log1p(math.exp(x))


@pytest.mark.parametrize(
    ("gan", "generator", "discriminator"),
    [
        ("lsgan", (1 + 0.25) / 2, ((0 + 4) / 2 + (0 + 2.25) / 2) / 2),
        ("nonsaturating", (soft(0) + soft(-1.5)) / 2, (soft(-1) + soft(1) + soft(0) + soft(1.5)) / 2),
        ("hinge", -0.75, (0 + 2) / 2 + (1 + 2.5) / 2),
        ("wgan-gp", -0.75, 0 + 0.75),
    ],
)
def test_adversarial_losses_by_hand(gan: Gan, generator: float, discriminator: float) -> None:
    real, fake = torch.tensor([[1.0], [-1.0]]), torch.tensor([[0.0], [1.5]])
    assert generator_loss(fake, gan).item() == pytest.approx(generator)
    assert discriminator_loss(real, fake, gan).item() == pytest.approx(discriminator)


@pytest.mark.parametrize("gan", GANS)
def test_maps_of_scores_count_alike_whatever_their_size(gan: Gan) -> None:
    torch.manual_seed(0)
    real, fake = ([torch.randn(2, 1, 6, 6), torch.randn(2, 1, 2, 2)] for _ in range(2))
    each = [discriminator_loss(r, f, gan) for r, f in zip(real, fake, strict=True)]
    assert discriminator_loss(real, fake, gan).item() == pytest.approx((each[0] + each[1]).item() / 2)
    assert generator_loss(fake, gan).item() == pytest.approx(sum(generator_loss(f, gan).item() for f in fake) / 2)


def test_smoothed_labels_are_cross_entropy_with_less_certain_ones() -> None:
    torch.manual_seed(0)
    real, fake = torch.randn(2, 50)
    entropy = nn.functional.binary_cross_entropy_with_logits
    expected = entropy(real, torch.full_like(real, 0.9)) + entropy(fake, torch.zeros_like(fake))
    assert discriminator_loss(real, fake, "nonsaturating", 0.1).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("gan", GANS)
def test_both_sides_pull_the_scores_apart(gan: Gan) -> None:
    """From a draw, the discriminator wants real up and fake down, and the generator wants fake up."""
    real, fake = torch.zeros(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    discriminator_loss(real, fake, gan).backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert (real.grad < 0).all()
    assert (fake.grad >= 0).all()  # flat for least squares, whose draw is at a half
    assert gan == "lsgan" or (fake.grad > 0).all()
    fake.grad = None
    generator_loss(fake, gan).backward()
    assert (fake.grad < 0).all()


def linear(weight: Tensor) -> nn.Module:
    """D(x) = weight · x, for (B, 3, 4, 4)."""
    judge = nn.Sequential(nn.Flatten(), nn.Linear(48, 1, bias=False))
    with torch.no_grad():
        judge[1].weight.copy_(weight.view(1, 48))
    return judge


def test_penalties_of_a_linear_discriminator_by_hand() -> None:
    torch.manual_seed(0)
    weight, (real, fake) = torch.randn(48), torch.randn(2, 5, 3, 4, 4)
    length = weight.norm().item()
    assert r1_penalty(linear(weight), real).item() == pytest.approx(length**2 / 2, rel=1e-5)
    mix = torch.rand(5)
    assert gradient_penalty(linear(weight), real, fake, mix).item() == pytest.approx((length - 1) ** 2, rel=1e-5)
    assert gradient_penalty(linear(weight / length), real, fake, mix).item() == pytest.approx(0, abs=1e-8)
    both = penalty(linear(weight), real, fake, mix, "wgan-gp", 3.0).item()
    assert both == pytest.approx(10 * (length - 1) ** 2 + 3 * length**2 / 2, rel=1e-5)
    assert penalty(linear(weight), real, fake, mix, "hinge", 0.0).item() == 0


def test_gradient_penalty_looks_between_the_images() -> None:
    """D = |x|² / 2 has the slope |x|."""

    def judge(x: Tensor) -> Scores:
        return x.square().flatten(1).sum(1) / 2

    real, fake = torch.zeros(2, 1, 1, 1), torch.full((2, 1, 1, 1), 4.0)
    expected = ((0.25 * 4 - 1) ** 2 + (0.75 * 4 - 1) ** 2) / 2
    assert gradient_penalty(judge, real, fake, torch.tensor([0.25, 0.75])).item() == pytest.approx(expected, rel=1e-5)


def test_a_penalty_is_the_mean_over_disjoint_patches_and_over_maps() -> None:
    def patches(x: Tensor) -> Scores:
        return nn.functional.avg_pool2d(x, 2) * 8

    x = torch.randn(3, 1, 8, 8)  # |∇D|² of each patch: 4 pixels with 8/4 each
    assert r1_penalty(patches, x).item() == pytest.approx(4 * 2**2 / 2, rel=1e-5)
    assert r1_penalty(lambda x: [patches(x), patches(x)], x).item() == pytest.approx(8, rel=1e-5)  # type: ignore[list-item]


def test_penalties_teach_the_patch_discriminator() -> None:
    """A second derivative through the networks' own operations, compared with a difference quotient."""
    torch.manual_seed(0)
    judge = PatchDiscriminator(3, 4).double()
    for layer in judge.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.data.mul_(10)
    real, fake = torch.randn(2, 1, 3, 32, 32)
    weight, step = judge.middle[0].weight, 1e-4

    def value() -> Tensor:
        return penalty(lambda x: judge(x.double()), real, fake, torch.tensor([0.4]), "wgan-gp", 2.0)

    value().backward()
    gradient = weight.grad
    assert gradient is not None
    direction = gradient / gradient.norm()
    with torch.no_grad():
        weight += direction * step
    above = value().item()
    with torch.no_grad():
        weight -= 2 * direction * step
    assert (above - value().item()) / (2 * step) == pytest.approx(gradient.norm().item(), rel=1e-2)


def test_penalties_are_in_full_precision_under_autocast() -> None:
    torch.manual_seed(0)
    for judge in (PatchDiscriminator(3, 4), StyleDiscriminator(4, 32)):  # the latter has linear layers, too
        real, fake = torch.randn(2, 2, 3, 32, 32)
        arguments = (judge, real, fake, torch.rand(2), "wgan-gp", 1.0)
        with torch.autocast("cpu", torch.bfloat16):
            short = penalty(*arguments)  # type: ignore[arg-type]
        assert short.item() == pytest.approx(penalty(*arguments).item(), rel=1e-6)  # type: ignore[arg-type]


def smooth(seed: int) -> Tensor:
    """Grey waves, (1, 3, 48, 48) in about [-0.8, 0.8]."""
    rng = torch.Generator().manual_seed(seed)
    x = nn.functional.interpolate(torch.rand(1, 1, 8, 8, generator=rng), size=48, mode="bicubic") * 2 - 1
    return x.clamp(-0.8, 0.8).expand(1, 3, 48, 48)


def with_blob(x: Tensor) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    return torch.where((rows - 20) ** 2 + (columns - 25) ** 2 < 64, 0.9, x)


@pytest.mark.parametrize("source", [smooth(0), torch.full((1, 3, 48, 48), 0.3)], ids=["waves", "plain"])
def test_photorealism_allows_affine_changes_and_no_new_shape(source: Tensor) -> None:
    tint = torch.tensor([0.4, -0.3, 0.1]).view(1, 3, 1, 1)
    allowed = [source, -source, 0.5 * source - 0.4, source * (1 + tint) + tint, torch.zeros_like(source)]
    values = [photorealism(source, result).item() for result in allowed]
    # 0.01 is the floor, which keeps the root differentiable; eps adds up to √0.001 of what follows the source.
    assert max(values) < 0.04
    blob = photorealism(source, with_blob(source)).item()
    assert blob > 3 * max(values)
    assert photorealism(source, smooth(1)).item() > (3 if source.std() else 8) * max(values)


def test_photorealism_has_a_finite_gradient_towards_the_source() -> None:
    for source in (smooth(0), torch.zeros(1, 3, 48, 48)):
        for result in (source.clone(), with_blob(source)):
            result.requires_grad_()
            loss = photorealism(source, result)
            (grad,) = torch.autograd.grad(loss, result)
            assert grad.isfinite().all()
        assert photorealism(source, result.detach() - 0.5 * grad / grad.abs().max()) < loss  # without the blob's edge


def test_photorealism_does_not_depend_on_the_precision_of_its_input() -> None:
    source, result = smooth(0).bfloat16(), with_blob(smooth(0)).bfloat16()
    assert photorealism(source, result).dtype == torch.float32
    assert torch.equal(photorealism(source, result), photorealism(source.float(), result.float()))


def test_changed_counts_pixels_and_not_how_far_they_went() -> None:
    source = torch.zeros(2, 3, 8, 8)
    half, twice, none = source.clone(), source.clone(), source.clone()
    half[:, :, :4] = 0.5
    twice[:, :, :4] = 1.0
    assert changed(source, none) == 0
    assert changed(source, half).item() == pytest.approx(0.5 * 0.5 / 0.6)
    assert changed(source, twice) < 1.1 * changed(source, half)
    assert changed(source, twice) < 0.5


@needs_features
def test_projected_discriminator_judges_features_that_are_not_its_own() -> None:
    torch.manual_seed(0)
    judge = ProjectedDiscriminator(FeatureNetwork(), width=8)
    assert all(name.startswith("heads.") for name in judge.state_dict())
    x = torch.zeros(2, 3, 64, 96, requires_grad=True)
    maps = judge(x)
    assert [tuple(scores.shape) for scores in maps] == [(2, 1, 64 // s, 96 // s) for s in (4, 8, 16, 32)]
    generator_loss(maps, "lsgan").backward()
    assert x.grad is not None
    assert x.grad.abs().max() > 0
    brighter = judge(torch.full_like(x, 0.8))
    assert all((a - b).abs().max() > 1e-3 for a, b in zip(maps, brighter, strict=True))


@needs_features
def test_projected_discriminator_enlarges_small_grey_pictures() -> None:
    judge = ProjectedDiscriminator(FeatureNetwork(), width=8, enlarge=4)
    assert [scores.shape[-1] for scores in judge(torch.rand(2, 1, 32, 32), torch.zeros(2))] == [32, 16, 8, 4]


def test_grid_loss_sees_what_repeats_with_the_enlargement_alone() -> None:
    torch.manual_seed(0)
    real = torch.rand(2, 3, 64, 64)
    dots = torch.zeros(64, 64)
    dots[::4, 1::4] = 0.2
    noise = torch.where(torch.rand(64, 64) < 1 / 16, 0.2, 0.0)
    assert grid(real, real, 4) == 0
    assert grid(real + dots, real, 4) > 3 * grid(real + noise, real, 4) > 0
    (slope,) = torch.autograd.grad(grid(fake := (real + dots).requires_grad_(), real, 4), fake)
    assert grid(fake - 0.05 * slope / slope.abs().max(), real, 4) < grid(fake, real, 4)
