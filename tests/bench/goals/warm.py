"""Goal 3: a large git working tree with few changes since the last run."""

from collections.abc import Iterator
from pathlib import Path

from lab import Lab, Store
from measuring import Run, interleaved, run
from table import Row, seconds
from trees import Tree

OF_GIT, OF_COLD = 6.0, 0.3
_CHANGED = 100


def measure(lab: Lab) -> Iterator[Row]:
    files = lab.size(100_000)
    tree = Tree(lab.room / "tree", domains=files, files=files, accounts=lab.size(1000)).write()
    _commit(tree.root)
    store = lab.store("settled")
    store.sendroute("apply", "--auto-approve", tree.root)
    step = files // _CHANGED

    def change(number: int) -> None:
        """Change different files in each round, so that no run has seen their content before.

        The files of the previous round get their committed content back.
        """
        if number:
            tree.reroute(range(4 * number, files, step))
        tree.reroute(range(4 * (number + 1), files, step))

    samples = interleaved(
        {
            "git status": lambda: run(["git", "status", "--porcelain"], cwd=tree.root),
            "warm": lambda: store.sendroute("plan", tree.root),
            "cold": lambda: _cold(store, tree),
        },
        lab.rounds(5),
        before=change,
    )
    git, warm, cold = (samples[name] for name in ("git status", "warm", "cold"))
    case = f"plan after {_CHANGED} of {files:,} files changed"
    yield _row(f"{case} / git status", warm.seconds, git.seconds, OF_GIT)
    yield _row(f"{case} / the same, cold", warm.seconds, cold.seconds, OF_COLD)


def _row(case: str, ours: float, other: float, limit: float) -> Row:
    return Row("3", case, seconds(ours), seconds(other), ours / other, limit)


def _commit(root: Path) -> None:
    for words in (
        ["init", "--quiet"],
        ["config", "gc.auto", "0"],  # no background work during the measurement
        ["add", "--all"],
        ["-c", "user.name=b", "-c", "user.email=b@bench.example", "commit", "--quiet", "-m", "b"],
        # Packed like a clone, with an up-to-date index.
        ["gc", "--quiet"],
        ["status", "--porcelain"],
    ):
        run(["git", *words], cwd=root)


def _cold(store: Store, tree: Tree) -> Run:
    store.forget()
    return store.sendroute("plan", tree.root)
