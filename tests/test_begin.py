from dataclasses import replace
from pathlib import Path

import pytest
import torch
from runs import first, needs_features, run, same, tiny_colourise, tiny_pix2pix, tiny_restore

from translate import checkpoints
from translate.errors import InputError, TrainingError
from translate.train.options import SRGAN, Colourise, CycleGAN, Run
from translate.train.state import CHECKPOINT, read_checkpoint
from translate.weights import registry

MADE = {"two": "a2b", "one": "srresnet", "pix2pix": "pix2pix", "colourise": "colourise", "restore": "restore"}


@pytest.fixture
def recipe(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """A tiny run of the recipe that the test names."""
    name: str = request.param
    if name in ("one", "two"):
        return request.getfixturevalue(name)  # type: ignore[no-any-return]
    photos = tmp_path / "hr"
    request.getfixturevalue("one")
    return {"pix2pix": tiny_pix2pix, "colourise": tiny_colourise, "restore": tiny_restore}[name](photos)


def test_init_takes_the_cyclegan_networks_over(two: CycleGAN, tmp_path: Path) -> None:
    """With a learning rate of zero the networks stay as they came, and the averages move by the first decay, 2/11."""
    first(two, tmp_path / "from", 2)
    [step] = run(replace(two, lr=0, steps=1, seed=5), tmp_path / "out", init=tmp_path / "from" / CHECKPOINT)
    assert (step.number, step.of) == (1, 1)
    old, new = (read_checkpoint(tmp_path / name / CHECKPOINT) for name in ("from", "out"))
    assert all(same(old[name], new[name]) for name in ("a2b", "b2a", "judge_a", "judge_b"))
    for name in ("a2b", "b2a"):
        for key, averaged in new[f"ema_{name}"]["network"].items():
            expected = old[f"ema_{name}"]["network"][key] * (2 / 11) + old[name][key] * (9 / 11)
            torch.testing.assert_close(averaged, expected, rtol=0, atol=1e-6)
    assert new["ema_a2b"]["updates"] == 1


def test_init_takes_the_averaged_srgan_generator_over(one: SRGAN, tmp_path: Path) -> None:
    first(one, tmp_path / "from", 2)
    list(run(replace(one, lr=0, steps=1, seed=5), tmp_path / "out", init=tmp_path / "from" / CHECKPOINT))
    old, new = (read_checkpoint(tmp_path / name / CHECKPOINT) for name in ("from", "out"))
    assert same(old["ema"]["network"], new["generator"])
    assert not same(old["generator"], new["generator"])
    assert new["ema"]["updates"] == 1
    torch.testing.assert_close(new["ema"]["network"], new["generator"], rtol=0, atol=1e-6)


def test_init_takes_the_srgan_discriminator_over_where_there_is_one(one: SRGAN, tmp_path: Path) -> None:
    adversarial = replace(one, steps=1, gan_steps=1)
    list(run(adversarial, tmp_path / "from"))
    still = replace(adversarial, lr=0, gan_lr=0, seed=5)
    list(run(still, tmp_path / "out", init=tmp_path / "from" / CHECKPOINT))
    old, new = (read_checkpoint(tmp_path / name / CHECKPOINT)["judge"] for name in ("from", "out"))
    parameters = [
        key for key in old if not key.endswith(("_u", "_v"))
    ]  # the spectral norm's vectors move by themselves
    assert same({key: old[key] for key in parameters}, {key: new[key] for key in parameters})


def test_init_from_another_network_is_an_error(one: SRGAN, two: CycleGAN, tmp_path: Path) -> None:
    first(one, tmp_path / "one", 1)
    first(two, tmp_path / "two", 1)
    for config, source, message in (
        (replace(one, width=8), "one", "other layers"),
        (replace(two, blocks=2), "two", "other layers"),
        (one, "two", "holds no ema"),
        (two, "one", "holds no a2b"),
    ):
        with pytest.raises(TrainingError, match=message):
            next(run(config, tmp_path / "out", init=tmp_path / source / CHECKPOINT))


@pytest.mark.parametrize(
    ("recipe", "made"),
    [
        pytest.param(name, made, marks=needs_features if name in ("colourise", "restore") else ())
        for name, made in MADE.items()
    ],
    indirect=["recipe"],
)
def test_init_takes_weights_over(recipe: Run, made: str, tmp_path: Path) -> None:
    first(recipe, tmp_path / "from", 2)
    weights = tmp_path / "from" / f"{made}.safetensors"
    still = {"lr": 0.0, "steps": 1, "seed": 5} | ({"encoder_lr": 0.0} if isinstance(recipe, Colourise) else {})
    list(run(replace(recipe, **still), tmp_path / "out", init=str(weights)))
    expected = checkpoints.load(weights).network.state_dict()
    new = read_checkpoint(tmp_path / "out" / CHECKPOINT)
    own, average = ("a2b", "ema_a2b") if made == "a2b" else ("generator" if "generator" in new else "network", "ema")
    expected.pop("temperature", None)  # is the run's
    for found in (new[own], new[average]["network"]):
        torch.testing.assert_close({name: found[name] for name in expected}, dict(expected), rtol=0, atol=1e-6)
    assert new[average]["updates"] == 1


def test_init_takes_shipped_weights_by_name(one: SRGAN, tmp_path: Path) -> None:
    config = replace(one, width=64, blocks=16, batch=1, lr=0, steps=1)
    list(run(config, tmp_path / "out", init="srresnet-x4-real"))
    shipped = checkpoints.load(registry.find("srresnet-x4-real")[0]).network.state_dict()
    assert same(read_checkpoint(tmp_path / "out" / CHECKPOINT)["generator"], shipped)


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (
            "srresnet-x4",
            r"srresnet-x4.safetensors is for a SRResNet \(width 64, .*, and this run trains a SRResNet \(width 4",
        ),
        ("colourise", "is for a Colouriser .*, and this run trains a SRResNet"),
        ("srresnet", "no weights named 'srresnet'"),
        ("away.safetensors", "away.safetensors"),
    ],
)
def test_weights_that_do_not_fit_are_an_error(one: SRGAN, tmp_path: Path, init: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        next(run(one, tmp_path / "out", init=init))
    assert not (tmp_path / "out").exists()


@needs_features
def test_the_temperature_is_that_of_the_run(one: SRGAN, tmp_path: Path) -> None:
    config = replace(tiny_colourise(Path(one.hr[0])), steps=1)
    list(run(config, tmp_path / "from"))
    list(run(replace(config, temperature=0.7), tmp_path / "out", init=tmp_path / "from" / CHECKPOINT))
    assert read_checkpoint(tmp_path / "out" / CHECKPOINT)["ema"]["network"]["temperature"] == pytest.approx(0.7)


def test_weights_may_be_in_a_pt(one: SRGAN, two: CycleGAN, tmp_path: Path) -> None:
    for config, made, name in ((one, "srresnet", "generator"), (two, "a2b", "a2b")):
        out = tmp_path / made
        list(run(replace(config, steps=1), out))
        weights = checkpoints.load(out / f"{made}.safetensors").network.state_dict()
        torch.save(weights, tmp_path / "weights.pt")
        still = replace(config, lr=0, steps=1, seed=5)
        list(run(still, tmp_path / f"{made}-on", init=tmp_path / "weights.pt"))
        torch.testing.assert_close(
            dict(read_checkpoint(tmp_path / f"{made}-on" / CHECKPOINT)[name]), dict(weights), rtol=0, atol=1e-6
        )
