"""Commands on a store with a value that Sendroute cannot have written: a finding, no traceback."""

from pathlib import Path

import pytest
from tests.store.raw import opened
from tests.store.test_wrong_values import put

from .conftest import Program

COMMANDS = (
    ("status",),
    ("routes",),
    ("routes", "-o", "json"),
    ("history", "-o", "json"),
    ("history",),
    ("explain", "shop.example.com"),
    ("plan", "manifests"),
    ("export",),
)
# What each database lets a column have: text that is no JSON or no known word, and large numbers.
SQLITE = [
    (table, column, value)
    for table, columns in {
        "store": ("revision", "lineage", "created_at"),
        "platform": ("spec", "version"),
        "revision": ("at", "number"),
        "account": ("plan", "default_kind", "revision"),
        "profile": ("spec", "version"),
        "endpoint": ("encryption", "port"),
        "domain": ("kind", "origin", "declared_kind", "declared_profile", "since", "profile"),
        "history": ("kind", "action", "before", "after"),
    }.items()
    for column in columns
    for value in ("nonsense", "{", 2**62)
]
POSTGRESQL = [
    (table, column, value)
    for table, column in (("platform", "spec"), ("profile", "spec"), ("history", "after"))
    for value in ("nonsense", "{", "[]", '{"host": 1}', f'{{"port": {2**70}}}')
]


def check_commands(sendroute: Program, capsys: pytest.CaptureFixture[str]) -> None:
    """Every exception would pass through ``main`` or be reported as an error in Sendroute."""
    for command in COMMANDS:
        result = sendroute(*command)
        output = result.out + result.err
        assert "error in Sendroute" not in output, (command, output)
        assert "Traceback" not in output, (command, output)
        assert result.status in (0, 1, 3, 4), (command, result)
        if result.status == 1:
            assert "error store-failed" in output or "damaged" in output, (command, result)
    capsys.readouterr()


@pytest.mark.parametrize(("table", "column", "value"), SQLITE)
def test_a_wrong_value_in_sqlite_is_a_finding(
    sendroute: Program,
    store: Path,
    capsys: pytest.CaptureFixture[str],
    table: str,
    column: str,
    value: object,
) -> None:
    put(store, table, column, value)
    check_commands(sendroute, capsys)


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("routes",),
        ("explain", "shop.example.com"),
        ("history", "acme"),
        ("plan", "manifests"),
        ("export",),
        ("backup", "new.db"),
    ],
)
def test_every_command_says_the_same_of_a_name_that_is_a_path(
    sendroute: Program, store: Path, command: tuple[str, ...]
) -> None:
    put(store, "account", "name", "../x")
    result = sendroute(*command)
    assert result.status == 1
    assert "error store-failed" in result.err
    assert f"The store {store} is damaged" in result.err
    assert not Path("new.db").exists()


@pytest.mark.parametrize(("table", "column", "value"), POSTGRESQL)
def test_a_wrong_json_text_in_postgresql_is_a_finding(
    sendroute: Program,
    manifests: Path,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    table: str,
    column: str,
    value: str,
) -> None:
    monkeypatch.setenv("SENDROUTE_STORE", postgres_url)
    assert manifests.is_dir()
    assert sendroute("init").status == 0
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    with opened(postgres_url) as raw:
        raw.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        raw.execute(f"UPDATE {table} SET {column} = %s", [value])  # noqa: S608
        raw.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    check_commands(sendroute, capsys)
