"""A profile whose document is now of another account leaves its holder when that account has it."""

from collections.abc import Collection, Mapping

import pytest
from msgspec.structs import replace
from tests.planner.test_approved import A, B, C, current, desired, names
from tests.planner.test_selection import MemoryStore

from sendroute.model.change import Action, Plan, ProfileChange
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey, Desired, DesiredAccount, DesiredProfile, Orphan
from sendroute.model.finding import Where
from sendroute.model.profile import Encryption, Profile
from sendroute.planner.claim_index import ClaimIndex
from sendroute.planner.digest import digest
from sendroute.planner.guards import Guards
from sendroute.planner.moves import open_profiles
from sendroute.planner.plan import PlanScope, plan_accounts, plan_tree
from sendroute.planner.selection import select

HERE = Where("a.yaml", 0)
SES = Profile("smtp.example.net", 587, Encryption.STARTTLS)
TYPO = AccountKey("n", "typo")


def declared(keys: Collection[AccountKey], definer: AccountKey) -> Desired:
    """Accounts, of which one defines the profile: perhaps one that nothing defines."""
    tree = desired({key: [] for key in keys})
    if definer in tree.accounts:
        profiles = {"ses": DesiredProfile(SES, HERE)}
        tree.accounts[definer] = replace(tree.accounts[definer], profiles=profiles)
        return tree
    unknown = DesiredAccount(definer, "", HERE, unknown=True, ignored_profiles=("ses",))
    orphans = {definer: [Orphan("SMTPProfile", "ses", HERE)]}
    return replace(tree, undefined={definer: unknown}, orphans=orphans)


def stored(keys: Collection[AccountKey], holder: AccountKey) -> Current:
    state = current({key: [] for key in keys})
    held = replace(state.accounts[holder], profiles={"ses": SES})
    return replace(state, accounts={**state.accounts, holder: held})


def actions(plan: Plan) -> Mapping[AccountKey, Action]:
    return {
        change.account: change.action
        for account in plan.accounts
        for change in account.changes
        if isinstance(change, ProfileChange)
    }


def waiting(plan: Plan, key: AccountKey) -> tuple[str, str | None]:
    (account,) = (account for account in plan.accounts if account.key == key)
    (finding,) = (item for item in account.findings if item.code == "dependency-skipped")
    return finding.message, finding.hint


def test_a_profile_moves_in_one_transaction() -> None:
    plan = plan_tree(declared([A, B], B), stored([A, B], A))
    assert actions(plan) == {A: Action.DELETE, B: Action.CREATE}
    assert plan.groups == ((A, B),)


def test_the_finding_says_that_nothing_defines_the_account() -> None:
    plan = plan_tree(declared([A], TYPO), stored([A], A))
    assert waiting(plan, A) == (
        "Profile ses of account n/a is not removed yet, because its document is in account n/typo,"
        " which is not defined by any MailAccount.",
        "Correct spec.account of its document, or define account n/typo.",
    )


def test_the_finding_says_that_the_account_is_to_be_removed() -> None:
    tree = declared([A, B], A)
    leaving = replace(tree.accounts[B], remove=0, ignored_profiles=("ses",))
    tree.accounts.update({A: replace(tree.accounts[A], profiles={}), B: leaving})
    plan = plan_tree(tree, stored([A, B], A))
    assert waiting(plan, A) == (
        "Profile ses of account n/a is not removed yet, because its document is in account n/b,"
        " which is to be removed.",
        "Correct spec.account of its document, or keep account n/b.",
    )


def test_the_finding_says_that_the_account_cannot_take_it_now() -> None:
    tree = replace(declared([A, B], B), stopped=frozenset([B]))
    assert waiting(plan_tree(tree, stored([A, B], A)), A) == (
        "Profile ses of account n/a is not removed yet, because its document is in account n/b,"
        " which cannot take it now.",
        "The profile moves when account n/b is planned and can take it.",
    )


def test_a_document_without_a_readable_name_may_define_any_profile_of_its_namespace() -> None:
    tree = declared([A, B], B)
    unread = replace(tree.accounts[B], profiles={}, unsound=frozenset([None]))
    tree.accounts[B] = unread
    plan = plan_tree(replace(tree, stopped=frozenset([B])), stored([A, B], A))
    assert actions(plan) == {A: Action.SKIP}
    elsewhere = AccountKey("m", "b")
    tree.accounts[elsewhere] = replace(tree.accounts.pop(B), key=elsewhere)
    plan = plan_tree(replace(tree, stopped=frozenset([elsewhere])), stored([A, B], A))
    assert actions(plan) == {A: Action.DELETE}


def test_an_account_with_a_profile_of_that_name_needs_none() -> None:
    state = stored([A, B], A)
    held = replace(state.accounts[B], profiles={"ses": SES})
    both = replace(state, accounts={**state.accounts, B: held})
    tree = replace(declared([A, B], B), stopped=frozenset([B]))
    assert actions(plan_tree(tree, both)) == {A: Action.DELETE}


@pytest.mark.parametrize("due", [A, B])
def test_the_accounts_of_a_profile_that_moves_are_planned_together(due: AccountKey) -> None:
    tree, state = declared([A, B, C], B), stored([A, B, C], A)
    index = ClaimIndex(tree.accounts.values())
    assert select({due}, tree.claiming, index, MemoryStore(state)).keys == {A, B}
    assert select({C}, tree.claiming, index, MemoryStore(state)).keys == {C}


def test_an_account_that_nothing_defines_is_planned_with_the_one_that_holds_its_profile() -> None:
    tree, state = declared([A, C], TYPO), stored([A, C], A)
    index = ClaimIndex(tree.claiming.values())
    for due in (A, TYPO):
        assert select({due}, tree.claiming, index, MemoryStore(state)).keys == {A, TYPO}


def planned_alone(key: AccountKey, tree: Desired, state: Current) -> Plan:
    index = ClaimIndex(tree.claiming.values())
    selection = select({key}, tree.claiming, index, MemoryStore(state), linked=False)
    assert selection.keys == {key}
    some = replace(state, accounts=dict(selection.current))
    return plan_accounts(tree, some, PlanScope(only=selection.keys, others=selection.others))


def test_a_profile_stays_with_an_account_that_is_planned_alone() -> None:
    tree, state = declared([A, B], B), stored([A, B], A)
    plan = planned_alone(A, tree, state)
    assert actions(plan) == {A: Action.SKIP}
    assert waiting(plan, A)[0].endswith("its document is in account n/b, which is not planned.")
    assert plan.groups == ()


def test_an_account_that_is_planned_alone_takes_the_profile() -> None:
    tree, state = declared([A, B], B), stored([A, B], A)
    plan = planned_alone(B, tree, state)
    assert actions(plan) == {B: Action.CREATE}
    assert plan.groups == ()
    held = replace(state.accounts[B], profiles={"ses": SES})
    later = replace(state, accounts={**state.accounts, B: held})
    assert actions(planned_alone(A, tree, later)) == {A: Action.DELETE}


def test_only_the_holder_waits_for_the_approval_of_the_other_account() -> None:
    some = {A: names("a", 12), B: names("b", 12)}
    tree, state = desired({A: names("a", 2), B: names("b", 2)}), current(some)
    tree.accounts[B] = replace(tree.accounts[B], profiles={"ses": DesiredProfile(SES, HERE)})
    held = replace(state.accounts[A], profiles={"ses": SES})
    state = replace(state, accounts={**state.accounts, A: held})
    shown = {account.key: account for account in plan_tree(tree, state).accounts}

    def stopped(*approved: AccountKey) -> set[AccountKey]:
        guards = Guards(approved={key: digest(shown[key]) for key in approved})
        plan = plan_tree(tree, state, guards=guards)
        return {account.key for account in plan.accounts if account.stopped}

    assert stopped() == {A, B}
    assert stopped(A) == {A, B}, "the profile would exist nowhere"
    assert stopped(B) == {A}
    assert stopped(A, B) == set()


def test_open_profiles_are_those_that_an_account_gets_or_loses() -> None:
    tree, state = declared([A, B], B), stored([A, B], A)
    assert open_profiles(tree.accounts, state.accounts) == {("n", "ses")}
    assert open_profiles({B: tree.accounts[B]}, {}) == {("n", "ses")}
    same = declared([A, B], A)
    assert open_profiles(same.accounts, state.accounts) == set()
