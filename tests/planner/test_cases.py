"""The rules of the routing page as cases in files: trees, and the plan that the last one must give.

A case is a folder of ``tests/cases/plans`` named by a sentence. Its trees are applied one after
the other: ``before`` and ``after``, or ``1-…``, ``2-…``, each one file or a folder of files. The
shared ``platform.yaml`` belongs to every tree that has no MailPlatform of its own.
``failing.txt`` names the profiles whose connection test fails, ``NAMESPACE/ACCOUNT PROFILE`` a
line, in the last tree or in the one whose number stands before; ``rotated.txt``, written alike,
those whose secret has another content. ``expected.txt`` is written by hand from the page;
``--rewrite-cases`` writes it anew, for a difference that was reviewed.
"""

import re
import shutil
from pathlib import Path

import pytest
from tests.planner.committed import committed

from sendroute.manifests.compile import compile_reading
from sendroute.manifests.read import Reading
from sendroute.manifests.sources import Files
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
from sendroute.planner.plan import plan_tree

PLANS = Path(__file__).parent.parent / "cases" / "plans"
CASES = sorted(folder.name for folder in PLANS.iterdir() if folder.is_dir())
# Advice, and what is told of testing, is no decision of the page.
NOT_SHOWN = {"profile-unused", "connection-test-failed", "connection-not-tested"}

Profiles = dict[AccountKey, set[str]]


def read_tree(path: Path) -> Desired:
    return compile_reading(Reading(Files([str(path)])))


def trees(case: Path) -> list[Path]:
    """The trees of a case in their order."""
    found = [entry for entry in case.iterdir() if entry.is_dir() or entry.suffix == ".yaml"]
    return sorted(found, key=lambda entry: (entry.stem == "after", entry.stem))


def staged(tree: Path, folder: Path) -> Path:
    """A copy of one tree as a folder, with a platform."""
    if tree.is_dir():
        shutil.copytree(tree, folder)
    else:
        folder.mkdir()
        shutil.copy(tree, folder)
    if not any("kind: MailPlatform" in file.read_text("utf-8") for file in folder.iterdir()):
        shutil.copy(PLANS / "platform.yaml", folder)
    return folder


def listed(path: Path, number: int, last: int) -> Profiles:
    """The profiles that a file names for the tree of that number, counted from 1."""
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


def shown(plan: Plan, desired: Desired) -> list[str]:
    """A plan as lines: its changes, its findings, the accounts that it leaves as they are."""
    lines = [] if plan.platform is None else [f"{plan.platform.action} platform default"]
    findings = [*desired.findings, *plan.findings]
    for account in plan.accounts:
        lines += [line_of(change) for change in account.changes]
        lines += [f"stopped {account.key}"] if account.stopped else []
        findings += account.findings
    for found in findings:
        whose = f" [{found.namespace}/{found.account}]" if found.account else ""
        if found.code not in NOT_SHOWN:
            lines.append(f"{found.severity} {found.code}{whose}")
    return sorted(set(lines))


def line_of(change: Change) -> str:
    match change:
        case AccountChange():
            ran = "" if change.ran is None else f": ran {change.ran[0]}"
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
        came = "" if before.route == after.route else f"{before.route} -> "
        return f"{change.action} {change.name}: {came}{after.route} [{after.origin}]"
    if after is not None:
        return f"{change.action} {change.name}: {after.route} [{after.origin}]"
    assert before is not None
    return f"{change.action} {change.name}: {before.route}"


@pytest.mark.parametrize("name", CASES)
def test_a_case_gives_the_plan_beside_it(name: str, tmp_path: Path, rewrite_cases: bool) -> None:
    case = PLANS / name
    current = Current(lineage="case", revision=0, platform=None, accounts={})
    steps = trees(case)
    lines: list[str] = []
    for number, tree in enumerate(steps, start=1):
        desired = read_tree(staged(tree, tmp_path / str(number)))
        failing = listed(case / "failing.txt", number, len(steps))
        rotated = listed(case / "rotated.txt", number, len(steps))
        plan = plan_tree(
            desired,
            current,
            failed={
                key: dict.fromkeys(names, "connection-test-failed")
                for key, names in failing.items()
            },
            rotated={key: frozenset(names) for key, names in rotated.items()},
        )
        lines = shown(plan, desired)
        current = committed(current, plan)
    expected = case / "expected.txt"
    if rewrite_cases:
        expected.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    assert lines == sorted(expected.read_text("utf-8").splitlines())


def test_every_case_is_whole() -> None:
    assert len(CASES) >= 45
    for name in CASES:
        assert trees(PLANS / name), name
        assert (PLANS / name / "expected.txt").exists(), name
