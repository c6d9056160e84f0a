"""The generator that starts with what ImageNet taught its encoder."""

from translate.features import FeatureNetwork
from translate.models.pretrained import PretrainedGenerator


def pretrained(width: int) -> PretrainedGenerator:
    """A generator whose encoder has its weights, and whose decoder has still to learn.

    Raises:
        InputError: the package with the weights is missing.
    """
    generator = PretrainedGenerator(width)
    FeatureNetwork().teach(generator.encoder)
    return generator
