"""What the shipped networks make of one small picture: their range of values, and the weights that cards tell of."""

import numpy as np
import pytest

from translate import checkpoints
from translate.images import Picture
from translate.translator import Translator
from translate.weights import registry

MEANS = {  # of the result's red, green and blue, in steps of 8 bit; measured when the weights were shipped
    "cyclegan-night": (39.8, 43.6, 39.0),
    "cyclegan-day": (190.8, 187.1, 166.6),
    "cyclegan-zebra": (114.9, 138.0, 127.9),
    "cyclegan-horse": (120.5, 152.0, 144.1),
    "pix2pix-sketch": (29.1, 33.2, 21.1),
    "pix2pix-facades": (89.5, 84.3, 69.4),
    "srresnet-x4-real": (114.9, 146.4, 136.1),
    "srgan-x4-real": (113.4, 146.1, 135.4),
    "srresnet-x2-real": (114.7, 146.3, 136.1),
    "srresnet-x4": (115.1, 146.3, 136.1),
    "srgan-x4": (113.6, 145.0, 133.9),
    "colourise": (164.8, 132.6, 76.4),
    "restore": (94.1, 119.8, 119.6),
}
PHOTOGRAPHIC = (-1.0, 1.0), 1, 1  # range of values, multiple of, least side
RANGES = {
    "PretrainedGenerator": PHOTOGRAPHIC,
    **dict.fromkeys(("SRResNet", "Colouriser", "Restorer"), ((0.0, 1.0), 1, 1)),
}


def picture() -> Picture:
    """A sky over a meadow, with some noise."""
    rng = np.random.default_rng(0)
    sky = np.linspace((90, 140, 220), (200, 215, 235), 48)[:, None]
    meadow = np.linspace((110, 140, 60), (60, 90, 30), 48)[:, None]
    pixels = np.concatenate([sky, meadow]) + rng.normal(0, 12, (96, 128, 1))
    return Picture(pixels.clip(0, 255).round().astype(np.uint8))


@pytest.mark.parametrize("entry", [e for e in registry.shipped().values() if e.task != "sample"], ids=lambda e: e.name)
def test_each_makes_of_a_picture_what_it_did_when_it_was_shipped(entry: registry.Entry) -> None:
    model = checkpoints.load(registry.verified(entry))
    assert (model.value_range, model.multiple_of, model.minimum) == RANGES[model.architecture]
    ((result, _),) = Translator(model, "cpu", "fp32")([picture()])
    assert result.pixels.mean((0, 1)) == pytest.approx(MEANS[entry.name], abs=0.5)
