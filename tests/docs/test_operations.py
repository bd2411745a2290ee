"""docs/operations.md: its table of metrics is complete."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry

from sendroute.loop.metrics import Metrics

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")


def test_every_metric_is_in_the_table() -> None:
    _, separator, rest = PAGE.partition("\n| metric |")
    assert separator
    rows = re.findall(r"^\| (.*?) \|", rest.partition("\n\n")[0], re.MULTILINE)
    listed = {name for cell in rows for name in re.findall(r"`(\w+)", cell)}
    registry = CollectorRegistry()
    Metrics(registry)
    names = {
        f"{metric.name}_total" if metric.type == "counter" else metric.name
        for metric in registry.collect()
    }
    assert listed == names
