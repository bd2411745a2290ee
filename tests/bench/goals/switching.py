"""Goals 4 and 5: a million domains of one account, switched repeatedly by an apply-all."""

import json
import statistics
from collections.abc import Iterator
from itertools import chain

from databases import Database, Postgres, databases
from lab import CHILDREN, PYTHON, Lab
from measuring import run
from table import Row, seconds

RATIO, LATER, INDEXED = 2.0, 1.25, 1.0
SWITCHES = 3


def measure(lab: Lab) -> Iterator[Row]:
    domains = lab.size(1_000_000)
    with databases(lab) as both:
        for database in both:
            yield from _measured(lab, database, domains)


def _measured(lab: Lab, database: Database, domains: int) -> Iterator[Row]:
    """Each round alternates an apply-all and a bare UPDATE on a copy of a filled store."""
    filled = database.new()
    made = _child("fill", filled, domains)
    ours: list[list[float]] = []
    bare: list[float] = []
    indexed: list[float] = []
    for _ in range(lab.rounds(3)):
        url = database.copy(filled)
        took = []
        for number in range(SWITCHES):
            before = _indexed(database, url, 2 * number * domains)
            took.append(_child("switch", url, domains, number))
            indexed.append((_indexed(database, url, (2 * number + 1) * domains) - before) / domains)
            bare.append(_child("bare", url, domains, number + 1))
        ours.append(took)
        database.drop(url)
    database.drop(filled)
    switch, update = statistics.median(chain.from_iterable(ours)), statistics.median(bare)
    case = f"{database.name}: apply-all of {domains:,} domains / the bare UPDATE"
    yield Row("4", case, seconds(switch), seconds(update), switch / update, RATIO)
    if isinstance(database, Postgres):
        first, last = (statistics.median(took[at] for took in ours) for at in (0, -1))
        case = f"{database.name}: the third apply-all / the first"
        yield Row("5", case, seconds(last), seconds(first), last / first, LATER)
        case = f"{database.name}: domains whose switch changes an index, at most"
        yield Row("5", case, f"{100 * max(indexed):.2f} %", "-", 100 * max(indexed), INDEXED, "%")
    case = f"{database.name}: commit {domains:,} new domains of one account (no goal)"
    yield Row("4", case, seconds(made))


def _indexed(database: Database, url: str, updates: int) -> int:
    return database.updates(url, updates)[1] if isinstance(database, Postgres) else 0


def _child(*words: object) -> float:
    """The seconds that the process measured of its work, without its start and the planning."""
    command = [PYTHON, str(CHILDREN / "switching.py"), *map(str, words)]
    return float(json.loads(run(command, keep=True).output))
