"""A backup is the whole store at one moment; either database can be created from it."""

import os
import resource
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from sendroute.model.current import AccountState, DomainState, RanApplyAll
from sendroute.model.problem import ProblemError
from sendroute.model.route import MANAGED, Origin, via
from sendroute.store.backups import backup_store
from sendroute.store.copy import ORDER
from sendroute.store.create import init_store
from sendroute.store.migrate import migrate
from sendroute.store.record import Store, open_store
from sendroute.store.sqlite.database import Sqlite
from sendroute.store.tables import account_status, apply_all, metadata, relay
from sendroute.store.url import APPLICATION_ID

KINDS = ("sqlite", "postgresql")


@pytest.fixture(params=KINDS)
def target_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a second store, in each database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/second.db"
        return
    cluster: Any = request.getfixturevalue("cluster")
    name = cluster.create_database()
    yield cluster.url(name)
    cluster.drop_database(name)


@pytest.fixture
def filled(store: Store, say: Any, other: Any) -> Store:
    """A store with deleted and recreated accounts, a bulk switch, a changed and a deleted profile,
    encrypted credentials, a relay, and an account that is held back."""
    platform = say.platform_change(None, say.platform)
    names = [f"d{number}.example" for number in range(150)]
    store.commit([say.start(*names)], platform, say.provenance, {say.key: {"ses": "a-token"}})
    before, after = DomainState(MANAGED, Origin.DEFAULT), via("ses")
    ran = ("move", RanApplyAll(after, len(names)))
    shadowed = DomainState(after, Origin.APPLY_ALL, None, "move")
    turned = [say.domain(name, before, shadowed) for name in names]
    store.commit(
        [say.plan(1, say.account(AccountState("nano"), ran=ran), *turned)], None, say.provenance
    )
    ids = ('2026 "quoted" \u00e9', RanApplyAll(MANAGED, 0))
    profiles = (other.profile("idle"), other.profile("last"))
    store.commit([other.plan(0, other.account(ran=ids), *profiles)], None, say.provenance)
    profiles = (other.profile("idle", say.ses, None), other.profile("last", say.ses, None))
    deletion = (other.account(AccountState("nano"), None), *profiles)
    store.commit([other.plan(3, *deletion)], None, say.provenance)
    edited = msgspec.structs.replace(say.ses, port=465)
    store.commit([say.plan(2, say.profile("ses", say.ses, edited))], None, say.provenance)

    def aside(connection: Any) -> None:
        seen = {"name": "mx1", "revision": 5, "seen_at": say.provenance.at}
        connection.execute(relay.insert().values(seen))
        left = {"namespace": "a", "account": "b", "reason": "refused", "report": "{}"}
        connection.execute(account_status.insert().values(left | {"since": say.provenance.at}))

    store._database.write(aside)
    return store


def rows(store: Store, *but: str) -> dict[str, list[Any]]:
    """Every row of every table, without the account id of an apply-all, because a deleted account
    has none."""
    tables: dict[str, list[Any]] = {}
    with store._database.reading() as connection:
        for table in (table for table in ORDER if table.name not in but):
            columns = [column for column in table.c if column is not apply_all.c.account_id]
            ordered = select(*columns).order_by(*table.primary_key)
            tables[table.name] = [tuple(row) for row in connection.execute(ordered)]
    return tables


def code_of(caught: pytest.ExceptionInfo[ProblemError]) -> str:
    [finding] = caught.value.findings
    assert finding.hint
    return finding.code


def test_tables_are_copied_after_the_tables_they_refer_to() -> None:
    assert sorted(table.name for table in ORDER) == sorted(metadata.tables)
    for number, table in enumerate(ORDER):
        for key in table.foreign_keys:
            assert ORDER.index(key.column.table) <= number


def test_a_backup_holds_every_row(filled: Store, store_url: str, tmp_path: Path) -> None:
    status = backup_store(store_url, tmp_path / "backup.db")  # while it is open
    assert (status.accounts, status.profiles, status.domains) == (1, 1, 150)
    assert (status.lineage, status.revision) == (filled.read().lineage, 5)
    assert stat.S_IMODE((tmp_path / "backup.db").stat().st_mode) == 0o600
    with open_store(f"sqlite:///{tmp_path}/backup.db") as copy:
        assert rows(copy) == rows(filled)
    assert not list(tmp_path.glob("backup.db-*"))


@pytest.mark.usefixtures("filled")
def test_a_backup_creates_a_store_in_either_database(
    store: Store, store_url: str, target_url: str, tmp_path: Path, say: Any
) -> None:
    backup_store(store_url, tmp_path / "backup.db")
    before = (tmp_path / "backup.db").read_bytes()
    with init_store(target_url, say.provenance, from_backup=tmp_path / "backup.db") as again:
        assert (tmp_path / "backup.db").read_bytes() == before, "a backup is never changed"
        current, before_copy = again.read_with_credentials(), store.read_with_credentials()
        assert current[0].accounts == before_copy[0].accounts
        assert (current[0].platform, current[0].lineage) == (
            before_copy[0].platform,
            before_copy[0].lineage,
        )
        assert current[1] == before_copy[1], "the encrypted credentials are copied too"
        assert again.routes() == store.routes()
        creation, *earlier = again.history()
        assert (creation.reason, creation.revision) == ("restored-from-backup", 6)
        assert earlier == store.history()
        kept = rows(again, "store", "revision", "history", "platform", "profile", "endpoint")
        assert kept == rows(store, *(rows(store).keys() - kept.keys())) | {"relay": []}


@pytest.mark.usefixtures("filled")
def test_a_store_from_a_backup_never_reuses_ids(
    store_url: str, target_url: str, tmp_path: Path, say: Any, other: Any
) -> None:
    """No id of an account, a profile or a version is used again.

    Otherwise an apply-all of a deleted account would belong to another account, and queued mail
    would use another profile.
    """
    backup_store(store_url, tmp_path / "backup.db")
    with init_store(target_url, say.provenance, from_backup=tmp_path / "backup.db") as again:
        ids = ('2026 "quoted" \u00e9', RanApplyAll(MANAGED, 1))
        third = type(other)("third", "third")
        domain = third.domain(
            "third.example", None, DomainState(MANAGED, Origin.APPLY_ALL, None, ids[0])
        )
        made = third.plan(0, third.account(ran=ids), third.profile("ses"), domain)
        assert again.commit([made], None, say.provenance) == 7
        known = {
            row.name: (row.id, row.version) for row in again.profiles() if row.account != say.key
        }
        assert known == {"ses": (1_000_004, 1)}
        live = {e.alias for e in again.endpoints() if e.retired is None}
        assert live == {"p1r1002", "p1000004r1"}
        retired = {e.alias for e in again.endpoints() if e.retired is not None}
        assert retired == {"p1r1", "p1r2", "p2r1", "p3r1"}


@pytest.mark.usefixtures("filled")
def test_a_backup_is_one_state_during_concurrent_writes(
    store: Store, store_url: str, tmp_path: Path, say: Any, other: Any
) -> None:
    padded = [
        other.domain(f"x{n}.example", None, DomainState(MANAGED, Origin.DEFAULT), "x" * 60_000)
        for n in range(400)
    ]
    store.commit([other.plan(0, other.account(), *padded)], None, say.provenance)
    before = rows(store)
    calls = 0

    def another_commits(_steps: int) -> None:
        nonlocal calls
        calls += 1
        third = type(other)(f"third{calls}", "third")
        store.commit([third.start(f"{calls}.third.example")], None, say.provenance)

    backup_store(store_url, tmp_path / "backup.db", advance=another_commits)
    assert calls > 1
    with open_store(f"sqlite:///{tmp_path}/backup.db") as copy:
        assert rows(copy) == before


def test_a_backup_of_an_older_schema_is_migrated_without_changing_the_file(
    target_url: str, tmp_path: Path, say: Any
) -> None:
    old = tmp_path / "old.db"
    with closing(sqlite3.connect(old)) as raw:
        raw.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    with closing(Sqlite(old, 5)) as database:
        database.write(_first_version)
    before = old.read_bytes()
    with init_store(target_url, say.provenance, from_backup=old) as again:
        assert again.read().lineage == LINEAGE
        assert [entry.revision for entry in again.history()] == [1]
    assert old.read_bytes() == before


LINEAGE = "0f8e4a52-6d0b-4f27-9f1e-3f7d2c1b0a99"


def _first_version(connection: Any) -> None:
    migrate(connection, "0001")
    connection.exec_driver_sql(
        "INSERT INTO revision VALUES (0, '2026-01-01 00:00:00', 'ada', NULL)"
    )
    connection.exec_driver_sql(
        "INSERT INTO store VALUES (1, ?, 0, 0, '2026-01-01 00:00:00')", (LINEAGE,)
    )


# Bad input


def _page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8192:12288] = b"\xff" * 4096
    path.write_bytes(content)


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")


def _endless_version(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("UPDATE alembic_version SET version_num = ?", ("9" * 5000,))


def _two_versions(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("INSERT INTO alembic_version VALUES ('9999')")


def _wrong_value(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        named = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
        triggers = raw.execute(named).fetchall()
        for name, _ in triggers:
            raw.execute(f"DROP TRIGGER {name}")
        raw.execute("UPDATE store SET created_at = 'abc'")
        for _, trigger in triggers:
            raw.execute(trigger)


def _no_row(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        named = "SELECT sql FROM sqlite_schema WHERE name = 'store_never_deleted'"
        [trigger] = raw.execute(named).fetchone()
        raw.execute("DROP TRIGGER store_never_deleted")
        raw.execute("DELETE FROM store")
        raw.execute(trigger)


def _dangling(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute(
            "UPDATE domain SET profile = 'none', kind = 'profile' WHERE name = 'd1.example'"
        )


def _stranger(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE t (x)")


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (Path.unlink, "unreadable"),
    "an empty file": (lambda path: path.write_bytes(b""), "wrong-store"),
    "a lock file": (lambda path: path.write_text('{"lineage": "x"}'), "wrong-store"),
    "a directory": (_directory, "wrong-store"),
    "a pipe without a writer": (_pipe, "wrong-store"),
    "another program's database": (_stranger, "wrong-store"),
    "a backup cut short": (lambda path: os.truncate(path, 20_000), "store-failed"),
    "a backup cut within its header": (lambda path: os.truncate(path, 90), "store-failed"),
    "a backup with a broken page": (_page, "store-failed"),
    "a backup with dangling foreign keys": (_dangling, "store-failed"),
    "a backup without a store row": (_no_row, "store-failed"),
    "a backup of a newer version": (_newer, "store-version"),
    "a backup of an endless version": (_endless_version, "wrong-store"),
    "a backup of two versions": (_two_versions, "wrong-store"),
    "a backup with a value of the wrong type": (_wrong_value, "store-failed"),
}


@pytest.fixture
def backup(tmp_path: Path, say: Any) -> Path:
    path = tmp_path / "first"
    path.mkdir()
    with init_store(f"sqlite:///{path}/s.db", say.provenance) as made:
        made.commit([say.start("d1.example", "d2.example")], None, say.provenance)
    backup_store(f"sqlite:///{path}/s.db", tmp_path / "backup.db")
    shutil.rmtree(path)
    return tmp_path / "backup.db"


@pytest.mark.parametrize("spoil", [_page, _wrong_value])
def test_a_damaged_store_is_not_called_a_backup(
    tmp_path: Path, say: Any, spoil: Callable[[Path], object]
) -> None:
    path = tmp_path / "s.db"
    with init_store(f"sqlite:///{path}", say.provenance) as made:
        made.commit([say.start("d1.example", "d2.example")], None, say.provenance)
    spoil(path)
    with pytest.raises(ProblemError, match=r"The store .* is damaged") as caught:
        backup_store(f"sqlite:///{path}", tmp_path / "backup.db")
    assert code_of(caught) == "store-failed"
    assert not (tmp_path / "backup.db").exists()


@pytest.mark.parametrize(("spoil", "code"), BAD.values(), ids=BAD.keys())
def test_an_invalid_backup_creates_no_store(
    backup: Path, store_url: str, say: Any, spoil: Callable[[Path], object], code: str
) -> None:
    spoil(backup)
    with pytest.raises(ProblemError) as caught:
        init_store(store_url, say.provenance, from_backup=backup)
    assert code_of(caught) == code
    assert not [path for path in backup.parent.iterdir() if path != backup]
    init_store(store_url, say.provenance).close()  # no store was left behind


@pytest.mark.usefixtures("filled")
def test_a_backup_never_replaces_an_existing_file(store_url: str, tmp_path: Path) -> None:
    for make in (Path.touch, Path.mkdir, lambda path: path.symlink_to("nowhere")):
        path = tmp_path / f"there-{make}"
        make(path)
        with pytest.raises(ProblemError) as caught:
            backup_store(store_url, path)
        assert code_of(caught) == "store-exists"
    with pytest.raises(ProblemError) as caught:
        backup_store(store_url, tmp_path / "no" / "directory.db")
    assert code_of(caught) == "unwritable"


@pytest.mark.usefixtures("filled")
def test_a_full_disk_is_reported_and_leaves_no_file(
    store_url: str, tmp_path: Path, child: Any
) -> None:
    room = tmp_path / "room"
    room.mkdir()

    def cramped(sender: Any) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
        with pytest.raises(ProblemError) as caught:
            backup_store(store_url, room / "backup.db")
        sender.send((code_of(caught), str(caught.value)))

    [(code, message)] = child(cramped).receive_all()
    assert code == "store-failed"
    assert f"The disk of {room} is full or failed." in message
    assert not list(room.iterdir())


@pytest.mark.usefixtures("filled")
def test_a_killed_backup_leaves_no_file_at_its_path(
    store_url: str, tmp_path: Path, child: Any
) -> None:
    room = tmp_path / "room"
    room.mkdir()

    def slow(sender: Any) -> None:
        backup_store(store_url, room / "backup.db", advance=lambda _: _wait(sender))

    killed = child(slow)
    killed.receive()
    killed.process.kill()
    killed.process.join()
    assert not (room / "backup.db").exists()
    backup_store(store_url, room / "backup.db")


def _wait(sender: Any) -> None:
    """Report that the copy has started, and wait until the process is killed."""
    sender.send("in the middle")
    sender.poll(60)


@pytest.mark.usefixtures("filled")
def test_a_killed_store_creation_leaves_no_store(
    store_url: str, target_url: str, tmp_path: Path, say: Any, child: Any
) -> None:
    backup_store(store_url, tmp_path / "backup.db")

    def slow(sender: Any) -> None:
        init_store(target_url, say.provenance, from_backup=tmp_path / "backup.db",
                   advance=lambda _: _wait(sender)).close()  # fmt: skip

    killed = child(slow)
    killed.receive()
    killed.process.kill()
    killed.process.join()
    with pytest.raises(ProblemError) as caught:
        open_store(target_url)
    assert code_of(caught) == "not-initialised"
    with init_store(target_url, say.provenance, from_backup=tmp_path / "backup.db") as again:
        assert len(again.routes()) == 150


def test_a_backup_that_postgresql_refuses_leaves_the_database_empty(
    backup: Path, postgres_url: str, say: Any
) -> None:
    """SQLite accepts a text with a NUL character; PostgreSQL does not."""
    with closing(sqlite3.connect(backup, isolation_level=None)) as raw:
        raw.execute("UPDATE account SET plan = 'na' || char(0) || 'no'")
    with pytest.raises(ProblemError) as caught:
        init_store(postgres_url, say.provenance, from_backup=backup)
    assert code_of(caught) == "store-failed"
    init_store(postgres_url, say.provenance).close()
