"""Goal 7: planning a million desired domains against a million in the store, in one process."""

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
    samples = interleaved(
        {"read": lambda: child("read"), "plan": lambda: child("plan")}, lab.rounds(5)
    )
    database.drop(url)
    reading, planning = samples["read"], samples["plan"]
    ours, other = _inside(planning), _inside(reading)
    case = f"{database.name}: read and plan {domains:,} domains / reading the table"
    yield Row("7", case, seconds(ours), seconds(other), ours / other, RATIO)
    above = (planning.peak - reading.peak) / 1e6
    yield Row(
        "7",
        f"{case}: additional memory",
        megabytes(planning.peak),
        megabytes(reading.peak),
        above,
        MEGABYTES,
        "MB",
    )
    case = f"{database.name}: commit {domains:,} new domains of many accounts (no goal)"
    yield Row("7", case, seconds(_printed_seconds(filled)))


def _inside(samples: Samples) -> float:
    """The median of the seconds that the children measured of their work, without their start."""
    return statistics.median(_printed_seconds(run) for run in samples.runs)


def _printed_seconds(run: Run) -> float:
    return float(json.loads(run.output))
