"""The losses of the recipes: adversarial ones to choose from, with their penalties, and one against new shapes."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.train.options import Gan

Scores = Tensor | list[Tensor]  # of one discriminator, any shape with the batch first; maps of a list count alike

GRADIENT_PENALTY = 10.0  # the weight λ in WGAN-GP's paper


def generator_loss(fake: Scores, gan: Gan) -> Tensor:
    """How far a generator is from being believed; a scalar, the mean over scores.

    Args:
        fake: scores of its images, where larger is more real.
        gan: "lsgan" (Mao et al. 2017, arXiv:1611.04076), "nonsaturating" or "minimax" (Goodfellow et al. 2014,
            arXiv:1406.2661, section 3; the latter hardly has a gradient at first), "hinge" (Lim and Ye 2017,
            arXiv:1705.02894) or "wgan-gp" (Gulrajani et al. 2017, arXiv:1704.00028).
    """
    if gan == "lsgan":
        return _mean(lambda x: (x - 1).square(), fake)
    if gan == "nonsaturating":
        return _mean(lambda x: F.softplus(-x), fake)
    if gan == "minimax":
        return _mean(lambda x: -F.softplus(x), fake)
    return _mean(torch.neg, fake)


def discriminator_loss(real: Scores, fake: Scores, gan: Gan, smoothing: float = 0.0) -> Tensor:
    """How badly a discriminator tells real images from fakes; a scalar, the mean over scores.

    The Wasserstein loss needs `gradient_penalty` beside it.

    Args:
        real: scores of real images.
        fake: scores of fakes.
        gan: as for `generator_loss`.
        smoothing: of these two: real images are to be called real with 1 - smoothing instead of certainty
            (Salimans et al. 2016, arXiv:1606.03498, section 3.4).
    """
    if gan == "lsgan":
        return (_mean(lambda x: (x - 1).square(), real) + _mean(torch.square, fake)) / 2
    if gan in ("nonsaturating", "minimax"):  # (1 - s) softplus(-x) + s softplus(x) = softplus(-x) + s x
        return _mean(lambda x: F.softplus(-x) + smoothing * x, real) + _mean(F.softplus, fake)
    if gan == "hinge":
        return _mean(lambda x: F.relu(1 - x), real) + _mean(lambda x: F.relu(1 + x), fake)
    return _mean(torch.neg, real) + _mean(lambda x: x, fake)


def penalty(judge: Callable[[Tensor], Scores], real: Tensor, fake: Tensor, mix: Tensor, gan: Gan, r1: float) -> Tensor:
    """What is added to a discriminator's loss: the gradient penalty if `gan` has one, and R1 with the weight `r1`."""
    total = real.new_zeros(())
    if gan == "wgan-gp":
        total = total + GRADIENT_PENALTY * gradient_penalty(judge, real, fake, mix)
    if r1:
        total = total + r1 * r1_penalty(judge, real)
    return total


def gradient_penalty(judge: Callable[[Tensor], Scores], real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Hold a critic's slope at 1 between real and fake images (Gulrajani et al. 2017, arXiv:1704.00028, section 4).

    Args:
        judge: the critic.
        real: (B, …), what it sees of real images.
        fake: the same shape.
        mix: (B,) uniform random numbers in [0, 1]: where between the two.
    """
    between = real.detach().lerp(fake.detach(), mix.view(-1, *[1] * (real.dim() - 1)).to(real))
    return ((_steepness(judge, between) + 1e-12).sqrt() - 1).square().mean()


def r1_penalty(judge: Callable[[Tensor], Scores], real: Tensor) -> Tensor:
    """Keep a discriminator flat at the real images, (B, …) (Mescheder et al. 2018, arXiv:1801.04406, section 4.1)."""
    return _steepness(judge, real).mean() / 2


def _steepness(judge: Callable[[Tensor], Scores], images: Tensor) -> Tensor:
    """The squared gradient |∇D|² at each image, (B,), differentiable; in float32, as squares of it are small.

    A map of n scores counts as its sum / √n: were the patches disjoint, that is the mean of each patch's own |∇D|².
    """
    images = images.detach().float().requires_grad_()
    with torch.autocast(images.device.type, enabled=False):
        scores = judge(images)
        maps = [scores] if isinstance(scores, Tensor) else scores
        total = torch.stack([x.sum() / x[0].numel() ** 0.5 for x in maps]).mean()
        (gradient,) = torch.autograd.grad(total, images, create_graph=True)
    return gradient.square().flatten(1).sum(1)


def _mean(function: Callable[[Tensor], Tensor], scores: Scores) -> Tensor:
    maps = [scores] if isinstance(scores, Tensor) else scores
    return torch.stack([function(x.float()).mean() for x in maps]).mean()


def photorealism(source: Tensor, result: Tensor, radius: int = 4, eps: float = 1e-3) -> Tensor:
    """How far `result` is from being, in each small window, an affine function of `source`'s luminance.

    The residual of a guided filter (He et al. 2010), used as a loss in the spirit of the matting Laplacian of deep
    photo style transfer (Luan et al. 2017, arXiv:1703.07511). A window may change its brightness, contrast and colour
    freely, even turn into its negative; what it may not do is grow a shape that the source does not have: a blob in a
    plain wall, a halo along the skyline.

    Args:
        source: (B, 3, H, W) in [-1, 1].
        result: the same shape and range.
        radius: of the window, in pixels.
        eps: variance below which the source counts as plain.

    Returns:
        The mean over windows of the unexplained standard deviation, in the units of `result`.
    """
    grey = torch.tensor([0.299, 0.587, 0.114], device=source.device).view(1, 3, 1, 1)
    x = (source.float() * grey).sum(1, keepdim=True)
    y = result.float()

    def window(t: Tensor) -> Tensor:
        return F.avg_pool2d(t, 2 * radius + 1, stride=2)

    mean_x, mean_y = window(x), window(y)
    var_x = window(x * x) - mean_x * mean_x
    var_y = window(y * y) - mean_y * mean_y
    cov = window(x * y) - mean_x * mean_y
    return (var_y - cov * cov / (var_x + eps)).clamp(min=0).add(1e-4).sqrt().mean()


def changed(source: Tensor, result: Tensor, little: float = 0.1) -> Tensor:
    """How much of a picture is not what it was: a smooth count of the changed pixels, in [0, 1).

    A pixel counts by d / (d + little), so that it hardly costs more to change it a lot than to change it well: where
    an L1 distance would make pale stripes, this one lets the meadow be.

    Args:
        source: (B, C, H, W).
        result: the same shape.
        little: a difference, in their units and as a mean over channels, that counts half.
    """
    distance = (result.float() - source.float()).abs().mean(1)
    return (distance / (distance + little)).mean()


def grid(fake: Tensor, real: Tensor, period: int, window: int = 8) -> Tensor:
    """How much more a picture repeats itself every `period` pixels than the real one does: the mark of an upsampler.

    Every pixel has one of period² phases. Over a window the mean of all pixels of one phase should be that of another,
    and so should be the mean contrast around them; what they differ by is the grid that one would see.

    Args:
        fake: (B, C, H, W), sides divisible by `period`.
        real: the same shape.
        period: in pixels.
        window: side of the windows, in periods.

    Returns:
        The mean absolute difference between the two pictures' deviations of a phase from the mean of all phases, in
        their units.
    """

    def phases(x: Tensor) -> Tensor:
        x = F.avg_pool2d(F.pixel_unshuffle(x, period), window, window // 2)
        x = x.view(len(x), -1, period**2, *x.shape[2:])
        return x - x.mean(2, keepdim=True)

    def contrast(x: Tensor) -> Tensor:
        return (x - F.avg_pool2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), 5, 1)).abs()

    fake, real = fake.float(), real.float()
    first, second = phases(fake) - phases(real), phases(contrast(fake)) - phases(contrast(real))
    return first.abs().mean() + second.abs().mean()
