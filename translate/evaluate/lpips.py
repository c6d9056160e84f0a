"""How different two pictures look to people: LPIPS v0.1 with AlexNet, the default of the `lpips` package.

Zhang et al., *The Unreasonable Effectiveness of Deep Features as a Perceptual Metric*, CVPR 2018, section 3.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from translate.errors import ImageError
from translate.evaluate.embedding import whole_float32
from translate.evaluate.fidelity import Pixels
from translate.tensorfiles import read_tensors
from translate.weights import measuring

# One row a convolution: its number in torchvision's file, outputs, kernel, stride; the second and third see half of
# the pixels of what is before them (the maximum of 3 × 3).
CONVS = ((0, 64, 11, 4), (3, 192, 5, 1), (6, 384, 3, 1), (8, 256, 3, 1), (10, 256, 3, 1))
HALVED_BEFORE = (3, 6)
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of RGB in [-1, 1]
EPS = 1e-10
LEAST = 31  # pixels a side, of which one is left after the second halving


class LPIPS(nn.Module):
    """AlexNet's convolutions and one weight a channel of each."""

    def __init__(self) -> None:
        super().__init__()
        self.convs, self.weights, channels = nn.ModuleList(), nn.ParameterList(), 3
        for number, outputs, kernel, stride in CONVS:
            self.convs.append(nn.Conv2d(channels, outputs, kernel, stride, 2 if number == 0 else kernel // 2))
            self.weights.append(nn.Parameter(torch.ones(outputs) / outputs))
            channels = outputs

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Two of (B, 3, H, W), RGB in [0, 1], H and W at least 31, to distances (B,): 0 for the same.

        The squared differences of the activations, each pixel's brought to length 1 before; weighted, and averaged over
        the pixels of each layer; the sum over the layers.
        """
        x = 2 * torch.cat([a, b]) - 1
        x = (x - x.new_tensor(SHIFT).view(-1, 1, 1)) / x.new_tensor(SCALE).view(-1, 1, 1)
        distance = x.new_zeros(len(a))
        for (number, *_), conv, weight in zip(CONVS, self.convs, self.weights, strict=True):
            x = functional.relu(conv(functional.max_pool2d(x, 3, 2) if number in HALVED_BEFORE else x))
            of_a, of_b = (x / (x.square().sum(1, keepdim=True).sqrt() + EPS)).chunk(2)
            distance = distance + ((of_a - of_b).square() * weight.view(-1, 1, 1)).sum(1).mean((1, 2))
        return distance


def load() -> LPIPS:
    """The network with the published weights, on the CPU, frozen.

    Raises:
        InputError: they have not been fetched yet.
        CheckpointError: a file is not the published one.
    """
    alexnet, heads = (read_tensors(path) for path in measuring.find("lpips"))
    tensors: dict[str, Tensor] = {}
    for layer, (number, *_) in enumerate(CONVS):
        tensors |= {f"convs.{layer}.{part}": alexnet[f"features.{number}.{part}"] for part in ("weight", "bias")}
        tensors[f"weights.{layer}"] = heads[f"lin{layer}.model.1.weight"].flatten()
    network = LPIPS()
    network.load_state_dict(tensors)
    return network.eval().requires_grad_(False)


@torch.inference_mode()
def compare(network: LPIPS, a: Pixels, b: Pixels) -> float:
    """The distance of two pictures (H, W, 3) of one shape in [0, 255].

    Raises:
        ImageError: they are too small for the network.
    """
    height, width = a.shape[:2]
    if min(height, width) < LEAST:
        raise ImageError(
            f"{width} × {height} pixels are less than the {LEAST} × {LEAST} of LPIPS; leave it out, or --lpips"
        )
    device = network.weights[0].device
    x, y = (torch.from_numpy(z.astype(np.float32)).to(device).permute(2, 0, 1)[None] / 255 for z in (a, b))
    with whole_float32():
        return float(network(x, y))
