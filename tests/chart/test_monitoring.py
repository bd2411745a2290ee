"""Alerts and dashboard ask only for metrics and label values that Sendroute serves."""

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
from prometheus_client import CollectorRegistry
from tests.chart.conftest import CHART, EVERYTHING, Render, the

from sendroute.cluster.metrics import OperatorMetrics as OperatorMetrics
from sendroute.model.account_status import StatusReason
from sendroute.relay.metrics import AgentMetrics as RelayMetrics

DASHBOARD: dict[str, Any] = json.loads((CHART / "dashboards" / "sendroute.json").read_text())
OF_PROMETHEUS = frozenset({"up"})
ENDINGS = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",)}


def served(metrics: Any) -> dict[str, set[str]]:
    """The labels of each series that a process serves, by its name."""
    registry = CollectorRegistry()
    kept = metrics(registry)
    assert kept is not None
    labels: dict[str, set[str]] = {}
    for metric in registry.collect():
        names = [f"{metric.name}{end}" for end in ENDINGS.get(metric.type, ("",))]
        for name in names:
            labels[name] = {label for sample in metric.samples for label in sample.labels}
            labels[name] |= set(_declared(registry, metric.name))
    return labels


def _declared(registry: CollectorRegistry, name: str) -> tuple[str, ...]:
    """The labels that a metric without a sample has."""
    collectors = registry._names_to_collectors
    return tuple(getattr(collectors.get(name), "_labelnames", ()))


SERVED = {"operator": served(OperatorMetrics), "relay": served(RelayMetrics)}


def selectors(expression: Any) -> Iterator[Any]:
    """Every selector in a parsed expression."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
        return
    parts = (
        getattr(expression, name, None) for name in ("expr", "lhs", "rhs", "vs", "vector_selector")
    )
    for part in (*parts, *(getattr(expression, "args", None) or ())):
        if part is not None and not isinstance(part, str | int | float):
            yield from selectors(part)


def panels() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"].replace("$namespace", "a").replace("$job", "b")
            yield f"{panel['title']}: {expression}", expression


@pytest.fixture(scope="module")
def rules(render: Render) -> list[dict[str, Any]]:
    groups = the(render(EVERYTHING), "PrometheusRule")["spec"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def complaints(expression: str) -> Iterator[str]:
    parsed = list(selectors(promql_parser.parse(expression)))
    written = set(re.findall(r"\b(?:sendroute_\w+|up)(?=\{)", expression))
    assert {selector.name for selector in parsed} == written, expression
    for selector in parsed:
        if selector.name in OF_PROMETHEUS:
            continue
        labels = [of[selector.name] for of in SERVED.values() if selector.name in of]
        if not labels:
            yield f"{selector.name} is not served"
            continue
        asked = {matcher.name for matcher in selector.matchers.matchers}
        unknown = asked - {"namespace", "job"} - set().union(*labels)
        yield from (f"{selector.name} has no label {name}" for name in sorted(unknown))


@pytest.mark.parametrize("expression", [text for _, text in panels()])
def test_a_panel_asks_for_what_is_served(expression: str) -> None:
    assert list(complaints(expression)) == []


def test_an_alert_asks_for_what_is_served(rules: list[dict[str, Any]]) -> None:
    assert len(rules) > 10
    for rule in rules:
        assert list(complaints(rule["expr"])) == [], rule["alert"]


def test_an_alert_asks_for_a_reason_that_exists(rules: list[dict[str, Any]]) -> None:
    reasons = {value for rule in rules for value in re.findall(r'reason="([^"]+)"', rule["expr"])}
    assert reasons
    assert reasons <= {reason.value for reason in StatusReason}


def test_an_alert_has_a_name_of_its_own_a_severity_and_a_sentence(
    rules: list[dict[str, Any]],
) -> None:
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert rule["annotations"]["summary"].endswith(".")


def test_an_alert_watches_the_jobs_that_the_monitors_create(
    rules: list[dict[str, Any]], render: Render
) -> None:
    """Prometheus names a job after the Service that a ServiceMonitor selects."""
    objects = render(EVERYTHING)
    services = [o for o in objects if o["kind"] == "Service"]
    jobs = set()
    for monitor in (o for o in objects if o["kind"] == "ServiceMonitor"):
        selected = monitor["spec"]["selector"]["matchLabels"].items()
        (service,) = (s for s in services if selected <= s["metadata"]["labels"].items())
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
        jobs.add(service["metadata"]["name"])
    asked = {job for rule in rules for job in re.findall(r'job="([^"]+)"', rule["expr"])}
    assert asked == jobs


def test_the_dashboard_is_in_the_config_map_as_it_is(render: Render) -> None:
    config = the(render(EVERYTHING), "ConfigMap", "sendroute-dashboard")
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(config["data"]["sendroute.json"]) == DASHBOARD


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not taken & cells, panel["title"]
        taken |= cells
