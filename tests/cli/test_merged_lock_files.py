"""Two branches wrote the lock file, and git merged a part of it."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from .conftest import PLATFORM, CommandResult, Program, account, domain, git, write

LOCK = "manifests/sendroute.lock"
APPLY = ("apply", "manifests", "--auto-approve", "--max-change-percent", "100")
# Far enough apart that git merges the first without a conflict.
NAMES = [f"d{number:02}.example" for number in range(1, 13)]
FIRST, LAST = NAMES[1], NAMES[7]


@pytest.fixture
def branches(workdir: Path, sendroute: Program) -> Path:
    """The branches ``first`` and ``last`` reroute a domain each, apply that, and write the lock
    file. ``last`` is checked out."""
    write(workdir / "manifests/platform.yaml", PLATFORM)
    write(workdir / "manifests/acme.yaml", account("acme"))
    for name in NAMES:
        write(workdir / f"manifests/{name}.yaml", domain("acme", name, "{managed: {}}"))
    git(workdir, "init", "-q", "-b", "main")
    assert sendroute("init").status == 0
    assert sendroute(*APPLY, "--write-lock", LOCK).status == 0
    git(workdir, "add", "manifests")
    git(workdir, "commit", "-q", "-m", "base")
    for branch, name in (("first", FIRST), ("last", LAST)):
        git(workdir, "switch", "-q", "-c", branch, "main")
        write(workdir / f"manifests/{name}.yaml", domain("acme", name, "{unconfigured: {}}"))
        assert sendroute(*APPLY, "--write-lock", LOCK).status == 0
        git(workdir, "commit", "-q", "-a", "-m", branch)
    return workdir


def conflicting(branches: Path, command: str) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        git(branches, command, "first")
    assert "<<<<<<<" in (branches / LOCK).read_text()


def findings(result: CommandResult) -> dict[str, tuple[str, str]]:
    """Severity and hint of what is reported about lock files, by code."""
    document = json.loads(result.out)
    listed = document["lock_files"] if "lock_files" in document else document["findings"]
    return {
        item["code"]: (item["severity"], item["hint"])
        for item in listed
        if "sendroute.lock" in item["message"]
    }


@pytest.mark.parametrize("command", ["merge", "rebase"])
@pytest.mark.parametrize("directory", [".", "manifests", "/"])
def test_the_command_for_a_lock_file_with_merge_marks_takes_one_side_whole(
    branches: Path,
    sendroute: Program,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    directory: str,
) -> None:
    conflicting(branches, command)
    monkeypatch.chdir(branches / directory)
    manifests = os.path.relpath(branches / "manifests") if directory != "/" else branches / LOCK
    _severity, hint = findings(sendroute("validate", str(manifests), "-o", "json"))["yaml-syntax"]
    copied = hint.rpartition("next change: ")[2]
    assert re.search(r"\bgit( -C \S+)? checkout --ours -- sendroute.lock$", copied), hint
    subprocess.run(["sh", "-c", copied], check=True, capture_output=True)
    monkeypatch.chdir(branches)
    assert findings(sendroute("validate", "manifests", "-o", "json")) == {}
    store = ("--store", f"sqlite:///{branches}/sendroute.db")
    written = sendroute(*store, *APPLY, "--allow-older-tree", "--write-lock", LOCK)
    assert written.status == 0, written.out
    assert sendroute(*store, "validate", "manifests").status == 0
    assert "lock" not in sendroute(*store, "plan", "manifests").out


@pytest.fixture
def mixed(branches: Path) -> Path:
    """In each conflict the side with the higher revision was kept, and the marks removed."""
    conflicting(branches, "merge")
    text = (branches / LOCK).read_text()
    kept = re.sub(
        r"<<<<<<< .*\n((?:.*\n)*?)=======\n(?:.*\n)*?>>>>>>> .*\n", lambda match: match[1], text
    )
    (branches / LOCK).write_text(kept)
    domains = json.loads(kept)["accounts"][0]["domains"]
    assert [name for name in NAMES if "unconfigured" in domains[name]["route"]] == [FIRST, LAST]
    return branches


@pytest.mark.parametrize(
    ("command", "severity", "status"),
    [
        ("validate manifests", "error", 1),
        ("plan manifests", "warning", 0),
        (" ".join(APPLY), "warning", 0),
    ],
)
def test_every_command_finds_parts_of_two_lock_files(
    mixed: Path, sendroute: Program, command: str, severity: str, status: int
) -> None:
    assert mixed.is_dir()
    result = sendroute(*command.split(), "-o", "json")
    assert (result.status, list(findings(result))) == (status, ["edited-lock"]), result
    assert findings(result)["edited-lock"][0] == severity
    reported = sendroute("status", "manifests", "-o", "json")
    assert (reported.status, list(findings(reported))) == (0, ["edited-lock"])


def test_no_store_is_created_from_parts_of_two_lock_files(mixed: Path, sendroute: Program) -> None:
    restored = sendroute("restore", LOCK, "--auto-approve")
    (mixed / "sendroute.db").rename(mixed / "lost.db")
    created = sendroute("init", "--from-lock", LOCK)
    for result in (restored, created):
        text = " ".join((result.out + result.err).split())
        assert (result.status, "edited-lock" in text) == (1, True), result
        assert "restore from git a version that Sendroute wrote" in text
    git(mixed, "checkout", "-q", "first", "--", LOCK)
    assert sendroute("init", "--from-lock", LOCK, "--key-file", "sendroute.key").status == 0


def test_parts_of_two_lock_files_are_replaced_by_what_the_hint_says(
    mixed: Path, sendroute: Program
) -> None:
    _severity, hint = findings(sendroute("plan", "manifests", "-o", "json"))["edited-lock"]
    copied = "sendroute apply manifests --write-lock manifests/sendroute.lock"
    assert hint.endswith(f": {copied}")
    assert sendroute(*APPLY).status == 0
    written = sendroute(*copied.split()[1:])
    assert (written.status, "edited-lock" in written.out) == (0, False), written
    assert "lock" not in sendroute("plan", "manifests").out
    assert sendroute("validate", "manifests").status == 0
    assert mixed.is_dir()


def test_a_saved_plan_compares_an_edited_lock_file_again(mixed: Path, sendroute: Program) -> None:
    assert "edited-lock" in sendroute("plan", "manifests", "--out", "saved.plan").out
    written = sendroute("apply", "saved.plan", "--write-lock", LOCK)
    assert (written.status, "edited-lock" in written.out) == (0, False), written
    assert sendroute("validate", str(mixed / "manifests")).status == 0
