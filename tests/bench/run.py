"""The performance goals on the machine at hand: one table, each row a ratio of one run.

What is compared runs by turns, process by process, so that a slow minute is slow for all;
medians count, and for memory the highest peak of any run. Peers are installed only here, into a
virtual environment of their own under the cache directory.

  python tests/bench/run.py                   all goals; about ten minutes
  python tests/bench/run.py --goal 1 --goal 8
  python tests/bench/run.py --quick           a tenth of each size: for a first look, proves nothing
"""

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))  # the tests' server is the benchmarks' too

from goals import applying, cold, million, one_account, settled, startup, streaming, switching, warm
from lab import Lab
from measuring import FailedRunError
from table import Row, as_json, render

GOALS: dict[str, Callable[[Lab], Iterator[Row]]] = {
    "1": cold.measure,
    "2": settled.measure,
    "3": warm.measure,
    "4": switching.measure,  # and 5
    "7": million.measure,
    "8": startup.measure,
    "12": one_account.measure,
    "13": streaming.measure,
    "15": applying.measure,
}


def main() -> int:
    """Exit status 0 where all that was measured is within its limit, else 1."""
    told = _arguments()
    rows: list[Row] = []
    for goal in told.goal or GOALS:
        print(f"measuring goal {goal} …", file=sys.stderr, flush=True)
        found = _measured(goal, quick=told.quick)
        print(render(found), file=sys.stderr, flush=True)  # kept, should the rest be cut off
        rows += found
    if told.quick:
        print("QUICK: a tenth of each size. Limits are meant for the whole.\n")
    print(render(rows))
    if told.json:
        told.json.write_text(json.dumps(_document(rows, quick=told.quick), indent=2) + "\n")
    return 1 if any(row.met is False or row.failed for row in rows) else 0


def _measured(goal: str, *, quick: bool) -> list[Row]:
    """A goal whose programs fail costs no other goal its rows."""
    with tempfile.TemporaryDirectory(prefix="sendroute-bench-") as room:
        try:
            return list(GOALS[goal](Lab(Path(room), quick)))
        except FailedRunError as error:
            print(error, file=sys.stderr)
            return [Row(goal, "could not be measured", "-", note="FAILED", failed=True)]


def _document(rows: list[Row], *, quick: bool) -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "quick": quick,
        "rows": [as_json(row) for row in rows],
    }


def _arguments() -> argparse.Namespace:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--goal", action="append", choices=GOALS, help="this one alone; may be repeated"
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of each size")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
