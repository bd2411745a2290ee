"""An account that is renamed by hand, while some of its documents still have the old name."""

from pathlib import Path

import pytest

from sendroute.manifests.tree import read_tree
from sendroute.model.current import AccountState, Current, CurrentAccount
from sendroute.model.desired import AccountKey
from sendroute.planner.plan import plan_tree

MANIFESTS = """\
apiVersion: sendroute.dev/v1alpha1
kind: MailPlatform
metadata: {name: default}
spec: {plans: [{name: pro, managed: false}]}
---
apiVersion: sendroute.dev/v1alpha1
kind: MailAccount
metadata: {name: new, namespace: t}
spec: {plan: pro}
"""
FORGOTTEN = """\
---
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {name: shop%s, namespace: t}
spec: {account: old, domain: shop%s.example}
"""


@pytest.mark.parametrize(("count", "words"), [(1, "this document"), (2, "these documents")])
def test_the_hint_for_a_forgotten_document_is_first_to_correct_its_account(
    tmp_path: Path, count: int, words: str
) -> None:
    forgotten = "".join(FORGOTTEN % (number, number) for number in range(count))
    (tmp_path / "m.yaml").write_text(MANIFESTS + forgotten)
    key = AccountKey("t", "old")
    current = Current("x", 1, None, {key: CurrentAccount(key, 1, AccountState("pro", None))})
    plan = plan_tree(read_tree([str(tmp_path)]).desired, current)
    [item] = [item for item in plan.all_findings if item.code == "account-not-empty"]
    assert item.hint is not None
    assert item.hint.startswith(
        f"If the account has another name now, correct spec.account of {words}. If it is to be"
    )
