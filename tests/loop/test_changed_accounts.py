"""Of two trees the loop plans the accounts of which the plan may differ."""

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


def test_a_profile_that_nothing_defines_concerns_the_accounts_of_its_namespace() -> None:
    with_profile = tree(Orphan("SMTPProfile", "ses", WHERE))
    assert changed(with_profile, tree()) == {ACME, BESIDE, TYPO}
    assert changed(tree(), with_profile) == {ACME, BESIDE, TYPO}
    assert changed(with_profile, with_profile) == frozenset()


def test_a_domain_that_nothing_defines_concerns_only_its_account() -> None:
    """The index of claims finds the others by the domain's name."""
    assert changed(tree(Orphan("SendingDomain", "a", WHERE)), tree()) == {TYPO}
