"""An index in two files says what ``git ls-files`` says, in real repositories, and damage of it is
reported."""

import hashlib
import os
import random
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sendroute.git.index import LIST, IndexEntry, entries_to_check, listed_entries
from sendroute.git.index_file import IndexFile
from sendroute.git.missing import MissingReason
from sendroute.git.repository import Repository, find_repository

from .test_missing import missing_from
from .test_worktree import git

FILES = 300
RUN_OF_ONES = 0xFFFFFFFF << 1 | 1


def name(number: int) -> str:
    return f"m/d{number // 10:02}/f{number:03}.yaml"


@pytest.fixture(params=["sha1", "sha256"])
def repository(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """300 files, a submodule and a link in an index that stays in two files."""
    top = tmp_path / "r"
    for number in range(FILES):
        path = top / name(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"a: {number}\n")
    git(tmp_path, "init", "-q", "-b", "main", f"--object-format={request.param}", "r")
    (top / "m/link").symlink_to("d00")
    git(top, "add", "-A")
    git(top, "commit", "-qm", "first")
    gitlink = f"160000,{git(top, 'rev-parse', 'HEAD')},m/sub"
    git(top, "update-index", "--add", "--cacheinfo", gitlink)
    git(top, "config", "core.splitIndex", "true")
    git(top, "config", "splitIndex.maxPercentChange", "100")
    return top


def split(repository: Path, version: str = "2") -> None:
    git(repository, "update-index", f"--index-version={version}")
    git(repository, "update-index", "--split-index")


def opened(directory: Path) -> Repository:
    repository = find_repository(str(directory))
    assert repository is not None
    return repository


def by_git(directory: Path) -> list[IndexEntry]:
    done = subprocess.run(["git", *LIST], cwd=directory, check=True, capture_output=True)
    entries = [
        IndexEntry(entry.path, int(entry.mode, 8), entry.blob, entry.tag in "Ss")
        for entry in listed_entries(done.stdout)
    ]
    return [entry for entry in entries if entry.left_out or entry.mode in (0o120000, 0o160000)]


def natively(directory: Path) -> list[IndexEntry]:
    entries = entries_to_check(opened(directory))
    return sorted(entries, key=lambda entry: entry.path)


def link_of(directory: Path) -> bytes:
    repository = opened(directory)
    data = Path(repository.git_directory, "index").read_bytes()
    algorithm = git(directory, "rev-parse", "--show-object-format")
    link = IndexFile(data, 20 if algorithm == "sha1" else 32).extension(b"link")
    assert link is not None
    return link


def skip(repository: Path, *numbers: int) -> None:
    git(repository, "update-index", "--skip-worktree", *map(name, numbers))


def remove(repository: Path, *numbers: int) -> None:
    git(repository, "update-index", "--force-remove", *map(name, numbers))


def add(repository: Path, *paths: str) -> None:
    blob = git(repository, "rev-parse", f"HEAD:{name(0)}")
    for path in paths:
        git(repository, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
    git(repository, "update-index", "--skip-worktree", *paths)


def nothing(repository: Path) -> None:
    assert repository.exists()


def replacements(repository: Path) -> None:
    skip(repository, 0, 3, 64, 65, 299)
    git(repository, "update-index", "--no-skip-worktree", name(3))


def deletions(repository: Path) -> None:
    skip(repository, 1, 150)
    remove(repository, 0, 1, 63, 64, 299)
    git(repository, "update-index", "--force-remove", "m/sub")


def runs(repository: Path) -> None:
    """Words of which all bits are equal."""
    skip(repository, *range(FILES))
    remove(repository, *range(70, 280))


def additions(repository: Path) -> None:
    skip(repository, 5)
    add(repository, "a.yaml", "m/d01/new.yaml", "z.yaml")


def all_three(repository: Path) -> None:
    skip(repository, *range(0, FILES, 7))
    remove(repository, *range(0, FILES, 5))
    add(repository, *(f"n/{number}.yaml" for number in range(9)))
    add(repository, name(10))  # deleted, and back


def conflict(repository: Path) -> None:
    blob = git(repository, "rev-parse", f"HEAD:{name(0)}")
    lines = [f"0 {'0' * len(blob)}\tm/link", *(f"120000 {blob} {n}\tm/link" for n in (1, 2, 3))]
    done = subprocess.run(
        ["git", "update-index", "--index-info"],
        cwd=repository,
        input="\n".join(lines),
        text=True,
        check=False,
    )
    assert done.returncode == 0


def after_split(repository: Path) -> None:
    """A commit, and files that change their types."""
    (repository / "m/link").unlink()
    (repository / "m/link").write_text("a: 1\n")
    (repository / name(0)).unlink()
    (repository / name(0)).symlink_to("f001.yaml")
    git(repository, "add", name(0), "m/link")
    git(repository, "commit", "-qm", "types")


CHANGES = [nothing, replacements, deletions, runs, additions, all_three, conflict, after_split]


@pytest.mark.parametrize(("version", "threads"), [("2", "1"), ("4", "3")])
@pytest.mark.parametrize("change", CHANGES)
def test_two_files_hold_what_git_says(
    repository: Path, version: str, threads: str, change: Callable[[Path], None]
) -> None:
    git(repository, "config", "index.threads", threads)
    skip(repository, 2, 200)
    split(repository, version)
    change(repository)
    assert link_of(repository)
    expected = by_git(repository)
    assert expected
    assert natively(repository) == expected


def test_a_worktree_has_a_shared_file_of_its_own(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    side = tmp_path / "side"
    git(side, "update-index", "--split-index")
    replacements(side)
    assert link_of(side)
    assert natively(side) == by_git(side) != natively(repository)


def test_a_sparse_checkout_with_a_split_index(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(repository, "update-index", "--force-remove", "m/sub")
    split(repository)
    git(repository, "sparse-checkout", "set", "--no-cone", "/*", "!/m/d07/")
    assert link_of(repository)
    monkeypatch.setenv("PATH", "/nowhere")  # git is not asked
    missing = [("m/d07", MissingReason.SPARSE)]
    assert missing_from(repository) == missing


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A small index in two files with deletions, replacements and additions."""
    top = tmp_path / "small"
    top.mkdir()
    for path in ("a.yaml", "b.yaml", "c.yaml"):
        (top / path).write_text("a: 1\n")
        os.utime(top / path, (1, 1))  # or git compares it again, and replaces its entry
    git(top, "init", "-q")
    git(top, "add", "-A")
    git(top, "commit", "-qm", "first")
    git(top, "config", "core.splitIndex", "true")
    git(top, "config", "splitIndex.maxPercentChange", "100")
    git(top, "update-index", "--split-index")
    git(top, "update-index", "--skip-worktree", "a.yaml")
    git(top, "update-index", "--force-remove", "b.yaml")
    add_file = f"100644,{git(top, 'rev-parse', 'HEAD:a.yaml')},d.yaml"
    git(top, "update-index", "--add", "--cacheinfo", add_file)
    assert [entry.path for entry in natively(top)] == ["a.yaml"]
    return top


UNKNOWN = [(".", MissingReason.UNKNOWN)]


def files_of(repository: Path) -> tuple[Path, Path]:
    (shared,) = (repository / ".git").glob("sharedindex.*")
    return repository / ".git/index", shared


@pytest.mark.parametrize("which", [0, 1])
def test_an_index_that_ends_early_is_unknown(damaged: Path, which: int) -> None:
    file = files_of(damaged)[which]
    content = file.read_bytes()
    for end in range(len(content)):
        file.write_bytes(content[:end])
        assert missing_from(damaged) == UNKNOWN, end


@pytest.mark.parametrize("which", [0, 1])
def test_damage_is_found_by_the_checksum(damaged: Path, which: int) -> None:
    file = files_of(damaged)[which]
    content = file.read_bytes()
    for at, damage in damages(content):
        file.write_bytes(damage)
        assert missing_from(damaged) == UNKNOWN, at


@pytest.mark.parametrize("which", [0, 1])
def test_no_content_leads_to_a_traceback(damaged: Path, which: int) -> None:
    """Damage with the right checksum."""
    index, shared = files_of(damaged)
    content = (index, shared)[which].read_bytes()
    bitmaps = link_of(damaged)[20:]
    for _, damage in damages(content[:-20]):
        if which == 0:
            index.write_bytes(damage + bytes(20))
        else:
            checksum = hashlib.sha1(damage, usedforsecurity=False).digest()
            other = shared.with_name(f"sharedindex.{checksum.hex()}")
            other.write_bytes(damage + checksum)
            with_link(damaged, checksum + bitmaps)
        missing_from(damaged)


def damages(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The content with one bit turned in each byte."""
    numbers = random.Random(7)
    for at in range(len(content)):
        damage = bytearray(content)
        damage[at] ^= 1 << numbers.randrange(8)
        yield at, bytes(damage)


def test_without_its_shared_file_or_with_another_one_an_index_is_unknown(damaged: Path) -> None:
    _, shared = files_of(damaged)
    content = shared.read_bytes()
    other = content[:-20] + bytes(20)
    shared.write_bytes(other)
    assert missing_from(damaged) == UNKNOWN
    shared.unlink()
    assert missing_from(damaged) == UNKNOWN
    shared.symlink_to("/dev/zero")
    assert missing_from(damaged) == UNKNOWN


def bitmap(*words: int) -> bytes:
    return struct.pack(f">II{len(words)}QI", 0, len(words), *words, 0)


def with_link(repository: Path, content: bytes) -> None:
    """Replace the extension of an index."""
    index = repository / ".git/index"
    data = index.read_bytes()
    link = IndexFile(data, 20).extension(b"link")
    assert link is not None
    old = b"link" + struct.pack(">I", len(link)) + link
    assert data.count(old) == 1
    new = b"link" + struct.pack(">I", len(content)) + content
    index.write_bytes(data[:-20].replace(old, new) + bytes(20))


NONE = bitmap()
BOMBS = {
    "a run of ones without an end": bitmap(RUN_OF_ONES) + NONE,
    "thousands of runs": bitmap(*[RUN_OF_ONES] * 100_000) + NONE,
    "a bit behind long runs of zeros": bitmap(*[0xFFFFFFFF << 1] * 100_000, 1 << 33, 1) + NONE,
    "a bit behind the last entry": bitmap(1 << 33, 1 << 3) + NONE,
    "more words than there are": struct.pack(">II", 0, 0xFFFFFFFF),
    "no second bitmap": NONE,
    "something behind the bitmaps": NONE + NONE + b"\0",
    "more entries replaced than there are": bitmap() + bitmap(1 << 33, 7),
    "an entry both deleted and replaced": bitmap(1 << 33, 1) + bitmap(1 << 33, 1),
    "none replaced, but an entry without a name": NONE + NONE,
    "another one replaced, which has a name": NONE + bitmap(1 << 33, 3),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bitmap_that_does_not_fit_is_unknown_at_once(damaged: Path, bomb: str) -> None:
    shared_name = link_of(damaged)[:20]
    with_link(damaged, shared_name + BOMBS[bomb])
    started = time.monotonic()
    assert missing_from(damaged) == UNKNOWN
    assert time.monotonic() - started < 2


def test_long_runs_of_zeros_are_passed_over(damaged: Path) -> None:
    before = natively(damaged)
    zeros = [0xFFFFFFFF << 1] * 1000
    with_link(damaged, link_of(damaged)[:20] + bitmap(*zeros) + bitmap(1 << 33, 1, *zeros))
    assert natively(damaged) == before


def test_an_extension_without_a_shared_file_is_no_second_file(damaged: Path) -> None:
    """git writes it if it cannot create the shared file."""
    git(damaged, "update-index", "--no-split-index")
    index = damaged / ".git/index"
    data = index.read_bytes()
    index.write_bytes(data[:-20] + b"link" + struct.pack(">I", 20) + bytes(20) + bytes(20))
    assert natively(damaged) == by_git(damaged)


def test_a_count_that_the_file_has_no_room_for_fills_no_memory(damaged: Path) -> None:
    for file in files_of(damaged):
        content = file.read_bytes()
        with pytest.raises(ValueError, match="too short for its entries"):
            IndexFile(content[:8] + b"\xff\xff\xff\xff" + content[12:-20] + bytes(20), 20)
