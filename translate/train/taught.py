"""A U-Net that starts with what ImageNet taught its encoder."""

from typing import TypeVar

from translate.features import FeatureNetwork
from translate.models.pretrained_unet import PretrainedUNet

N = TypeVar("N", bound=PretrainedUNet)


def taught(network: N) -> N:
    """The network, whose encoder has ImageNet's weights now, and whose decoder has still to learn.

    Raises:
        InputError: the package with the weights is missing.
    """
    FeatureNetwork().teach(network.encoder)
    return network
