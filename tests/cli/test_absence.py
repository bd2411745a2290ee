"""What cannot be looked into is unknown: nothing of it is taken for deleted."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.git.test_worktree import git
from tests.privileges import respect_permissions

from .conftest import (
    CommandResult,
    Program,
    account,
    command,
    domain,
    environment,
    profile,
    write,
)

BOLT = (account("bolt"), domain("bolt", "bolt.example.com", "{managed: {}}"))


@pytest.fixture
def bolt(store: Path, sendroute: Program, manifests: Path) -> Path:
    """A second account in its own file, applied; and a change of the first one that is not."""
    assert store.exists()
    file = write(manifests / "bolt.yaml", *BOLT)
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    write(manifests / "new.yaml", domain("acme", "new.example.com", "{managed: {}}"))
    return file


def domains(sendroute: Program) -> set[str]:
    listed = json.loads(sendroute("routes", "-o", "json").out)["domains"]
    return {entry["domain"] for entry in listed}


def replaced_by(text: str) -> Callable[[Path], None]:
    return lambda file: void(file.write_text(text))


def void(_: object) -> None:
    return None


def dangling(file: Path) -> None:
    """A checkout beside this one that is not there today."""
    file.unlink()
    (file.parent / "tenants").symlink_to("../elsewhere")


def circle(file: Path) -> None:
    file.unlink()
    (file.parent / "tenants").symlink_to("tenants")


def through_a_file(file: Path) -> None:
    file.unlink()
    (file.parent / "tenants").symlink_to("platform.yaml/tenants")


def name_too_long(file: Path) -> None:
    file.unlink()
    (file.parent / "tenants").symlink_to("x" * 300)


def io_error(file: Path) -> None:
    """Nothing is mapped at the beginning of a process's memory (proc(5)): EIO."""
    file.unlink()
    file.symlink_to("/proc/self/mem")


MISSPELT = "---\n".join(BOLT).replace("sendroute.dev", "sendroute.io")
GROUP = "sendroute.dev/v1alpha1"
ITEMS = "apiVersion: v1\nkind: List\n"
HIDDEN = {
    "a link without a target": (dangling, "unreadable"),
    "a link that leads in a circle": (circle, "unreadable"),
    "a link through a file": (through_a_file, "unreadable"),
    "a link to a name that is too long": (name_too_long, "unreadable"),
    "an I/O error": (io_error, "unreadable"),
    "a pointer of Git LFS": (
        replaced_by("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        "unreadable",
    ),
    "a pointer of git-annex": (replaced_by("/annex/objects/SHA256E-s9--0.yaml\n"), "unreadable"),
    "a List without items": (replaced_by(ITEMS), "invalid-value"),
    "a List whose items are a mapping": (replaced_by(ITEMS + "items: {}\n"), "invalid-value"),
    "a List whose items are null": (replaced_by(ITEMS + "items: null\n"), "invalid-value"),
    "a List of text": (replaced_by(ITEMS + "items: [bolt.yaml]\n"), "invalid-value"),
    "a List without apiVersion": (replaced_by("kind: List\nitems: []\n"), "missing-field"),
    "a List with an alias as an item": (
        replaced_by(ITEMS + "items: [&a {kind: X}, *a]\n"),
        "yaml-unsupported",
    ),
    "another ending of our group": (replaced_by(MISSPELT), "unknown-group"),
    "nothing in the file": (replaced_by(""), "unreadable"),
    "nothing but blanks in the file": (replaced_by(" \n\n"), "unreadable"),
    "our group and version exchanged": (
        replaced_by("---\n".join(BOLT).replace(GROUP, "v1alpha1/sendroute.dev")),
        "unknown-group",
    ),
    "our group in a URL": (
        replaced_by("---\n".join(BOLT).replace(GROUP, f"https://{GROUP}")),
        "unknown-group",
    ),
    "a misspelt kind without a group": (
        replaced_by("kind: SendingDomian\nmetadata: {name: bolt}\n"),
        "unknown-kind",
    ),
    "a misspelt kind of v1": (
        replaced_by("apiVersion: v1\nkind: sendingdomain\n"),
        "unknown-group",
    ),
    "merge marks in a document": (
        replaced_by("<<<<<<< HEAD\n=======\n" + "---\n".join(BOLT) + ">>>>>>> theirs\n"),
        "yaml-syntax",
    ),
    "merge marks that are a plain text": (
        replaced_by("<<<<<<< HEAD\n---\nkind: Other\n---\n>>>>>>> theirs\n"),
        "yaml-syntax",
    ),
}


@pytest.mark.parametrize("case", HIDDEN)
def test_what_cannot_be_read_is_not_removed_and_the_rest_goes_on(
    case: str, bolt: Path, sendroute: Program
) -> None:
    hide, code = HIDDEN[case]
    hide(bolt)
    for arguments in (("validate", "manifests"), ("plan", "manifests")):
        assert sendroute(*arguments).status == 1
    result = sendroute("apply", "manifests", "--auto-approve", "-o", "json")
    codes = {entry["code"] for entry in json.loads(result.out)["findings"]}
    assert (result.status, {code, "held-back"} <= codes) == (1, True)
    assert {"bolt.example.com", "new.example.com"} <= domains(sendroute)


def half_written(bolt: Path) -> str:
    """Documents of two accounts in one file, which ends in the middle of a document."""
    moved = domain("acme", "moved.example.com")
    bolt.write_text("---\n".join((*BOLT, moved, "kind: [unclosed\n")))
    return f"manifests/bolt.yaml:{len(bolt.read_text().splitlines())}:"


def named_twice(bolt: Path) -> str:
    """A profile of each account, and both have one name in one namespace."""
    other = account("bolt").replace("name: bolt", "name: other")
    second = profile("bolt", "ses").replace("account: bolt", "account: other")
    write(bolt, *BOLT, profile("bolt", "ses"), other, second)
    return "manifests/bolt.yaml:"


STOPPED = {
    "another account's document is half written": (half_written, ("acme/acme", "bolt/bolt")),
    "another account has a profile of that name": (named_twice, ("bolt/bolt", "bolt/other")),
}


@pytest.mark.parametrize("case", STOPPED)
def test_each_stopped_account_says_by_a_finding_of_its_own_what_stops_it(
    case: str, bolt: Path, sendroute: Program
) -> None:
    stop, accounts = STOPPED[case]
    position = stop(bolt)
    planned = json.loads(sendroute("plan", "manifests", "-o", "json").out)
    applied = json.loads(sendroute("apply", "manifests", "--auto-approve", "-o", "json").out)
    for document in (planned, applied):
        stopped = {f"{a['namespace']}/{a['account']}" for a in document["accounts"] if a["stopped"]}
        assert stopped == set(accounts)
        reported = {
            f"{entry['namespace']}/{entry['account']}": entry["position"]
            for entry in document["findings"]
            if entry["account"] is not None and entry["severity"] == "error"
        }
        assert reported.keys() == stopped
        assert all(at["line"] and at["column"] for at in reported.values())
    status = sendroute("status").out
    for key in accounts:
        failed = re.search(rf"^{key} +failed .*\n +(.*)", status, re.MULTILINE)
        assert failed, status
        assert failed[1].startswith(position), status
    statuses = json.loads(sendroute("status", "-o", "json").out)["unapplied"]
    assert {entry["findings"][0]["position"]["file"] for entry in statuses} == {
        "manifests/bolt.yaml"
    }


def test_an_account_that_is_held_back_says_what_is_unreadable(
    bolt: Path, sendroute: Program
) -> None:
    """Its documents are in one unreadable part of the tree; which one is not known."""
    dangling(bolt)
    write(bolt.parent / "half.yaml", "kind: [unclosed\n")
    applied = json.loads(sendroute("apply", "manifests", "--auto-approve", "-o", "json").out)
    (held_back,) = (item for item in applied["findings"] if item["code"] == "held-back")
    positions = [held_back["position"], *held_back["related"]]
    assert {position["file"] for position in positions} == {
        "manifests/half.yaml",
        "manifests/tenants",
    }
    assert f"{held_back['position']['file']}:1:1: Account bolt/bolt" in sendroute("status").out


def test_a_saved_plan_says_what_stops_an_account(bolt: Path, sendroute: Program) -> None:
    position = half_written(bolt)
    write(bolt.parent / "carl.yaml", account("carl"))
    assert sendroute("plan", "manifests", "--out", "saved.plan").status == 1
    applied = sendroute("apply", "saved.plan", "--auto-approve")
    assert (applied.status, "account carl" in applied.out) == (1, True)
    for key in ("acme/acme", "bolt/bolt"):
        line = rf"held-back +{position}\d+\n +Account {key} is unchanged, because"
        assert re.search(line, applied.out)


def test_a_kind_of_another_programs_group_is_passed_over(bolt: Path, sendroute: Program) -> None:
    bolt.write_text("---\n".join(BOLT).replace("sendroute.dev", "mail.example.com"))
    assert sendroute("validate", "manifests").status == 0


def outside(repository: Path, manifests: Path) -> None:
    """A link of the tree leads to the accounts of another repository."""
    repository.rename(manifests.parent / "tenants")
    (manifests / "tenants").symlink_to("../tenants/accounts")


def below(repository: Path, manifests: Path) -> None:
    """A clone in the directory of the manifests."""
    repository.rename(manifests / "tenants")


@pytest.fixture
def tenants(bolt: Path, workdir: Path) -> Path:
    """A sparse checkout without the account of ``bolt``."""
    repository = workdir / "other"
    (repository / "accounts/bolt").mkdir(parents=True)
    bolt.rename(repository / "accounts/bolt/bolt.yaml")
    write(repository / "accounts/carl.yaml", account("carl"))
    git(repository, "init", "-q")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "all")
    git(repository, "sparse-checkout", "set", "--no-cone", "/*", "!/accounts/bolt/")
    return repository


@pytest.mark.parametrize("arrange", [outside, below])
def test_what_another_checkout_left_out_is_not_removed(
    arrange: Callable[[Path, Path], None], tenants: Path, sendroute: Program, manifests: Path
) -> None:
    arrange(tenants, manifests)
    planned = sendroute("plan", "manifests")
    assert (planned.status, "held-back" in planned.out) == (1, True)
    assert "/bolt cannot be read: it is left out by a sparse checkout" in " ".join(
        planned.out.split()
    )
    assert sendroute("apply", "manifests", "--auto-approve").status == 1
    assert {"bolt.example.com", "new.example.com"} <= domains(sendroute)


def test_a_repository_that_may_not_be_entered_may_lack_anything(
    bolt: Path, unprivileged: Callable[..., CommandResult], sendroute: Program, manifests: Path
) -> None:
    """Of another user, who lets others read the files, and not the repository."""
    git(manifests, "init", "-q")
    bolt.unlink()
    (manifests / ".git").chmod(0)
    result = unprivileged("apply", "manifests", "--auto-approve")
    (manifests / ".git").chmod(0o755)
    assert (result.status, "git's index cannot be read" in result.out) == (1, True)
    assert "bolt.example.com" in domains(sendroute)


@pytest.fixture
def unprivileged(workdir: Path) -> Callable[..., CommandResult]:
    """Runs the program so that permissions count."""

    def run(*arguments: str) -> CommandResult:
        done = subprocess.run(
            command(*arguments),
            cwd=workdir,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            preexec_fn=respect_permissions,
        )
        return CommandResult(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def closed() -> Iterator[Callable[[Path], None]]:
    """Makes directories that may be listed and not entered."""
    directories: list[Path] = []

    def close(directory: Path) -> None:
        directories.append(directory)
        directory.chmod(0o644)

    yield close
    for directory in reversed(directories):
        directory.chmod(0o755)


@pytest.mark.parametrize("inner", ["", "deeper/"])
def test_a_directory_that_may_not_be_entered_hides_and_removes_nothing(
    inner: str,
    bolt: Path,
    sendroute: Program,
    unprivileged: Callable[..., CommandResult],
    closed: Callable[[Path], None],
) -> None:
    target = bolt.parent / "region" / inner / "bolt.yaml"
    target.parent.mkdir(parents=True)
    bolt.rename(target)
    closed(bolt.parent / "region")
    result = unprivileged("apply", "manifests", "--auto-approve")
    assert result.status == 1, result
    assert "manifests/region cannot be read: permission denied" in " ".join(result.out.split())
    assert "held-back" in result.out
    assert {"bolt.example.com", "new.example.com"} <= domains(sendroute)


COMMANDS = (
    "validate manifests",
    "validate manifests --base HEAD",
    "plan manifests",
    "plan manifests/acme.yaml",
    "plan platform --out manifests/p.plan",
    "apply manifests --auto-approve",
    "apply manifests/acme.yaml --auto-approve",
    "apply manifests --auto-approve --write-lock manifests/sendroute.lock",
    "apply platform --auto-approve --secrets manifests/secrets",
    "sync manifests",
    "sync manifests --check",
    "edit set-route shop.example.com --managed manifests",
    "edit delete-profile ses --account acme manifests",
    "edit add-domain a.example.com --account acme manifests --file manifests/a.yaml",
    "init --from-lock manifests/sendroute.lock --store sqlite:///other.db",
    "status --store sqlite:///manifests/s.db",
    "backup manifests/b",
    "export --dir manifests/x",
)


@pytest.mark.parametrize("words", COMMANDS)
def test_a_given_directory_that_may_not_be_entered_is_a_finding_of_every_command(
    words: str,
    store: Path,
    manifests: Path,
    unprivileged: Callable[..., CommandResult],
    closed: Callable[[Path], None],
) -> None:
    assert store.exists()
    write(manifests.parent / "platform/acme.yaml", profile("acme", "ses"))
    closed(manifests)
    result = unprivileged(*words.split())
    assert result.status == 1, result
    assert "Traceback" not in result.err
    assert "error" in result.out + result.err


@pytest.mark.usefixtures("bolt")
def test_status_shows_a_file_of_which_it_is_unknown_whose_it_is(
    sendroute: Program, manifests: Path
) -> None:
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    (manifests / "stray.yaml").write_text("kind: [")
    assert sendroute("apply", "manifests", "--auto-approve").status == 1
    shown = sendroute("status").out
    assert "the platform  skipped" in shown
    assert "manifests/stray.yaml:1:7: Invalid YAML" in shown
    (manifests / "stray.yaml").unlink()
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    assert "skipped" not in sendroute("status").out


def test_without_a_platform_what_is_held_back_stays_so(
    sendroute: Program, manifests: Path, bolt: Path
) -> None:
    """Nothing was tried, so nothing was settled."""
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    bolt.unlink()
    assert sendroute("apply", "manifests", "--auto-approve").status == 3
    held_back = _status_of_bolt(sendroute)
    assert held_back[1] == "held-back"
    platform = manifests / "platform.yaml"
    platform.write_text("kind: [")
    assert sendroute("apply", "manifests", "--auto-approve").status == 1
    assert _status_of_bolt(sendroute) == held_back


def _status_of_bolt(sendroute: Program) -> list[str]:
    lines = map(str.split, sendroute("status").out.splitlines())
    return next(words for words in lines if words[:1] == ["bolt/bolt"])
