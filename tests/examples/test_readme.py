"""README.md's tables are whole: every command, every option of the loop, every metric."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry

from sendroute.cli.command_line import Parser
from sendroute.cli.commands.run import options
from sendroute.cli.table import COMMANDS
from sendroute.loop.metrics import Metrics

PAGE = (Path(__file__).parents[2] / "README.md").read_text()


def table(head: str) -> str:
    """The rows of the table whose first line begins so."""
    _, found, rest = PAGE.partition(f"\n| {head} |")
    assert found, head
    return rest.partition("\n\n")[0]


def first_cells(head: str, pattern: str) -> set[str]:
    rows = re.findall(r"^\| (.*?) \|", table(head), re.MULTILINE)
    return {name for cell in rows for name in re.findall(pattern, cell)}


def test_every_command_is_in_its_table() -> None:
    assert first_cells("command", r"`(\w+)") == COMMANDS.keys()


def test_every_option_of_run_is_in_its_table_with_its_default() -> None:
    parser = Parser("sendroute run")
    options(parser)
    told = {
        name: match[1] if (match := re.search(r"default (\S+?)[,)\s]", action.help or "")) else None
        for action in parser._actions
        for name in action.option_strings
        if name.startswith("--") and name != "--help"
    }
    assert first_cells("option", r"`(--[\w-]+)") == told.keys()
    for name, default in told.items():
        if default is not None and default[0].isdigit():
            (row,) = (line for line in table("option").splitlines() if f"`{name} " in line)
            assert f"`{default}`" in row


def test_every_metric_is_in_its_table() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    names = {
        f"{metric.name}_total" if metric.type == "counter" else metric.name
        for metric in registry.collect()
    }
    assert first_cells("metric", r"`(\w+)") == names
