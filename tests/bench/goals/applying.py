"""No goal, but a user waits for it: a first apply of many domains. Seconds, not minutes."""

from collections.abc import Iterator
from itertools import count

from lab import Lab
from measuring import Run, interleaved
from table import Row, megabytes, seconds
from trees import Tree


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

    found = interleaved(
        {
            str(accounts): lambda tree=tree: apply(tree)  # type: ignore[misc]
            for accounts, tree in trees.items()
        },
        lab.rounds(3),
        warm_up=False,
    )
    for accounts, samples in found.items():
        owners = "account" if accounts == "1" else "accounts"
        what = f"apply {domains:,} new domains in {int(accounts):,} {owners}"
        yield Row("-", what, f"{seconds(samples.seconds)}, {megabytes(samples.peak)}")
