"""A bug that the content of one file, document or account leads to stops nothing else."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sendroute.manifests import content, fast, locate, piecewise
from sendroute.manifests.compile import Compilation
from sendroute.manifests.tree import LoadedTree, read_tree
from sendroute.model.change import AccountPlan, Plan
from sendroute.model.current import AccountState, Current, CurrentAccount, DomainState
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Position
from sendroute.model.route import UNCONFIGURED, Origin
from sendroute.planner import dependent_accounts
from sendroute.planner.plan import plan_tree

PLATFORM = """\
apiVersion: sendroute.dev/v1alpha1
kind: MailPlatform
metadata: {name: default}
spec: {plans: [{name: nano, managed: false}]}
"""
ACCOUNT = """\
---
apiVersion: sendroute.dev/v1alpha1
kind: MailAccount
metadata: {{name: {name}, namespace: {name}}}
spec: {{plan: nano}}
"""
DOMAIN = """\
---
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {{name: {name}, namespace: {account}}}
spec: {{account: {account}, domain: {name}.example.com{fields}}}
"""
CANARY = "canary-password"


class PanicException(BaseException):
    """What PyO3 raises for a panic of a library in Rust."""


def fails(error: BaseException, on: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A function that raises an error if an argument contains a text."""

    def wrap(real: Callable[..., Any]) -> Callable[..., Any]:
        def failing(*arguments: Any, **named: Any) -> Any:
            if any(on in str(argument) for argument in arguments):
                raise error
            return real(*arguments, **named)

        return failing

    return wrap


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two accounts, and one more domain of each in a file of its own."""
    (tmp_path / "platform.yaml").write_text(PLATFORM)
    for name in ("acme", "zeta"):
        text = ACCOUNT.format(name=name) + DOMAIN.format(name=f"{name}1", account=name, fields="")
        (tmp_path / f"{name}.yaml").write_text(text)
        more = DOMAIN.format(name=f"{name}2", account=name, fields="")
        (tmp_path / f"{name}-more.yaml").write_text(more)
    return tmp_path


def stored(key: AccountKey, *domains: str) -> CurrentAccount:
    known = dict.fromkeys(domains, DomainState(UNCONFIGURED, Origin.DEFAULT))
    return CurrentAccount(key, 1, AccountState("nano"), domains=known)


def planned(loaded: LoadedTree, *accounts: CurrentAccount) -> Plan:
    current = Current("lineage", 1, None, {account.key: account for account in accounts})
    return plan_tree(loaded.desired, current)


def of(plan: Plan, name: str) -> AccountPlan:
    return next(account for account in plan.accounts if account.key.name == name)


def bugs(loaded: LoadedTree) -> list[Finding]:
    return [item for item in loaded.desired.findings if item.code == "internal-error"]


ERRORS = [
    KeyError(CANARY),
    RecursionError(CANARY),
    AssertionError(),
    PanicException(CANARY),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_bug_is_a_finding_of_the_file_that_leads_to_it(
    tree: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr(fast, "read", fails(error, "acme2")(fast.read))
    loaded = read_tree([str(tree)])
    (bug,) = bugs(loaded)
    path = str(tree / "acme-more.yaml")
    assert bug.message.startswith(f"The file {path} cannot be read because of a bug in Sendroute: ")
    assert re.search(
        rf"{type(error).__name__} at sendroute\.manifests\.content:\d+\.$", bug.message
    )
    assert CANARY not in repr(bug)
    assert bug in loaded.desired.unread


def test_a_bug_removes_nothing_and_stops_no_other_account(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast, "read", fails(KeyError(), "acme2")(fast.read))
    plan = planned(
        read_tree([str(tree)]),
        stored(AccountKey("acme", "acme"), "acme1.example.com", "acme2.example.com"),
        stored(AccountKey("zeta", "zeta"), "zeta1.example.com"),
    )
    assert of(plan, "acme").stopped
    assert [item.code for item in of(plan, "acme").findings] == ["held-back"]
    assert [change.name for change in of(plan, "zeta").changes] == ["zeta2.example.com"]


def test_a_bug_of_the_exact_reader_is_a_finding_too(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "broken.yaml").write_text("kind: [")
    monkeypatch.setattr(piecewise, "pieces", fails(ValueError(), "kind: [")(piecewise.pieces))
    loaded = read_tree([str(tree)])
    assert [item.where and item.where.file for item in bugs(loaded)] == [str(tree / "broken.yaml")]
    assert len(loaded.desired.accounts) == 2


def test_a_bug_in_the_platform_leaves_no_platform(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Compilation, "_add_platform", fails(KeyError(), "")(dict))
    loaded = read_tree([str(tree)])
    (bug,) = bugs(loaded)
    assert bug.message.startswith("MailPlatform default cannot be read because of a bug")
    assert loaded.desired.platform is None
    assert bug.account is None


@pytest.mark.parametrize("fields", ["", ", overrides: x, route: {managed: {}}"], ids=["row", "doc"])
def test_a_bug_of_the_compiler_stops_the_account_of_its_document(
    tree: Path, monkeypatch: pytest.MonkeyPatch, fields: str
) -> None:
    (tree / "acme-more.yaml").write_text(
        DOMAIN.format(name="acme2", account="acme", fields=fields)
        + DOMAIN.format(name="zeta3", account="zeta", fields="")
    )
    claim = fails(KeyError(CANARY), "acme2")(Compilation._claim)
    monkeypatch.setattr(Compilation, "_claim", claim)
    loaded = read_tree([str(tree)])
    (bug,) = bugs(loaded)
    assert bug.message.startswith("SendingDomain acme2 cannot be read because of a bug")
    assert (bug.account, CANARY in repr(bug)) == ("acme", False)
    assert bug.where is not None
    assert loaded.locate(bug.where) == Position(str(tree / "acme-more.yaml"), 2)
    plan = planned(loaded, stored(AccountKey("acme", "acme"), "acme2.example.com"))
    assert (of(plan, "acme").stopped, of(plan, "acme").changes) == (True, ())
    assert len(of(plan, "zeta").changes) == 4


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_bug_of_the_planner_stops_one_account_and_its_moves(
    tree: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    plan_account = fails(error, "acme1")(dependent_accounts.plan_account)
    monkeypatch.setattr(dependent_accounts, "plan_account", plan_account)
    plan = planned(
        read_tree([str(tree)]),
        stored(AccountKey("acme", "acme"), "acme1.example.com", "zeta1.example.com"),
        stored(AccountKey("zeta", "zeta")),
    )
    (bug,) = of(plan, "acme").findings
    assert (bug.code, bug.account, bug.where is not None) == ("internal-error", "acme", True)
    assert re.search(rf" cannot be planned .*{type(error).__name__} at sendroute\.", bug.message)
    assert CANARY not in repr(plan)
    assert (of(plan, "acme").stopped, of(plan, "acme").changes) == (True, ())
    assert [(change.name, str(change.action)) for change in of(plan, "zeta").changes] == [
        ("zeta1.example.com", "skip"),
        ("zeta2.example.com", "create"),
    ]


def test_a_bug_while_a_line_is_looked_up_leaves_line_1(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = read_tree([str(tree)])
    where = loaded.desired.accounts[AccountKey("acme", "acme")].where
    monkeypatch.setattr(locate, "pieces", fails(KeyError(), "acme1")(locate.pieces))
    assert loaded.locate(where) == Position(where.file)


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt(), SystemExit()], ids=repr)
def test_what_is_no_bug_is_raised(
    tree: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr(content.fast, "read", fails(error, "acme2")(fast.read))
    with pytest.raises(type(error)):
        read_tree([str(tree)])
    monkeypatch.undo()
    monkeypatch.setattr(dependent_accounts, "plan_account", fails(error, "")(dict))
    with pytest.raises(type(error)):
        planned(read_tree([str(tree)]))
