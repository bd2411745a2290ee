"""Goal 12: the cost of one account does not depend on how many domains the store holds."""

import json
import statistics
from collections.abc import Iterator

from databases import Database, databases
from lab import CHILDREN, PYTHON, Lab
from measuring import run
from table import Row, seconds

RATIO = 1.5


def measure(lab: Lab) -> Iterator[Row]:
    domains, others = lab.size(100_000), lab.size(900_000)
    with databases(lab) as both:
        for database in both:
            yield _measured(lab, database, domains, others)


def _measured(lab: Lab, database: Database, domains: int, others: int) -> Row:
    """Measure alternately, each time on a copy of a filled store."""
    filled = {number: database.new() for number in (others, 0)}
    for number, url in filled.items():
        _child("fill", url, domains, number)
    took: dict[int, list[float]] = {others: [], 0: []}
    for _ in range(lab.rounds(5)):
        for number, url in filled.items():
            copy = database.copy(url)
            took[number].append(_child("reroute", copy, domains, number))
            database.drop(copy)
    for url in filled.values():
        database.drop(url)
    among, alone = statistics.median(took[others]), statistics.median(took[0])
    case = (
        f"{database.name}: plan and commit an account of {domains:,} domains among"
        f" {domains + others:,} / the same account alone"
    )
    return Row("12", case, seconds(among), seconds(alone), among / alone, RATIO)


def _child(*words: object) -> float:
    """The seconds that the process measured of its work, without its start."""
    command = [PYTHON, str(CHILDREN / "one_account.py"), *map(str, words)]
    return float(json.loads(run(command, keep=True).output))
