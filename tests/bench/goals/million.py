"""Goal 7: a million domains wanted against a million held, in one process."""

import json
import statistics
from collections.abc import Iterator

from databases import Database, databases
from lab import CHILDREN, PYTHON, Lab
from measuring import Run, Samples, interleaved, run
from table import Row, megabytes, seconds

RATIO, MEGABYTES = 6.0, 250


def measure(lab: Lab) -> Iterator[Row]:
    domains = lab.size(1_000_000)
    with databases(lab) as both:
        for database in both:
            yield from _measured(lab, database, domains)


def _measured(lab: Lab, database: Database, domains: int) -> Iterator[Row]:
    url = database.new()

    def child(verb: str) -> Run:
        return run([PYTHON, str(CHILDREN / "million.py"), verb, url, str(domains)], keep=True)

    filled = child("fill")
    found = interleaved(
        {"read": lambda: child("read"), "plan": lambda: child("plan")}, lab.rounds(5)
    )
    database.drop(url)
    reading, planning = found["read"], found["plan"]
    ours, other = _inside(planning), _inside(reading)
    what = f"{database.name}: read and plan {domains:,} domains / reading the table"
    yield Row("7", what, seconds(ours), seconds(other), ours / other, RATIO)
    above = (planning.peak - reading.peak) / 1e6
    yield Row(
        "7",
        f"{what}: memory above it",
        megabytes(planning.peak),
        megabytes(reading.peak),
        above,
        MEGABYTES,
        "MB",
    )
    what = f"{database.name}: commit {domains:,} new domains of many accounts (no goal)"
    yield Row("7", what, seconds(_told(filled)))


def _inside(samples: Samples) -> float:
    """The seconds that a child measured itself: of its work, without its start."""
    return statistics.median(_told(each) for each in samples.runs)


def _told(one: Run) -> float:
    return float(json.loads(one.output))
