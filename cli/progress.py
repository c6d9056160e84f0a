"""What a command says while it works: a bar on a terminal, plain lines in a pipe, JSON for scripts."""

import json as jsonlib
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from translate.frames import Job, shown

if TYPE_CHECKING:
    from translate.engine import Done
    from translate.video.job import Progress as Frames

_LINE_SECONDS = 10.0  # between two lines of progress in a pipe


class Report:
    """Counts what is done and tells about it; use it as a context around the work.

    Args:
        total: number of files.
        json: one line of JSON a file on stdout, and everything else on stderr.
    """

    def __init__(self, total: int, *, json: bool) -> None:
        self.total, self.json = total, json
        self.done = self.skipped = self.failed = 0
        self.console = Console(file=sys.stderr if json else sys.stdout, highlight=False, emoji=False, soft_wrap=True)
        self.started = self.line_at = time.monotonic()
        self.bar: Progress | None = None
        self._video = self.started  # when the one that is made now was begun

    def say(self, text: str) -> None:
        """Print one line."""
        self.console.print(text, markup=False)

    def planned(self, job: Job, overwrite: bool) -> None:
        """Print what would become of a file."""
        status = "failed" if job.problem else "skipped" if job.made and not overwrite else "planned"
        if self.json:
            self._line(status, job, job.problem)
        else:
            self.say(f"{status}: {shown(job.source)} -> {shown(job.target)}" + f": {job.problem}" * bool(job.problem))

    def frames(self, made: "Frames") -> None:
        """Tell how far a video is."""
        now = time.monotonic()
        if made.note:
            self.say(f"{shown(made.source)}: {made.note}")
        if made.frames == made.resumed:  # it begins
            self._video = self.line_at = now
            if self.bar:
                self.bar.add_task("", total=made.total, completed=made.frames, rate="")
            return
        rate = (made.frames - made.resumed) / max(now - self._video, 1e-9)
        if self.bar:
            self.bar.update(self.bar.task_ids[-1], completed=made.frames, rate=f"{rate:.2f} frames/s")
        elif now - self.line_at > _LINE_SECONDS:
            self.line_at = now
            left = f", {max(made.total - made.frames, 0) / rate:.0f} s left" if made.total else ""
            self.say(f"{shown(made.source)}: {made.frames} of {made.total or '?'} frames, {rate:.2f} frames/s{left}")

    def add(self, done: "Done") -> None:
        """Count one file, and print what there is to say about it."""
        if self.bar and len(self.bar.task_ids) > 1:  # that of a video
            self.bar.remove_task(self.bar.task_ids[-1])
        setattr(self, done.status, getattr(self, done.status) + 1)
        if done.message:
            self.say(f"{done.status}: {shown(done.source)}: {done.message}")
        if self.json:
            self._line(done.status, done, done.message, round(done.seconds, 4))
        if self.bar:
            self.bar.update(self.bar.task_ids[0], advance=1, rate=f"{self._rate():.2f} images/s")
        elif time.monotonic() - self.line_at > _LINE_SECONDS:
            self.line_at = time.monotonic()
            seen, rate = self.done + self.skipped + self.failed, self._rate()
            eta = f", {(self.total - seen) / rate:.0f} s left" if rate else ""
            self.say(f"{seen} of {self.total}, {rate:.2f} images/s{eta}")

    def __enter__(self) -> "Report":
        self.started = self.line_at = time.monotonic()
        if self.console.is_terminal:
            columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn()
            self.bar = Progress(*columns, console=self.console)
            self.bar.add_task("", total=self.total, rate="")
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar:
            self.bar.stop()
        self.say(
            f"{self.done} done, {self.skipped} skipped, {self.failed} failed "
            f"in {time.monotonic() - self.started:.1f} s ({self._rate():.2f} images/s)"
        )
        if self.skipped:
            self.say("skipped files were there already; --overwrite makes them again")

    def _rate(self) -> float:
        return self.done / max(time.monotonic() - self.started, 1e-9)

    def _line(self, status: str, job: "Job | Done", message: str | None, seconds: float | None = None) -> None:
        fields = {"status": status, "source": str(job.source), "target": str(job.target), "message": message}
        print(jsonlib.dumps(fields | ({} if seconds is None else {"seconds": seconds})), flush=True)
