"""A value that Sendroute cannot have written is reported as damage, whatever column it is in."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column

from sendroute.manifests.export import manifests_of
from sendroute.model.account_status import (
    AccountStatus,
    ReportedFinding,
    StatusReason,
    StatusReport,
)
from sendroute.model.current import AccountState, DomainState, RanApplyAll
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Severity
from sendroute.model.followed_source import FollowedSource
from sendroute.model.platform import Platform, ServicePlan
from sendroute.model.problem import ProblemError
from sendroute.model.provenance import Provenance
from sendroute.model.route import MANAGED, Origin, via
from sendroute.model.secret import PLATFORM_NAMESPACE
from sendroute.store import bulk_switch
from sendroute.store.create import init_store
from sendroute.store.record import Store, open_store
from sendroute.store.tables import metadata

from .conftest import Say
from .raw import opened, put

WRONG: tuple[Any, ...] = (
    None, b"\xff\x00", "", "x", "\x00", -5, 2**62, 1.5, "[]", "{}", '"x"', "{", '{"route": []}',
    '{"profile": 1}', "9999-99-99 00:00:00", "0001-01-01 00:00:00.000000",
)  # fmt: skip
COLUMNS = [(table.name, column) for table in metadata.tables.values() for column in table.c]


def alias(parameter: Any) -> str:
    return f"{parameter[0]}.{parameter[1].name}"


def fill(url: str, say: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store with a row in every table."""
    monkeypatch.setattr(bulk_switch, "_MIN_DOMAINS", 1)
    key, at = say.key, datetime(2026, 11, 3, tzinfo=UTC)
    with init_store(url, say.provenance) as store:
        platform = Platform(None, (ServicePlan("nano", managed=False),))
        store.commit(
            [say.start("a.example", "b.example")],
            say.platform_change(None, platform),
            say.provenance,
            {key: {"ses": "a-token"}},
        )
        ran = ("move", RanApplyAll(via("ses"), 2))
        before = DomainState(MANAGED, Origin.DEFAULT)
        after = DomainState(via("ses"), Origin.APPLY_ALL, None, "move")
        switched = [say.domain(name, before, after) for name in ("a.example", "b.example")]
        state = AccountState("nano")
        plan = say.plan(1, say.account(state, AccountState("nano", MANAGED), ran), *switched)
        store.commit([plan], None, say.provenance)
        status = AccountStatus(key, StatusReason.HELD_BACK, StatusReport(), at, "d" * 64)
        store.write_account_statuses([status], ())
        store.approve(status, say.provenance)
        fault = ReportedFinding("yaml-syntax", Severity.ERROR, "Invalid YAML.")
        store.write_followed_source(FollowedSource("manifests", "c0ffee", at, (fault,), at))
        store.fence(store.raise_epoch("sendroute-0"), {"SendingDomain": 7})
        store.write_account_statuses([], ())
    with opened(url) as raw:
        raw.execute("INSERT INTO applied_commit VALUES ('c0ffee', 'f1257')")
        raw.execute("INSERT INTO relay VALUES ('mx1', 1, '2026-11-03 00:00:00')")
        for table in metadata.tables:
            assert raw.execute(f"SELECT count(*) FROM {table}").fetchone() != (0,), table  # noqa: S608


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("filled") / "filled.db"
    with pytest.MonkeyPatch.context() as monkeypatch:
        fill(f"sqlite:///{path}", Say(), monkeypatch)
    return path.read_bytes()


def read_routes(store: Store) -> None:
    with store.route_stream() as routes:
        list(routes.rows)


def read_route_groups(store: Store) -> None:
    with store.route_stream() as routes:
        list(routes.groups)


def read_export(store: Store) -> None:
    with store.export_stream() as content:
        for batch in manifests_of(content, lambda _finding: None):
            list(batch.documents)


def read_relay_update(store: Store) -> None:
    with store.relay_update(None, None) as update:
        list(update.endpoints)
        list(update.domains)


def outcomes(path: Path, provenance: Provenance) -> Iterator[str | None]:
    """The code of each read that ends with a problem; every other exception passes through."""
    reads: tuple[Callable[[Store], object], ...] = (
        Store.read,
        Store.read_with_credentials,
        Store.head,
        Store.account_statuses,
        Store.endpoints,
        Store.accounts,
        Store.profiles,
        Store.routes,
        Store.status,
        Store.relays,
        Store.history,
        Store.followed_sources,
        Store.object_versions,
        Store.applied_commits,
        lambda store: store.history(domain="a.example"),
        lambda store: store.history(owner=AccountKey("acme", "acme")),
        lambda store: store.explain_facts("a.example"),
        lambda store: store.holders(["a.example"]),
        lambda store: store.changed_since(0),
        read_routes,
        read_route_groups,
        read_export,
        lambda store: store.rekey(lambda token, _binding: token, provenance),
    )
    try:
        store = open_store(f"sqlite:///{path}")
    except ProblemError as problem:
        yield _code_of(problem)
        return
    with store:
        yield None
        for read in reads:
            try:
                read(store)
                yield None
            except ProblemError as problem:
                yield _code_of(problem)


def _code_of(problem: ProblemError) -> str:
    [finding] = problem.findings
    assert finding.hint
    return finding.code


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=[alias(c) for c in COLUMNS])
def test_a_wrong_value_is_never_a_traceback(
    table: str, column: Column[Any], filled: bytes, tmp_path: Path, say: Any
) -> None:
    """Each column gets a third of the values, or all of them with SENDROUTE_TEST_ALL."""
    every = 1 if os.environ.get("SENDROUTE_TEST_ALL") else 3
    for number, value in enumerate(WRONG[COLUMNS.index((table, column)) % every :: every]):
        path = tmp_path / f"{number}.db"
        path.write_bytes(filled)
        put(path, table, column.name, value)
        assert set(outcomes(path, say.provenance)) <= {None, "store-failed"}, value
        new = tmp_path / f"new-{number}.db"
        assert created(new, path, say) in (None, "store-failed")


def created(new: Path, backup: Path, say: Any) -> str | None:
    """Create a store from a backup. Returns the code of the problem, and None if it was created."""
    try:
        init_store(f"sqlite:///{new}", say.provenance, from_backup=backup).close()
    except ProblemError as problem:
        [finding] = problem.findings
        return None if new.exists() else finding.code
    return None


def nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("platform.spec", nested(5000)),
        ("profile.spec", nested(5000)),
        ("history.before", nested(5000)),
        ("history.after", nested(5000)),
        ("history.after", nested(33)),
        ("switch.before", nested(5000)),
        ("switch.after", nested(5000)),
        ("account.logins", nested(5000)),
        ("account.logins", "[" * 5000 + "]" * 5000),
        ("account_status.report", nested(5000)),
        ("followed_source.faults", f"[{nested(5000)}]"),
        ("epoch.object_versions", nested(5000)),
    ],
    ids=lambda value: value if "." in value else f"{len(value)} characters",
)
def test_json_that_is_nested_too_deeply_is_damage(
    column: str, value: str, filled: bytes, tmp_path: Path, say: Any
) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(filled)
    put(path, *column.split("."), value)
    assert set(outcomes(path, say.provenance)) == {None, "store-failed"}
    assert created(tmp_path / "new.db", path, say) in (None, "store-failed")


@pytest.mark.parametrize("column", ["namespace", "name"])
@pytest.mark.parametrize("value", ["../../x", "/tmp/x", "n" * 300])  # noqa: S108 - a name
def test_no_export_is_written_by_a_name_that_leads_elsewhere(
    column: str, value: str, filled: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(filled)
    put(path, "account", column, value)
    with open_store(f"sqlite:///{path}") as store, pytest.raises(ProblemError) as caught:
        read_export(store)
    assert [finding.code for finding in caught.value.findings] == ["store-failed"]


READS_OF_ACCOUNTS: dict[str, Callable[[Store], object]] = {
    "read": Store.read,
    "accounts": Store.accounts,
    "logins": Store.logins,
    "profiles": Store.profiles,
    "routes": Store.routes,
    "routes of domains": lambda store: store.routes(["a.example"]),
    "explain": lambda store: store.explain_facts("a.example"),
    "status": Store.status,
    "holders": lambda store: store.holders(["a.example"]),
    "changed since": lambda store: store.changed_since(0),
    "route stream": read_routes,
    "route groups": read_route_groups,
    "export": read_export,
}


@pytest.mark.parametrize("column", ["namespace", "name"])
@pytest.mark.parametrize("read", READS_OF_ACCOUNTS)
def test_a_name_of_an_account_that_manifests_refuse_is_damage_to_every_read(
    read: str, column: str, filled: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(filled)
    put(path, "account", "logins", '["x"]')
    put(path, "account", column, "../x")
    with open_store(f"sqlite:///{path}") as store, pytest.raises(ProblemError) as caught:
        READS_OF_ACCOUNTS[read](store)
    assert [finding.code for finding in caught.value.findings] == ["store-failed"]


@pytest.mark.parametrize(
    ("table", "read"),
    [
        ("history", Store.history),
        ("account_status", Store.account_statuses),
        ("endpoint", Store.endpoints),
        ("endpoint", Store.read_with_credentials),
        ("apply_all", Store.read),
    ],
)
def test_such_a_name_is_damage_in_every_table(
    table: str, read: Callable[[Store], object], filled: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(filled)
    put(path, table, "account", "../x")
    with open_store(f"sqlite:///{path}") as store, pytest.raises(ProblemError) as caught:
        read(store)
    assert [finding.code for finding in caught.value.findings] == ["store-failed"]


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=[alias(c) for c in COLUMNS])
def test_a_value_of_a_wrong_type_is_damage(
    table: str, column: Column[Any], filled: bytes, tmp_path: Path, say: Any
) -> None:
    """At least one read reports a blob, and NULL where the schema forbids it; and no store is
    created from such a backup."""
    for value in (b"\xff\x00", *(() if column.nullable else (None,))):
        path = tmp_path / "x.db"
        path.write_bytes(filled)
        put(path, table, column.name, value)
        with closing(sqlite3.connect(path)) as raw:
            stored = {row[0] for row in raw.execute(f"SELECT {column.name} FROM {table}")}  # noqa: S608
        if value not in stored:  # an INTEGER PRIMARY KEY takes only integers
            assert column.primary_key
            continue
        assert created(tmp_path / "new.db", path, say) == "store-failed"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("endpoint.host", "a.example\np1r1001 evil.example"),
        ("endpoint.port", 70_000),
        ("endpoint.host", "evil.example"),
        ("endpoint.port", 25),
        ("endpoint.encryption", "none"),
        ("endpoint.namespace", "evil"),
        ("endpoint.account", "evil"),
        ("endpoint.name", "evil"),
        ("endpoint.version", 9),
        ("endpoint.retired", 9),
        ("profile.name", "s s"),
        ("profile.spec", '{"host":"a b","port":1,"encryption":"tls"}'),
        ("account.namespace", "../x"),
        ("account.namespace", PLATFORM_NAMESPACE),
        ("account.logins", '["a,b"]'),
        ("account.plan", "a\nb"),
        ("account.default_profile", "a b"),
        ("apply_all.id", "a\0b"),
        ("domain.declared_profile", "a\nb"),
        ("domain.overrides", "x" * 64),
        ("platform.spec", '{"managed":null,"plans":[],"allow_networks":["10.0.0.0/33"]}'),
        ("platform.spec", '{"managed":null,"plans":[],"ca_file":"a\\u0000"}'),
        ("domain.name", "evil.example' OR 1=1 --"),
        ("domain.name", "a..b"),
        ("domain.name", "a.example."),
    ],
)
def test_a_backup_brings_no_name_that_manifests_refuse(
    column: str, value: object, filled: bytes, tmp_path: Path, say: Any
) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(filled)
    put(path, *column.split("."), value)
    assert created(tmp_path / "new.db", path, say) == "store-failed"
