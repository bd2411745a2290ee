"""A directory that is in the middle of a change: what cannot be undone waits until it settles."""

import re
import subprocess
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from threading import Event, Thread

import pytest

from sendroute.following.directory import DirectoryFollower
from sendroute.following.follower import SourceSnapshot
from sendroute.loop.served_trees import ServedTrees
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.finding import no_positions
from sendroute.reconcile.reconciler import DesiredTree
from sendroute.runtime.stop import Stop

from .conftest import LoopProcess, Workspace, account, replace, wait_until

DOMAINS = ("a.example.com", "b.example.com", "c.example.com")
WAITS = "cannot be undone waits"


def stored(workspace: Workspace) -> list[tuple[object, ...]]:
    """The rows of acme's domains: a domain that is created again has another one."""
    return workspace.sql("select * from domain where name in (?, ?, ?) order by name", *DOMAINS)


def by_default(name: str, domain: str) -> str:
    """An account and a domain without a route of its own."""
    return account(name, domain).replace("  route: {managed: {}}\n", "")


def started(workspace: Workspace, settle: str) -> tuple[LoopProcess, Path, str]:
    """A loop that has applied acme's domains, the file that declares them, and its text."""
    documents = account("acme", *DOMAINS).split("---\n")
    workspace.write_manifest("acme", documents[0])
    path = workspace.manifests / "domains.yaml"
    text = "---\n".join(documents[1:])
    path.write_text(text)
    loop = workspace.start("--settle-destructive", settle)
    wait_until(lambda: len(stored(workspace)) == len(DOMAINS), "the first tree")
    return loop, path, text


@pytest.mark.parametrize("parts", [1, 0], ids=["a part of the file", "an empty file"])
def test_a_half_written_file_removes_nothing(workspace: Workspace, parts: int) -> None:
    loop, path, text = started(workspace, "5s")
    before = stored(workspace)
    path.write_text("---\n".join(text.split("---\n")[:parts]))
    if parts:  # an empty file is a finding, with which nothing is removed at all
        loop.wait_for_log(WAITS, "acme/acme")
    workspace.write_manifest("other", account("other", "d.example.com"))
    wait_until(lambda: "d.example.com" in workspace.domains(), "what can be undone")
    time.sleep(1)
    path.write_text(text)
    time.sleep(5)
    assert stored(workspace) == before
    assert not loop.logged("drift")
    assert len(loop.logged(WAITS)) <= 1
    assert loop.stop() == 0


def test_what_waited_is_applied_when_the_directory_has_settled(workspace: Workspace) -> None:
    loop, path, text = started(workspace, "2s")
    begin = time.monotonic()
    path.write_text(text.split("---\n")[0])
    workspace.write_manifest("new", by_default("new", "d.example.com"))
    wait_until(lambda: len(stored(workspace)) == 1, "the removal")
    wait_until(lambda: "d.example.com" in workspace.domains(), "the new domain")
    assert time.monotonic() - begin >= 2
    assert not loop.logged("restored")
    assert loop.stop() == 0


def test_a_directory_that_keeps_changing_is_reported(workspace: Workspace) -> None:
    loop, path, text = started(workspace, "2s")
    before = stored(workspace)
    path.write_text(text.split("---\n")[0])

    stop = Event()

    def write() -> None:
        """Never the same content twice: two polls that saw the same would count it as settled."""
        parts = text.split("---\n")
        for number in count():
            if stop.wait(0.1):
                return
            replace(path, "\n" * number + "---\n".join(parts[: 1 + number % 2]))

    writer = Thread(target=write)
    writer.start()
    try:
        loop.wait_for_log("of their account have not changed for 2 s")
        findings = wait_until(lambda: workspace.status()["sources"][0]["findings"], "the status")
        assert "A part of the newest tree is not applied" in workspace.sendroute("status").stdout
        assert stored(workspace) == before
    finally:
        stop.set()
        writer.join()
    assert [entry["code"] for entry in findings] == ["directory-changing"]
    path.write_text(text.split("---\n")[0])
    loop.wait_for_log("No change waits for the directory any more.")
    wait_until(lambda: len(stored(workspace)) == 1, "the removal")
    wait_until(lambda: not workspace.status()["sources"][0]["findings"], "the end")
    assert loop.stop() == 0


def test_other_accounts_do_not_wait_for_a_file_that_keeps_changing(workspace: Workspace) -> None:
    """Nor for one that is written again with the same content."""
    loop, path, text = started(workspace, "1s")
    stop = Event()

    def write() -> None:
        number = 0
        while not stop.wait(0.2):
            number += 1
            workspace.write_manifest("busy", account("busy", f"n{number % 2}.example.com"))
            replace(path, text)

    writer = Thread(target=write)
    writer.start()
    try:
        workspace.write_manifest("new", by_default("new", "d.example.com"))
        wait_until(lambda: "d.example.com" in workspace.domains(), "the new domain")
    finally:
        stop.set()
        writer.join()
    assert loop.stop() == 0


def test_what_waits_outlasts_a_tree_that_cannot_be_used(workspace: Workspace) -> None:
    """The half-written tree is the last good one, but nobody saw it settle."""
    loop, path, text = started(workspace, "1s")
    before = stored(workspace)
    path.write_text(text.split("---\n")[0])
    loop.wait_for_log(WAITS)
    platform = workspace.manifests / "platform.yaml"
    good = platform.read_text()
    platform.write_text("")
    time.sleep(2.5)
    assert stored(workspace) == before
    path.write_text(text)
    platform.write_text(good)
    loop.wait_for_log("The newest tree is served again.")
    time.sleep(1.5)
    assert stored(workspace) == before
    assert loop.stop() == 0


def assert_removed_only_for_good(
    loop: LoopProcess,
    workspace: Workspace,
    path: Path,
    text: str,
    before: list[tuple[object, ...]],
    *,
    left: int,
) -> None:
    """A file is gone now. If it comes back in time nothing was removed; otherwise ``left`` of
    acme's domains stay."""
    loop.wait_for_log(WAITS, "acme/acme")
    assert stored(workspace) == before
    path.write_text(text)
    time.sleep(6)
    assert stored(workspace) == before
    path.unlink()
    wait_until(lambda: len(stored(workspace)) == left, "the removal")
    assert loop.stop() == 0


def test_what_could_not_be_read_may_vanish_only_when_that_settled(workspace: Workspace) -> None:
    """A writer that empties a file, and then replaces it; or a stale mount that is unmounted."""
    loop, path, text = started(workspace, "5s")
    before = stored(workspace)
    path.write_text("")
    loop.wait_for_log("empty")
    time.sleep(6)
    path.unlink()
    assert_removed_only_for_good(loop, workspace, path, text, before, left=0)


def test_a_claim_of_another_account_may_vanish_only_when_that_settled(workspace: Workspace) -> None:
    """A domain that waits to move stays because of the document of the account to move to."""
    documents = account("acme", *DOMAINS).split("---\n")
    workspace.write_manifest("acme", "---\n".join(documents[:-1]))
    moving = workspace.manifests / "moving.yaml"
    moving.write_text(documents[-1])
    other = account("acme").replace("name: acme,", "name: other,")
    workspace.write_manifest("other", other.replace("spec: {", "spec: {suspend: true, "))
    applied = workspace.sendroute("apply", "manifests", "--auto-approve")
    assert applied.returncode == 0, applied.stderr
    moving.write_text(documents[-1].replace("account: acme", "account: other"))
    loop = workspace.start("--settle-destructive", "5s")
    wait_until(lambda: "c.example.com waits" in workspace.sendroute("status").stdout, "the wait")
    time.sleep(6)
    before = stored(workspace)
    text = moving.read_text()
    moving.unlink()
    loop.wait_for_log("Serving the directory", "2 domains")
    assert_removed_only_for_good(loop, workspace, moving, text, before, left=2)


class OneState(DirectoryFollower):
    """A directory that has had one state since now."""

    def __init__(self) -> None:
        super().__init__("m")
        self._state = SourceSnapshot("m", None, "same", changed_at=time.monotonic())

    def poll(self, should_stop: Callable[[], bool]) -> SourceSnapshot:  # noqa: ARG002
        return self._state

    def unchanged(self, snapshot: SourceSnapshot) -> bool:
        return snapshot is self._state


def test_what_settled_makes_one_poll_new() -> None:
    """A round that fails is repeated with its own delay, and not with every poll."""
    key = AccountKey("acme", "acme")
    tree = DesiredTree.of(Desired(None, {}), None, no_positions)
    trees = ServedTrees(OneState(), lambda _: tree, Stop(), settle=0.1)
    assert trees.poll(), "the tree is new"
    (candidate,) = trees.candidates()
    assert not trees.is_settled(candidate, key)
    trees.adopt(candidate, frozenset({key}))
    time.sleep(0.15)
    assert [trees.poll() for _ in range(3)] == [True, False, False]
    assert trees.is_settled(candidate, key)


def test_a_directory_that_settled_before_the_start_does_not_wait(workspace: Workspace) -> None:
    workspace.write_manifest("acme", by_default("acme", "a.example.com"))
    time.sleep(1.2)
    loop = workspace.start("--settle-destructive", "1s")
    wait_until(workspace.domains, "the domain")
    assert not loop.logged(WAITS)
    assert loop.stop() == 0


def test_a_commit_does_not_wait(workspace: Workspace) -> None:
    workspace.write_manifest("acme", by_default("acme", "a.example.com"))
    git = ("git", "-C", "manifests", "-c", "user.name=x", "-c", "user.email=x@example.com")
    for words in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-q", "-m", "x")):
        subprocess.run([*git, *words], cwd=workspace.directory, check=True)
    url = f"file://{workspace.manifests}"
    loop = workspace.start(url, "--branch", "main", "--settle-destructive", "1h")
    wait_until(workspace.domains, "the domain")
    assert loop.stop() == 0


def applied(workspace: Workspace, *domains: str) -> Path:
    """The file of acme's account, with its last line a field of the account; these domains are
    applied."""
    workspace.write_manifest("acme", account("acme"))
    for domain in domains:
        document = account("acme", domain).split("---\n")[1]
        workspace.write_manifest(domain.partition(".")[0], document)
    done = workspace.sendroute("apply", "manifests", "--auto-approve")
    assert done.returncode == 0, done.stderr
    return workspace.manifests / "acme.yaml"


def assert_half_of_the_file_changes_nothing(
    workspace: Workspace, path: Path, what_changes: str
) -> None:
    """The file is written again with the same content, and without its last line at first."""
    loop = workspace.start("--settle-destructive", "5s")
    loop.wait_for_log("Serving the directory")
    time.sleep(6)
    before = workspace.sendroute("routes", "-o", "json").stdout
    text = path.read_text()
    path.write_text(text[: text.rstrip("\n").rindex("\n") + 1])
    loop.wait_for_log(what_changes)
    assert workspace.sendroute("routes", "-o", "json").stdout == before
    path.write_text(text)
    time.sleep(6)
    assert workspace.sendroute("routes", "-o", "json").stdout == before
    assert loop.stop() == 0


def test_half_of_a_file_does_not_end_the_suspension_of_an_account(workspace: Workspace) -> None:
    path = applied(workspace, "a.example.com")
    path.write_text(
        path.read_text().replace("spec: {plan: pro}", "spec:\n  plan: pro\n  suspend: true")
    )
    domain = workspace.manifests / "a.yaml"
    domain.write_text(domain.read_text().replace("managed", "unconfigured"))
    assert_half_of_the_file_changes_nothing(workspace, path, WAITS)


def test_an_error_in_between_does_not_end_a_suspension(workspace: Workspace) -> None:
    """What is suspended is not known of a file with errors."""
    path = applied(workspace, "a.example.com")
    text = path.read_text().replace("spec: {plan: pro}", "spec:\n  plan: pro\n  suspend: true")
    path.write_text(text)
    domain = workspace.manifests / "a.yaml"
    domain.write_text(domain.read_text().replace("managed", "unconfigured"))
    loop = workspace.start("--settle-destructive", "4s")
    loop.wait_for_log("Serving the directory")
    before = workspace.sendroute("routes", "-o", "json").stdout
    path.write_text(text + "  suspnd: true\n")
    loop.wait_for_log("suspnd")
    time.sleep(6)
    path.write_text(text.replace("  suspend: true\n", ""))
    loop.wait_for_log(WAITS)
    assert workspace.sendroute("routes", "-o", "json").stdout == before
    path.write_text(text)
    time.sleep(5)
    assert workspace.sendroute("routes", "-o", "json").stdout == before
    path.write_text(text.replace("  suspend: true\n", ""))
    wait_until(lambda: "unconfigured" in workspace.sendroute("routes").stdout, "the end")
    assert loop.stop() == 0


def test_half_of_a_file_at_the_start_does_not_end_a_suspension(workspace: Workspace) -> None:
    path = applied(workspace, "a.example.com")
    text = path.read_text().replace("spec: {plan: pro}", "spec:\n  plan: pro\n  suspend: true")
    domain = workspace.manifests / "a.yaml"
    domain.write_text(domain.read_text().replace("managed", "unconfigured"))
    before = workspace.sendroute("routes", "-o", "json").stdout
    path.write_text(text.replace("  suspend: true\n", ""))
    loop = workspace.start("--settle-destructive", "6s")
    loop.wait_for_log(WAITS)
    path.write_text(text)
    time.sleep(7)
    assert workspace.sendroute("routes", "-o", "json").stdout == before
    assert loop.stop() == 0


def test_half_of_a_file_does_not_end_the_suspension_of_a_domain(workspace: Workspace) -> None:
    applied(workspace, "a.example.com")
    domain = workspace.manifests / "a.yaml"
    domain.write_text(domain.read_text().replace("managed", "unconfigured") + "  suspend: true\n")
    assert_half_of_the_file_changes_nothing(workspace, domain, WAITS)


def test_half_of_a_file_does_not_end_the_suspension_of_the_platform(workspace: Workspace) -> None:
    applied(workspace, "a.example.com")
    platform = workspace.manifests / "platform.yaml"
    text = platform.read_text().replace("relay.internal", "new-relay.internal")
    platform.write_text(text + "  suspend: true\n")
    assert_half_of_the_file_changes_nothing(workspace, platform, "The platform waits")
    relay = workspace.sql("select * from platform")
    assert "new-relay" not in repr(relay)


def test_half_of_a_file_does_not_end_a_shadow(workspace: Workspace) -> None:
    """A shadowed domain that declares nothing for a moment would then declare its route again."""
    path = applied(workspace, "a.example.com")
    switch = "applyToAll: {id: one, route: {unconfigured: {}}, confirm: {domains: 1}}"
    path.write_text(path.read_text().replace("plan: pro", f"plan: pro, {switch}"))
    done = workspace.sendroute("apply", "manifests", "--auto-approve")
    assert done.returncode == 0, done.stderr
    assert_half_of_the_file_changes_nothing(workspace, workspace.manifests / "a.yaml", WAITS)


def test_the_platform_keeps_managed_until_no_domain_takes_it(workspace: Workspace) -> None:
    applied(workspace, "a.example.com")
    loop = workspace.start("--settle-destructive", "3s")
    loop.wait_for_log("Serving the directory")
    platform = workspace.manifests / "platform.yaml"
    text = platform.read_text()
    without = re.sub(r"  managed:\n(    .*\n)+", "", text).replace(
        "managed: true", "managed: false"
    )
    replace(platform, without)
    loop.wait_for_log("The platform waits", "3 s")
    explained = workspace.sendroute("explain", "a.example.com").stdout
    assert "relay.internal.example:587" in explained
    wait_until(lambda: "reassigned" in workspace.sendroute("routes").stdout, "the reassignment")
    assert loop.stop() == 0


def test_what_only_a_waiting_platform_allows_waits_with_it(workspace: Workspace) -> None:
    applied(workspace, "a.example.com")
    loop = workspace.start("--settle-destructive", "3s")
    loop.wait_for_log("Serving the directory")
    platform = workspace.manifests / "platform.yaml"
    text = platform.read_text().replace(
        "- {name: pro, managed: true}", "- {name: gold, managed: true}"
    )
    replace(platform, text)
    workspace.write_manifest("acme", account("acme", plan="gold"))
    loop.wait_for_log("The platform waits", "3 s")
    wait_until(lambda: "gold" in repr(workspace.sql("select * from account")), "the new plan")
    assert not loop.logged("failed")
    assert loop.stop() == 0
