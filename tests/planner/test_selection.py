"""A plan of some accounts decides the same as a plan of the whole tree."""

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.planner.committed import committed
from tests.planner.histories import Step, histories
from tests.planner.test_histories import LONGEST, Moment, moments, pending, plans_by_key
from tests.planner.values import contents

from sendroute.model.change import DomainCounts, Plan
from sendroute.model.current import Current, CurrentAccount
from sendroute.model.desired import AccountKey, Desired, DesiredAccount, ProfileName
from sendroute.model.route import MANAGED
from sendroute.planner.claim_index import ClaimIndex
from sendroute.planner.plan import PlanScope, plan_accounts, plan_tree
from sendroute.planner.selection import Selection, select
from sendroute.planner.whole_change import count_others


class MemoryStore:
    """A store in memory that returns only the accounts and domains it is asked for."""

    def __init__(self, current: Current) -> None:
        self._current = current

    def accounts(self, keys: Set[AccountKey]) -> Mapping[AccountKey, CurrentAccount]:
        accounts = self._current.accounts
        return {key: accounts[key] for key in keys if key in accounts}

    def holders(self, domains: Iterable[str]) -> Mapping[str, AccountKey]:
        asked = set(domains)
        return {
            domain: key
            for key, account in self._current.accounts.items()
            for domain in account.domains.keys() & asked
        }

    def profile_holders(
        self, profiles: Collection[ProfileName]
    ) -> Mapping[ProfileName, Set[AccountKey]]:
        holding: dict[ProfileName, set[AccountKey]] = {}
        for key, account in self._current.accounts.items():
            for name in account.profiles:
                if (profile := ProfileName(key.namespace, name)) in profiles:
                    holding.setdefault(profile, set()).add(key)
        return holding

    def domains_by_account(self) -> Mapping[AccountKey, int]:
        return {key: len(a.domains) for key, a in self._current.accounts.items() if a.domains}

    def accounts_on_managed(self) -> Set[AccountKey]:
        return {
            key
            for key, account in self._current.accounts.items()
            if any(state.route == MANAGED for state in account.domains.values())
        }

    def domain_count(self) -> int:
        return sum(len(account.domains) for account in self._current.accounts.values())


def selected(now: Moment, key: AccountKey, current: Current, index: ClaimIndex) -> Selection:
    return select({key}, now.desired.claiming, index, MemoryStore(current))


def planned(now: Moment, selection: Selection, current: Current) -> Plan:
    """The plan of the selected accounts, from only their manifests and stored accounts. Of the
    other accounts only the names are known, because hints suggest them."""
    keys, tree = selection.keys, now.desired
    desired = Desired(
        tree.platform,
        {
            key: account if key in keys else DesiredAccount(key, "", account.where)
            for key, account in tree.accounts.items()
        },
        {key: orphans for key, orphans in tree.orphans.items() if key in keys},
        tree.stopped & keys,
        {key: problem for key, problem in tree.ill_formed.items() if key in keys},
        tree.unread,
        tree.findings,
        undefined={key: account for key, account in tree.undefined.items() if key in keys},
    )
    some = Current(current.lineage, current.revision, current.platform, dict(selection.current))
    # The whole change is measured by the store before it, whatever is committed meanwhile.
    stored = sum(len(account.domains) for account in now.current.accounts.values())
    of_keys = sum(len(account.domains) for account in some.accounts.values())
    return plan_accounts(
        desired,
        some,
        PlanScope(
            now.guards,
            keys,
            replace(selection.others, domain_count=stored - of_keys),
            pending(now.plan),
            now.held,
        ),
        failed=now.failed,
        rotated=now.rotated,
    )


def all_keys(now: Moment) -> Iterator[AccountKey]:
    keys = {*now.desired.accounts, *now.desired.orphans, *now.current.accounts}
    return iter(sorted(keys))


@given(histories(LONGEST))
def test_an_account_alone_is_planned_as_in_a_plan_of_the_whole_tree(history: list[Step]) -> None:
    for now in moments(history):
        index = ClaimIndex(now.desired.claiming.values())
        whole = plans_by_key(now.plan)
        for key in all_keys(now):
            selection = selected(now, key, now.current, index)
            plan = planned(now, selection, now.current)
            assert plan.platform == now.plan.platform
            assert plans_by_key(plan) == {
                key: account for key, account in whole.items() if key in selection.keys
            }
            assert plan.groups == tuple(
                group for group in now.plan.groups if not selection.keys.isdisjoint(group)
            )


@given(histories(LONGEST), st.randoms(use_true_random=False))
def test_committing_accounts_separately_in_any_order_gives_the_result_of_the_whole_plan(
    history: list[Step], order: Random
) -> None:
    for now in moments(history):
        index = ClaimIndex(now.desired.claiming.values())
        keys = list(all_keys(now))
        order.shuffle(keys)
        current, done = now.current, set[AccountKey]()
        for key in keys:
            if key in done:
                continue
            selection = selected(now, key, current, index)
            done |= selection.keys
            current = committed(current, planned(now, selection, current))
        assert contents(current) == contents(now.after)
        if keys:
            assert current.platform == now.after.platform


@given(histories(LONGEST), st.integers(0, 2))
def test_a_plan_of_one_account_leaves_the_other_accounts_unchanged(
    history: list[Step], number: int
) -> None:
    for now in moments(history):
        keys = list(all_keys(now))
        if not keys:
            continue
        key = keys[number % len(keys)]
        index = ClaimIndex(now.desired.claiming.values())
        store = MemoryStore(now.current)
        selection = select({key}, now.desired.claiming, index, store, linked=False)
        assert selection.keys == {key}
        after = contents(committed(now.current, planned(now, selection, now.current)))
        for other, account in contents(now.current).items():
            if other != key:
                assert after.get(other) == account
        assert set(after) <= {key, *contents(now.current)}


@given(histories(LONGEST))
def test_an_updated_claim_index_equals_a_newly_built_index(history: list[Step]) -> None:
    index = ClaimIndex()
    before: Mapping[AccountKey, object] = {}
    for now in moments(history):
        accounts = now.desired.claiming
        for key in before.keys() - accounts.keys():
            index.remove(key)
        for account in accounts.values():
            index.put(account)
        before = accounts
        new = ClaimIndex(accounts.values())
        domains = {d.domain for a in accounts.values() for d in a.domains}
        domains |= {domain for a in accounts.values() for domain in a.contested}
        for domain in domains | {"nobody.example"}:
            assert set(index.declaring(domain)) == set(new.declaring(domain))
            assert len(index.declaring(domain)) == len(new.declaring(domain))
        key = next(iter(accounts), None)
        if key is not None:
            index.remove(key)
            assert all(key not in index.declaring(domain) for domain in domains)
            index.put(accounts[key])


@given(histories(LONGEST))
def test_the_rest_of_the_whole_change_is_what_a_plan_of_the_tree_counts(
    history: list[Step],
) -> None:
    for now in moments(history):
        index = ClaimIndex(now.desired.claiming.values())
        whole = plan_tree(now.desired, now.current, guards=now.guards)
        counts = {key: count for key, count in pending(whole).items() if count != DomainCounts()}
        for key in all_keys(now):
            store = MemoryStore(now.current)
            selection = select({key}, now.desired.claiming, index, store, linked=False)
            some = Current(now.current.lineage, 0, now.current.platform, dict(selection.current))
            others = count_others(now.desired, some, selection, index, store, guards=now.guards)
            plan = planned(dataclasses.replace(now, failed={}, rotated={}), selection, now.current)
            if all(account.counts == DomainCounts() for account in plan.accounts):
                assert others == {}, "nothing of the other accounts is read"
            else:
                assert others == {k: count for k, count in counts.items() if k != key}
