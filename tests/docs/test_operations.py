"""docs/operations.md: its table of metrics is complete."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry

from sendroute.cluster.metrics import OperatorMetrics as OperatorMetrics
from sendroute.loop.metrics import LoopMetrics
from sendroute.runtime.metrics import RoundMetrics

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "operations.md").read_text("utf-8")
KUBERNETES = (DOCS / "kubernetes.md").read_text("utf-8")


def listed(page: str) -> set[str]:
    """The metrics of a page's table."""
    _, separator, rest = page.partition("\n| metric |")
    assert separator
    rows = re.findall(r"^\| (.*?) \|", rest.partition("\n\n")[0], re.MULTILINE)
    return {name for cell in rows for name in re.findall(r"`(\w+)", cell)}


def names(metrics: type[RoundMetrics]) -> set[str]:
    """The metrics of a process, as they are served."""
    registry = CollectorRegistry()
    metrics(registry)
    return {
        f"{metric.name}_total" if metric.type == "counter" else metric.name
        for metric in registry.collect()
    }


def test_every_metric_is_in_the_table() -> None:
    assert listed(PAGE) == names(LoopMetrics)


def test_every_metric_of_the_operator_is_in_a_table() -> None:
    assert listed(KUBERNETES) == names(OperatorMetrics) - names(RoundMetrics)
