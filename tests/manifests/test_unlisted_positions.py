"""A finding that leaves out positions says how many."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sendroute.manifests.tree import read_tree
from sendroute.model.codes import finding
from sendroute.model.current import AccountState, Current, CurrentAccount
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.finding import Finding, whole_file
from sendroute.planner.plan import plan_tree
from sendroute.planner.stopped import at_problems

KEY = AccountKey("t", "a")
PLATFORM = """\
apiVersion: sendroute.dev/v1alpha1
kind: MailPlatform
metadata: {name: default}
spec: {plans: [{name: pro, managed: false}]}
"""


def account(name: str, more: str = "") -> str:
    return (
        "---\napiVersion: sendroute.dev/v1alpha1\nkind: MailAccount\n"
        f"metadata: {{name: {name}, namespace: t}}\nspec: {{plan: pro{more}}}\n"
    )


def domain(account: str, name: str) -> str:
    return (
        "---\napiVersion: sendroute.dev/v1alpha1\nkind: SendingDomain\n"
        f"metadata: {{name: {account}-{name}, namespace: t}}\n"
        f"spec: {{account: {account}, domain: {name}.example}}\n"
    )


def ignored(count: int) -> str:
    domains = "".join(domain("a", f"d{n}") for n in range(count))
    return account("a", ", remove: {confirm: {domains: 99}}") + domains


def not_empty(count: int) -> str:
    return "".join(domain("a", f"d{n}") for n in range(count - 1)) + domain("a", "last")


def conflict(count: int) -> str:
    names = [f"b{n}" for n in range(count + 1)]
    return "".join(account(name) + domain(name, "shop") for name in names)


def findings(desired: Desired) -> Iterator[Finding]:
    current = CurrentAccount(KEY, 1, AccountState("pro", None))
    plan = plan_tree(desired, Current("x", 1, None, {KEY: current}))
    return plan.all_findings


@pytest.mark.parametrize(
    ("code", "documents", "listed"),
    [
        ("documents-ignored", ignored, 10),
        ("account-not-empty", not_empty, 10),
        ("domain-conflict", conflict, 10),
    ],
)
def test_a_finding_says_how_many_positions_it_leaves_out(
    tmp_path: Path, code: str, documents: object, listed: int
) -> None:
    assert callable(documents)
    for more, words in (
        (0, ""),
        (1, " 1 further position is left out."),
        (3, " 3 further positions are left out."),
    ):
        (tmp_path / "m.yaml").write_text(PLATFORM + documents(listed + more))
        reported = [
            item for item in findings(read_tree([str(tmp_path)]).desired) if item.code == code
        ]
        assert reported
        for item in reported:
            assert item.message.endswith(f".{words}")
            assert ("further" in item.message) == bool(words)
            assert "further" not in (item.for_tenant.message if item.for_tenant else "")


def test_an_account_that_is_held_back_says_how_many_problems_it_leaves_out() -> None:
    files = [f"f{number}.yaml" for number in range(13)]
    problems = [finding("unreadable", "No.", where=whole_file(file)) for file in files]
    held_back = finding("held-back", "Account t/a is unchanged.")
    message = at_problems(held_back, problems).message
    assert message == "Account t/a is unchanged. 2 further positions are left out."
    assert at_problems(held_back, problems[:11]).message == held_back.message
