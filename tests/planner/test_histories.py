"""The planner against the naive model, and against the laws of the page, over random histories."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from tests.planner import naive
from tests.planner.committed import committed
from tests.planner.histories import (
    ROUTES,
    Step,
    first_tree,
    histories,
    next_tree,
)
from tests.planner.naive import Key, Store, Tree, Verdict
from tests.planner.values import as_store, as_wanted, by_hand, contents, empty_store

from sendroute.model.change import (
    AccountChange,
    AccountPlan,
    Action,
    ObjectChange,
    Plan,
    ProfileChange,
)
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.route import RouteKind
from sendroute.planner.plan import plan_tree

LONGEST = 8


@dataclass
class Moment:
    """One apply of a history: what was wanted, what was held, and what both models make of it."""

    tree: Tree
    desired: Desired
    store: Store
    current: Current
    failed: dict[AccountKey, dict[str, str]]
    rotated: dict[AccountKey, frozenset[str]]
    plan: Plan
    after: Current
    expected: Store
    verdicts: dict[Key, Verdict]

    def replan(self, desired: Desired | None = None, current: Current | None = None) -> Plan:
        return plan_tree(
            desired or self.desired,
            current or self.current,
            failed=self.failed,
            rotated=self.rotated,
        )


def moments(history: list[Step]) -> Iterator[Moment]:
    tree, current, older = first_tree(), empty_store(), list[Tree]()
    for step in [Step([], True, frozenset()), *history]:
        store = as_store(current)
        tree = next_tree(tree, step, older, store)
        older.append(deepcopy(tree))
        desired = as_wanted(tree)
        codes = dict.fromkeys(step.failing, "connection-test-failed")
        failed = {AccountKey(*key): codes for key in tree.accounts}
        # A secret can have another content only than the one it was saved with.
        rotated = {
            AccountKey(*key): step.rotated & set(store.accounts[key].profiles)
            for key in tree.accounts.keys() & store.accounts.keys()
        }
        plan = plan_tree(desired, current, failed=failed, rotated=rotated)
        after = committed(current, plan)
        expected, verdicts = naive.step(tree, store, step.failing, step.rotated)
        yield Moment(
            tree, desired, store, current, failed, rotated, plan, after, expected, verdicts
        )
        current = after


def plans_by_key(plan: Plan) -> dict[AccountKey, AccountPlan]:
    return {account.key: account for account in plan.accounts}


def effective(plan: AccountPlan) -> list[ObjectChange]:
    return [change for change in plan.changes if change.action is not Action.SKIP]


def decisions(plan: Plan) -> Mapping[AccountKey, object]:
    """What a plan decides, whatever the order in which it says so."""
    return {
        account.key: (
            account.stopped,
            sorted(map(repr, account.changes)),
            sorted(map(repr, account.findings)),
            sorted(map(repr, account.shadowed)),
        )
        for account in plan.accounts
    }


@given(histories(LONGEST))
def test_the_planner_decides_what_the_page_says(history: list[Step]) -> None:
    for now in moments(history):
        assert as_store(now.after) == now.expected
        told = plans_by_key(now.plan)
        for key, verdict in now.verdicts.items():
            account = told.get(AccountKey(*key))
            codes = {finding.code for finding in account.findings} if account else set()
            if now.tree.plans is None or (now.tree.platform_suspended and not now.store.plans):
                continue  # no platform: one finding for the whole tree, and nothing is applied
            assert (problem := verdict.disagrees(codes)) is None, f"{key}: {problem}"
            if account is not None and effective(account):
                assert account.stopped == verdict.left, key
            if account is not None and not verdict.left:
                assert saved_by(account) == verdict.saved, key


def saved_by(account: AccountPlan) -> set[str]:
    return {
        change.name
        for change in effective(account)
        if isinstance(change, ProfileChange) and change.action is not Action.DELETE
    }


@given(histories(LONGEST))
def test_a_rotated_secret_is_an_update_of_its_profile_and_of_nothing_else(
    history: list[Step],
) -> None:
    for now in moments(history):
        unrotated = plans_by_key(plan_tree(now.desired, now.current))
        for account in plan_tree(now.desired, now.current, rotated=now.rotated).accounts:
            turned = now.rotated.get(account.key, frozenset())
            for change in effective(account):
                if change.reason == "credentials-changed":
                    assert change.before == change.after
                    assert change.name in turned
            rest = [c for c in account.changes if c.reason != "credentials-changed"]
            others = unrotated[account.key].changes
            assert [(c.name, c.before, c.after) for c in rest] == [
                (c.name, c.before, c.after) for c in others
            ]


@given(histories(LONGEST))
def test_no_domain_points_at_a_profile_that_does_not_exist(history: list[Step]) -> None:
    for now in moments(history):
        for account in now.after.accounts.values():
            for name, domain in account.domains.items():
                if domain.route.kind is RouteKind.PROFILE:
                    assert domain.route.profile in account.profiles, (account.key, name)


@given(histories(LONGEST))
def test_a_domain_is_held_by_one_account_and_moves_in_one_transaction(history: list[Step]) -> None:
    for now in moments(history):
        was, holder = holders(now.current), holders(now.after)
        for name, key in holder.items():
            if was.get(name, key) != key:
                together = [group for group in now.plan.groups if key in group]
                assert any(was[name] in group for group in together), (name, now.plan.groups)
        gone = {n for n in was.keys() - holder.keys() if wanted_by(now, n) == 1}
        assert not gone, f"{gone} is declared by one account, was held, and is nowhere now"


def holders(current: Current) -> dict[str, AccountKey]:
    found: dict[str, AccountKey] = {}
    for key, account in current.accounts.items():
        for name in account.domains:
            assert name not in found, f"{name} belongs to {found[name]} and to {key}"
            found[name] = key
    return found


def wanted_by(now: Moment, name: str) -> int:
    return sum(name in doc.domains for doc in now.tree.accounts.values())


@given(histories(LONGEST))
def test_an_id_runs_at_most_once_in_an_account_for_ever(history: list[Step]) -> None:
    ran: set[tuple[AccountKey, str]] = set()
    for now in moments(history):
        for account in now.plan.accounts:
            for change in account.changes:
                if account.stopped or not isinstance(change, AccountChange) or not change.ran:
                    continue
                assert (account.key, change.ran[0]) not in ran
                ran.add((account.key, change.ran[0]))
        kept = {(key, id_) for key, account in now.after.accounts.items() for id_ in account.ran}
        assert kept == ran


@given(histories(LONGEST), st.sampled_from([None, *ROUTES]))
def test_a_change_of_the_default_reroutes_nobody(history: list[Step], default: str | None) -> None:
    for now in moments(history):
        tree = deepcopy(now.tree)
        for doc in tree.accounts.values():
            doc.default = default
        # Domains of today under another default: they go where they go under this one.
        for doc_key, doc in tree.accounts.items():
            stored = now.store.accounts.get(doc_key)
            doc.domains = {
                name: domain
                for name, domain in doc.domains.items()
                if stored is not None and name in stored.domains
            }
        as_was = deepcopy(tree)
        for doc_key, doc in as_was.accounts.items():
            stored = now.store.accounts.get(doc_key)
            doc.default = stored.default if stored else None
        changed, same = now.replan(as_wanted(tree)), now.replan(as_wanted(as_was))
        for key, account in plans_by_key(changed).items():
            if account.stopped or key not in plans_by_key(same) or plans_by_key(same)[key].stopped:
                continue
            before = now.current.accounts.get(key)
            first = committed(now.current, changed).accounts.get(key)
            second = committed(now.current, same).accounts.get(key)
            if before is not None and first is not None and second is not None:
                assert {n: d.route for n, d in first.domains.items()} == {
                    n: d.route for n, d in second.domains.items()
                }


@given(histories(LONGEST))
def test_a_second_plan_of_the_same_tree_is_empty(history: list[Step]) -> None:
    for now in moments(history):
        # What was not saved is still another secret than the stored one.
        left = {
            key: frozenset(name for name in names if name in now.failed[key])
            for key, names in now.rotated.items()
        }
        second = plan_tree(now.desired, now.after, failed=now.failed, rotated=left)
        assert second.platform is None
        for account in second.accounts:
            assert account.stopped or not effective(account), account.key
        assert contents(committed(now.after, second)) == contents(now.after)


@given(histories(LONGEST), st.integers(1, 11))
def test_the_order_of_documents_never_changes_a_plan(history: list[Step], turn: int) -> None:
    for now in moments(history):
        turned = now.replan(as_wanted(now.tree, turn))
        assert decisions(turned) == decisions(now.plan)
        assert turned == now.plan, "the order of the plan is its own, not that of the files"


@given(histories(LONGEST))
def test_what_is_shown_is_what_is_committed(history: list[Step]) -> None:
    for now in moments(history):
        assert by_hand(now.current, now.plan) == contents(now.after)
        for account in now.plan.accounts:
            for change in effective(account):
                runs = isinstance(change, AccountChange) and change.ran is not None
                hidden = runs or change.reason == "credentials-changed"
                assert change.before != change.after or hidden, change
        platform = now.current.platform if now.plan.platform is None else now.plan.platform.after
        assert now.after.platform == platform


@given(histories(LONGEST))
def test_an_account_is_planned_whatever_others_hold(history: list[Step]) -> None:
    for now in moments(history):
        for key in now.tree.accounts:
            shared = domains_of_others(now, key)
            own = set(now.tree.accounts[key].domains) | set(now.tree.accounts[key].contested)
            own |= set(now.store.accounts[key].domains) if key in now.store.accounts else set()
            if own & shared:
                continue
            alone = deepcopy(now.tree)
            alone.accounts = {key: alone.accounts[key]}
            alone.orphans.clear()
            current = Current(
                now.current.lineage,
                now.current.revision,
                now.current.platform,
                {k: a for k, a in now.current.accounts.items() if k == key},
            )
            lonely = plan_tree(as_wanted(alone), current, failed=now.failed, rotated=now.rotated)
            among = plans_by_key(now.plan).get(AccountKey(*key))
            assert plans_by_key(lonely).get(AccountKey(*key)) == among


def domains_of_others(now: Moment, key: Key) -> set[str]:
    names: set[str] = set()
    for other, doc in now.tree.accounts.items():
        names |= (set(doc.domains) | doc.contested) if other != key else set()
    for other, stored in now.store.accounts.items():
        names |= set(stored.domains) if other != key else set()
    return names


@given(histories(LONGEST))
def test_an_account_that_is_stopped_stays_as_it_is(history: list[Step]) -> None:
    for now in moments(history):
        for account in now.plan.accounts:
            if account.stopped:
                before = now.current.accounts.get(account.key)
                assert now.after.accounts.get(account.key) == before


@given(histories(LONGEST), st.integers(0, 2))
def test_only_leaves_the_other_accounts_as_they_are(history: list[Step], number: int) -> None:
    for now in moments(history):
        keys = sorted({*now.desired.accounts, *now.current.accounts})
        if not keys:
            continue
        one = keys[number % len(keys)]
        plan = plan_tree(
            now.desired, now.current, failed=now.failed, rotated=now.rotated, only=frozenset([one])
        )
        after = contents(committed(now.current, plan))
        for key, account in contents(now.current).items():
            if key != one:
                assert after.get(key) == account
        assert set(after) <= {one, *contents(now.current)}
