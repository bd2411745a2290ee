"""``one_account.py VERB URL DOMAINS OTHERS``: one process of goal 12, which prints the seconds of
its verb.

``fill`` writes the account with DOMAINS domains, and other accounts with OTHERS domains, into a
new store. ``reroute`` reroutes every domain of that account: it is read, planned and committed
alone. The manifests and their index, which a running program keeps, exist before the clock starts.
"""

import json
import sys
import time

from million import desired as many

NAMESPACE, EVERY = "one", 10


def main(verb: str, url: str, domains: int, others: int) -> float:
    match verb:
        case "fill":
            return fill(url, domains, others)
        case "reroute":
            return reroute(url, domains, others)
        case _:
            raise SystemExit(f"no such verb: {verb}")


def fill(url: str, domains: int, others: int) -> float:
    from datetime import UTC, datetime

    from sendroute.model.provenance import Provenance
    from sendroute.planner.plan import plan_accounts
    from sendroute.store.record import open_store

    store = open_store(url)
    began = time.perf_counter()
    plan = plan_accounts(tree(domains, others, "ses"), store.read())
    store.commit(plan.accounts, plan.platform, Provenance(datetime.now(UTC), "bench", None))
    return time.perf_counter() - began


def reroute(url: str, domains: int, others: int) -> float:
    from datetime import UTC, datetime

    from sendroute.model.desired import AccountKey
    from sendroute.model.provenance import Provenance
    from sendroute.planner.claim_index import ClaimIndex
    from sendroute.planner.guards import Guards
    from sendroute.planner.plan import PlanScope, plan_accounts
    from sendroute.planner.selection import select
    from sendroute.store.record import open_store

    desired = tree(domains, others, None)
    index = ClaimIndex(desired.accounts.values())
    store, key = open_store(url), AccountKey(NAMESPACE, NAMESPACE)
    began = time.perf_counter()
    with store.snapshot() as snapshot:
        selection = select({key}, desired.accounts, index, snapshot)
        current = snapshot.read_accounts(selection.keys)
    scope = PlanScope(Guards(100, 100), selection.keys, selection.others)
    plan = plan_accounts(desired, current, scope)
    if len(plan.accounts) != 1 or len(plan.accounts[0].changes) != domains:
        raise SystemExit("the plan is not the reroute of one account")
    store.commit(plan.accounts, plan.platform, Provenance(datetime.now(UTC), "bench", None))
    return time.perf_counter() - began


def tree(domains: int, others: int, profile: str | None):  # type: ignore[no-untyped-def]
    """The account among the others; its domains are sorted between theirs. ``profile`` is the
    profile of its domains, None for managed."""
    from msgspec.structs import replace

    from sendroute.model.desired import AccountKey, DesiredAccount, DesiredDomain, DesiredProfile
    from sendroute.model.finding import Where
    from sendroute.model.profile import ConnectionTest, Encryption, Profile
    from sendroute.model.route import MANAGED, via

    ses = Profile("192.0.2.25", 587, Encryption.STARTTLS, connection_test=ConnectionTest.SKIP)
    route = MANAGED if profile is None else via(profile)
    key, file = AccountKey(NAMESPACE, NAMESPACE), "one/one.yaml"
    account = DesiredAccount(
        key,
        "pro",
        Where(file, 0),
        profiles={"ses": DesiredProfile(ses, Where(file, 1))},
        domains=[
            DesiredDomain(f"shop-{number * EVERY:07d}.example.net", route, Where(file, 2 + number))
            for number in range(domains)
        ],
    )
    among = many(others)
    return replace(among, accounts={**among.accounts, key: account})


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
