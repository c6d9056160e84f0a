"""A discriminator that judges ImageNet features in place of pixels (Sauer et al. 2021, arXiv:2111.01007)."""

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from translate.features import FeatureNetwork

_TAPS = (1, 2, 3, 4)
_CHANNELS = (24, 40, 112, 320)


class ProjectedDiscriminator(nn.Module):
    """A small head at each of four depths of a frozen EfficientNet-lite0, at strides 4 to 32.

    It knows from the start what sky and buildings look like, so it needs a fraction of the steps of a PatchGAN, and as
    there is no instance norm in it, it sees how bright an image is. The paper's random projections are left out.

    Args:
        features: frozen, and shared by several judges: no part of this module or of its state.
        width: channels of the heads.
        enlarge: how many times larger small pictures are made first, as the features are those of large ones.
    """

    def __init__(self, features: FeatureNetwork, width: int = 64, enlarge: int = 1) -> None:
        super().__init__()
        self._features = (features,)  # in a tuple, it is not registered as a child
        self.enlarge = enlarge
        self.heads = nn.ModuleList(
            nn.Sequential(
                spectral_norm(nn.Conv2d(channels, width, 1)),
                nn.LeakyReLU(0.2),
                spectral_norm(nn.Conv2d(width, width, 3, padding=1)),
                nn.LeakyReLU(0.2),
                nn.Conv2d(width, 1, 3, padding=1),
            )
            for channels in _CHANNELS
        )

    def forward(self, x: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """(B, 3, H, W) in [-1, 1], or (B, 1, H, W) -> four (B, 1, ⌈H/s⌉, ⌈W/s⌉), s = 4, 8, 16, 32; larger is more real.

        H and W are those of the enlarged picture; the labels are not looked at.
        """
        (features,) = self._features
        x = x.expand(-1, 3, -1, -1)
        if self.enlarge > 1:
            x = F.interpolate(x, scale_factor=self.enlarge, mode="bilinear", align_corners=False)
        return [head(map_) for head, map_ in zip(self.heads, features((x + 1) / 2, _TAPS), strict=True)]
