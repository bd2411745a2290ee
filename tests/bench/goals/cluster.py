"""Goal 11: the operator lists 100,000 sending domains and holds them in 300 MB, and a change of one
object costs what its account costs."""

import json
import subprocess
from collections.abc import Iterator

from lab import CHILDREN, PYTHON, Lab
from measuring import run
from table import Row, megabytes, seconds

LIMIT = 300_000_000


def measure(lab: Lab) -> Iterator[Row]:
    domains, accounts = lab.size(100_000), lab.size(1000)
    command = [PYTHON, str(CHILDREN / "cluster_api.py"), str(domains), str(accounts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            done = run([PYTHON, str(CHILDREN / "cluster_objects.py"), port], keep=True)
        finally:
            server.kill()
    measured = json.loads(done.output)
    assert measured["domains"] == domains
    what = f"hold {domains:,} objects of {accounts:,} accounts"
    yield Row("11", what, megabytes(done.peak), megabytes(LIMIT), done.peak / LIMIT, 1.0)
    yield Row("11", f"{what}: list them (no goal)", seconds(measured["listed"]), "-")
    yield Row("11", f"{what}: compile them (no goal)", seconds(measured["compiled"]), "-")
    yield Row("11", f"{what}: one change (no goal)", seconds(measured["changed"]), "-")
