"""Which images a command finds, and where their results go."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from translate.errors import InputError
from translate.frames import Job, clean, plan, shown

Photo = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("inside")


def tree(*names: str) -> None:
    """Empty files; planning reads none."""
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def pairs(*sources: str, out: str | None = None, format: str | None = None) -> dict[str, str]:
    found = plan([Path(source) for source in sources], Path(out) if out else None, "night", format)
    assert not [job.problem for job in found.jobs if job.problem]
    return {str(job.source): str(job.target) for job in found.jobs}


def problems(*sources: str, out: str | None = None, format: str | None = None) -> dict[str, str]:
    jobs = plan([Path(source) for source in sources], Path(out) if out else None, "night", format).jobs
    return {str(job.source): job.problem for job in jobs if job.problem}


def refusal(*sources: str, out: str | None = None, format: str | None = None, label: str = "night") -> str:
    with pytest.raises(InputError) as caught:
        plan([Path(source) for source in sources], Path(out) if out else None, label, format)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Names


def test_a_folder_is_mirrored_in_a_sibling() -> None:
    tree(
        "photos/b.jpg",
        "photos/a.png",
        "photos/deep/er/c.webp",
        "photos/note.txt",
        "photos/.hidden/d.png",
        "photos/.e.png",
    )
    found = plan([Path("photos/")], None, "night")
    assert found.outputs == (Path("photos-night"),)
    assert [(str(job.source), str(job.target)) for job in found.jobs] == [
        ("photos/a.png", "photos-night/a.png"),
        ("photos/b.jpg", "photos-night/b.jpg"),
        ("photos/deep/er/c.webp", "photos-night/deep/er/c.webp"),
    ]
    assert not Path("photos-night").exists()


@pytest.mark.parametrize(
    ("sources", "out", "format", "target"),
    [
        (["dog.jpg"], None, None, "dog-night.jpg"),
        (["dog.jpg"], None, "png", "dog-night.png"),
        (["in/dog.jpg"], None, None, "in/dog-night.jpg"),
        (["anim.gif"], None, None, "anim-night.png"),
        (["two.dots.jpg"], None, None, "two.dots-night.jpg"),
        (["dog.jpg"], "there", None, "there/dog.jpg"),
        (["dog.jpg"], "there", "webp", "there/dog.webp"),
        (["dog.jpg"], "other.png", None, "other.png"),
        (["dog.jpg"], "other.jpeg", "jpg", "other.jpeg"),
        (["dog.jpg"], "folder.png", None, "folder.png/dog.jpg"),  # a folder that is there
        (["in"], "there", None, "there/dog.jpg"),
        (["in", "dog.jpg"], "there", None, "there/in/dog.jpg"),
        (["dog.jpg", "in"], "there", None, "there/dog.jpg"),
        (["in/../in/."], None, "png", "in/../in-night/dog.png"),
    ],
)
def test_names(sources: list[str], out: str | None, format: str | None, target: str) -> None:
    tree("dog.jpg", "in/dog.jpg", "anim.gif", "two.dots.jpg", "folder.png/x")
    assert next(iter(pairs(*sources, out=out, format=format).values())) == target


@pytest.mark.parametrize("source", [".", "../in", "sub/.."])
def test_a_folder_without_a_name_of_its_own(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree("in/a.png", "in/sub/b.png")
    monkeypatch.chdir("in")
    assert {os.path.realpath(target) for target in pairs(source).values()} == {
        str(tmp_path / "in-night/a.png"),
        str(tmp_path / "in-night/sub/b.png"),
    }


def test_a_link_keeps_its_own_name() -> None:
    tree("store/2024/a.png")
    Path("summer").symlink_to("store/2024")
    assert pairs("summer") == {"summer/a.png": "summer-night/a.png"}


def test_names_that_are_hard_to_print() -> None:
    tree("p/two words.png", "p/Übermäßig 日本.png", "p/line\nbreak.png", "p/[red]x[/red].png")
    assert len(pairs("p")) == 4
    assert shown(Path("p/Übermäßig 日本.png")) == "p/Übermäßig 日本.png"
    for odd in ("p/line\nbreak.png", "p/\x1b[31mred.png", os.fsdecode(b"p/\xff.png")):
        text = shown(Path(odd))
        assert text.isprintable()
        text.encode()


# What is refused


@pytest.mark.parametrize(
    ("sources", "out", "format", "said"),
    [
        (["nowhere"], None, None, "nowhere does not exist"),
        (["no\nwhere"], None, None, "'no\\nwhere' does not exist"),
        (
            ["empty"],
            None,
            None,
            "empty holds no images or videos; the suffixes that are read are .3gp, .avi, .avif, .bmp",
        ),
        (["texts"], None, None, "texts holds no images or videos"),
        (["texts/a.txt"], None, None, "texts/a.txt is neither a folder nor an image or video by its suffix"),
        (["in"], "in", None, "the output in lies inside the input in; choose another with --out"),
        (["in"], "in/out", None, "the output in/out lies inside the input in"),
        (["in"], "link/out", None, "the output link/out lies inside the input in"),
        (["link"], "in/out", None, "the output in/out lies inside the input link"),
        (["in", "in-night"], None, None, "the output in-night lies inside the input in-night"),
        (["in/a.png", "in"], None, None, "the output in/a-night.png lies inside the input in"),
        (["in"], "file", None, "the output file is a file, but a folder is needed"),
        (["in/a.png", "dog.jpg"], "file", None, "the output file is a file, but a folder is needed"),
        (["in"], None, "gif", "unknown image format 'gif'; there are jpg, png"),
        (["dog.jpg"], "dog.gif", None, "unknown image format '.gif'; there are jpg, png"),
        (["dog.jpg"], "b.png", "jpg", "--out b.png and --format jpg name two formats"),
        (["/"], None, None, "/ has no sibling to write to; say where with --out"),
    ],
)
def test_refused(sources: list[str], out: str | None, format: str | None, said: str) -> None:
    tree("in/a.png", "in-night/a.png", "texts/a.txt", "texts/.b.png", "dog.jpg", "file")
    Path("empty").mkdir()
    Path("link").symlink_to("in")
    assert said in refusal(*sources, out=out, format=format)


def test_label_that_is_no_name() -> None:
    tree("in/a.png")
    assert "'a/b' cannot be part of a file name" in refusal("in", label="a/b")


def test_two_inputs_to_one_output() -> None:
    tree("in/a.jpg", "in/a.png", "x/pics/b.png", "y/pics/b.png")
    assert problems("in") == {}
    found = problems("in", format="png")
    assert found == {"in/a.png": "in/a.jpg is already written to in-night/a.png; rename one of the two"}
    assert list(problems("x/pics", "y/pics", out="o")) == ["y/pics/b.png"]


def test_the_same_input_twice_is_done_once() -> None:
    tree("in/a.png")
    assert pairs("in", "in") == {"in/a.png": "in-night/a.png"}
    assert pairs("in/a.png", "in/../in/a.png") == {"in/a.png": "in/a-night.png"}


def test_an_output_that_is_an_input() -> None:
    tree("a.png", "b.png", "b-night.png")
    assert "a.png is one of the inputs" in problems("a.png", out="a.png")["a.png"]
    assert "a.png is one of the inputs" in problems("a.png", out=".")["a.png"]
    assert list(problems("b.png", "b-night.png")) == ["b.png"]
    Path("link.png").symlink_to("a.png")
    assert "link.png is one of the inputs" in problems("a.png", out="link.png")["a.png"]


# Links and folders that are odd


def test_links_that_loop() -> None:
    tree("in/sub/a.png")
    Path("in/sub/up").symlink_to("..")
    Path("in/self").symlink_to("self")
    Path("in/self.png").symlink_to("self.png")
    Path("in/gone.png").symlink_to("nowhere.png")
    Path("in/gone").symlink_to("nowhere")
    assert list(pairs("in")) == ["in/gone.png", "in/self.png", "in/sub/a.png"]  # reading the first two says why not
    assert "in/self does not exist" in refusal("in/self")


def test_two_links_to_one_folder() -> None:
    tree("store/a.png", "in/b.png")
    Path("in/one").symlink_to("../store")
    Path("in/two").symlink_to("../store")
    assert list(pairs("in")) == ["in/b.png", "in/one/a.png"]


def test_a_link_to_a_file_is_an_image() -> None:
    tree("store/a.png", "in/b.png")
    Path("in/c.png").symlink_to("../store/a.png")
    assert list(pairs("in")) == ["in/b.png", "in/c.png"]


@pytest.mark.parametrize("closed", ["in", "in/sub"])
@pytest.mark.parametrize("method", ["iterdir", "stat"])
def test_folders_that_cannot_be_listed(closed: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tree("in/a.png", "in/sub/b.png")
    real = getattr(Path, method)
    calls = []

    def refuse(self: Path, **options: bool) -> object:  # the superuser may list everything
        calls.append(self)
        if self == Path(closed) and not (method == "stat" and closed == "in" and len(calls) < 2):  # not `is_dir`
            raise PermissionError(13, "Permission denied")
        return real(self, **options)

    monkeypatch.setattr(Path, method, refuse)
    found = problems("in")
    assert list(found) == [closed]
    assert "cannot be listed (Permission denied)" in found[closed]


def test_a_pipe_is_not_waited_for() -> None:
    tree("in/a.png")
    os.mkfifo("in/pipe.png")
    os.mkfifo("in/pipe")
    assert problems("in") == {"in/pipe.png": "is not a regular file; leave it out"}


def test_a_folder_named_like_an_image() -> None:
    tree("in/album.png/a.png")
    assert pairs("in") == {"in/album.png/a.png": "in-night/album.png/a.png"}


# What is there already, and what was left behind


def test_made(tmp_path: Path) -> None:
    tree("there.png", "folder.png/x")
    assert Job(Path("a.png"), Path("there.png")).made
    assert not Job(Path("a.png"), Path("not.png")).made
    assert not Job(Path("a.png"), Path("folder.png")).made
    assert not Job(Path("a.png"), Path("x" * 300 + ".png")).made  # too long to be asked for


def test_clean_removes_only_old_temporary_files() -> None:
    old, young, other = ".0123456789abcdef.part", ".fedcba9876543210.part", ".0123.part"
    tree(f"out/{old}", f"out/{young}", f"out/{other}", "out/a.png")
    for name in (old, other, "a.png"):
        os.utime(Path("out") / name, (time.time() - 3600,) * 2)
    clean({Path("out"), Path("nowhere")})
    assert sorted(path.name for path in Path("out").iterdir()) == sorted([young, other, "a.png"])
