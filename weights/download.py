"""Fetching a file over HTTP: goes on after interruptions, and keeps nothing whose hash is wrong."""

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from translate.errors import CheckpointError, DownloadError
from translate.weights.registry import sha256_of

SECONDS = 30.0  # without a byte, after which a connection counts as dead
ATTEMPTS = 8
LIMIT = 2 << 30  # bytes; no network that is known here is larger

Progress = Callable[[int, int | None], None]


def fetch(url: str, target: Path, sha256: str | None = None, progress: Progress | None = None) -> str:
    """Fetch a file, whole or not at all, and return its hash. Proxies are those of the environment.

    Where TRANSLATE_MIRROR is set, the file is fetched from there: it takes the place of the address up to the host.

    What has come lies in a .part file, from which a broken download goes on. A later call does so too, but only with a
    hash: without one, nothing would tell that the file has changed in between.

    Args:
        url: http or https.
        target: what the file will be.
        sha256: that it must have; None takes any.
        progress: called with the bytes that are there, and with all of them where the server says.

    Raises:
        DownloadError: no connection, or it breaks off too often.
        CheckpointError: another hash.
    """
    url = _mirrored(url)
    if urlsplit(url).scheme not in ("http", "https"):
        raise DownloadError(f"{url} is no address of http or https")
    part = target.with_name(target.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    if sha256 is None:
        part.unlink(missing_ok=True)
    transfer, stuck, problem = _Transfer(url, part, progress or (lambda done, total: None)), 0, ""
    for _ in range(ATTEMPTS):
        before = transfer.there()
        try:
            if transfer.go_on():
                break
            problem = "the connection breaks off"
        except urllib.error.HTTPError as error:
            if error.code != 416:
                raise DownloadError(f"{url}: the server says {error.code} {error.reason}") from None
            part.unlink()  # it has less than what is there: begin again
            problem = "the server has less than was fetched"
        except (OSError, http.client.HTTPException) as error:
            problem = str(getattr(error, "reason", "") or error or type(error).__name__)
        stuck = 0 if transfer.there() > before else stuck + 1
        if stuck == 2:
            raise _given_up(url, problem)
    else:
        raise _given_up(url, problem)
    found = sha256_of(part)
    if sha256 and found != sha256:
        part.unlink()
        raise CheckpointError(f"{url} has sha256 {found[:12]}…, not {sha256[:12]}… as it should; it was not kept")
    part.replace(target)
    return found


class _Transfer:
    """One file on its way, over as many connections as it takes."""

    def __init__(self, url: str, part: Path, progress: Progress) -> None:
        self.url, self.part, self.progress = url, part, progress
        self.version: str | None = None  # as the server calls it, so that two of them are not put together

    def there(self) -> int:
        """Bytes that have come."""
        return self.part.stat().st_size if self.part.exists() else 0

    def go_on(self) -> bool:
        """Fetch what is missing; return whether that is all."""
        there = self.there()
        request = urllib.request.Request(self.url)
        if there:
            request.add_header("Range", f"bytes={there}-")
            if self.version:
                request.add_header("If-Range", self.version)
        # A new opener reads the proxies as they are now; urlopen would keep those of the first call.
        with urllib.request.build_opener().open(request, timeout=SECONDS) as answer:
            if not (answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {there}-")):
                there = 0
            tag = answer.headers.get("ETag", "W/")
            self.version = answer.headers.get("Last-Modified") if tag.startswith("W/") else tag
            length = answer.headers.get("Content-Length", "")
            total = there + int(length) if length.isdecimal() else None
            with self.part.open("ab" if there else "wb") as file:
                while (chunk := answer.read1(1 << 16)) and there <= LIMIT:
                    file.write(chunk)
                    there += len(chunk)
                    self.progress(there, total)
        if there > LIMIT:
            self.part.unlink()
            raise DownloadError(f"{self.url} is longer than {LIMIT:,} bytes, as no weights are; it was not kept")
        return total is None or there >= total


def _mirrored(url: str) -> str:
    if mirror := os.environ.get("TRANSLATE_MIRROR"):
        return mirror.rstrip("/") + urlsplit(url)._replace(scheme="", netloc="").geturl()
    return url


def _given_up(url: str, problem: str) -> DownloadError:
    return DownloadError(
        f"{url} cannot be fetched ({problem}); try again, or get the file another way and run "
        "translate weights add FILE --name NAME"
    )
