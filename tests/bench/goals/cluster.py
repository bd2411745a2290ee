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
_FEWER = 10
_LINEAR = 1.5
_CONSTANT = 2.0


def measure(lab: Lab) -> Iterator[Row]:
    domains, accounts = lab.size(100_000), lab.size(1000)
    few, _ = _measured(domains // _FEWER, accounts // _FEWER)
    many, peak = _measured(domains, accounts)
    what = f"hold {domains:,} objects of {accounts:,} accounts"
    yield Row("11", what, megabytes(peak), megabytes(LIMIT), peak / LIMIT, 1.0)
    yield Row("11", f"{what}: list them (no goal)", seconds(many["listed"]), "-")
    yield Row("11", f"{what}: compile them (no goal)", seconds(many["compiled"]), "-")
    start, of_few = (it["listed"] + it["compiled"] for it in (many, few))
    yield Row(
        "11",
        f"list and compile one of {domains:,} objects, of one of {domains // _FEWER:,}",
        seconds(start),
        seconds(of_few),
        start / of_few / _FEWER,
        _LINEAR,
    )
    yield Row(
        "11",
        f"change one of {domains:,} objects, of one of {domains // _FEWER:,}",
        seconds(many["changed"]),
        seconds(few["changed"]),
        many["changed"] / few["changed"],
        _CONSTANT,
    )


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
