"""Every file is listed once, in a fixed order, and no file blocks."""

import io
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import pytest

from sendroute.manifests import sources
from sendroute.manifests.content import read_file
from sendroute.manifests.sources import MAX_BYTES, FileSource, SourceEntry, display
from sendroute.model.finding import Finding, Where
from sendroute.model.remedy import GitTask, UseGit


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def put(*names: str) -> None:
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"name: {name}\n")


def read(
    paths: Sequence[str], stdin: io.BytesIO | None = None
) -> tuple[list[str], list[tuple[str, str]]]:
    """The names of the files that were read, and the codes of the others."""
    files = FileSource(paths, stdin)
    entries, findings = files.entries()
    loaded = list(zip(entries, files.load(entries), strict=True))
    findings += [data for _, data in loaded if isinstance(data, Finding)]
    names = [entry.name for entry, data in loaded if isinstance(data, bytes)]
    return names, [(finding.where.file, finding.code) for finding in findings if finding.where]


def test_a_directory_is_read_in_the_order_of_names() -> None:
    put("t/b.yaml", "t/a/z.yml", "t/a/y.json", "t/c.txt", "t/.h.yaml", "t/.d/x.yaml", "t/yaml")
    assert read(["t"]) == (["t/a/y.json", "t/a/z.yml", "t/b.yaml"], [])


def test_the_order_of_paths_does_not_matter_and_overlaps_are_read_once() -> None:
    put("t/a.yaml", "t/s/b.yaml")
    expected = ["t/a.yaml", "t/s/b.yaml"], []
    assert read(["t/s", "t", "./t/a.yaml", "t/s/../a.yaml"]) == expected
    assert read(["t/a.yaml", "t", "t/s/b.yaml"]) == expected


class SameInode:
    """An entry of a directory, whose number another entry has too."""

    def __init__(self, entry: os.DirEntry[str]) -> None:
        self._entry = entry
        self.name = entry.name

    def inode(self) -> int:
        return 0xFFFF_FFFF

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entry, name)


def test_files_of_one_inode_number_are_all_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As of sshfs and other file systems in user space (libfuse without use_ino)."""
    put("t/a.yaml", "t/b.yaml", "t/s/c.yaml")
    os.link("t/a.yaml", "t/linked.yaml")
    Path("t/other.yaml").symlink_to("b.yaml")
    scandir = os.scandir

    @contextmanager
    def listing(path: str) -> Iterator[Iterator[SameInode]]:
        with scandir(path) as entries:
            yield map(SameInode, entries)

    monkeypatch.setattr(sources.os, "scandir", listing)
    assert read(["t"]) == (["t/a.yaml", "t/b.yaml", "t/s/c.yaml"], [])


def test_a_submodule_is_unreadable_by_whatever_link_it_is_reached() -> None:
    put("t/a.yaml")
    for name in ("t/sub", "t/.hidden", "outside", "elsewhere"):
        Path(name).mkdir()
    Path("t/link").symlink_to("../outside")
    submodules = ["t/sub", "t/.hidden", "outside", "elsewhere", "t/gone"]
    _, findings = FileSource(["t"], submodules=submodules).entries()
    assert [(f.code, f.where and f.where.file) for f in findings] == [
        ("unreadable", "t/link"),
        ("unreadable", "t/sub"),
    ]
    assert all("a submodule" in f.message and "removed" in str(f.hint) for f in findings)


@pytest.mark.parametrize(
    ("options", "left_out", "to_add"),
    [
        (["--no-cone", "/*", "!/t/s/"], "t/s", "/t/s"),
        (["--no-cone", "/*", "!b[[]1].yaml"], "t/s/b[1].yaml", "/t/s/b\\[1].yaml"),
        (["--cone", "t/other"], "t/s", "t/s"),
    ],
    ids=["a directory by a pattern", "a file by a pattern", "a directory"],
)
def test_what_a_sparse_checkout_left_out_is_named_as_git_takes_it(
    options: list[str], left_out: str, to_add: str
) -> None:
    put("repository/t/a.yaml", "repository/t/s/b[1].yaml", "repository/t/s/c.yaml")
    put("repository/t/other/d.yaml")
    with chdir("repository"):
        subprocess.run(["git", "init", "-q"], check=True)
        subprocess.run(["git", "add", "t"], check=True)
        subprocess.run(["git", "sparse-checkout", "set", *options], check=True)
        _, (relative,) = FileSource(["t"]).entries()
        _, (absolute,) = FileSource([str(Path("t").resolve())]).entries()
        expected = UseGit(GitTask.EXTEND_CHECKOUT, to_add, str(Path.cwd()))
        assert relative.remedy == absolute.remedy == expected
        assert relative.where == Where(left_out, 0)
        subprocess.run(["git", "sparse-checkout", "add", to_add], check=True)
        assert FileSource(["t"]).entries()[1] == []


def test_a_file_that_git_skips_is_not_called_a_sparse_checkout() -> None:
    put("repository/t/a.yaml", "repository/t/b.yaml")
    with chdir("repository"):
        subprocess.run(["git", "init", "-q"], check=True)
        subprocess.run(["git", "add", "t"], check=True)
        subprocess.run(["git", "update-index", "--skip-worktree", "t/b.yaml"], check=True)
        Path("t/b.yaml").unlink()
        _, (item,) = FileSource(["t"]).entries()
    assert "its skip-worktree bit in git's index is set" in item.message
    top = str(Path("repository").resolve())
    assert item.remedy == UseGit(GitTask.RESTORE_SKIPPED, "t/b.yaml", top)


@pytest.mark.parametrize(
    ("content", "task"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", GitTask.FETCH_LFS),
        (b"/annex/objects/SHA256E-s1--x\n", GitTask.FETCH_ANNEX),
    ],
)
def test_the_content_of_a_pointer_is_fetched_in_its_repository(
    content: bytes, task: GitTask
) -> None:
    put("repository/t/a.yaml", "t/a.yaml")
    subprocess.run(["git", "init", "-q", "repository"], check=True)
    for name, top in (
        ("repository/t/a.yaml", str(Path("repository").resolve())),
        ("t/a.yaml", None),
    ):
        result = read_file(SourceEntry(name, name), content)
        assert result.problems is not None
        (item,) = result.problems.findings
        assert item.remedy == UseGit(task, None, top)


def test_a_given_file_with_any_suffix_is_read() -> None:
    put("notes.txt", ".hidden")
    assert read(["notes.txt", ".hidden"]) == ([".hidden", "notes.txt"], [])


def test_links_of_a_mounted_config_map_are_followed() -> None:
    put("m/..2026_11/a.yaml")
    Path("m/..data").symlink_to("..2026_11")
    Path("m/a.yaml").symlink_to("..data/a.yaml")
    assert read(["m"]) == (["m/a.yaml"], [])


def test_link_loops_are_walked_once() -> None:
    put("t/a.yaml", "t/s/b.yaml")
    Path("t/s/up").symlink_to("..")
    Path("t/z").symlink_to("s")
    assert read(["t"]) == (["t/a.yaml", "t/s/b.yaml"], [])


def test_broken_links_are_reported() -> None:
    Path("t").mkdir()
    Path("t/a.yaml").symlink_to("nowhere")
    Path("t/self.yaml").symlink_to("self.yaml")
    Path("t/other").symlink_to("nowhere")
    broken = ["t/a.yaml", "t/other", "t/self.yaml"]
    assert read(["t"]) == ([], [(name, "unreadable") for name in broken])


def test_special_files_are_reported_and_never_block() -> None:
    Path("t").mkdir()
    os.mkfifo("t/fifo.yaml")
    os.mkfifo("t/other")
    Path("t/zero.yaml").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("t/socket.yaml")
        names, findings = read(["t", "/dev/zero", "t/other"])
    assert names == []
    assert sorted(findings) == [
        (name, "unreadable")
        for name in ("/dev/zero", "t/fifo.yaml", "t/other", "t/socket.yaml", "t/zero.yaml")
    ]


def test_a_file_replaced_by_a_fifo_does_not_block() -> None:
    put("a.yaml")
    files = FileSource(["a.yaml"])
    entries, _ = files.entries()
    Path("a.yaml").unlink()
    os.mkfifo("a.yaml")
    (finding,) = files.load(entries)
    assert isinstance(finding, Finding)
    assert finding.code == "unreadable"


def test_a_file_deleted_after_listing_is_reported() -> None:
    put("a.yaml")
    files = FileSource(["a.yaml"])
    entries, _ = files.entries()
    Path("a.yaml").unlink()
    (finding,) = files.load(entries)
    assert isinstance(finding, Finding)
    assert finding.message == "The file a.yaml cannot be read: there is no such file."


def test_a_file_that_becomes_shorter_while_it_is_read_is_reported() -> None:
    put("a.yaml")
    opened = os.open("a.yaml", os.O_RDONLY)
    try:
        finding = sources._read(opened, "a.yaml", 1000)
    finally:
        os.close(opened)
    assert isinstance(finding, Finding)
    assert "it became shorter while it was read" in finding.message


def test_missing_paths_are_reported() -> None:
    assert read(["nope", "a\0b"]) == ([], [("a\\x00b", "unreadable"), ("nope", "unreadable")])


def test_a_file_beyond_the_limit_is_not_read() -> None:
    with Path("big.yaml").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with Path("fits.yaml").open("wb") as file:
        file.truncate(MAX_BYTES)
    assert read(["."]) == (["fits.yaml"], [("big.yaml", "too-large")])


def test_standard_input_is_read_once_and_stays_available() -> None:
    files = FileSource(["-", "-"], io.BytesIO(b"a: 1"))
    entries, _ = files.entries()
    assert list(files.load(entries)) == [b"a: 1"]
    assert list(files.again(["-"])) == [("-", b"a: 1")]
    assert read(["-"], io.BytesIO(b"#" * (MAX_BYTES + 1))) == ([], [("-", "too-large")])


def test_names_with_control_characters_are_escaped_and_still_opened() -> None:
    put("t/\x1b[31m\n.yaml")
    Path(os.fsdecode(b"t/caf\xe9.yaml")).write_text("a: 1")
    files = FileSource(["t"])
    entries, _ = files.entries()
    assert [entry.name for entry in entries] == ["t/\\x1b[31m\\x0a.yaml", "t/caf\\xe9.yaml"]
    assert len(list(files.again([entry.name for entry in entries]))) == 2
    assert display("t/\u202eevil") == "t/\\u202eevil"


def test_missing_permissions_are_reported() -> None:
    put("t/a.yaml", "t/s/b.yaml")
    Path("t/a.yaml").chmod(0)
    Path("t/s").chmod(0)
    script = (
        "import os, sys; sys.path[:0] = sys.argv[1:]\n"
        "import sendroute.manifests.sources as s\n"
        "os.getuid() or (os.setgid(65534), os.setuid(65534))\n"  # root may read everything
        "files = s.FileSource(['t']); entries, findings = files.entries()\n"
        "print(*[f.message for f in [*findings, *files.load(entries)]], sep='\\n')\n"
    )
    for directory in (Path.cwd(), *Path.cwd().parents):
        if directory.owner() == Path.cwd().owner() and directory != Path("/"):
            directory.chmod(directory.stat().st_mode | 0o055)
    run = [sys.executable, "-c", script, *sys.path]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "The directory t/s cannot be read: permission denied.",
        "The file t/a.yaml cannot be read: permission denied.",
    ]
    Path("t/s").chmod(0o700)
