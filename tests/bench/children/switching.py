"""``switching.py VERB URL DOMAINS [ROUND]``: one process of goals 4 and 5, which prints the seconds
of its verb.

``fill`` writes one account with DOMAINS domains into a new store; ``switch`` commits an apply-all
over all of them, planned before the clock starts; ``bare`` runs only the UPDATE of the same columns
of the same rows, without history, fence or record: the cost of the database itself.
"""

import gc
import json
import sys
import time

PROFILES = ("ses", "postmark")


def main(verb: str, url: str, domains: int, number: int = 0) -> float:
    gc.disable()  # as the program does
    match verb:
        case "fill":
            return commit(url, domains, None)
        case "switch":
            return commit(url, domains, number)
        case "bare":
            return bare(url, domains, number)
        case _:
            raise SystemExit(f"no such verb: {verb}")


def commit(url: str, domains: int, number: int | None) -> float:
    from datetime import UTC, datetime

    from sendroute.model.provenance import Provenance
    from sendroute.planner.plan import plan_tree
    from sendroute.store.record import open_store

    with open_store(url) as store:
        decided = plan_tree(desired(domains, number), store.read())
        changed = sum(len(account.changes) for account in decided.accounts)
        if changed < domains:
            raise SystemExit(f"only {changed} changes are planned")
        provenance = Provenance(datetime.now(UTC), "bench", None)
        began = time.perf_counter()
        store.commit(decided.accounts, decided.platform, provenance)
        return time.perf_counter() - began


def bare(url: str, domains: int, number: int) -> float:
    from sqlalchemy import update

    from sendroute.store.record import open_store
    from sendroute.store.tables import domain

    switched = (
        update(domain)
        .where(domain.c.account_id == 1)
        .values(
            kind="profile",
            profile=PROFILES[number % 2],
            origin="apply-all",
            shadow="switch-0",
            since=number,
            changed=number,
        )
    )
    with open_store(url) as store:
        began = time.perf_counter()
        count = store._database.write(lambda connection: connection.execute(switched).rowcount)
        took = time.perf_counter() - began
    if count != domains:
        raise SystemExit(f"{count} domains were updated")
    return took


def desired(domains: int, number: int | None):  # type: ignore[no-untyped-def]
    """An account, with a ``number`` also its apply-all of that number."""
    from sendroute.model.desired import (
        AccountKey,
        ApplyAll,
        Desired,
        DesiredAccount,
        DesiredDomain,
        DesiredPlatform,
        DesiredProfile,
    )
    from sendroute.model.finding import Where
    from sendroute.model.platform import Managed, Platform, Relay, ServicePlan
    from sendroute.model.profile import ConnectionTest, Encryption, Profile
    from sendroute.model.route import via

    relay = Relay("relay.internal.example", 587, Encryption.STARTTLS)
    managed = Managed("Bench Mail", "smtp.bench.example", (), relay)
    platform = Platform(managed, (ServicePlan("pro", managed=True),))
    saved = Profile("192.0.2.25", 587, Encryption.STARTTLS, connection_test=ConnectionTest.SKIP)
    key, where = AccountKey("acme", "acme"), Where("acme.yaml", 0)
    asked = None
    if number is not None:
        asked = ApplyAll(f"switch-{number}", via(PROFILES[number % 2]), domains)
    account = DesiredAccount(
        key,
        "pro",
        where,
        apply_all=asked,
        profiles={name: DesiredProfile(saved, where) for name in PROFILES},
        domains=[DesiredDomain(f"shop-{n:07d}.example.com", None, where) for n in range(domains)],
    )
    return Desired(DesiredPlatform(platform, Where("platform.yaml", 0)), {key: account})


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))))
