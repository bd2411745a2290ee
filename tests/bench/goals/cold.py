"""Goal 1: a whole tree with empty caches. Reading, checking and planning it must take at most half
of the time of a parser for the same bytes."""

from collections.abc import Iterator

from lab import CHILDREN, PYTHON, Lab, Store
from measuring import Run, Samples, interleaved, run
from table import Row, megabytes, seconds
from trees import Tree

RATIO, MEGABYTES = 0.5, 200


def measure(lab: Lab) -> Iterator[Row]:
    tree = Tree(
        lab.room / "tree", domains=lab.size(100_000), files=lab.size(1000), accounts=lab.size(1000)
    ).write()
    empty, full = lab.store("empty"), lab.store("full")
    full.sendroute("apply", "--auto-approve", tree.root)
    parse = [PYTHON, str(CHILDREN / "parse_only.py"), str(tree.root)]
    measured = interleaved(
        {
            "validate": lambda: _cold(empty, "validate", tree),
            "empty store": lambda: _cold(empty, "plan", tree),
            "full store": lambda: _cold(full, "plan", tree),
            "parser": lambda: run(parse),
        },
        lab.rounds(5),
    )
    parser = measured.pop("parser")
    cases = {
        "validate": f"validate {tree.domains:,} domains",
        "empty store": f"plan {tree.domains:,} domains, all new",
        "full store": f"plan {tree.domains:,} domains, no change",
    }
    for name, samples in measured.items():
        yield _time(cases[name], samples, parser)
    for name, samples in measured.items():
        yield Row(
            "1",
            f"{cases[name]}: memory",
            megabytes(samples.peak),
            megabytes(parser.peak),
            samples.peak / 1e6,
            MEGABYTES,
            "MB",
        )


def _cold(store: Store, verb: str, tree: Tree) -> Run:
    store.forget()
    return store.sendroute(verb, tree.root)


def _time(case: str, ours: Samples, parser: Samples) -> Row:
    return Row(
        "1",
        f"{case} / CSafeLoader parsing the same files",
        seconds(ours.seconds),
        seconds(parser.seconds),
        ours.seconds / parser.seconds,
        RATIO,
    )
