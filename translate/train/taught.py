"""A U-Net that starts with what ImageNet taught its encoder."""

from typing import TypeVar

from translate.features import FeatureNetwork
from translate.models.colouriser import Colouriser
from translate.models.pretrained_unet import PretrainedUNet

N = TypeVar("N", bound=PretrainedUNet | Colouriser)


def taught(network: N) -> N:
    """The network, whose encoder has ImageNet's weights now, and whose decoder has still to learn.

    Raises:
        InputError: the package with the weights is missing.
    """
    FeatureNetwork(network.encoder.version).teach(network.encoder)
    return network
