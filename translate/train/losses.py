"""The losses of the recipes."""

import torch
import torch.nn.functional as F
from torch import Tensor


def lsgan(scores: Tensor | list[Tensor], real: bool) -> Tensor:
    """Least-squares GAN loss (Mao et al. 2017, arXiv:1611.04076): real is 1, fake is 0; maps of scores count alike."""
    maps = [scores] if isinstance(scores, Tensor) else scores
    return torch.stack([(scores - float(real)).square().mean() for scores in maps]).mean()


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
