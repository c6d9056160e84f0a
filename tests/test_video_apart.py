"""Videos that are taken apart into a folder where something is already: their own pictures, or those of others."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import size
from PIL import Image
from videos import normed, ready, video, write_video

from translate.engine import Done
from translate.errors import InputError
from translate.frames import Job
from translate.translator import Translator
from translate.video import folder, job
from translate.video.job import Options, Progress

pytestmark = pytest.mark.usefixtures("inside", "short")

Run = Callable[..., Any]
NIGHT = ("cyclegan", "--to", "night", "--src")
WAY = "is in the way, and is not, or no longer, what was made there; move it away, or choose another --frames-out"


def apart(source: str = "drive.mp4", network: Any = None, **options: Any) -> tuple[str | None, Done]:
    """What is said at the beginning and at the end."""
    options = {"pictures": True, **options}
    first, *rest = job.run(network or ready(), Job(Path(source), Path("pictures")), Options(**options))
    done = rest[-1] if rest else first
    assert isinstance(done, Done)
    return first.note if isinstance(first, Progress) else None, done


def stopped(frames: int, **options: Any) -> None:
    run = job.run(ready(), Job(Path("drive.mp4"), Path("pictures")), Options(pictures=True, **options))
    while next(run).frames < frames:  # type: ignore[union-attr]
        pass
    run.close()  # type: ignore[attr-defined]


def held() -> dict[str, bytes]:
    """All that is to be seen in the folder."""
    return {path.name: path.read_bytes() for path in Path("pictures").iterdir() if not path.name.startswith(".")}


def sizes() -> set[tuple[int, int]]:
    return {size(str(path)) for path in Path("pictures").glob("*.png")}


@pytest.mark.parametrize("stabilise", [True, False])
def test_a_changed_option_begins_anew_and_says_so(stabilise: bool) -> None:
    video()
    stopped(15, stabilise=stabilise)
    note, done = apart(size=24, stabilise=stabilise)
    assert note == "--size changed since it was begun: it begins anew"
    assert (done.status, sizes(), len(held())) == ("done", {(36, 24)}, 25)
    assert "24 frames in, 24 pictures out, of which 24 were made now" in str(done.message)


def test_another_video_or_network_begins_anew_and_leaves_nothing_of_the_one_before() -> None:
    video("drive.mp4", 24)
    video("other.mp4", 10)
    assert apart()[1].status == "done"
    with pytest.raises(InputError, match=r"pictures is finished, and the source changed since; .* or add --overwrite"):
        apart("other.mp4")
    note, done = apart("other.mp4", overwrite=True)
    assert (note, len(held())) == ("the source changed since it was begun: it begins anew", 11)
    assert "of which 10 were made now" in str(done.message)
    before = held()
    note, done = apart("other.mp4", normed(), made_by=(("--weights", "others"),), overwrite=True)
    assert note == "--weights changed since it was begun: it begins anew"
    assert [name for name in before if held()[name] == before[name]] == ["timecodes.txt"]


def test_another_network_by_the_command(run: Run) -> None:
    video(frames=9)
    assert run(*NIGHT, "drive.mp4", "--frames-out", "pictures").code == 0
    day = ("cyclegan", "--to", "day", "--src", "drive.mp4", "--frames-out", "pictures")
    assert (run(*day).code, "pictures is finished, and --weights changed since" in run(*day).err) == (2, True)
    ran = run(*day, "--overwrite")
    assert (ran.code, ran.counts) == (0, (1, 0, 0))
    assert "drive.mp4: --weights changed since it was begun: it begins anew" in ran.out
    assert "9 frames in, 9 pictures out, of which 9 were made now" in ran.out


@pytest.mark.parametrize("stabilise", [True, False])
def test_a_stopped_one_goes_on_to_the_same_result(stabilise: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(Path("drive.mp4"), 24)
    apart(network=normed(), stabilise=stabilise)
    whole = held()
    shutil.rmtree("pictures")
    run = job.run(normed(), Job(Path("drive.mp4"), Path("pictures")), Options(pictures=True, stabilise=stabilise))
    while next(run).frames < 18:  # type: ignore[union-attr]
        pass
    run.close()  # type: ignore[attr-defined]
    assert "timecodes.txt" not in held()
    calls, real = [], Translator.__call__
    monkeypatch.setattr(Translator, "__call__", lambda self, pictures: calls.append(1) or real(self, pictures))
    note, done = apart(network=normed(), stabilise=stabilise)
    assert (note, done.status, held() == whole) == (None, "done", True)
    assert 0 < len(calls) <= 24 - 8


def test_one_that_began_anew_goes_on_from_nothing_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stopped when its pictures are as many as those whose memory the one before has left."""
    write_video(Path("drive.mp4"), 24)
    apart(network=normed(), stabilise=True, start=0.2)
    whole = held()
    shutil.rmtree("pictures")
    stopped(12, stabilise=True)
    with monkeypatch.context() as patch:
        patch.setattr(folder, "remember", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        assert apart(network=normed(), stabilise=True, start=0.2)[1].status == "failed"
    assert len(held()) >= 8
    assert apart(network=normed(), stabilise=True, start=0.2)[1].status == "done"
    assert held() == whole


@pytest.mark.parametrize("stabilised", [True, False])
def test_a_finished_one_is_not_computed_again(stabilised: bool, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    video()
    command = (*NIGHT, "drive.mp4", "--frames-out", "pictures", "--stabilise" if stabilised else "--no-stabilise")
    assert run(*command).counts == (1, 0, 0)
    before = {path: path.stat().st_mtime_ns for path in Path("pictures").iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(Translator, "__call__", lambda *_: pytest.fail("computed again"))
        ran = run(*command)
    assert (ran.code, ran.counts) == (0, (0, 1, 0))
    assert "skipped files were there already; --overwrite makes them again" in ran.out
    assert {path: path.stat().st_mtime_ns for path in Path("pictures").iterdir()} == before
    ran = run(*command, "--overwrite")
    assert (ran.counts, "of which 24 were made now" in ran.out) == ((1, 0, 0), True)


@pytest.mark.parametrize("name", ["000003.png", "000900.png", "timecodes.txt"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_what_others_have_put_there_is_not_touched(name: str, overwrite: bool) -> None:
    video()
    Path("pictures").mkdir()
    Path("pictures", name).write_bytes(b"mine")
    with pytest.raises(InputError) as error:
        apart(overwrite=overwrite)
    assert str(error.value) == f"pictures/{name} {WAY}"
    assert [path.name for path in Path("pictures").iterdir()] == [name]
    assert held() == {name: b"mine"}


def test_a_picture_that_was_changed_by_hand_is_not_touched() -> None:
    video(frames=9)
    apart()
    Image.new("RGB", (48, 32)).save("pictures/000005.png")
    before = held()
    assert apart()[1].status == "skipped"
    for options in ({"size": 24, "overwrite": True}, {"overwrite": True}):
        with pytest.raises(InputError, match=r"^pictures/000005\.png is in the way"):
            apart(**options)
    assert held() == before
    Path("pictures/000005.png").rename("mine.png")
    assert apart(size=24)[1].status == "done"
    assert sizes() == {(36, 24)}


def test_other_files_there_are_left_alone() -> None:
    video(frames=9)
    Path("pictures").mkdir()
    for name in ("holiday.jpg", "notes.txt", "0001.png"):
        Path("pictures", name).write_bytes(b"mine")
    apart()
    apart(size=24, overwrite=True)
    assert sum(data == b"mine" for data in held().values()) == 3
    assert len(held()) == 3 + 9 + 1


def test_nothing_is_removed_before_there_is_something_in_exchange() -> None:
    video()
    apart()
    before = held()
    _, done = apart(max_pixels=100, size=24, overwrite=True)
    assert (done.status, held() == before) == ("failed", True)
    _, done = apart(start=5.0, overwrite=True)
    assert (done.status, held() == before) == ("failed", True)
    assert apart()[1].status == "skipped"


def test_nothing_remains_of_a_video_without_frames() -> None:
    video()
    assert apart(start=5.0)[1].status == "failed"
    assert list(Path("pictures").iterdir()) == []


def test_one_run_at_a_time() -> None:
    video()
    first = job.run(ready(), Job(Path("drive.mp4"), Path("pictures")), Options(pictures=True))
    while next(first).frames < 10:  # type: ignore[union-attr]
        pass
    for options in ({}, {"size": 24}):
        _, second = apart(**options)
        wanted = "another run is making it; wait for that one, or name another output"
        assert (second.status, second.message) == ("failed", wanted)
    *_, done = first
    assert isinstance(done, Done)
    assert (done.status, sizes(), len(held())) == ("done", {(48, 32)}, 25)


def test_a_damaged_video_is_tried_again_and_its_copy_begins_anew() -> None:
    whole = video("whole.mp4", 40, movflags="+faststart").read_bytes()
    Path("drive.mp4").write_bytes(whole[: len(whole) * 6 // 10])
    for _ in range(2):
        _, done = apart(stabilise=True)
        assert done.status == "failed"
        assert str(done.message).startswith("is cut short: ")
        assert ", of which 0 were" not in str(done.message)
    few = len(held())
    Path("drive.mp4").write_bytes(whole)
    _, done = apart(stabilise=True)
    assert (done.status, few < len(held()) == 41) == ("done", True)


def test_out_beside_it_is_refused(run: Run) -> None:
    video()
    ran = run(*NIGHT, "drive.mp4", "--frames-out", "pictures", "--out", "night.mp4")
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert "--frames-out makes pictures instead of what --out would name; give only one of the two" in ran.err
    assert not Path("pictures").exists()
