"""Goal 2: planning an unchanged tree, compared with octoDNS; and how the time grows."""

import math
from collections.abc import Callable, Iterator

from lab import Lab
from measuring import Run, Samples, interleaved, run
from peers import REQUIREMENT, NoPeerError, octodns_sync, write_zones
from table import Row, seconds
from trees import Tree

RATIO, EXPONENT = 0.1, 1.1
# octoDNS takes half a millisecond per record at every size, so a tenth of our size is enough.
_PEER_RECORDS = 10_000


def measure(lab: Lab) -> Iterator[Row]:
    sizes = [lab.size(size) for size in (1_000, 10_000, 100_000)]
    plans = [_settled(lab, size) for size in sizes]
    largest = f"plan {sizes[-1]:,} domains, no change"
    contestants = {str(size): plan for size, plan in zip(sizes, plans, strict=True)}
    records = lab.size(_PEER_RECORDS)
    missing = ""
    try:
        contestants["octoDNS"] = _octodns(lab, records)
    except NoPeerError as error:
        missing = str(error)
    samples = interleaved(contestants, lab.rounds(5))
    ours = samples[str(sizes[-1])].seconds / sizes[-1]
    if missing:
        yield Row("2", f"{largest} / octoDNS, per domain", _microseconds(ours), "-", note=missing)
    else:
        theirs = samples["octoDNS"].seconds / records
        case = f"{largest} / {REQUIREMENT} of {records:,} records, per record"
        yield Row("2", case, _microseconds(ours), _microseconds(theirs), ours / theirs, RATIO)
    yield _growth(sizes, [samples[str(size)] for size in sizes])


def _settled(lab: Lab, domains: int) -> Callable[[], Run]:
    files = domains // 100
    tree = Tree(lab.room / f"tree-{domains}", domains, files, accounts=files).write()
    store = lab.store(f"settled-{domains}")
    store.sendroute("apply", "--auto-approve", tree.root)
    # With any change the exit status is not 0, and the measurement fails.
    return lambda: store.sendroute("plan", "--detailed-exitcode", tree.root)


def _octodns(lab: Lab, records: int) -> Callable[[], Run]:
    room = lab.room / "octodns"
    program = str(octodns_sync())
    words = write_zones(room, records=records, zones=records // 100)
    return lambda: run([program, *words], cwd=room)


def _growth(sizes: list[int], samples: list[Samples]) -> Row:
    """The steepest step counts, because the start would hide growth over the whole range."""
    steps = [
        math.log(after.seconds / before.seconds) / math.log(larger / smaller)
        for smaller, larger, before, after in zip(
            sizes, sizes[1:], samples, samples[1:], strict=False
        )
    ]
    took = ", ".join(seconds(sample.seconds) for sample in samples)
    case = f"exponent of the time, {' to '.join(f'{size:,}' for size in sizes)} domains"
    return Row("2", case, took, "-", max(steps), EXPONENT, "")


def _microseconds(value: float) -> str:
    return f"{value * 1e6:.0f} us"
