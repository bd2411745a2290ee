"""Some accounts are planned as the whole tree would plan them."""

from collections.abc import Iterable, Iterator, Mapping, Set
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from tests.planner.committed import committed
from tests.planner.histories import Step, histories
from tests.planner.test_histories import LONGEST, Moment, moments, plans_by_key
from tests.planner.values import contents

from sendroute.model.change import Plan
from sendroute.model.current import Current, CurrentAccount
from sendroute.model.desired import AccountKey, Desired, DesiredAccount
from sendroute.planner.claims import ClaimIndex
from sendroute.planner.plan import plan_accounts
from sendroute.planner.selection import Selection, select


class Held:
    """A store in memory, which gives what it is asked for and nothing else."""

    def __init__(self, current: Current) -> None:
        self._current = current

    def accounts(self, keys: Set[AccountKey]) -> Mapping[AccountKey, CurrentAccount]:
        held = self._current.accounts
        return {key: held[key] for key in keys if key in held}

    def holders(self, domains: Iterable[str]) -> Mapping[str, AccountKey]:
        asked = set(domains)
        return {
            domain: key
            for key, account in self._current.accounts.items()
            for domain in account.domains.keys() & asked
        }


def selected(now: Moment, key: AccountKey, current: Current, index: ClaimIndex) -> Selection:
    return select({key}, now.desired.accounts, index, Held(current))


def planned(now: Moment, selection: Selection, current: Current) -> Plan:
    """The plan of the selected accounts from their own manifests and records alone: of the others
    only the names are known, which hints suggest."""
    keys, tree = selection.keys, now.desired
    desired = Desired(
        tree.platform,
        {
            key: account if key in keys else DesiredAccount(key, "", account.where)
            for key, account in tree.accounts.items()
        },
        {key: orphans for key, orphans in tree.orphans.items() if key in keys},
        tree.stopped & keys,
        tree.complete,
        tree.findings,
    )
    some = Current(current.lineage, current.revision, current.platform, dict(selection.current))
    return plan_accounts(
        desired, some, keys, selection.others, failed=now.failed, rotated=now.rotated
    )


def all_keys(now: Moment) -> Iterator[AccountKey]:
    keys = {*now.desired.accounts, *now.desired.orphans, *now.current.accounts}
    return iter(sorted(keys))


@given(histories(LONGEST))
def test_each_account_is_planned_as_the_whole_tree_plans_it(history: list[Step]) -> None:
    for now in moments(history):
        index = ClaimIndex(now.desired.accounts.values())
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
def test_accounts_committed_one_by_one_in_any_order_end_as_the_whole_does(
    history: list[Step], order: Random
) -> None:
    for now in moments(history):
        index = ClaimIndex(now.desired.accounts.values())
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


@given(histories(LONGEST))
def test_an_index_that_follows_the_changes_answers_as_a_new_one(history: list[Step]) -> None:
    index = ClaimIndex()
    before: Mapping[AccountKey, object] = {}
    for now in moments(history):
        accounts = now.desired.accounts
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
