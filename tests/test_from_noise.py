"""Generators from noise: the networks, their files, and `translate sample`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from translate import checkpoints, sampling
from translate.errors import CheckpointError, InputError
from translate.models.cgan import ConditionalGenerator, ProjectionDiscriminator
from translate.models.dcgan import DCDiscriminator, DCGenerator, base
from translate.models.gan import MLPDiscriminator, MLPGenerator
from translate.models.stylegan import StyledConv, StyleDiscriminator, StyleGenerator
from translate.weights.files import save_weights

Run = Callable[..., Any]
NETWORKS: list[tuple[Any, Any]] = [
    (MLPGenerator(8, 4, 12, 3), MLPDiscriminator(4, 12, 3)),
    (DCGenerator(8, 4, 28, 1), DCDiscriminator(4, 28, 1)),
    (ConditionalGenerator(("a", "b", "c"), 8, 4, 24, 1), ProjectionDiscriminator(3, 4, 24, 1)),
    (StyleGenerator(8, 4, 32, 3, style=16, layers=2), StyleDiscriminator(4, 32, 3)),
]
IDS = [type(generator).__name__ for generator, _ in NETWORKS]


def distinct(network: nn.Module) -> nn.Module:
    """The network with weights that make every picture another."""
    random = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=random) * 0.3
    return network


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """The file of a conditional generator that has learnt nothing."""
    save_weights(path := tmp_path / "tiny.safetensors", distinct(ConditionalGenerator(("0", "1", "2"), 8, 4, 28, 1)))
    return path


@pytest.fixture
def styled(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_weights(path := tmp_path / "styled.safetensors", StyleGenerator(8, 4, 32, 3, style=16, layers=2))
    return path


# The networks


@pytest.mark.parametrize(("generator", "discriminator"), NETWORKS, ids=IDS)
def test_shapes_and_gradients(generator: Any, discriminator: Any) -> None:
    labels = torch.tensor([0, 2, 1, 1])
    pictures = generator.train()(torch.randn(4, generator.latent), labels)
    assert pictures.shape == (4, generator.channels, generator.size, generator.size)
    scores = discriminator.train()(pictures, labels)
    assert scores.shape == (4, 1)
    scores.square().sum().backward()
    for network in (generator, discriminator):
        assert [name for name, weight in network.named_parameters() if weight.grad is None] == []


def test_which_sizes_can_be_made() -> None:
    assert {size: base(size) for size in (28, 32, 48, 64, 128, 256)} == {28: 7, 32: 4, 48: 6, 64: 4, 128: 4, 256: 4}
    for size in (7, 30, 37):
        with pytest.raises(ValueError, match=f"pictures of {size}×{size} cannot be made"):
            base(size)
    with pytest.raises(ValueError, match="not 48"):
        StyleGenerator(size=48)


def test_styled_convolution_is_the_papers() -> None:
    """Scaling the input and the output is modulating and demodulating the weights of every picture."""
    torch.manual_seed(0)
    layer = StyledConv(5, 3, 4, 8).eval()
    x, w = torch.randn(2, 5, 8, 8), torch.randn(2, 4)
    style = layer.affine(w)
    weight = layer.weight[None] * layer.scale * style[:, None, :, None, None]
    weight = weight / weight.square().sum((2, 3, 4), keepdim=True).add(1e-8).sqrt()
    each = [nn.functional.conv2d(image[None], own, padding=1) for image, own in zip(x, weight, strict=True)]
    expected = nn.functional.leaky_relu(torch.cat(each), 0.2) * 2**0.5
    torch.testing.assert_close(layer(x, w), expected)


def test_a_style_mix_has_the_coarse_layers_of_one_and_the_fine_ones_of_another() -> None:
    torch.manual_seed(0)
    network = StyleGenerator(8, 4, 32, 3, style=16, layers=2)
    ws = torch.arange(64.0)[:, None, None].expand(-1, network.styles, 16)
    owners = network._mixed(ws)[..., 0]
    neighbours = torch.arange(64.0).roll(1)
    mixed = 0
    for number, row in enumerate(owners):
        first = int((row == number).sum())
        assert first >= 1
        assert row.tolist() == [number] * first + [neighbours[number]] * (network.styles - first)
        mixed += first < network.styles
    assert 45 <= mixed < 64  # nine of ten, but for those that were cut at the end


def test_truncation_of_w_goes_towards_the_mean() -> None:
    network = StyleGenerator(8, 4, 32, 3, style=16, layers=2)
    z = torch.randn(64, 8)
    for _ in range(3):
        network.train().mapping(z)
    network.eval()
    assert network.mapping.mean.abs().sum() > 0
    at_mean = network.synthesise(network.mapping.mean.expand(2, network.styles, -1))
    torch.testing.assert_close(network(z[:2], truncation=0.0), at_mean)
    torch.testing.assert_close(network(z[:2], truncation=1.0), network(z[:2]))


# Their files


@pytest.mark.parametrize(("generator", "discriminator"), NETWORKS, ids=IDS)
def test_saved_and_read_again(generator: Any, discriminator: nn.Module, tmp_path: Path) -> None:
    save_weights(path := tmp_path / "g.safetensors", generator.eval(), torch.float32)
    read: Any = checkpoints.load_from_noise(path)
    assert (read.latent, read.size, read.classes) == (generator.latent, generator.size, generator.classes)
    z, labels = torch.randn(3, generator.latent), torch.tensor([0, 1, 2])
    assert torch.equal(read(z, labels), generator(z, labels))


def test_the_two_kinds_of_networks_are_told_apart(shelf: Path, digits: Path, run: Run, photos: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no generator from noise"):
        checkpoints.load_from_noise(shelf / "tiny-x4.safetensors")
    with pytest.raises(CheckpointError, match=r"makes pictures from noise; use: translate sample .*tiny"):
        checkpoints.load(digits)
    ran = run("upscale", photos, "--weights", digits)
    assert (ran.code, "translate sample" in ran.err) == (1, True)


@pytest.mark.parametrize(
    "change",
    [{"width": 5}, {"width": 10**9}, {"latent": -1}, {"size": 30}, {"other": 1}, {"classes": 3}, {"latent": "8"}],
)
def test_a_header_that_lies(change: dict[str, Any], digits: Path) -> None:
    network: Any = checkpoints.load_from_noise(digits)
    network.config |= change
    save_weights(digits, network)
    with pytest.raises(CheckpointError, match="is spoilt") as caught:
        checkpoints.load_from_noise(digits)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["/../../up", "a/b", "a\\b", "..", "", 3])
def test_a_class_that_leads_elsewhere(name: Any, digits: Path) -> None:
    network: Any = checkpoints.load_from_noise(digits)
    network.config |= {"classes": [name, *network.classes[1:]]}
    save_weights(digits, network)
    with pytest.raises(CheckpointError, match="after which no file can be named"):
        checkpoints.load_from_noise(digits)


# Latents


def test_latents_are_the_seeds_and_do_not_depend_on_their_number() -> None:
    network = DCGenerator(100, 4, 28, 1)
    few, many = sampling.latents(network, 7, 3), sampling.latents(network, 7, 9)
    assert torch.equal(few, many[:3])
    assert not torch.equal(few, sampling.latents(network, 8, 3))
    assert torch.equal(few, sampling.latents(network, 7, 3))


def test_truncated_by_drawing_again_what_is_outside() -> None:
    network = DCGenerator(100, 4, 28, 1)
    free, bound = sampling.latents(network, 0, 50), sampling.latents(network, 0, 50, 0.7)
    assert bound.abs().max() <= 0.7
    assert bound.abs().max() > 0.69
    inside = free[0].abs() <= 0.7
    assert torch.equal(bound[0][inside], free[0][inside])
    expected = 0.3827  # standard deviation of a normal within ±0.7
    assert bound.std() == pytest.approx(expected, rel=0.02)
    styled = StyleGenerator(100, 4, 32)
    assert torch.equal(sampling.latents(styled, 0, 2, 0.7), sampling.latents(styled, 0, 2))


def test_uniform_latents() -> None:
    z = sampling.latents(DCGenerator(100, 4, 28, 1, uniform=True), 0, 50)
    assert 0.99 < z.abs().max() <= 1
    assert z.std() == pytest.approx(3**-0.5, rel=0.02)


@pytest.mark.parametrize("truncation", [0.0, -1.0, float("nan")])
def test_no_truncation_at_zero_or_below(truncation: float) -> None:
    with pytest.raises(InputError, match="it takes a number from"):
        sampling.latents(DCGenerator(8, 4, 28, 1), 0, 1, truncation)


def test_slerp() -> None:
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    torch.testing.assert_close(sampling.slerp(a, b, 1 / 3), 2 * torch.tensor([3**0.5 / 2, 0.5]))
    torch.testing.assert_close(sampling.slerp(a, a, 0.5), a)
    walk = sampling.walk(torch.randn(100), torch.randn(100), 9)
    steps = (walk[1:] - walk[:-1]).norm(dim=1)
    assert steps.max() < 1.5 * steps.min()
    with pytest.raises(InputError, match="take 2 or more"):
        sampling.walk(a, b, 1)
    with pytest.raises(InputError, match="a latent of 3 numbers does not fit one of 2"):
        sampling.slerp(a, torch.ones(3), 0.5)


def test_a_latent_of_another_length(digits: Path) -> None:
    network = checkpoints.load_from_noise(digits)
    with pytest.raises(InputError, match="a latent has 9 numbers, but the network takes 8"):
        next(sampling.pictures(network, torch.zeros(1, 9), [0]))


# The command


def read(folder: Path) -> dict[str, Any]:
    return {path.relative_to(folder).as_posix(): np.asarray(Image.open(path)) for path in sorted(folder.rglob("*.png"))}


def test_the_same_seed_gives_the_same_pictures(run: Run, digits: Path, tmp_path: Path) -> None:
    for name, options in (("a", ["--seed", 7]), ("b", ["--seed", 7, "--n", 5]), ("c", ["--seed", 8])):
        ran = run("sample", digits, "--out", tmp_path / name, *(["--n", 4] if "--n" not in options else []), *options)
        assert (ran.code, ran.err) == (0, "")
    a, b, c = (read(tmp_path / name) for name in "abc")
    assert list(a) == ["00000-0.png", "00001-1.png", "00002-2.png", "00003-0.png"]
    assert all(picture.shape == (28, 28) for picture in a.values())  # grey
    assert all((a[name] == b[name]).all() for name in a)
    assert (len(b), all((a[name] != c[name]).any() for name in a)) == (5, True)


def test_class_and_truncation(run: Run, digits: Path, tmp_path: Path) -> None:
    run("sample", digits, "--n", 2, "--class", 2, "--out", tmp_path / "a")
    run("sample", digits, "--n", 2, "--class", 2, "--truncation", 0.1, "--out", tmp_path / "b")
    a, b = read(tmp_path / "a"), read(tmp_path / "b")
    assert list(a) == list(b) == ["00000-2.png", "00001-2.png"]
    apart = [np.abs(np.subtract(*map(np.float32, x.values()))).mean() for x in (a, b)]
    assert apart[1] < apart[0]
    ran = run("sample", digits, "--class", "9", "--out", tmp_path / "c")
    assert (ran.code, "there is no class '9'; there are 0, 1, 2" in ran.err) == (2, True)
    ran = run("sample", digits, "--truncation", 0, "--out", tmp_path / "c")
    assert (ran.code, "it takes a number from 0.01" in ran.err) == (2, True)
    assert not (tmp_path / "c").exists()


def test_a_folder_that_is_there_is_left_alone(run: Run, digits: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    ran = run("sample", digits, "--out", tmp_path / "a")
    assert (ran.code, "is there already" in ran.err) == (2, True)
    assert not list((tmp_path / "a").iterdir())


def test_dataset(run: Run, digits: Path, tmp_path: Path) -> None:
    assert run("sample", digits, "--dataset", tmp_path / "set", "--per-class", 2, "--seed", 3).code == 0
    files = sorted(f"{name}/0000{number}.png" for name in "012" for number in range(2))
    assert list(read(tmp_path / "set")) == files
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert manifest["pictures"] == {file: file[0] for file in files}
    assert (manifest["seed"], manifest["truncation"], len(manifest["sha256"])) == (3, None, 64)
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_dataset_needs_classes(run: Run, styled: Path, tmp_path: Path) -> None:
    assert run("sample", styled, "--n", 3, "--out", tmp_path / "some").code == 0
    assert sorted(path.name for path in (tmp_path / "some").iterdir()) == ["00000.png", "00001.png", "00002.png"]
    ran = run("sample", styled, "--dataset", tmp_path / "set")
    assert (ran.code, "knows no classes" in ran.err) == (2, True)
    ran = run("sample", styled, "--class", "1", "--out", tmp_path / "set")
    assert (ran.code, "knows no classes" in ran.err) == (2, True)


def test_a_sheet_of_truncations(run: Run, styled: Path, tmp_path: Path) -> None:
    ran = run("sample", styled, "--grid-truncation", "--out", tmp_path / "sheet.png")
    assert (ran.code, "columns: truncation 0.2, 0.4, 0.6, 0.8, 1.0" in ran.out) == (0, True)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png")).astype(float)
    assert sheet.shape == (8 * 32, 5 * 32, 3)
    columns = sheet.reshape(8, 32, 5, 32, 3).std(axis=0).mean(axis=(0, 2, 3))
    assert 0 < columns[0] < columns[2] < columns[4]  # the rows get less alike


def test_a_walk(run: Run, digits: Path, tmp_path: Path) -> None:
    import av

    ran = run("sample", digits, "--interpolate", 3, 8, "--steps", 6, "--class", 1, "--out", tmp_path / "new/walk.mp4")
    assert (ran.code, ran.err) == (0, "")
    with av.open(str(tmp_path / "new/walk.mp4")) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert (len(frames), frames[0].shape) == (6, (224, 224, 3))
    network = checkpoints.load_from_noise(digits)
    ends = [next(sampling.pictures(network, sampling.latents(network, seed), [1])) for seed in (3, 8)]
    for frame, end in zip((frames[0], frames[-1]), ends, strict=True):
        assert np.abs(frame[4::8, 4::8].astype(float) - end).mean() < 6
    ran = run("sample", digits, "--interpolate", 3, 8, "--steps", 1, "--out", tmp_path / "one.mp4")
    assert (ran.code, "a walk of 1 steps does not have its two ends" in ran.err) == (2, True)
    assert "must end in .mp4" in run("sample", digits, "--interpolate", 3, 8, "--out", tmp_path / "w.avi").err
    assert "it takes a number from 0 to" in run("sample", digits, "--seed", 1 << 63, "--out", tmp_path / "huge").err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "tiny.safetensors"]


def test_a_walk_on_a_sphere_keeps_a_tensor_on_it() -> None:
    a, b = torch.randn(2, 100, generator=torch.Generator().manual_seed(0))
    walk: Tensor = sampling.walk(a / a.norm(), b / b.norm(), 7)
    torch.testing.assert_close(walk.norm(dim=1), torch.ones(7))
