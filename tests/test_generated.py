"""`translate evaluate generated`: a classifier of real pictures, asked about fakes."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from translate.errors import EvaluationError
from translate.evaluate import generated
from translate.evaluate.classifier import classify, fit
from translate.evaluate.generated import Judge, Labelled, evaluate
from translate.evaluate.report import Report

Run = Callable[..., Any]


def squares(count: int, seed: int = 0) -> Labelled:
    """Bright squares in the upper left (a), the lower right (b) or the middle (c), with noise and a little moved."""
    random = np.random.default_rng(seed)
    x, labels = random.integers(0, 60, (count, 1, 12, 12), dtype=np.uint8), np.arange(count) % 3
    for picture, label in zip(x, labels, strict=True):
        row, column = (0, 7, 3)[label] + random.integers(0, 2, 2)
        picture[0, row : row + 4, column : column + 4] += 150
    return Labelled(torch.from_numpy(x), torch.from_numpy(labels), ("a", "b", "c"))


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(squares(240), squares(60, seed=1))


def test_the_classifier_learns_and_the_seed_decides() -> None:
    real, unseen = squares(240), squares(60, seed=1)
    state = torch.get_rng_state()
    network, again = (fit(real.pixels, real.labels, 3, epochs=4) for _ in range(2))
    assert torch.equal(state, torch.get_rng_state())  # nobody else's random numbers
    features, called = classify(network, unseen.pixels)
    assert features.shape == (60, 64)
    assert (called == unseen.labels.numpy()).mean() > 0.95
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))


def test_every_fifth_of_each_class_is_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever their order: labels that go round and round in fives are not all of one class."""
    learnt: list[torch.Tensor] = []

    def fitted(pixels: torch.Tensor, labels: torch.Tensor, *_: Any, **options: Any) -> Any:
        learnt.append(labels)
        return fit(pixels, labels, 5, epochs=1, **options)

    monkeypatch.setattr(generated, "fit", fitted)
    pictures = squares(200)
    judge = Judge(Labelled(pictures.pixels, torch.arange(200) % 5, tuple("abcde")))
    assert learnt[0].bincount().tolist() == [32] * 5
    assert len(judge.unseen) == 40


def test_real_pictures_are_what_they_are(judge: Judge) -> None:
    figures, shares = judge.measure(squares(60, seed=2))
    assert judge.of_real(60)["accuracy"].value > 0.95
    assert figures["as_asked"].value > 0.95
    assert figures["recall"].value > 0.7
    assert shares == pytest.approx({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, abs=0.05)


def test_wrong_labels_and_missing_classes_are_seen(judge: Judge) -> None:
    fake = squares(60, seed=2)
    swapped, _ = judge.measure(Labelled(fake.pixels, (fake.labels + 1) % 3, fake.classes))
    assert swapped["as_asked"].value < 0.1
    renamed, _ = judge.measure(Labelled(fake.pixels, 2 - fake.labels, ("c", "b", "a")))
    assert renamed["as_asked"].value > 0.95  # it goes by the names
    only, shares = judge.measure(Labelled(fake.pixels[::3].repeat(3, 1, 1, 1), torch.zeros(60), ()))
    assert "as_asked" not in only
    assert (only["largest_class"].value, only["smallest_class"].value) == (pytest.approx(3), 0)
    assert shares["a"] == 1
    every, _ = judge.measure(fake)
    assert only["recall"].value < every["recall"].value - 0.3
    assert only["FD-Classifier"].value > 5 * every["FD-Classifier"].value


@pytest.mark.parametrize(("fakes", "count"), [(30, 30), (90, 60)])
def test_distances_are_those_of_equal_numbers(
    judge: Judge, monkeypatch: pytest.MonkeyPatch, fakes: int, count: int
) -> None:
    """There are 60 real pictures to compare with."""
    compared: dict[str, list[tuple[int, int]]] = {}
    for name in ("frechet_interval", "kernel_distance", "precision_recall"):
        measure, seen = getattr(generated, name), compared.setdefault(name, [])
        monkeypatch.setattr(generated, name, lambda a, b, f=measure, s=seen: s.append((len(a), len(b))) or f(a, b))
    judge.measure(squares(fakes, seed=2))
    judge.of_real(fakes)
    assert list(compared.values()) == [[(count, count)] * 2] * 3


def test_the_seed_decides_on_the_classifier_and_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generated, "fit", partial(fit, epochs=1))
    real, fake = squares(100), squares(30, seed=2)
    first, again, other = (Judge(real, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.unseen, again.unseen)
    assert not np.array_equal(first.unseen, other.unseen)
    orders = [judge.random.permutation(20).tolist() for judge in (first, again, other)]
    assert orders[0] == orders[1] != orders[2]
    reports = [evaluate(real, fake, seed=seed) for seed in (3, 3, 4)]
    distances = [report.results["fake"]["FD-Classifier"].value for report in reports]
    assert distances[0] == distances[1] != distances[2]
    assert [report.protocol["seed"] for report in reports] == [3, 3, 4]


@pytest.mark.parametrize(
    ("real", "fake", "said"),
    [
        (squares(60)._replace(classes=()), squares(30), "the real pictures have no classes"),
        (
            squares(60),
            squares(30)._replace(pixels=torch.zeros(30, 1, 8, 8, dtype=torch.uint8)),
            "but the fakes 1 × 8 × 8",
        ),
        (squares(60), squares(30)._replace(classes=("a", "b", "d")), "a class 'd', the real ones a, b, c"),
        (squares(60), squares(5), "there are 5 fakes; at least 20"),
        (squares(6), squares(30), "there are 6 real pictures; at least 20"),
    ],
)
def test_sets_that_do_not_fit(real: Labelled, fake: Labelled, said: str) -> None:
    with pytest.raises(EvaluationError, match=said):
        evaluate(real, fake)


def test_the_command(run: Run, tmp_path: Path) -> None:
    for name, part in (("real", squares(150)), ("fake", squares(30, seed=3))):
        np.savez(tmp_path / f"{name}.npz", x=part.pixels[:, 0].numpy(), y=part.labels.numpy())
    ran = run(
        *("evaluate", "generated", "--real", tmp_path / "real.npz", "--fake", tmp_path / "fake.npz"),
        *("--seed", 5, "--json", tmp_path / "out.json"),
    )
    assert (ran.code, "called what was asked for" in ran.out) == (0, True)
    report = json.loads((tmp_path / "out.json").read_text())
    assert set(report["results"]["fake"]) >= {"as_asked", "precision", "recall", "FD-Classifier", "KD-Classifier"}
    assert report["protocol"]["shares"].keys() == {"0", "1", "2"}
    assert report["protocol"]["seed"] == 5


def test_pictures_set_apart_for_tests_are_used(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = squares(60), squares(25, seed=1)
    arrays: dict[str, Any] = {"x_test": test.pixels[:, 0].numpy(), "y_test": test.labels.numpy()}
    np.savez(tmp_path / "real.npz", x_train=train.pixels[:, 0].numpy(), y_train=train.labels.numpy(), **arrays)
    given: list[Labelled] = []
    monkeypatch.setattr(generated, "fit", partial(fit, epochs=1))

    def noted(*sets: Labelled, seed: int) -> Report:
        given.extend(sets)
        return evaluate(*sets, seed=seed)

    monkeypatch.setattr(generated, "evaluate", noted)
    ran = run("evaluate", "generated", "--real", tmp_path / "real.npz", "--fake", tmp_path / "real.npz")
    assert ran.code == 0, ran.err
    for found, expected in zip(given, (train, train, test), strict=True):
        assert torch.equal(found.pixels, expected.pixels)
        assert torch.equal(found.labels, expected.labels)


def test_what_is_set_apart_for_tests_goes_by_the_names_too() -> None:
    real, test = squares(120), squares(60, seed=1)
    without = test.labels != 0
    fewer = Labelled(test.pixels[without], test.labels[without] - 1, ("b", "c"))
    assert Judge(real, fewer).accuracy.value > 0.8
    for other, said in (
        (Labelled(test.pixels, test.labels, ()), "have no labels"),
        (Labelled(test.pixels, test.labels, ("a", "b", "z")), "have a class 'z'"),
        (Labelled(test.pixels[..., :8], test.labels, test.classes), "are of another size"),
        (Labelled(test.pixels[:3], test.labels[:3], test.classes), "are 3; more than 3 are needed"),
    ):
        with pytest.raises(EvaluationError, match=f"the pictures that are set apart for tests {said}"):
            Judge(real, other)


def test_pictures_of_folders_take_a_size(tmp_path: Path, run: Run) -> None:
    for name, part in (("real", squares(60)), ("fake", squares(30, seed=3))):
        for number, (picture, label) in enumerate(zip(part.pixels, part.labels, strict=True)):
            path = tmp_path / name / "abc"[int(label)] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.pad(picture[0].numpy(), ((0, 0), (0, number % 3)))).save(path)
    arguments = ("evaluate", "generated", "--real", tmp_path / "real", "--fake", tmp_path / "fake")
    assert "not squares of one size" in run(*arguments).err
    ran = run(*arguments, "--size", 12)
    assert (ran.code, "called what was asked for" in ran.out) == (0, True)
    for name in ("real/.cache/a.png", "real/.b.png"):  # hidden, so no class and not beside the classes
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (9, 9)).save(tmp_path / name)
    assert run(*arguments, "--size", 12).code == 0
    (tmp_path / "fake" / "a" / "broken.png").write_bytes(b"nothing")
    ran = run(*arguments, "--size", 12, "--json", tmp_path / "out.json")
    assert ran.code == 1
    [skipped] = json.loads((tmp_path / "out.json").read_text())["skipped"]
    assert skipped == str(tmp_path / "fake" / "a" / "broken.png")


def test_a_damaged_archive_is_said(tmp_path: Path, run: Run) -> None:
    (tmp_path / "real.npz").write_bytes(b"PK no archive")
    ran = run("evaluate", "generated", "--real", tmp_path / "real.npz", "--fake", tmp_path)
    assert (ran.code, "real.npz is damaged; save it again" in ran.err) == (1, True)
