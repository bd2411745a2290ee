"""``million.py VERB URL DOMAINS``: one process of goal 7, which prints the seconds of its verb.

``fill`` writes the domains into a new store; ``read`` reads only their table into memory; ``plan``
reads the store and plans the same domains, which are created before the clock starts.
"""

import json
import sys
import time

DOMAINS_OF_ACCOUNT = 1000


def main(verb: str, url: str, domains: int) -> float:
    match verb:
        case "fill":
            return fill(url, domains)
        case "read":
            return read(url, domains)
        case "plan":
            return plan(url, domains)
        case _:
            raise SystemExit(f"no such verb: {verb}")


def read(url: str, domains: int) -> float:
    """Read the table with the driver of the database, without Sendroute's code."""
    began = time.perf_counter()
    if url.startswith("sqlite"):
        import sqlite3

        path = url.removeprefix("sqlite:///")
        rows = sqlite3.connect(path).execute("SELECT * FROM domain").fetchall()
    else:
        import psycopg

        rows = psycopg.connect(url).execute("SELECT * FROM sendroute.domain").fetchall()
    took = time.perf_counter() - began
    if len(rows) != domains:
        raise SystemExit(f"the table holds {len(rows)} domains")
    return took


def plan(url: str, domains: int) -> float:
    from sendroute.planner.plan import plan_tree
    from sendroute.store.record import open_store

    tree = desired(domains)
    began = time.perf_counter()
    decided = plan_tree(tree, open_store(url).read())
    took = time.perf_counter() - began
    if decided.platform is not None or any(account.changes for account in decided.accounts):
        raise SystemExit("the plan is not empty")
    return took


def fill(url: str, domains: int) -> float:
    from datetime import UTC, datetime

    from sendroute.model.provenance import Provenance
    from sendroute.planner.plan import plan_tree
    from sendroute.store.record import open_store

    store = open_store(url)
    began = time.perf_counter()
    decided = plan_tree(desired(domains), store.read())
    provenance = Provenance(datetime.now(UTC), "bench", None)
    store.commit(decided.accounts, decided.platform, provenance)
    return time.perf_counter() - began


def desired(domains: int):  # type: ignore[no-untyped-def]
    """The desired state, as the reader returns it from one file per account."""
    from sendroute.model.desired import (
        AccountKey,
        Desired,
        DesiredAccount,
        DesiredDomain,
        DesiredPlatform,
        DesiredProfile,
    )
    from sendroute.model.finding import Where
    from sendroute.model.platform import Managed, Platform, Relay, ServicePlan
    from sendroute.model.profile import ConnectionTest, Encryption, Profile
    from sendroute.model.route import MANAGED, via

    relay = Relay("relay.internal.example", 587, Encryption.STARTTLS)
    managed = Managed("Bench Mail", "smtp.bench.example", (), relay)
    platform = Platform(managed, (ServicePlan("pro", managed=True),))
    ses = Profile("192.0.2.25", 587, Encryption.STARTTLS, connection_test=ConnectionTest.SKIP)
    routes = (via("ses"), via("ses"), MANAGED, None)
    accounts = {}
    for first in range(0, domains, DOMAINS_OF_ACCOUNT):
        name = f"team-{first // DOMAINS_OF_ACCOUNT:05d}"
        key, file = AccountKey(name, name), f"{name}/{name}.yaml"
        accounts[key] = DesiredAccount(
            key,
            "pro",
            Where(file, 0),
            default=via("ses"),
            profiles={"ses": DesiredProfile(ses, Where(file, 1))},
            domains=[
                DesiredDomain(
                    f"shop-{number:07d}.example.com",
                    routes[number % 4],
                    Where(file, 2 + number - first),
                )
                for number in range(first, first + DOMAINS_OF_ACCOUNT)
            ],
        )
    return Desired(DesiredPlatform(platform, Where("platform.yaml", 0)), accounts)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
