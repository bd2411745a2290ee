"""Goal 8: the time that a user waits before a command does anything."""

from collections.abc import Iterator

from lab import PROGRAM, PYTHON, Lab
from measuring import Samples, interleaved, run
from table import Row, seconds
from trees import Tree

HELP, VALIDATE = 4.0, 10.0


def measure(lab: Lab) -> Iterator[Row]:
    tree = Tree(lab.room / "tree", domains=1, files=1, accounts=1).write()
    whole = lab.room / "one.yaml"
    parts = (tree.root / "platform.yaml", tree.path(0))
    whole.write_text("---\n".join(part.read_text() for part in parts))
    samples = interleaved(
        {
            "pass": lambda: run([PYTHON, "-c", "pass"]),
            "help": lambda: run([*PROGRAM, "--help"]),
            "validate": lambda: run([*PROGRAM, "validate", str(whole)]),
        },
        lab.rounds(21),
    )
    yield _row("sendroute --help / python -c pass", samples["help"], samples["pass"], HELP)
    yield _row(
        "validate of one file / python -c pass", samples["validate"], samples["pass"], VALIDATE
    )


def _row(case: str, ours: Samples, other: Samples, limit: float) -> Row:
    ratio = ours.seconds / other.seconds
    return Row("8", case, seconds(ours.seconds), seconds(other.seconds), ratio, limit)
