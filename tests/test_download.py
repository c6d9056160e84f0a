"""Fetching weights from a server that behaves badly."""

from pathlib import Path

import pytest
from servers import CONTENT, HASH, Server

from translate.errors import CheckpointError, DownloadError
from translate.weights import download
from translate.weights.download import fetch


def ranges(server: Server) -> list[str | None]:
    return [wanted for _, wanted in server.asked]


def test_fetches_and_tells_how_far_it_is(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    assert fetch(server.url(), tmp_path / "a" / "net", HASH, lambda done, total: seen.append((done, total))) == HASH
    assert (tmp_path / "a" / "net").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["net"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert sorted(seen) == seen


@pytest.mark.parametrize("fault", ["drops", "stalls"])
def test_goes_on_where_it_broke_off(
    fault: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault == "stalls":
        monkeypatch.setattr(download, "SECONDS", 0.3)
    server.fault = fault
    assert fetch(server.url(), tmp_path / "net") == HASH
    assert (tmp_path / "net").read_bytes() == CONTENT
    assert list(dict.fromkeys(ranges(server)))[:2] == [None, f"bytes={len(CONTENT) // 3}-"]  # a busy machine asks again


def test_a_server_without_ranges(server: Server, tmp_path: Path) -> None:
    server.fault = "no ranges"
    assert fetch(server.url(), tmp_path / "net") == HASH
    assert (tmp_path / "net").read_bytes() == CONTENT


def test_a_file_that_changes_in_between_is_not_put_together(server: Server, tmp_path: Path) -> None:
    server.fault = "changes"
    fetch(server.url(), tmp_path / "net")
    assert (tmp_path / "net").read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("fault", ["always drops", "claims more"])
def test_gives_up_in_the_end(fault: str, server: Server, tmp_path: Path) -> None:
    server.fault = fault
    with pytest.raises(DownloadError, match=r"cannot be fetched \(.+\).*translate weights add FILE") as caught:
        fetch(server.url(), tmp_path / "net", HASH)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "net").exists()
    assert len(server.asked) <= download.ATTEMPTS


def test_goes_on_after_another_run_only_where_the_hash_is_known(server: Server, tmp_path: Path) -> None:
    (part := tmp_path / "net.part").write_bytes(CONTENT[:1000])
    fetch(server.url(), tmp_path / "net", HASH)
    assert ranges(server) == ["bytes=1000-"]
    part.write_bytes(b"of an older file")
    assert fetch(server.url(), tmp_path / "net") == HASH
    assert ranges(server)[1:] == [None]


def test_more_there_than_the_server_has(server: Server, tmp_path: Path) -> None:
    (tmp_path / "net.part").write_bytes(CONTENT + b"more")
    assert fetch(server.url(), tmp_path / "net", HASH) == HASH


def test_a_mirror_takes_the_place_of_the_host(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSLATE_MIRROR", server.url("kept/"))
    assert fetch("https://publisher.invalid/a/net.pth?raw=1", tmp_path / "net", HASH) == HASH
    assert [path for path, _ in server.asked] == ["/kept/a/net.pth?raw=1"]
    monkeypatch.setenv("TRANSLATE_MIRROR", "mirror.invalid")
    with pytest.raises(DownloadError, match=r"mirror\.invalid/a/net\.pth is no address of http or https"):
        fetch("https://publisher.invalid/a/net.pth", tmp_path / "other")


@pytest.mark.parametrize("fault", ["wrong", "claims less"])
def test_wrong_bytes_are_not_kept(fault: str, server: Server, tmp_path: Path) -> None:
    server.fault = fault
    server.content = CONTENT if fault == "claims less" else b"x" + CONTENT[1:]
    with pytest.raises(CheckpointError, match=f"not {HASH[:12]}… as it should"):
        fetch(server.url(), tmp_path / "net", HASH)
    assert not list(tmp_path.iterdir())


def test_too_long(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "LIMIT", 1000)
    with pytest.raises(DownloadError, match="longer than 1,000 bytes"):
        fetch(server.url(), tmp_path / "net")
    assert not list(tmp_path.iterdir())


def test_missing_offline_and_other_schemes(server: Server, tmp_path: Path) -> None:
    server.fault = "missing"
    with pytest.raises(DownloadError, match="the server says 404"):
        fetch(server.url(), tmp_path / "net")
    with pytest.raises(DownloadError, match=r"Connection refused.*translate weights add FILE --name NAME"):
        fetch("http://127.0.0.1:9/net.pth", tmp_path / "net")
    with pytest.raises(DownloadError, match="no address of http"):
        fetch((tmp_path / "net").as_uri(), tmp_path / "net")


def test_takes_the_proxy_of_the_environment(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url("").rstrip("/"))
    monkeypatch.setenv("no_proxy", "")
    fetch("http://weights.invalid/net.pth", tmp_path / "net", HASH)
    assert server.asked == [("http://weights.invalid/net.pth", None)]
