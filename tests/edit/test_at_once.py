"""Edits at the same time: no edit that reported success is lost."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sendroute.edit.lock import EditLock
from sendroute.edit.proposal import TextChange
from sendroute.edit.write import write
from sendroute.model.problem import ProblemError

from .conftest import Program, files_of
from .test_commands import ACME, PLATFORM

AT_ONCE = 6


@pytest.fixture
def tree(workdir: Path) -> Path:
    manifests = workdir / "m"
    manifests.mkdir()
    (manifests / "platform.yaml").write_text(PLATFORM)
    domains = "".join(
        f"---\n{ACME.rpartition('---')[2].strip()}\n".replace("news", f"d{number}")
        for number in range(AT_ONCE)
    )
    (manifests / "acme.yaml").write_text(ACME + domains)
    return manifests


def started(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "sendroute", *words]
    return subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ
    )


def finished(edits: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    return [(edit.returncode, err) for edit in edits for _, err in [edit.communicate(timeout=90)]]


def test_every_edit_at_once_of_one_file_is_in_it(tree: Path) -> None:
    edits = [
        started("edit", "set-route", f"d{number}.example.com", "--unconfigured", path)
        for number, path in enumerate(["m", "m/acme.yaml"] * (AT_ONCE // 2))
    ]
    done = finished(edits)
    assert [status for status, _ in done] == [0] * AT_ONCE, done
    assert (tree / "acme.yaml").read_text().count("unconfigured") == AT_ONCE


def test_every_domain_added_at_once_is_in_the_tree(tree: Path) -> None:
    edits = [
        started("edit", "add-domain", f"new{number}.example.com", "--account", "acme", "m")
        for number in range(AT_ONCE)
    ]
    done = finished(edits)
    assert [status for status, _ in done] == [0] * AT_ONCE, done
    text = (tree / "acme.yaml").read_text()
    assert all(f"domain: new{number}.example.com\n" in text for number in range(AT_ONCE))


def test_edits_that_contradict_each_other_leave_a_valid_tree(
    sendroute: Program, tree: Path
) -> None:
    """One deletes the profile; the other declares a route through it, in another file."""
    (tree / "other.yaml").write_text(
        ACME.rpartition("---\n")[2].replace("news", "extra"), encoding="utf-8"
    )
    edits = [
        started("edit", "delete-profile", "ses", "--account", "acme", "--unconfigured", "m"),
        started("edit", "set-route", "extra.example.com", "--profile", "ses", "m"),
    ]
    done = finished(edits)
    assert 0 in [status for status, _ in done], done
    assert sendroute("validate", "m").status == 0


def test_sync_waits_for_an_edit(sendroute: Program, tree: Path) -> None:
    assert sendroute("init", "-q").status == 0
    assert sendroute("apply", "m", "--auto-approve").status == 0
    assert sendroute("edit", "apply-to-all", "acme", "--unconfigured", "m").status == 0
    assert sendroute("apply", "m", "--auto-approve").status == 0
    edits = [
        started("sync", "m"),
        started("edit", "add-domain", "new.example.com", "--account", "acme", "m"),
    ]
    done = finished(edits)
    assert [status for status, _ in done] == [0, 0], done
    text = (tree / "acme.yaml").read_text()
    assert "domain: new.example.com\n" in text
    assert "route: {unconfigured: {}}  # shop" in text


@contextmanager
def held(directory: Path) -> Iterator[None]:
    opened = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def test_an_edit_reports_that_another_one_does_not_end(tmp_path: Path) -> None:
    with held(tmp_path), EditLock(timeout=0.1) as lock, pytest.raises(ProblemError) as raised:
        lock.take([tmp_path])
    (finding,) = raised.value.findings
    assert finding.code == "unwritable"
    assert "nothing was written" in finding.message


def test_a_lock_is_free_after_a_failure(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with held(tmp_path / "a"), EditLock(timeout=0.05) as lock, pytest.raises(ProblemError):
        lock.take([tmp_path, tmp_path / "a"])
    with EditLock(timeout=0.05) as lock:
        lock.take([tmp_path / "a", tmp_path, tmp_path / "a.yaml"])


def test_a_dry_run_waits_for_nobody(sendroute: Program, tree: Path) -> None:
    with held(tree):
        ran = sendroute("edit", "set-route", "d1.example.com", "--unconfigured", "m", "--dry-run")
    assert ran.status == 0


def test_a_file_that_an_editor_saves_at_the_last_moment_is_kept(tmp_path: Path) -> None:
    """The second file changes after the edit was prepared; the first one is restored."""
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("old a")
    second.write_text("old b")

    class Racing(dict[str, TextChange]):
        def items(self):  # type: ignore[no-untyped-def]
            yield from super().items()
            second.write_text("an editor saved this")

    changes = Racing(
        {str(first): TextChange("old a", "new a"), str(second): TextChange("old b", "new b")}
    )
    with pytest.raises(ProblemError) as raised:
        write(changes, {})
    assert "Another process changed" in raised.value.findings[0].message
    assert first.read_text() == "old a"
    assert second.read_text() == "an editor saved this"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.yaml", "b.yaml"]


OUTSIDE = {
    "outside of the paths": "x.yaml",
    "outside, through the parent": "m/../x.yaml",
    "a name that is passed over": "m/.x.yaml",
    "a directory that is passed over": "m/.new/x.yaml",
    "a name without the ending of a manifest": "m/x.txt",
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_a_file_that_the_next_command_would_not_read_is_refused(
    case: str, sendroute: Program, tree: Path
) -> None:
    before = files_of(tree.parent)
    words = ("add-domain", "new.example.com", "--account", "acme", "--file", OUTSIDE[case])
    ran = sendroute("edit", *words, "m")
    assert ran.status == 1, ran
    assert "would never be read" in ran.err
    assert files_of(tree.parent) == before


def test_a_file_that_exists_outside_of_the_paths_is_refused(sendroute: Program, tree: Path) -> None:
    (tree.parent / "x.yaml").write_text("")
    words = ("add-domain", "new.example.com", "--account", "acme", "--file", "x.yaml")
    assert sendroute("edit", *words, "m").status == 1
    assert (tree.parent / "x.yaml").read_text() == ""


def test_a_file_in_a_new_directory_is_written_and_read(sendroute: Program, tree: Path) -> None:
    words = ("add-domain", "new.example.com", "--account", "acme", "--file", "m/new/deep/x.yaml")
    assert sendroute("edit", *words, "m").status == 0
    assert sendroute("edit", "set-route", "new.example.com", "--unconfigured", "m").status == 0
    assert "unconfigured" in (tree / "new/deep/x.yaml").read_text()


def test_a_file_is_found_by_any_of_its_paths(sendroute: Program, tree: Path) -> None:
    file = str(tree / "acme.yaml")
    words = ("add-domain", "new.example.com", "--account", "acme", "--file", file)
    ran = sendroute("edit", *words, "m")
    assert ran.status == 0, ran
    assert "domain: new.example.com" in (tree / "acme.yaml").read_text()
