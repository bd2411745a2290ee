"""The rest of a whole change: what the manifests would remove and reroute in the accounts that a
plan of named accounts leaves out.

The size of a whole change is that of the tree, also if only some accounts are applied. Otherwise
small accounts could be emptied one by one, each far below the limits of the store.
"""

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from sendroute.model.ancestry import Ancestry
from sendroute.model.change import DomainCounts
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey, Desired
from sendroute.planner.claim_index import ClaimIndex
from sendroute.planner.guards import NOTHING_PENDING, Guards, Pending, total
from sendroute.planner.plan import PlanScope, plan_accounts
from sendroute.planner.selection import Holdings, Selection, select

# Domains that are read and planned together, which bounds the memory.
_PORTION = 50_000


def count_others(
    desired: Desired,
    current: Current,
    selection: Selection,
    index: ClaimIndex,
    holdings: Holdings,
    *,
    guards: Guards,
    ancestry: Ancestry | None = None,
) -> Pending:
    """Count what the manifests would remove and reroute in all other accounts of the store.

    The other accounts are read only if the selected ones would lose or reroute any domain, and a
    limit is below 100 %: nothing else depends on them. Then the cost is that of the whole store.
    Connection tests and secrets of the other accounts are assumed to be fine.

    Args:
        desired: the manifests of every account.
        current: the store, with the selected accounts.
        selection: the accounts that are planned.
        index: which accounts declare a domain.
        holdings: the store, at the same revision.
        guards: the limits, and the removals that the user confirms.
        ancestry: as for :func:`~sendroute.planner.plan.plan_accounts`.

    Returns:
        By account what the guards count, as the ``pending`` of the plan.
    """
    planned = _counts(desired, current, selection, guards, ancestry)
    selected = total(planned.values())
    may_exceed = (selected.removed and guards.remove_percent < 100) or (
        selected.rerouted and guards.change_percent < 100
    )
    if not may_exceed:
        return NOTHING_PENDING
    sizes = holdings.domains_by_account()
    counts: dict[AccountKey, DomainCounts] = {}
    declaring = desired.claiming
    for portion in _portions(sizes, selection.keys):
        others = select(portion, declaring, index, holdings, stored=sum(sizes.values()))
        state = replace(current, accounts=dict(others.current))
        counts |= _counts(desired, state, others, guards, ancestry)
    return {key: count for key, count in counts.items() if key not in selection.keys}


def _counts(
    desired: Desired,
    current: Current,
    selection: Selection,
    guards: Guards,
    ancestry: Ancestry | None,
) -> dict[AccountKey, DomainCounts]:
    scope = PlanScope(guards, selection.keys, selection.others, ancestry=ancestry)
    plan = plan_accounts(desired, current, scope)
    nothing = DomainCounts()
    return {account.key: account.counts for account in plan.accounts if account.counts != nothing}


def _portions(
    sizes: Mapping[AccountKey, int], left_out: frozenset[AccountKey]
) -> Iterator[frozenset[AccountKey]]:
    """The accounts that hold a domain, some tens of thousands of domains at a time."""
    portion: set[AccountKey] = set()
    domains = 0
    for key, number in sorted(sizes.items()):
        if key in left_out:
            continue
        portion.add(key)
        domains += number
        if domains >= _PORTION:
            yield frozenset(portion)
            portion, domains = set(), 0
    if portion:
        yield frozenset(portion)
