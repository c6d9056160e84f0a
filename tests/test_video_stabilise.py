"""Less flicker: motion that is found, what is trusted of it, and what does not come from one frame into the next."""

import itertools
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from translate import kernels
from translate.bands import in_bands
from translate.chain import Chain
from translate.images import Picture
from translate.models import Model
from translate.models.cyclegan import ResnetGenerator
from translate.models.smoothing import Smoothing
from translate.translator import Translator
from translate.video.stabilise import Motion, Stabiliser, blended, motion


def texture(height: int = 96, width: int = 128, seed: int = 0) -> Any:
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 6, width // 6, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def pan(frames: int, step: int = 3) -> list[Any]:
    wide = texture(96, 128 + frames * step)
    return [np.ascontiguousarray(wide[:, n * step : n * step + 128]) for n in range(frames)]


class Flickering(nn.Module):
    """Gives back what it gets with noise of its own, another for every frame."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(self.calls))
        return (x + 0.05 * noise).clamp(0, 1)


def ready(network: nn.Module) -> Translator:
    translator = Translator(Model(network, "Test"), "cpu", "fp32")
    translator._network.placed["fp32"] = network
    return translator


def stabilised(network: nn.Module, frames: list[Any]) -> list[Any]:
    stabiliser = Stabiliser(ready(network))
    moved = [None, *itertools.starmap(motion, itertools.pairwise(frames))]
    return [stabiliser(Picture(f), m).pixels for f, m in zip(frames, moved, strict=True)]


def test_motion_is_where_things_were() -> None:
    before, now = pan(2)
    found = motion(before, now)
    inner = found.origin[16:-16, 16:-16] - np.dstack(np.meshgrid(np.arange(16, 112), np.arange(16, 80)))
    np.testing.assert_allclose(np.median(inner, (0, 1)), [3, 0], atol=0.05)
    assert found.trust[16:-16, 16:-16].mean() > 0.9
    assert found.trust[:, -2:].max() == 0  # has just come into view
    assert not found.cut
    assert motion(before, texture(seed=1)).cut


@pytest.mark.parametrize("shape", [(4, 6), (31, 200), (700, 20)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_motion_of_any_size_and_depth(shape: tuple[int, int], dtype: Any) -> None:
    frame = np.full((*shape, 3), np.iinfo(dtype).max // 3, dtype)
    found = motion(frame, frame)
    assert found.origin.shape == (*shape, 2)
    result = blended(frame, frame, found)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, frame)


def test_flicker_is_less_than_half_and_edges_stay() -> None:
    frames = pan(8)
    network = Flickering()
    plain = [result.pixels for frame in frames for result, _ in ready(network)([Picture(frame)])]
    smooth = stabilised(Flickering(), frames)

    def noise(results: list[Any]) -> float:
        return float(
            np.mean([(r.astype(float) - f)[16:-16, 16:-16].std() for r, f in zip(results, frames, strict=True)][4:])
        )

    assert noise(smooth) < 0.6 * noise(plain)
    assert noise(stabilised(nn.Identity(), frames)) < 1.5  # what the interpolation takes


def test_what_moves_by_itself_leaves_no_trail() -> None:
    frames = []
    for n in range(4):
        frame = texture()
        frame[30:60, 10 + 24 * n : 34 + 24 * n] = (255, 40, 0)
        frames.append(frame)
    last = stabilised(nn.Identity(), frames)[-1]
    left = last[32:58, 12:80].astype(int) - frames[-1][32:58, 12:80]
    assert np.abs(left).mean() < 2


def test_a_cut_begins_anew() -> None:
    frames = [texture(seed=0), texture(seed=1)]
    stabiliser = Stabiliser(
        Translator(Model(ResnetGenerator(4, 1), "ResnetGenerator", 1, 4, 16, (-1, 1)), "cpu", "fp32")
    )
    stabiliser(Picture(frames[0]), None)
    after = stabiliser(Picture(frames[1]), motion(*frames)).pixels
    ((alone, _),) = stabiliser.translator([Picture(frames[1])])
    np.testing.assert_allclose(after.astype(int), alone.pixels, atol=1)


def test_an_enlarged_result_moves_as_far_as_it_is_larger() -> None:
    before, now = pan(2)
    large = [cv2.resize(f, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC) for f in (before, now)]
    result = blended(*large, motion(before, now))
    away = np.abs(result.astype(int) - large[1])[64:-64, 64:-64]
    assert away.mean() < 1.5


def test_statistics_are_averaged_over_the_frames() -> None:
    smoothing = Smoothing()
    with smoothing:
        for value in (0.0, 1.0):
            smoothing.begin()
            mixed = smoothing.add(kernels.Statistics(4, torch.full((1, 2), value), torch.full((1, 2), 8 * value)))
            smoothing.accept()
    torch.testing.assert_close(mixed.mean, torch.full((1, 2), 0.2))
    torch.testing.assert_close(mixed.m2, torch.full((1, 2), 1.6))


@torch.inference_mode()
def test_smoothing_is_the_same_in_parts_and_whole() -> None:
    torch.manual_seed(0)
    network = ResnetGenerator(4, 1).eval()
    frames = torch.rand(2, 1, 3, 64, 48) * 2 - 1
    frames[1] *= 0.3
    alone, whole, parts = Smoothing(), Smoothing(), Smoothing()
    for x in frames:
        with whole:
            whole.begin()
            one = network(x)
            whole.accept()
        with parts:
            parts.begin()
            pieces = list(
                in_bands(network, lambda top, end, *_, x=x: x[:, :, top:end], 64, 48, rows=16, memory=1 << 20)
            )
            parts.accept()
    torch.testing.assert_close(torch.cat([piece for _, _, piece in pieces], 2), one, atol=1e-4, rtol=0)
    with alone:
        plain = network(frames[1])
    assert (plain - one).abs().max() > 0.01
    torch.testing.assert_close(plain, network(frames[1]), atol=1e-4, rtol=0)


def test_a_pass_that_failed_leaves_nothing() -> None:
    smoothing, found = Smoothing(), []
    for values in ([0.0], [5.0, 1.0], [0.2]):  # bfloat16 gave NaN for the second frame, and it is computed again
        for value in values:
            smoothing.begin()
            found.append(smoothing.add(kernels.Statistics(4, torch.full((1, 2), value), torch.ones(1, 2))))
        smoothing.accept()
    torch.testing.assert_close(found[2].mean, torch.full((1, 2), 0.2))
    torch.testing.assert_close(found[3].mean, torch.full((1, 2), 0.2))


def test_each_network_of_a_chain_has_its_own_statistics() -> None:
    model = Model(ResnetGenerator(4, 1), "ResnetGenerator", 1, 4, 16, (-1, 1))
    other = Model(ResnetGenerator(2, 2), "ResnetGenerator", 1, 4, 16, (-1, 1))
    chain = Chain([Translator(m, "cpu", "fp32") for m in (model, Model(nn.Identity(), "Identity"), other)])
    frames, results = pan(4), []
    for halt in (4, 2):
        stabiliser = Stabiliser(chain)
        for n, frame in enumerate(frames):
            if n == halt:
                stabiliser = Stabiliser(chain, stabiliser.memory())
            result = stabiliser(Picture(frame), motion(frames[n - 1], frame) if n else None)
        results.append(result.pixels)
        assert [len(norms) for norms in stabiliser.smoothing.kept] == [7, 0, 9]
    np.testing.assert_array_equal(*results)


def test_memory_is_all_that_the_next_frame_needs() -> None:
    frames, parts = pan(4), []
    torch.manual_seed(0)
    model = Model(ResnetGenerator(4, 1), "ResnetGenerator", 1, 4, 16, (-1, 1))
    for halt in (False, True):
        stabiliser, results = Stabiliser(Translator(model, "cpu", "fp32")), []
        for n, frame in enumerate(frames):
            if halt and n == 2:
                stabiliser = Stabiliser(Translator(model, "cpu", "fp32"), stabiliser.memory())
            results.append(stabiliser(Picture(frame), motion(frames[n - 1], frame) if n else None).pixels)
        parts.append(np.stack(results))
    np.testing.assert_array_equal(*parts)


def test_a_luma_that_is_the_input_s_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a network that leaves it alone only colours are blended; of others everything is."""
    network, frames, weights = Flickering(), pan(3), np.array([0.299, 0.587, 0.114])
    apart = {}
    for keeps in (False, True):
        monkeypatch.setattr(Flickering, "keeps_luma", keeps, raising=False)
        network.calls = 0
        plain = [ready(network)([Picture(frame)])[0][0].pixels for frame in frames]
        network.calls = 0
        blended = stabilised(network, frames)
        apart[keeps] = np.abs(np.stack(blended) @ weights - np.stack(plain) @ weights)[1:].mean()
    assert 3 * apart[True] < 1 < apart[False]


def test_trust_decides() -> None:
    before, now = np.zeros((20, 20, 3), np.uint8), np.full((20, 20, 3), 100, np.uint8)
    origin = np.dstack(np.meshgrid(np.arange(20), np.arange(20))).astype(np.float32)
    trust = np.zeros((20, 20), np.float32)
    trust[:, 10:] = 1
    result = blended(before, now, Motion(origin, trust))
    assert (result[:, :10] == 100).all()
    assert (result[:, 10:] == 40).all()
    before[..., 0] = 200
    coloured = blended(before, now, Motion(origin, trust), luma=False)
    weights = np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(coloured @ weights, now @ weights, atol=1)
    assert (coloured[0, 15] == [184, 64, 64]).all()
