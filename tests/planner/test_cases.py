"""The routing rules as cases in files: trees, and the expected plan of the last tree.

A case is a directory in ``tests/cases/plans``, named by the rule that it shows. Its trees are
applied one after the other: ``before`` and ``after``, or ``1-…``, ``2-…``; each is a file or a
directory of files. ``platform.yaml`` is added to every tree that has no MailPlatform.
``failing.txt`` lists the profiles whose connection test fails, one ``NAMESPACE/ACCOUNT PROFILE``
per line; a number in front of a line gives the tree, without it the last tree is meant.
``rotated.txt`` has the same format and lists the profiles whose secret has new content.
``expected.txt`` is written by hand from docs/rules.md. After the difference was reviewed,
``--rewrite-cases`` writes it again.
"""

import re
import shutil
from pathlib import Path

import pytest
from tests.planner.committed import committed

from sendroute.manifests.compile import compile_reading
from sendroute.manifests.read import TreeReading
from sendroute.manifests.sources import FileSource
from sendroute.model.change import (
    AccountChange,
    Action,
    Change,
    DomainChange,
    Plan,
    PlatformChange,
    ProfileChange,
)
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.secret import Resave
from sendroute.planner.plan import plan_tree

PLANS = Path(__file__).parent.parent / "cases" / "plans"
CASES = sorted(directory.name for directory in PLANS.iterdir() if directory.is_dir())
# Codes of advice and of connection tests, which the routing rules do not decide.
NOT_SHOWN = {"profile-unused", "connection-test-failed", "connection-not-tested"}

Profiles = dict[AccountKey, set[str]]


def read_tree(path: Path) -> Desired:
    return compile_reading(TreeReading(FileSource([str(path)])))


def trees(case: Path) -> list[Path]:
    """The trees of a case in the order in which they are applied."""
    entries = [entry for entry in case.iterdir() if entry.is_dir() or entry.suffix == ".yaml"]
    return sorted(entries, key=lambda entry: (entry.stem == "after", entry.stem))


def tree_with_platform(tree: Path, directory: Path) -> Path:
    """Copy a tree to a new directory, with a platform."""
    if tree.is_dir():
        shutil.copytree(tree, directory)
    else:
        directory.mkdir()
        shutil.copy(tree, directory)
    if not any("kind: MailPlatform" in file.read_text("utf-8") for file in directory.iterdir()):
        shutil.copy(PLANS / "platform.yaml", directory)
    return directory


def profiles_in(path: Path, number: int, last: int) -> Profiles:
    """The profiles that a file lists for a tree, by the tree's number, counted from 1."""
    if not path.exists():
        return {}
    names: Profiles = {}
    for line in path.read_text("utf-8").splitlines():
        match = re.fullmatch(r"(?:(\d+) )?(\S+)/(\S+) (\S+)", line)
        assert match, line
        if int(match[1] or last) == number:
            key = AccountKey(match[2], match[3])
            names.setdefault(key, set()).add(match[4])
    return names


def plan_lines(plan: Plan, desired: Desired) -> list[str]:
    """A plan as lines: its changes, its findings, the accounts that it stops and the declared
    routes that remain shadowed."""
    lines = [] if plan.platform is None else [f"{plan.platform.action} platform default"]
    findings = [*desired.findings, *plan.findings]
    for account in plan.accounts:
        lines += [line_of(change) for change in account.changes]
        lines += [f"stopped {account.key}"] if account.stopped else []
        lines += [f"shadowed {item.domain}: {item.declared}" for item in account.shadowed]
        findings += account.findings
    for finding in findings:
        account_key = f" [{finding.namespace}/{finding.account}]" if finding.account else ""
        if finding.code not in NOT_SHOWN:
            lines.append(f"{finding.severity} {finding.code}{account_key}")
    return sorted(set(lines))


def line_of(change: Change) -> str:
    match change:
        case AccountChange():
            ran = "" if change.completed is None else f": ran {change.completed[0]}"
            return f"{change.action} account {change.account}{ran}"
        case ProfileChange():
            return f"{change.action} profile {change.name}"
        case PlatformChange():
            return f"{change.action} platform {change.name}"
        case DomainChange():
            return domain_line(change)


def domain_line(change: DomainChange) -> str:
    before, after = change.before, change.after
    if change.action is Action.SKIP:
        return f"skip {change.name}"
    if before is not None and after is not None:
        old_route = "" if before.route == after.route else f"{before.route} -> "
        return f"{change.action} {change.name}: {old_route}{after.route} [{after.origin}]"
    if after is not None:
        return f"{change.action} {change.name}: {after.route} [{after.origin}]"
    assert before is not None
    return f"{change.action} {change.name}: {before.route}"


@pytest.mark.parametrize("name", CASES)
def test_the_last_tree_of_a_case_gives_the_expected_plan(
    name: str, tmp_path: Path, rewrite_cases: bool
) -> None:
    case = PLANS / name
    current = Current(lineage="case", revision=0, platform=None, accounts={})
    steps = trees(case)
    lines: list[str] = []
    for number, tree in enumerate(steps, start=1):
        desired = read_tree(tree_with_platform(tree, tmp_path / str(number)))
        failing = profiles_in(case / "failing.txt", number, len(steps))
        rotated = profiles_in(case / "rotated.txt", number, len(steps))
        plan = plan_tree(
            desired,
            current,
            failed={
                key: dict.fromkeys(names, "connection-test-failed")
                for key, names in failing.items()
            },
            rotated={key: dict.fromkeys(names, Resave.ROTATED) for key, names in rotated.items()},
        )
        lines = plan_lines(plan, desired)
        current = committed(current, plan)
    expected = case / "expected.txt"
    if rewrite_cases:
        expected.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    assert lines == sorted(expected.read_text("utf-8").splitlines())


def test_every_case_has_trees_and_an_expected_plan() -> None:
    assert len(CASES) >= 45
    for name in CASES:
        assert trees(PLANS / name), name
        assert (PLANS / name / "expected.txt").exists(), name
