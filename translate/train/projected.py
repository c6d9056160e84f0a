"""A discriminator that judges ImageNet features in place of pixels (Sauer et al. 2021, arXiv:2111.01007)."""

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
    """

    def __init__(self, features: FeatureNetwork, width: int = 64) -> None:
        super().__init__()
        self._features = (features,)  # in a tuple, it is not registered as a child
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

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [-1, 1] -> four (B, 1, ⌈H/s⌉, ⌈W/s⌉), s = 4, 8, 16, 32; larger is more real."""
        (features,) = self._features
        return [head(map_) for head, map_ in zip(self.heads, features((x + 1) / 2, _TAPS), strict=True)]
