"""A tree that lacks a commit which was applied before undoes nothing."""

import json
import os
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from .conftest import PLATFORM, CommandResult, Program, account, domain, git, write

BASE = (account("acme"), domain("acme", "base.example", "{managed: {}}"))


class Clones:
    """A repository of manifests, whose base commit is applied, and its clones."""

    def __init__(self, workdir: Path, sendroute: Program) -> None:
        self._workdir, self._run = workdir, sendroute
        origin = workdir / "origin"
        write(origin / "m/platform.yaml", PLATFORM)
        self.commit("origin", *BASE, init=True)
        assert sendroute("init").status == 0
        assert self.apply("origin").status == 0

    def clone(self, name: str, *options: str) -> None:
        url = f"file://{self._workdir}/origin"
        git(self._workdir, "clone", "-q", *options, url, name)

    def commit(self, name: str, *documents: str, init: bool = False) -> str:
        """Commit the documents as the whole file of the account."""
        directory = self._workdir / name
        write(directory / "m/acme.yaml", *documents)
        if init:
            git(directory, "init", "-q", "-b", "main")
        git(directory, "add", "-A")
        git(directory, "commit", "-q", "--allow-empty", "-m", "a change")
        return git(directory, "rev-parse", "HEAD")

    def plan(self, name: str, *options: str) -> CommandResult:
        return self._run("plan", f"{name}/m", *options)

    def apply(self, name: str, *options: str) -> CommandResult:
        return self._run("apply", f"{name}/m", "--auto-approve", *options)

    def top(self, name: str) -> Path:
        return self._workdir / name

    def recorded(self) -> list[tuple[str]]:
        """The commits that were applied last."""
        with closing(sqlite3.connect(self._workdir / "sendroute.db")) as store:
            return store.execute("SELECT source_commit FROM applied_commit").fetchall()

    def domains(self) -> list[str]:
        rows = json.loads(self._run("routes", "-o", "json").out)["domains"]
        return [row["domain"] for row in rows]


@pytest.fixture
def clones(workdir: Path, sendroute: Program) -> Clones:
    return Clones(workdir, sendroute)


@pytest.fixture
def diverged(clones: Clones) -> Clones:
    """Two clones added a domain each, and that of bert was applied."""
    for name in ("anna", "bert"):
        clones.clone(name)
        clones.commit(name, *BASE, domain("acme", f"{name}.example", "{managed: {}}"))
    assert clones.apply("bert").status == 0
    return clones


def test_a_tree_without_the_commit_applied_last_removes_nothing(diverged: Clones) -> None:
    for result in (diverged.plan("anna"), diverged.apply("anna")):
        assert (result.status, "refused older-tree" in result.out) == (3, True)
        assert "--allow-older-tree" in result.out
    assert diverged.domains() == ["base.example", "bert.example"]


def test_an_older_tree_goes_through_if_it_is_allowed(diverged: Clones) -> None:
    assert diverged.plan("anna", "--allow-older-tree").status == 0
    assert diverged.apply("anna", "--allow-older-tree").status == 0
    assert diverged.domains() == ["anna.example", "base.example"]
    assert diverged.plan("anna").status == 0
    assert diverged.plan("bert").status == 3, "it lacks the commit that is applied last now"


def test_a_tree_that_contains_both_commits_is_applied(diverged: Clones, workdir: Path) -> None:
    git(workdir / "anna", "fetch", "-q", "../bert", "main")
    git(workdir / "anna", "reset", "-q", "--hard", "FETCH_HEAD")
    diverged.commit("anna", *BASE)
    assert diverged.apply("anna").status == 0
    assert diverged.domains() == ["base.example"]


def test_an_older_tree_that_only_adds_is_applied_and_leaves_the_newer_one_remembered(
    clones: Clones,
) -> None:
    clones.clone("anna")
    clones.commit("anna", *BASE, domain("acme", "anna.example", "{managed: {}}"))
    clones.commit("origin", *BASE)
    assert clones.apply("origin").status == 0, "a commit that changes nothing is remembered too"
    clones.clone("carl")
    assert clones.apply("anna").status == 0
    assert clones.domains() == ["anna.example", "base.example"]
    clones.commit("carl", account("acme"))
    assert clones.apply("carl").status == 3, "it lacks the commit of anna"


def test_a_reroute_and_a_changed_profile_count_as_taken_back(clones: Clones) -> None:
    clones.clone("anna")
    rerouted = (account("acme"), domain("acme", "base.example", "{unconfigured: {}}"))
    clones.commit("origin", *rerouted)
    assert clones.apply("origin").status == 0
    assert clones.apply("anna").status == 3
    assert clones.apply("anna", "--only", "acme").status == 3


def test_an_older_tree_does_not_forget_what_an_apply_all_switched(clones: Clones) -> None:
    """The newest tree would declare the route again, and end the apply-all's effect."""
    clones.commit("origin", account("acme"), domain("acme", "base.example"))
    clones.clone("old")
    switch = ", applyToAll: {id: one, route: {unconfigured: {}}, confirm: {domains: 1}}"
    for more in ("", switch):
        clones.commit("origin", account("acme", more=more), BASE[1])
        assert clones.apply("origin").status == 0
    result = clones.apply("old")
    assert result.status == 3
    assert "would change 1 object of account acme/acme" in result.out
    assert clones.plan("origin").out.strip().endswith("Plan: nothing to do.")


def test_an_older_tree_does_not_change_the_platform(clones: Clones, workdir: Path) -> None:
    clones.clone("anna")
    platform = workdir / "origin/m/platform.yaml"
    platform.write_text(PLATFORM.replace("relay.internal.example", "new.internal.example"))
    clones.commit("origin", *BASE)
    assert clones.apply("origin").status == 0
    result = clones.apply("anna")
    assert (result.status, "would change the platform" in " ".join(result.out.split())) == (3, True)
    assert clones.plan("origin", "--detailed-exitcode").status == 0, "it is unchanged"


def test_rewritten_history_is_refused(clones: Clones, workdir: Path) -> None:
    clones.commit("origin", *BASE, domain("acme", "new.example", "{managed: {}}"))
    assert clones.apply("origin").status == 0
    git(workdir / "origin", "reset", "-q", "--hard", "HEAD~1")
    clones.commit("origin", *BASE)
    assert clones.apply("origin").status == 3, "the commit is here, and is no ancestor"
    clones.clone("fresh")
    assert clones.apply("fresh").status == 3, "the commit is not here"


def test_a_branch_without_parents_is_of_the_same_repository(clones: Clones, workdir: Path) -> None:
    git(workdir / "origin", "checkout", "-q", "--orphan", "fresh")
    clones.commit("origin", account("acme"))
    refused = clones.plan("origin", "--max-remove-percent", "100")
    assert (refused.status, "older-tree" in refused.out) == (3, True), refused
    text = " ".join(refused.out.split())
    assert "which was applied last from this repository" in text
    assert "Use a checkout that contains that commit" in text


def test_a_shallow_clone_that_does_not_reach_the_commit_gets_a_warning(clones: Clones) -> None:
    clones.commit("origin", *BASE, domain("acme", "new.example", "{managed: {}}"))
    assert clones.apply("origin").status == 0
    clones.commit("origin", *BASE)
    clones.clone("shallow", "--depth=1")
    clones.clone("deep", "--depth=2")
    result = clones.plan("shallow")
    assert (result.status, "warning older-tree" in result.out) == (0, True)
    assert "git fetch --unshallow" in result.out
    assert "older-tree" not in clones.plan("deep").out, "it reaches the commit"
    assert clones.apply("shallow").status == 0


def test_another_repository_is_not_older(clones: Clones, workdir: Path) -> None:
    write(workdir / "other/m/platform.yaml", PLATFORM)
    clones.commit("other", account("acme"), init=True)
    assert clones.apply("other").status == 0
    assert clones.domains() == []


def test_uncommitted_edits_count_for_the_commit_below_them(diverged: Clones, workdir: Path) -> None:
    write(workdir / "bert/m/acme.yaml", *BASE)
    assert diverged.apply("bert").status == 0, "it contains the commit applied last"
    write(workdir / "anna/m/acme.yaml", account("acme"))
    assert diverged.apply("anna").status == 3


def test_a_saved_plan_keeps_whether_an_older_tree_is_allowed(
    diverged: Clones, sendroute: Program
) -> None:
    assert diverged.plan("anna", "--out", "refused.plan").status == 3
    assert diverged.plan("anna", "--allow-older-tree", "--out", "allowed.plan").status == 0
    assert sendroute("apply", "refused.plan").status == 3
    assert diverged.domains() == ["base.example", "bert.example"]
    assert sendroute("apply", "allowed.plan").status == 0
    assert diverged.domains() == ["anna.example", "base.example"]
    assert diverged.plan("bert").status == 3, "the commit of the saved plan is remembered"


@pytest.mark.parametrize("broken", ["owner", "program", "damage"])
def test_a_repository_that_git_cannot_read_is_not_taken_for_newer(
    diverged: Clones, workdir: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Of another owner, as in many containers; without git; with a damaged repository."""
    if broken == "owner":
        for path in (workdir / "anna", *(workdir / "anna").rglob("*")):
            os.chown(path, 65534, 65534, follow_symlinks=False)
    elif broken == "program":
        monkeypatch.setenv("PATH", str(workdir))
    else:
        (workdir / "anna/.git/HEAD").write_text("nothing\n")
    planned = diverged.plan("anna")
    assert (planned.status, "older-tree" in planned.out) == (3, True)
    assert diverged.apply("anna").status == 3
    assert "bert.example" in diverged.domains()
    assert diverged.apply("anna", "--allow-older-tree").status == 0
    assert diverged.domains() == ["anna.example", "base.example"]


def test_the_newest_commit_of_a_shallow_clone_is_of_its_own_repository(
    clones: Clones, workdir: Path, sendroute: Program
) -> None:
    """Which repository it is of cannot be known, but that of the other one is."""
    tenant = workdir / "tenant"
    write(tenant / "m/beta.yaml", account("beta"), domain("beta", "beta.example"))
    git(tenant, "init", "-q", "-b", "main")
    for number in range(3):
        git(tenant, "add", "-A")
        git(tenant, "commit", "-q", "--allow-empty", "-m", f"change {number}")
        git(workdir, "clone", "-q", "--depth", "1", f"file://{tenant}", f"clone{number}")
    assert sendroute("apply", "origin/m", "clone1/m", "--auto-approve").status == 0
    clones.commit("origin", BASE[0])
    result = sendroute("plan", "origin/m", "clone2/m", "--max-remove-percent", "100")
    assert (result.status, "warning older-tree" in result.out) == (0, True), result


@pytest.fixture
def two_repositories(clones: Clones, workdir: Path, sendroute: Program) -> Clones:
    """Another repository declares a second account; a clone of it lacks its newest commit."""
    write(workdir / "tenant/m/beta.yaml", account("beta"), domain("beta", "beta.example"))
    git(workdir / "tenant", "init", "-q", "-b", "main")
    git(workdir / "tenant", "add", "-A")
    git(workdir / "tenant", "commit", "-q", "-m", "first")
    git(workdir, "clone", "-q", f"file://{workdir}/tenant", "old")
    write(
        workdir / "tenant/m/beta.yaml",
        account("beta"),
        domain("beta", "beta.example"),
        domain("beta", "newer.example"),
    )
    git(workdir / "tenant", "commit", "-q", "-a", "-m", "second")
    assert sendroute("apply", "tenant/m", "origin/m", "--auto-approve").status == 0
    assert clones.domains() == ["base.example", "beta.example", "newer.example"]
    return clones


@pytest.mark.parametrize("paths", [("origin/m", "old/m"), ("old/m", "origin/m")])
def test_each_of_several_repositories_is_compared(
    two_repositories: Clones, sendroute: Program, paths: tuple[str, str]
) -> None:
    refused = sendroute("apply", *paths, "--auto-approve")
    assert (refused.status, "refused older-tree" in refused.out) == (3, True), refused
    assert "newer.example" in two_repositories.domains()
    files = ("origin/m/platform.yaml", "origin/m/acme.yaml", "old/m/beta.yaml")
    assert sendroute("apply", *files, "--auto-approve").status == 3
    assert sendroute("apply", *paths, "--auto-approve", "--allow-older-tree").status == 0
    assert two_repositories.domains() == ["base.example", "beta.example"]
    newer = sendroute("plan", "tenant/m", "origin/m", "--detailed-exitcode")
    assert newer.status == 2, "it contains the commits that are applied last now"


def test_a_directory_of_several_clones_is_compared_clone_by_clone(
    two_repositories: Clones, workdir: Path, sendroute: Program
) -> None:
    (workdir / "all").mkdir()
    for name in ("origin", "old"):
        (workdir / name).rename(workdir / "all" / name)
    refused = sendroute("apply", "all", "--auto-approve")
    assert (refused.status, "refused older-tree" in refused.out) == (3, True), refused
    assert "newer.example" in two_repositories.domains()


def test_a_submodule_is_as_old_as_the_commit_of_its_repository(
    two_repositories: Clones, workdir: Path, sendroute: Program
) -> None:
    """A newer commit may refer to an older one of the submodule again."""
    top = workdir / "origin"
    add = ("-c", "protocol.file.allow=always", "submodule", "add", "-q")
    git(top, *add, f"{workdir}/tenant", "m/tenant")
    git(top, "commit", "-q", "-m", "with the tenant")
    assert sendroute("apply", "origin/m", "--auto-approve").status == 0
    git(top / "m/tenant", "checkout", "-q", "HEAD~1")
    git(top, "commit", "-q", "-a", "-m", "the tenant as before")
    applied = sendroute("apply", "origin/m", "--auto-approve")
    assert applied.status == 0, applied.out
    assert two_repositories.domains() == ["base.example", "beta.example"]


def test_a_commit_that_is_applied_while_an_apply_waits_makes_its_tree_older(
    clones: Clones,
    process: Callable[..., "subprocess.CompletedProcess[str]"],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing of an account changed, so that only the commits tell."""
    clones.clone("revert")
    clones.commit("origin", account("acme"))
    git(clones.top("revert"), "fetch", "-q", "origin")
    git(clones.top("revert"), "reset", "-q", "--hard", "FETCH_HEAD")
    clones.commit("revert", *BASE)

    def confirm_later(*_: object, **__: object) -> None:
        newer = process("apply", "revert/m", "--auto-approve")
        assert newer.returncode == 0, newer.stderr

    with monkeypatch.context() as patch:
        patch.setattr("sendroute.cli.apply_plan.confirm_plan", confirm_later)
        result = clones.apply("origin")
    assert (result.status, "refused older-tree" in result.out) == (3, True), result
    assert clones.domains() == ["base.example"]
    assert clones.plan("revert", "--detailed-exitcode").status == 0, "it is the one applied last"
    assert clones.apply("origin", "--allow-older-tree").status == 0
    assert clones.domains() == []


def test_an_older_commit_that_is_applied_while_an_apply_waits_changes_nothing(
    clones: Clones,
    process: Callable[..., "subprocess.CompletedProcess[str]"],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clones.clone("middle")
    clones.commit("middle", *BASE)
    git(clones.top("origin"), "pull", "-q", "--no-rebase", "../middle", "main")
    newest = clones.commit("origin", account("acme"))

    def confirm_later(*_: object, **__: object) -> None:
        assert process("apply", "middle/m", "--auto-approve").returncode == 0

    monkeypatch.setattr("sendroute.cli.apply_plan.confirm_plan", confirm_later)
    assert clones.apply("origin").status == 0
    assert clones.domains() == []
    assert [row[0] for row in clones.recorded()] == [newest]


def test_an_older_clone_beside_a_newer_one_of_the_same_repository_is_older(
    clones: Clones, sendroute: Program
) -> None:
    two = [account("acme"), domain("acme", "base.example"), domain("acme", "new.example")]
    clones.commit("origin", *two)
    for name in ("one", "two"):
        clones.clone(name)
    paths = ("one/m/platform.yaml", "two/m/acme.yaml")
    assert sendroute("apply", *paths, "--auto-approve").status == 0
    git(clones.top("two"), "checkout", "-q", "HEAD~1")
    refused = sendroute("apply", *paths, "--auto-approve")
    assert (refused.status, "refused older-tree" in refused.out) == (3, True), refused
    assert clones.domains() == ["base.example", "new.example"]


def test_a_clone_that_stays_at_an_older_commit_beside_a_newer_one_is_not_older(
    clones: Clones, sendroute: Program
) -> None:
    """It was applied together with the newer one, so it needs nothing of that."""
    clones.clone("pinned")
    paths = ("pinned/m/platform.yaml", "origin/m/acme.yaml")
    clones.commit("origin", account("acme"), domain("acme", "base.example"))
    assert sendroute("apply", *paths, "--auto-approve", "--allow-older-tree").status == 0
    clones.commit("origin", account("acme"))
    applied = sendroute("apply", *paths, "--auto-approve")
    assert applied.status == 0, applied.out
    assert clones.domains() == []
    assert clones.apply("pinned").status in (0, 3)
    assert sendroute("plan", "pinned/m").status == 0, "it only adds"


def test_the_repository_of_a_file_that_a_link_leads_to_is_compared(
    two_repositories: Clones, workdir: Path, sendroute: Program
) -> None:
    (workdir / "origin/m/beta.yaml").symlink_to(workdir / "tenant/m/beta.yaml")
    assert sendroute("apply", "origin/m", "--auto-approve").status == 0
    git(workdir / "tenant", "checkout", "-q", "HEAD~1")
    refused = sendroute("apply", "origin/m", "--auto-approve")
    assert (refused.status, "refused older-tree" in refused.out) == (3, True), refused
    (workdir / "alone").mkdir()
    (workdir / "alone/beta.yaml").symlink_to(workdir / "tenant/m/beta.yaml")
    files = ("origin/m/platform.yaml", "origin/m/acme.yaml", "alone/beta.yaml")
    assert sendroute("plan", *files).status == 3
    assert "newer.example" in two_repositories.domains()


@pytest.mark.parametrize("damage", ["empty branch", "no branch", "no commit", "orphan"])
def test_a_head_that_leads_to_no_commit_is_not_taken_for_newer(
    diverged: Clones, workdir: Path, damage: str
) -> None:
    top = workdir / "anna"
    branch = top / ".git/refs/heads/main"
    commit = branch.read_text().strip()
    match damage:
        case "empty branch":
            branch.write_text("")
        case "no branch":
            branch.unlink()
        case "no commit":
            path = top / ".git/objects" / commit[:2] / commit[2:]
            path.chmod(0o600)
            path.write_bytes(b"")
        case _:
            git(top, "checkout", "-q", "--orphan", "fresh")
    for refused in (diverged.plan("anna"), diverged.apply("anna")):
        assert (refused.status, "refused older-tree" in refused.out) == (3, True), refused
    assert "bert.example" in diverged.domains()


def test_two_clones_of_one_repository_may_be_on_different_branches(
    clones: Clones, sendroute: Program
) -> None:
    clones.clone("tenants")
    paths = ("origin/m/platform.yaml", "tenants/m/acme.yaml")
    two = [account("acme"), domain("acme", "base.example"), domain("acme", "new.example")]
    git(clones.top("tenants"), "checkout", "-q", "-b", "tenants")
    for documents in (two, [account("acme"), domain("acme", "base.example")]):
        clones.commit("origin", *BASE)
        clones.commit("tenants", *documents)
        applied = sendroute("apply", *paths, "--auto-approve")
        assert applied.status == 0, applied.out
    assert clones.domains() == ["base.example"]
    git(clones.top("tenants"), "checkout", "-q", "HEAD~1")
    assert sendroute("apply", *paths, "--auto-approve").status == 0, "it only adds"
    assert len(clones.recorded()) == 2


def test_an_older_tree_that_only_adds_is_applied_although_it_got_older_meanwhile(
    clones: Clones,
    process: Callable[..., "subprocess.CompletedProcess[str]"],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clones.clone("newer")
    clones.commit("newer", *BASE)
    clones.commit("origin", *BASE, domain("acme", "more.example"))

    def confirm_later(*_: object, **__: object) -> None:
        assert process("apply", "newer/m", "--auto-approve").returncode == 0

    with monkeypatch.context() as patch:
        patch.setattr("sendroute.cli.apply_plan.confirm_plan", confirm_later)
        result = clones.apply("origin")
    assert result.status == 0, result.out
    assert clones.domains() == ["base.example", "more.example"]


@pytest.fixture
def late_job(clones: Clones) -> Clones:
    """A plan of a commit is saved, and then a late job applies the commit before it."""
    clones.clone("late")
    clones.commit("late", *BASE)
    git(clones.top("origin"), "pull", "-q", "--no-rebase", "../late", "main")
    clones.commit("origin", account("acme"))
    assert clones.plan("origin", "--out", "origin.plan").status == 0
    assert clones.apply("late").status == 0
    return clones


@pytest.mark.parametrize("repository", ["manifests", "working directory", "plan"])
def test_a_saved_plan_that_contains_a_commit_applied_after_it_is_applied(
    late_job: Clones,
    workdir: Path,
    sendroute: Program,
    monkeypatch: pytest.MonkeyPatch,
    repository: str,
) -> None:
    plan = workdir / "origin.plan"
    store = ("--store", f"sqlite:///{workdir}/sendroute.db")
    if repository != "manifests":
        (workdir / "origin").rename(workdir / "moved")
    if repository == "working directory":
        monkeypatch.chdir(workdir / "moved/m")
    elif repository == "plan":
        plan = plan.rename(workdir / "moved/origin.plan")
    applied = sendroute(*store, "apply", str(plan), "--auto-approve")
    assert applied.status == 0, applied.out
    top = workdir / ("origin" if repository == "manifests" else "moved")
    assert [row[0] for row in late_job.recorded()] == [git(top, "rev-parse", "HEAD")]
    rows = json.loads(sendroute(*store, "routes", "-o", "json").out)["domains"]
    assert rows == []


def test_a_saved_plan_without_its_repository_is_not_taken_for_newer(
    late_job: Clones, workdir: Path, sendroute: Program
) -> None:
    """The message says only what is known, and planning again helps."""
    (workdir / "origin").rename(workdir / "moved")
    refused = sendroute("apply", "origin.plan", "--auto-approve")
    text = " ".join(refused.out.split())
    assert (refused.status, "refused older-tree" in text) == (3, True), refused
    assert "does not contain" not in text
    assert "applied after the plan was saved, and the repository of the plan is not here" in text
    assert "Plan again, from a checkout of that repository" in text
    assert late_job.domains() == ["base.example"]
    assert late_job.apply("moved").status == 0
    assert late_job.domains() == []


def test_a_saved_plan_without_its_repository_is_applied_if_it_is_allowed(
    late_job: Clones, workdir: Path, sendroute: Program
) -> None:
    (workdir / "origin").rename(workdir / "moved")
    allowed = ("apply", "origin.plan", "--auto-approve", "--allow-older-tree")
    assert sendroute(*allowed).status == 0
    assert late_job.domains() == []
    head = git(workdir / "moved", "rev-parse", "HEAD")
    assert [row[0] for row in late_job.recorded()] == [head]


def test_a_saved_plan_that_lacks_a_commit_applied_after_it_is_older(
    clones: Clones, sendroute: Program
) -> None:
    clones.clone("newer")
    clones.commit("newer", *BASE, domain("acme", "more.example", "{unconfigured: {}}"))
    clones.commit("origin", account("acme"))
    assert clones.plan("origin", "--out", "origin.plan").status == 0
    clones.commit("newer", *BASE)
    assert clones.apply("newer").status == 0
    refused = sendroute("apply", "origin.plan", "--auto-approve")
    text = " ".join(refused.out.split())
    assert (refused.status, "and it does not contain commit" in text) == (3, True), refused
    assert clones.domains() == ["base.example"]
