"""A committed link leads to manifests, never across the file system."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.git.test_worktree import git

from sendroute.files import links
from sendroute.following.directory import DirectoryFollower
from sendroute.manifests.sources import FileSource
from sendroute.model.finding import Finding

MANIFEST = "apiVersion: sendroute.dev/v1alpha1\n"


@pytest.fixture(autouse=True)
def _in_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree ``repo/team/m``, a stranger's manifest above it, and a directory that is shared."""
    put(
        "strangers.yaml",
        "repo/other.yaml",
        "repo/team/m/a.yaml",
        "shared/deep/s.yaml",
        base=tmp_path,
    )
    monkeypatch.chdir(tmp_path / "repo/team")


def put(*names: str, base: Path = Path()) -> None:
    for name in names:
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(MANIFEST)


def link(name: str, target: str | Path) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def listed(*paths: str) -> tuple[list[str], list[Finding]]:
    entries, findings = FileSource(paths).entries()
    return [entry.name for entry in entries], findings


def refused(*paths: str) -> list[tuple[str, str]]:
    _, findings = listed(*paths)
    for finding in findings:
        assert finding.code == "unreadable"
        assert finding.hint is not None
        assert finding.hint.endswith("nothing is removed until it can be read.")
    return [(f.where.file, f.message.partition(": ")[2]) for f in findings if f.where]


ABOVE = "it leads to a directory above the manifests, and is not followed."
SYSTEM = "it leads into /proc, /sys or /dev, and is not followed."
TARGETS = {
    "/": ABOVE,
    "/.": ABOVE,
    "..": ABOVE,
    "../..": ABOVE,
    "../../../../../../../../../..": ABOVE,
    "../../team": ABOVE,
    "/proc": SYSTEM,
    "/proc/self": SYSTEM,
    "/proc/self/root": SYSTEM,
    "/proc/self/root/etc": SYSTEM,
    "/proc/self/cwd/m": SYSTEM,
    "/sys/kernel": SYSTEM,
    "/dev": SYSTEM,
    "/dev/fd": SYSTEM,
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_link_to_what_holds_no_manifests_of_the_tree_is_refused(target: str) -> None:
    link("m/x", target)
    started = time.monotonic()
    assert refused("m") == [("m/x", TARGETS[target])]
    assert listed("m")[0] == ["m/a.yaml"]
    assert time.monotonic() - started < 2


def test_a_link_to_the_absolute_path_of_a_directory_above_is_refused() -> None:
    link("m/deep/x", Path.cwd().parent)
    assert refused("m") == [("m/deep/x", ABOVE)]


def test_a_link_to_a_refused_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "first").symlink_to("second")
    (tmp_path / "second").symlink_to("/proc/self")
    (tmp_path / "top").symlink_to("/")
    link("m/x", "../../../first")
    link("m/y", "../../../top")
    link("m/z.yaml", "../../../first/environ")
    assert refused("m") == [("m/x", SYSTEM), ("m/y", ABOVE), ("m/z.yaml", SYSTEM)]


def test_links_in_a_circle_between_directories_are_walked_once(tmp_path: Path) -> None:
    link("m/x", "../../../shared")
    (tmp_path / "shared/back").symlink_to(Path("m").absolute())
    (tmp_path / "shared/again").symlink_to(tmp_path / "shared")
    (tmp_path / "shared/deep/up").symlink_to("..")
    link("m/self", ".")
    assert listed("m") == (["m/a.yaml", "m/x/deep/s.yaml"], [])


def test_a_directory_that_is_linked_leads_no_further_up(tmp_path: Path) -> None:
    link("m/x", "../../../shared/deep")
    (tmp_path / "shared/deep/up").symlink_to("..")
    assert refused("m") == [("m/x/up", ABOVE)]


def test_a_chain_of_linked_directories_leads_no_further_up(tmp_path: Path) -> None:
    link("m/x", "../../../shared/deep")
    put("next/n.yaml", base=tmp_path)
    (tmp_path / "shared/deep/next").symlink_to("../../next")
    (tmp_path / "next/up").symlink_to("../shared")
    assert refused("m") == [("m/x/next/up", ABOVE)]
    assert listed("m")[0] == ["m/a.yaml", "m/x/next/n.yaml", "m/x/s.yaml"]


def test_a_shared_directory_and_a_mount_are_followed(tmp_path: Path) -> None:
    link("m/shared", "../../../shared")
    link("m/file.yaml", tmp_path / "strangers.yaml")
    put("m/..2026/c.yaml")
    link("m/..data", "..2026")
    link("m/c.yaml", "..data/c.yaml")
    entries, findings = FileSource(["m"]).entries()
    assert findings == []
    assert {entry.name: entry.outside for entry in entries} == {
        "m/a.yaml": False,
        "m/c.yaml": False,
        "m/file.yaml": True,
        "m/shared/deep/s.yaml": True,
    }


def test_elsewhere_in_the_same_repository_is_read_like_any_directory() -> None:
    git(Path(".."), "init", "-q")
    put("../platform/p.yaml")
    link("m/platform", "../../platform")
    assert listed("m") == (["m/a.yaml", "m/platform/p.yaml"], [])


def test_a_link_to_another_given_path_is_part_of_the_tree() -> None:
    link("m/up", "..")
    put("b/b.yaml")
    assert refused("m", "b") == [("m/up", ABOVE)]
    assert listed("m", "b", ".") == (["b/b.yaml", "m/a.yaml"], [])


@pytest.mark.parametrize("given", ["link", "link/", "m"])
def test_a_link_as_the_given_path_is_followed(given: str) -> None:
    link("link", "m")
    link("m/up", "..")
    names, _ = listed(given)
    assert names == [f"{given.rstrip('/')}/a.yaml"]
    assert [name for name, _ in refused(given)] == [f"{given.rstrip('/')}/up"]


MEMORY = "/dev/shm"  # noqa: S108 - a directory in it is created under a random name


@pytest.mark.skipif(not os.access(MEMORY, os.W_OK), reason=f"there is no {MEMORY}")
def test_a_tree_in_shared_memory_is_read() -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        put("s/s.yaml", "m/a.yaml", base=Path(directory))
        (Path(directory) / "m/s").symlink_to("../s")
        names, findings = listed(f"{directory}/m")
        assert findings == []
        assert [name.removeprefix(directory) for name in names] == ["/m/a.yaml", "/m/s/s.yaml"]


def many(tmp_path: Path) -> None:
    put(*(f"many/{number}.yaml" for number in range(30)), base=tmp_path)


def spread(tmp_path: Path) -> None:
    put(*(f"many/{number}/x.txt" for number in range(20)), base=tmp_path)


def large(tmp_path: Path) -> None:
    put("many/1.yaml", "many/2.yaml", base=tmp_path)
    os.truncate(tmp_path / "many/2.yaml", 2000)


@pytest.mark.parametrize(
    ("fill", "limit"), [(many, "names"), (spread, "names"), (large, "MiB of manifests")]
)
def test_links_out_of_the_tree_lead_to_a_limited_number_of_files(
    fill: Callable[[Path], None], limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "MAX_NAMES", 20)
    monkeypatch.setattr(links, "MAX_BYTES", 1500)
    fill(tmp_path)
    put(*(f"m/own{number}.yaml" for number in range(40)))
    link("m/b", "../../../shared")
    link("m/x", "../../../many")
    names, findings = listed("m")
    assert [finding.where and finding.where.file for finding in findings] == ["m/x"]
    assert findings[0].code == "unreadable"
    # What was read of it is left out too: nobody chose which part that is.
    assert not any(name.startswith("m/x/") for name in names)
    assert "m/b/deep/s.yaml" in names
    assert len(names) == 42
    assert f"{limit}, and is not followed" in findings[0].message


def test_links_to_single_files_count_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "MAX_NAMES", 5)
    put(*(f"many/{number}.yaml" for number in range(8)), base=tmp_path)
    for number in range(8):
        link(f"m/{number}.yaml", f"../../../many/{number}.yaml")
    assert len(listed("m")[0]) == 6
    assert len(refused("m")) == 3


# --- following a directory ------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/", "/proc/self", ".."])
def test_polling_a_directory_does_not_follow_refused_links(target: str) -> None:
    follower = DirectoryFollower("m")
    before = follower.poll(lambda: False)
    link("m/x", target)
    started = time.monotonic()
    after = follower.poll(lambda: False)
    assert time.monotonic() - started < 2
    assert after.fingerprint != before.fingerprint
    put("../new.yaml")
    assert follower.unchanged(after)


def test_polling_notices_when_a_linked_directory_is_small_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "MAX_NAMES", 5)
    put(*(f"many/{number}.yaml" for number in range(6)), base=tmp_path)
    link("m/x", "../../../many")
    follower = DirectoryFollower("m")
    before = follower.poll(lambda: False)
    (tmp_path / "many/3.yaml").unlink()
    assert not follower.unchanged(before)
    assert listed("m")[1] == []
