"""Measure the performance goals on this machine and print a table of ratios.

The compared processes run alternately, so that a slow minute is slow for all. The median of the
times counts, and the highest peak of memory. Peers are installed into a separate virtual
environment in the cache directory.

  python tests/bench/run.py                   all goals; about ten minutes
  python tests/bench/run.py --goal 1 --goal 8
  python tests/bench/run.py --quick           a tenth of each size, for a first look only
"""

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))  # the benchmarks use the server of the tests

from goals import (
    applying,
    cluster,
    cold,
    converging,
    listing,
    million,
    one_account,
    relay,
    settled,
    startup,
    streaming,
    switching,
    throughput,
    warm,
)
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
    "9": relay.measure,  # and 6
    "10": throughput.measure,
    "11": cluster.measure,
    "11-listed": listing.measure,
    "11-real": converging.measure,
    "12": one_account.measure,
    "13": streaming.measure,
    "15": applying.measure,
}


def main() -> int:
    """Return exit status 0 if every measured value is within its limit, otherwise 1."""
    options = _arguments()
    rows: list[Row] = []
    for goal in options.goal or GOALS:
        print(f"measuring goal {goal} …", file=sys.stderr, flush=True)
        results = _measured(goal, quick=options.quick)
        # Visible even if a later goal is interrupted.
        print(render(results), file=sys.stderr, flush=True)
        rows += results
    if options.quick:
        print("QUICK: a tenth of each size. The limits apply to the full sizes.\n")
    print(render(rows))
    if options.json:
        options.json.write_text(json.dumps(_document(rows, quick=options.quick), indent=2) + "\n")
    return 1 if any(row.met is False or row.failed for row in rows) else 0


def _measured(goal: str, *, quick: bool) -> list[Row]:
    """The rows of a goal. If its programs fail, the other goals are still measured."""
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
        "--goal", action="append", choices=GOALS, help="measure only this goal; may be repeated"
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of each size")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the rows to this file"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
