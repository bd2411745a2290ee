"""Goal 15: many small accounts cost little more than one large account with as many domains."""

from collections.abc import Iterator
from itertools import count

from lab import Lab
from measuring import Run, interleaved
from table import Row, megabytes, seconds
from trees import Tree

RATIO = 1.3


def measure(lab: Lab) -> Iterator[Row]:
    domains, files = lab.size(100_000), lab.size(1000)
    trees = {
        accounts: Tree(lab.room / f"tree-{accounts}", domains, files, accounts).write()
        for accounts in (1, files)
    }
    numbers = count()

    def apply(tree: Tree) -> Run:
        store = lab.store(f"new-{next(numbers)}")
        return store.sendroute("apply", "--auto-approve", tree.root)

    samples = interleaved(
        {
            str(accounts): lambda tree=tree: apply(tree)  # type: ignore[misc]
            for accounts, tree in trees.items()
        },
        lab.rounds(3),
        warm_up=False,
    )
    single, many = samples["1"], samples[str(files)]
    case = f"apply {domains:,} new domains in {files:,} accounts / in one account"
    ratio = many.seconds / single.seconds
    yield Row("15", case, seconds(many.seconds), seconds(single.seconds), ratio, RATIO)
    yield Row("15", f"{case}: memory (no goal)", megabytes(many.peak), megabytes(single.peak))
