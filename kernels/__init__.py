"""The hot paths of the networks, each one plain function whose docstring is its contract."""

from translate.kernels._activation import Activation
from translate.kernels._bias_act import bias_leaky_relu
from translate.kernels._dense import dense_block
from translate.kernels._dispatch import Backend, explain
from translate.kernels._instance_norm import instance_norm
from translate.kernels._pixel_shuffle import conv_pixel_shuffle
from translate.kernels._quantise import quantise
from translate.kernels._statistics import Statistics, instance_statistics, merge_statistics, normalise
from translate.kernels._upsample import Padding, conv_transpose2d, upsample_conv2d

__all__ = [
    "Activation",
    "Backend",
    "Padding",
    "Statistics",
    "bias_leaky_relu",
    "conv_pixel_shuffle",
    "conv_transpose2d",
    "dense_block",
    "explain",
    "instance_norm",
    "instance_statistics",
    "merge_statistics",
    "normalise",
    "quantise",
    "upsample_conv2d",
]
