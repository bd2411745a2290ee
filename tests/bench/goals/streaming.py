"""Goal 13: the memory for listing and exporting does not grow with the number of domains."""

from collections.abc import Iterator

from databases import Sqlite
from lab import CHILDREN, PROGRAM, PYTHON, Lab
from measuring import interleaved, run
from table import Row, megabytes, seconds

MEGABYTES = 150
COMMANDS = ("routes", "routes -o json", "export", "export -o json")


def measure(lab: Lab) -> Iterator[Row]:
    domains = lab.size(1_000_000)
    url = Sqlite(lab.room).new()
    run([PYTHON, str(CHILDREN / "million.py"), "fill", url, str(domains)])
    measured = interleaved(
        {
            command: lambda command=command: run([*PROGRAM, "--store", url, *command.split()])  # type: ignore[misc]
            for command in COMMANDS
        },
        lab.rounds(3),
        warm_up=False,
    )
    for command, samples in measured.items():
        case = f"{command} of {domains:,} domains, {seconds(samples.seconds)}: memory"
        peak = samples.peak / 1e6
        yield Row("13", case, megabytes(samples.peak), value=peak, limit=MEGABYTES, unit="MB")
