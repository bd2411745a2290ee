"""Of two trees the loop plans the accounts of which the plan may differ."""

import pytest

from sendroute.loop.served_trees import changed
from sendroute.model.desired import AccountKey, Desired, DesiredAccount, DesiredPlatform, Orphan
from sendroute.model.finding import Where
from sendroute.model.platform import Platform

ACME, BESIDE, OTHER, TYPO = (
    AccountKey(*names)
    for names in (("acme", "acme"), ("acme", "bolt"), ("other", "other"), ("acme", "acne"))
)
WHERE = Where("a.yaml", 0)


def tree(*orphans: Orphan) -> Desired:
    accounts = {key: DesiredAccount(key, "pro", WHERE) for key in (ACME, BESIDE, OTHER)}
    platform = DesiredPlatform(Platform(None, ()), WHERE)
    return Desired(platform, accounts, {TYPO: list(orphans)} if orphans else {})


@pytest.mark.parametrize("kind", ["SMTPProfile", "SendingDomain"])
def test_an_object_that_nothing_defines_concerns_only_its_account(kind: str) -> None:
    """The index of claims finds the account that holds it by its name. An account that waits for
    such an object is planned again with every new tree."""
    with_object = tree(Orphan(kind, "a", WHERE))
    assert changed(with_object, tree()) == {TYPO}
    assert changed(tree(), with_object) == {TYPO}
    assert changed(with_object, with_object) == frozenset()
