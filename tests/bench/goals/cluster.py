"""Goal 11: the operator lists 100,000 sending domains and holds them in 300 MB; its start is linear
in their number, and a change of one object costs what its account costs."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

from lab import CHILDREN, PYTHON, Lab
from measuring import run
from table import Row, megabytes, seconds

LIMIT = 300_000_000
FEWER = 10
_LINEAR = 1.5
_CONSTANT = 2.0

Steps = dict[str, Any]


def measure(lab: Lab) -> Iterator[Row]:
    domains, accounts = lab.size(100_000), lab.size(1000)
    few, _ = _measured(domains // FEWER, accounts // FEWER)
    many, peak = _measured(domains, accounts)
    case = f"hold {domains:,} objects of {accounts:,} accounts"
    yield Row("11", case, megabytes(peak), megabytes(LIMIT), peak / LIMIT, 1.0)
    yield Row("11", f"{case}: list them (no goal)", seconds(many["listed"]), "-")
    yield Row("11", f"{case}: compile them (no goal)", seconds(many["compiled"]), "-")
    yield from per_object(
        few,
        many,
        f"list and compile one of {domains:,} objects, of one of {domains // FEWER:,}",
        f"change one of {domains:,} objects, of one of {domains // FEWER:,}",
    )


def per_object(few: Steps, many: Steps, start: str, change: str) -> Iterator[Row]:
    """The rows that compare what one object costs among many with one among a tenth of them.
    ``few`` and ``many`` are the seconds of each step, ``start`` and ``change`` what is compared."""
    ours, of_few = (steps["listed"] + steps["compiled"] for steps in (many, few))
    yield Row("11", start, seconds(ours), seconds(of_few), ours / of_few / FEWER, _LINEAR)
    ours, of_few = many["changed"], few["changed"]
    yield Row("11", change, seconds(ours), seconds(of_few), ours / of_few, _CONSTANT)


def _measured(domains: int, accounts: int) -> tuple[dict[str, Any], int]:
    """The seconds of each step, and the peak of memory."""
    command = [PYTHON, str(CHILDREN / "cluster_api.py"), str(domains), str(accounts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            done = run([PYTHON, str(CHILDREN / "cluster_objects.py"), port], keep=True)
        finally:
            server.kill()
    measured: dict[str, Any] = json.loads(done.output)
    assert measured["domains"] == domains
    return measured, done.peak
