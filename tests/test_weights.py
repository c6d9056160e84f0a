"""The user's own weights, and those of others by address or name."""

import hashlib
import io
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from servers import Server

from translate.checkpoints import load
from translate.errors import CheckpointError, InputError, UnknownModelError
from translate.models.srgan import SRResNet
from translate.weights import own, registry

Run = Callable[..., Any]


def checkpoint(scale: int = 4) -> bytes:
    torch.manual_seed(0)
    torch.save(SRResNet(4, 1, scale).state_dict(), buffer := io.BytesIO())
    return buffer.getvalue()


# The user's own weights


def test_added_weights_are_listed_and_run(run: Run, tmp_path: Path, photo: Callable[..., Path]) -> None:
    (file := tmp_path / "found.pth").write_bytes(checkpoint())
    ran = run("weights", "add", file, "--name", "mine")
    assert (ran.code, ran.err) == (0, "")
    assert "mine: SRResNet ×4" in ran.out
    entry = registry.entries()["mine"]
    assert (entry.task, entry.scale, entry.source) == ("upscale", 4, str(file))
    assert entry.source_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert sorted(path.name for path in registry.own_folder().iterdir()) == ["mine.safetensors", "mine.toml"]
    assert torch.equal(load(entry.path).network.head.weight, load(file).network.head.weight)  # exactly
    assert "upscale --weights mine" in run("weights", "list").out  # as --x4 takes others
    assert str(file) in run("weights", "info", "mine").out
    assert run("upscale", photo(tmp_path / "a.png"), "--weights", "mine", "--out", tmp_path / "o.png").code == 0
    assert (tmp_path / "o.png").is_file()


def test_factors_and_targets_that_several_have_are_named_once(run: Run, tmp_path: Path) -> None:
    (file := tmp_path / "found.pth").write_bytes(checkpoint())
    assert run("weights", "add", file).code == 0
    with pytest.raises(UnknownModelError, match="for ×5; the most is ×4, or name some"):
        registry.default_for("upscale", scale=5)
    with pytest.raises(UnknownModelError, match="there are night, day"):
        registry.default_for("cyclegan", target="dusk")


def test_what_is_there_is_not_written_over(run: Run, tmp_path: Path) -> None:
    (file := tmp_path / "found.pth").write_bytes(checkpoint())
    assert run("weights", "add", file).code == 0
    before = (registry.own_folder() / "found.toml").read_text()
    file.write_bytes(checkpoint(2))
    ran = run("weights", "add", file)
    assert ran.code == 2
    assert "there are weights named found already; choose another --name" in ran.err
    assert (registry.own_folder() / "found.toml").read_text() == before
    assert "named cyclegan-night already" in run("weights", "add", file, "--name", "cyclegan-night").err
    assert "is no name for weights" in run("weights", "add", file, "--name", "../x").err
    file.write_bytes(b"nothing")
    assert run("weights", "add", file, "--name", "new").code == 1
    assert len(list(registry.own_folder().iterdir())) == 2


def test_a_name_that_needs_quoting(table: Path, tmp_path: Path) -> None:
    entry = registry.Entry("a.b", "upscale", 'says "x" \x7f\n', "none", "", notes="é😀")
    kept = own.keep(entry, lambda path: void(path.write_bytes(b"x")))
    assert registry.entries()["a.b"] == kept
    assert kept.summary == entry.summary
    assert registry.verified(kept).read_bytes() == b"x"
    kept.path.write_bytes(b"y")
    with pytest.raises(CheckpointError, match=r"remove .*a\.b\.toml and add it again"):
        registry.verified(kept)


def void(_: object) -> None:
    pass


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[mine", "is no TOML"),
        ("[other]\n", r"must hold \[mine\] and nothing else"),
        ("mine = 3", "mine is no table"),
        ('[mine]\ntask = "upscale"', "lacks summary"),
        ('[mine]\ntask = "a"\nsummary = "b"\nlicence = "c"\nsha256 = "d"\nscale = "4"', "has scale = '4', which is of"),
        ('[mine]\ntask = "a"\nsummary = "b"\nlicence = "c"\nsha256 = "d"\nsize = 4', "has size, which is not known"),
        ("\xff", "is no TOML"),
    ],
)
def test_a_table_edited_wrongly(table: Path, text: str, said: str) -> None:
    (registry.own_folder() / "mine.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=said) as caught:
        registry.entries()
    assert "mine.toml" in str(caught.value)
    assert "remove it" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_folder_is_where_the_platform_keeps_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TRANSLATE_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    assert registry.own_folder() == tmp_path / "translate" / "weights"
    monkeypatch.setattr("sys.platform", "darwin")
    assert registry.own_folder().parts[-4:] == ("Library", "Application Support", "translate", "weights")


# Public weights


def test_every_public_entry_has_an_address_and_hashes_are_hashes() -> None:
    registry.forget()
    assert len(registry.public()) == 29
    for entry in registry.public().values():
        assert re.fullmatch(r"https?://\S+\.pth", entry.url)
        assert entry.sha256 is None or re.fullmatch("[0-9a-f]{64}", entry.sha256)
        assert entry.task in ("cyclegan", "pix2pix", "upscale")
        assert entry.name not in registry.shipped()
    with pytest.raises(UnknownModelError, match="translate weights pull horse2zebra"):
        registry.find("horse2zebra")
    with pytest.raises(UnknownModelError, match=r"did you mean horse2zebra\?"):
        registry.public_named("horse2zebre")
    with pytest.raises(UnknownModelError, match=r"there are realesrgan-x4plus, .*, inception, lpips$"):
        registry.public_named("nope")


def test_pulled_by_address(run: Run, server: Server) -> None:
    server.content = checkpoint()
    sha256 = hashlib.sha256(server.content).hexdigest()
    ran = run("weights", "pull", server.url("some-x4.pth"))
    assert (ran.code, ran.err) == (0, "")
    assert f"no hash is published for it; that of this download is recorded: {sha256}" in ran.out
    entry = registry.entries()["some-x4"]
    assert (entry.source, entry.source_sha256) == (server.url("some-x4.pth"), sha256)
    assert {path.suffix for path in registry.own_folder().iterdir()} == {".toml", ".safetensors"}
    assert "is here already" in run("weights", "pull", server.url("some-x4.pth")).out
    assert len(server.asked) == 1
    entry.path.unlink()  # the recorded hash counts from now on
    server.content = checkpoint(2)
    assert "not kept" in run("weights", "pull", server.url("some-x4.pth")).err
    server.content = checkpoint()
    assert run("weights", "pull", server.url("some-x4.pth")).code == 0


def test_pulled_by_name(run: Run, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.content = checkpoint()
    sha256 = hashlib.sha256(server.content).hexdigest()
    entry = registry.Public("pub", "upscale", server.url(), "BSD", sha256)
    monkeypatch.setattr(registry, "public", lambda: {"pub": entry})
    monkeypatch.setattr(registry, "forget", registry.entries.cache_clear)
    assert "pull NAME`: pub" in run("weights", "list").out
    server.content = checkpoint(2)
    ran = run("weights", "pull", "pub")
    assert (ran.code, ran.out) == (1, "")
    assert not list(registry.own_folder().iterdir())
    server.content = checkpoint()
    assert run("weights", "pull", "pub").code == 0
    assert registry.entries()["pub"].licence == "BSD"


def test_pulled_rubbish_is_removed(run: Run, server: Server) -> None:
    ran = run("weights", "pull", server.url())
    assert ran.code == 1
    assert "truncated" in ran.err
    assert not list(registry.own_folder().iterdir())
    assert "is no address of a weights file" in run("weights", "pull", server.url("net.zip")).err


def test_exported(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    assert run("weights", "export", "tiny-x4", "--safetensors", out).code == 0
    ours, theirs = load(registry.find("tiny-x4")[0]).network, load(out).network
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    began = time.time_ns()
    assert "is there already" in run("weights", "export", "tiny-x4", "--safetensors", out).err
    assert out.stat().st_mtime_ns < began
