"""A branch that is reset, and what the loop then holds back until it is approved."""

import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import PLATFORM, Workspace, account, replace, wait_until

BRANCH = ("--poll", "200ms", "--interval", "500ms", "--path", "m")


RARELY = ("--poll", "200ms", "--interval", "10m", "--path", "m")
"""No round over every account comes by itself while a test runs."""

RECORDED = "select source_commit from applied_commit"
REPOSITORY = "select repository from applied_commit"


class Upstream:
    """The repository that the loop follows. ``signed`` signs its commits."""

    def __init__(self, workspace: Workspace) -> None:
        self.top = workspace.directory / "up"
        (self.top / "m").mkdir(parents=True)
        replace(self.top / "m/platform.yaml", PLATFORM)
        self._key: Path | None = None
        self._git("init", "-q", "-b", "main")

    @property
    def url(self) -> str:
        return f"file://{self.top}"

    def sign_from_now_on(self) -> Path:
        """Returns the file of allowed signers."""
        key = self.top.parent / "key"
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
        subprocess.run(command, check=True)
        signers = self.top.parent / "signers"
        signers.write_text(f't@t.example namespaces="git" {key.with_suffix(".pub").read_text()}')
        self._key = key
        return signers

    def commit(self, content: str) -> str:
        replace(self.top / "m/acme.yaml", content)
        self._git("add", "-A")
        signing = ["-S"] if self._key else []
        self._git("commit", "-q", "--allow-empty", *signing, "-m", "a change")
        return self._git("rev-parse", "HEAD")

    def replace_by_another_repository(self) -> None:
        shutil.rmtree(self.top / ".git")
        self._git("init", "-q", "-b", "main")

    def set_back(self, commit: str) -> None:
        self._git("reset", "-q", "--hard", commit)

    def _git(self, *arguments: str) -> str:
        settings = {
            "user.name": "T",
            "user.email": "t@t.example",
            "commit.gpgsign": "false",
            "gpg.format": "ssh",
            "user.signingkey": str(self._key),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = ["git", "-C", str(self.top), *options, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def upstream(workspace: Workspace) -> Upstream:
    return Upstream(workspace)


def test_a_branch_that_was_set_back_waits_for_an_approval(
    workspace: Workspace, upstream: Upstream
) -> None:
    older = upstream.commit(account("acme", "a.example"))
    two = upstream.commit(account("acme", "a.example", "b.example"))
    loop = workspace.start(upstream.url, *BRANCH)
    wait_until(lambda: len(workspace.domains()) == 2, "both domains")
    upstream.set_back(older)
    line = loop.wait_for_log("Account acme/acme is held back", two[:12])
    assert (line["code"], line["commit"]) == ("older-tree", older)
    assert set(workspace.domains()) == {"a.example", "b.example"}

    approved = workspace.sendroute("approve", "acme", "--auto-approve")
    assert approved.returncode == 0, approved.stderr
    wait_until(lambda: set(workspace.domains()) == {"a.example"}, "the removal")
    loop.wait_for_log("Account acme/acme is fully applied")
    # The older commit is the one applied last now, so what follows it needs no approval.
    wait_until(lambda: workspace.sql(RECORDED) == [(older,)], "the older commit")
    upstream.commit(account("acme", "c.example"))
    wait_until(lambda: set(workspace.domains()) == {"c.example"}, "the next commit")


@pytest.mark.parametrize("accounts", [("acme",), ("acme", "beta")])
def test_the_next_commit_after_an_approval_is_applied_before_the_next_full_round(
    workspace: Workspace, upstream: Upstream, accounts: tuple[str, ...]
) -> None:
    def tree(*names: str) -> str:
        return "---\n".join(
            account(key, *(f"{name}-{key}.example" for name in names)) for key in accounts
        )

    older = upstream.commit(tree("a"))
    upstream.commit(tree("a", "b"))
    loop = workspace.start(upstream.url, *RARELY)
    wait_until(lambda: len(workspace.domains()) == 2 * len(accounts), "every domain")
    upstream.set_back(older)
    for key in accounts:
        loop.wait_for_log(f"Account {key}/{key} is held back")
    for number, key in enumerate(accounts, 1):
        assert workspace.sql(RECORDED) != [(older,)], "another account is still held back"
        assert workspace.sendroute("approve", key, "--auto-approve").returncode == 0
        left = 2 * len(accounts) - number
        wait_until(lambda left=left: len(workspace.domains()) == left, "the removal")
    wait_until(lambda: workspace.sql(RECORDED) == [(older,)], "the older commit")
    upstream.commit(tree("c"))
    wait_until(lambda: "c-acme.example" in workspace.domains(), "the next commit")
    assert "a-acme.example" not in workspace.domains()


def test_an_older_commit_that_takes_nothing_back_is_the_one_applied_last(
    workspace: Workspace, upstream: Upstream
) -> None:
    older = upstream.commit(account("acme", "a.example"))
    upstream.commit(account("acme", "a.example") + "# A comment.\n")
    workspace.start(upstream.url, *RARELY)
    wait_until(lambda: workspace.sql(RECORDED) not in ([], [(older,)]), "the newer commit")
    upstream.set_back(older)
    wait_until(lambda: workspace.sql(RECORDED) == [(older,)], "the older commit")


def test_many_commits_between_two_polls_are_no_older_tree(
    workspace: Workspace, upstream: Upstream
) -> None:
    upstream.commit(account("acme", "a.example"))
    loop = workspace.start(upstream.url, *BRANCH)
    wait_until(lambda: set(workspace.domains()) == {"a.example"}, "the first domain")
    loop.stop()
    for _ in range(60):
        upstream.commit(account("acme", "b.example"))
    workspace.start(upstream.url, *BRANCH)
    wait_until(lambda: set(workspace.domains()) == {"b.example"}, "the newest domain")


def test_an_older_signed_commit_changes_nothing(workspace: Workspace, upstream: Upstream) -> None:
    signers = upstream.sign_from_now_on()
    older = upstream.commit(account("acme", "a.example", "b.example"))
    upstream.commit(account("acme", "a.example"))
    trust = ("--verify-signatures", "--allowed-signers", str(signers))
    loop = workspace.start(upstream.url, *BRANCH, *trust)
    wait_until(lambda: set(workspace.domains()) == {"a.example"}, "the domain")
    upstream.set_back(older)
    loop.wait_for_log("Account acme/acme is held back")
    loop.stop()
    assert set(workspace.domains()) == {"a.example"}, "an addition waits too"
    # The record is in the store: a new checkout does not know the newer commit.
    again = workspace.start(upstream.url, *BRANCH, *trust)
    again.wait_for_log("Account acme/acme is held back")
    assert set(workspace.domains()) == {"a.example"}


def test_a_signed_commit_of_another_repository_waits_for_an_approval(
    workspace: Workspace, upstream: Upstream
) -> None:
    """The same people sign there, for example for a test environment."""
    signers = upstream.sign_from_now_on()
    upstream.commit(account("acme"))
    trust = ("--verify-signatures", "--allowed-signers", str(signers))
    loop = workspace.start(upstream.url, *BRANCH, *trust)
    loop.wait_for_log("Serving commit")
    upstream.commit(account("acme", "a.example"))
    wait_until(lambda: set(workspace.domains()) == {"a.example"}, "the domain")
    wait_until(lambda: workspace.sql(REPOSITORY) != [(None,)], "the name of the repository")
    loop.stop()
    upstream.replace_by_another_repository()
    other = upstream.commit(account("acme", "a.example", "b.example"))
    loop = workspace.start(upstream.url, *BRANCH, *trust)
    loop.wait_for_log("Account acme/acme is held back", "another repository")
    assert set(workspace.domains()) == {"a.example"}

    assert workspace.sendroute("approve", "acme", "--auto-approve").returncode == 0
    wait_until(lambda: len(workspace.domains()) == 2, "the addition")
    wait_until(lambda: workspace.sql(RECORDED) == [(other,)], "the commit there")
    upstream.commit(account("acme", "a.example", "c.example"))
    wait_until(lambda: "c.example" in workspace.domains(), "the next commit")


def test_a_directory_that_lacks_the_commit_applied_last_is_held_back(
    workspace: Workspace, upstream: Upstream
) -> None:
    older = upstream.commit(account("acme", "a.example"))
    upstream.commit(account("acme", "a.example", "b.example"))
    applied = workspace.sendroute("apply", "up/m", "--auto-approve")
    assert applied.returncode == 0, applied.stdout
    upstream.set_back(older)
    workspace.start("up/m").wait_for_log("Account acme/acme is held back")
    assert set(workspace.domains()) == {"a.example", "b.example"}
