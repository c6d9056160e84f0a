"""What a training run depends on: the options of each recipe, their defaults and their help."""

from translate.train.options.from_noise import CGAN, DCGAN, GAN, FromNoise, StyleGAN
from translate.train.options.pictures import SRGAN, Colourise, CycleGAN, Pix2Pix, Restore
from translate.train.options.shared import Gan, Run

__all__ = [
    "CGAN",
    "DCGAN",
    "GAN",
    "SRGAN",
    "Colourise",
    "CycleGAN",
    "FromNoise",
    "Gan",
    "Pix2Pix",
    "Restore",
    "Run",
    "StyleGAN",
]
