"""The SQLite file that Postfix reads."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sendroute.delivery.lookup_tables import OK, UNCONFIGURED, DomainRow, NexthopRows
from sendroute.model.provenance import Head
from sendroute.relay.tables import (
    TABLES,
    DamagedTablesError,
    ReassignedAliasError,
    ServedRevision,
    Tables,
    TablesUpdate,
)

NOW = 1000.0


def nexthop(alias: str, owner: str = "profile ses", *, usable: bool = True) -> NexthopRows:
    transport = f"sendroute-starttls:[{alias}]:587" if usable else None
    credential = f"user:{alias}" if usable else None
    host = "smtp.provider.example"
    return NexthopRows(
        alias, owner, host, transport, credential, f"[{alias}]:587", f"secure match={host}"
    )


def revision(
    number: int,
    *domains: DomainRow,
    nexthops: tuple[NexthopRows, ...] = (),
    retired: tuple[str, ...] = (),
    whole: bool = False,
) -> TablesUpdate:
    return TablesUpdate(
        "lineage", Head(number, f"commit {number}"), whole, nexthops, retired, domains
    )


class TablesFile:
    """The tables with an alias file that is a dictionary."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self.tables = Tables.create(path)
        self.aliases: dict[str, str] = {}

    def write(self, new: TablesUpdate) -> int:
        return self.tables.write(new, NOW, self._write_aliases)

    def _write_aliases(self, aliases: object) -> None:
        self.aliases = dict(aliases)  # type: ignore[call-overload]

    def rows(self, table: str) -> dict[str, str]:
        """As another process reads them: closing a second handle of this process would drop
        SQLite's locks."""
        return dict(eval(_read(self.tables.path, f"SELECT key, value FROM {table}")))  # noqa: S307, S608


def _read(path: Path, query: str) -> str:
    code = (
        "import sqlite3, sys; c = sqlite3.connect("
        "f'file:{sys.argv[1]}?mode=ro', uri=True, timeout=0);"
        "print(c.execute(sys.argv[2]).fetchall())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), query], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture
def file(tmp_path: Path) -> Iterator[TablesFile]:
    tables_file = TablesFile(tmp_path / "tables.sqlite")
    yield tables_file
    tables_file.tables.close()


SHOP = DomainRow("shop.example", OK, "p1r1")


def test_a_revision_is_in_all_tables(file: TablesFile) -> None:
    file.write(
        revision(7, SHOP, DomainRow("new.example", UNCONFIGURED, None), nexthops=(nexthop("p1r1"),))
    )
    assert file.rows("access") == {"shop.example": OK, "new.example": UNCONFIGURED}
    assert file.rows("transport") == {"shop.example": "sendroute-starttls:[p1r1]:587"}
    assert file.rows("credentials") == {"p1r1": "user:p1r1"}
    assert file.rows("tls_policy") == {"[p1r1]:587": "secure match=smtp.provider.example"}
    assert file.rows("senders") == {}
    assert file.aliases == {"p1r1": "smtp.provider.example"}
    assert file.tables.served() == ServedRevision("lineage", Head(7, "commit 7"), reload=False)


def test_a_new_domain_needs_no_reload(file: TablesFile) -> None:
    file.write(revision(1, SHOP, nexthops=(nexthop("p1r1"),)))
    assert file.write(revision(2, DomainRow("b.example", OK, "p1r1"))) == 0
    served = file.tables.served()
    assert served is not None
    assert not served.reload


@pytest.mark.parametrize(
    "changed",
    [
        DomainRow("shop.example", OK, "p1r2"),
        DomainRow("shop.example", UNCONFIGURED, None),
        DomainRow("shop.example", None, None),
    ],
    ids=["another nexthop", "unconfigured", "removed"],
)
def test_another_route_of_a_known_domain_needs_a_reload(
    file: TablesFile, changed: DomainRow
) -> None:
    file.write(revision(1, SHOP, nexthops=(nexthop("p1r1"), nexthop("p1r2"))))
    assert file.write(revision(2, changed)) == 1
    served = file.tables.served()
    assert served is not None
    assert served.reload


def test_the_need_of_a_reload_is_kept_with_the_revision(file: TablesFile) -> None:
    file.write(revision(1, SHOP, nexthops=(nexthop("p1r1"), nexthop("p1r2"))))
    file.write(revision(2, SHOP._replace(alias="p1r2")))
    file.write(revision(3))
    served = file.tables.served()
    assert served is not None
    assert served.reload


def test_an_unchanged_domain_needs_no_reload(file: TablesFile) -> None:
    file.write(revision(1, SHOP, nexthops=(nexthop("p1r1"),)))
    whole = revision(2, SHOP, nexthops=(nexthop("p1r1"),), whole=True)
    assert file.write(whole) == 0


def test_the_clients_of_a_domain_follow_each_revision(file: TablesFile) -> None:
    named = SHOP._replace(logins="app, crm")
    file.write(revision(1, named, nexthops=(nexthop("p1r1"),)))
    assert file.rows("senders") == {"shop.example": "app, crm"}
    assert file.write(revision(2, SHOP._replace(logins="crm"))) == 0, "no reload is needed"
    assert file.rows("senders") == {"shop.example": "crm"}
    file.write(revision(3, SHOP))
    assert file.rows("senders") == {}
    file.write(revision(4, named))
    file.write(revision(5, DomainRow("shop.example", None, None)))
    assert file.rows("senders") == {}
    file.write(revision(6, named))
    file.write(revision(7, whole=True))
    assert file.rows("senders") == {}


def test_a_whole_revision_removes_what_it_does_not_list(file: TablesFile) -> None:
    file.write(revision(1, SHOP, DomainRow("b.example", OK, "p2r1"), nexthops=(nexthop("p1r1"),)))
    assert file.write(revision(2, SHOP, nexthops=(nexthop("p1r1"),), whole=True)) == 1
    assert file.rows("access") == {"shop.example": OK}


def test_mail_waits_for_a_nexthop_without_its_credential(file: TablesFile) -> None:
    file.write(revision(1, SHOP, nexthops=(nexthop("p1r1", usable=False),)))
    assert file.rows("access") == {"shop.example": OK}
    assert file.rows("transport") == {}
    assert file.tables.unusable() == ["profile ses"]


def test_a_credential_that_can_no_longer_be_decrypted_stays(file: TablesFile) -> None:
    """The destination of an alias never changes, so what was written for it stays right."""
    file.write(revision(1, SHOP, nexthops=(nexthop("p1r1"),)))
    file.write(revision(2, SHOP, nexthops=(nexthop("p1r1", usable=False),), whole=True))
    assert file.rows("transport") == {"shop.example": "sendroute-starttls:[p1r1]:587"}
    assert file.rows("credentials") == {"p1r1": "user:p1r1"}


def test_a_replaced_nexthop_stays_for_the_mail_that_is_queued(file: TablesFile) -> None:
    file.write(revision(1, SHOP, nexthops=(nexthop("p1r1"),)))
    new = SHOP._replace(alias="p1r2")
    file.write(revision(2, new, nexthops=(nexthop("p1r2"),), retired=("p1r1",)))
    assert file.rows("credentials") == {"p1r1": "user:p1r1", "p1r2": "user:p1r2"}
    assert set(file.rows("tls_policy")) == {"[p1r1]:587", "[p1r2]:587"}
    assert set(file.aliases) == {"p1r1", "p1r2"}


def test_an_alias_of_another_destination_is_refused(file: TablesFile) -> None:
    file.write(revision(1, SHOP, nexthops=(nexthop("p1r1"),)))
    stranger = nexthop("p1r1", "profile of another tenant")
    with pytest.raises(ReassignedAliasError):
        file.write(revision(1, SHOP, nexthops=(stranger,), whole=True))
    assert file.rows("credentials") == {"p1r1": "user:p1r1"}


def test_nothing_is_written_if_the_alias_file_cannot_be_written(file: TablesFile) -> None:
    file.write(revision(1, SHOP, nexthops=(nexthop("p1r1"),)))

    def fail(_aliases: object) -> None:
        raise OSError

    new = revision(2, SHOP._replace(alias="p2r1"), nexthops=(nexthop("p2r1"),))
    with pytest.raises(OSError):  # noqa: PT011
        file.tables.write(new, NOW, fail)
    assert file.rows("transport") == {"shop.example": "sendroute-starttls:[p1r1]:587"}
    assert set(file.rows("credentials")) == {"p1r1"}
    assert file.write(new) == 1
    assert set(file.aliases) == {"p1r1", "p2r1"}


def test_the_log_stays_when_the_file_is_closed(file: TablesFile) -> None:
    """A reader without write permission cannot create it (https://www.sqlite.org/wal.html)."""
    file.write(revision(1, SHOP, nexthops=(nexthop("p1r1"),)))
    file.tables.close()
    names = {path.name for path in file.tables.path.parent.iterdir()}
    assert names == {"tables.sqlite", "tables.sqlite-wal", "tables.sqlite-shm"}
    assert file.rows("access") == {"shop.example": OK}


def test_a_file_is_opened_again_as_it_was(file: TablesFile) -> None:
    file.write(revision(7, SHOP, nexthops=(nexthop("p1r1"),)))
    file.tables.close()
    again = Tables.open(file.tables.path)
    assert again.served() == ServedRevision("lineage", Head(7, "commit 7"), reload=False)
    assert again.counts() == {
        "access": 1,
        "transport": 1,
        "credentials": 1,
        "tls_policy": 1,
        "senders": 0,
    }
    again.close()


def damage_header(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)


def damage_page(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))


def other_schema(path: Path) -> None:
    path.unlink()
    sqlite3.connect(path).execute("CREATE TABLE access (key)").connection.close()


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [damage_header, damage_page, other_schema, empty, Path.unlink])
def test_a_damaged_file_is_detected(file: TablesFile, damage: object) -> None:
    file.write(revision(1, SHOP, nexthops=(nexthop("p1r1"),)))
    file.tables.close(keep_log=False)
    damage(file.tables.path)  # type: ignore[operator]
    with pytest.raises(DamagedTablesError):
        Tables.open(file.tables.path)


def test_the_tables_have_the_columns_that_the_queries_of_postfix_name(file: TablesFile) -> None:
    for table in TABLES:
        assert file.rows(table) == {}


def test_a_file_that_was_replaced_is_noticed(file: TablesFile) -> None:
    assert file.tables.is_current()
    file.tables.path.rename(file.tables.path.with_name("moved"))
    assert not file.tables.is_current()


def test_a_free_alias_is_deleted_with_its_secrets(file: TablesFile) -> None:
    file.write(revision(1, SHOP, nexthops=(nexthop("p1r1"), nexthop("p2r1"))))
    file.write(revision(2, SHOP._replace(alias="p2r1"), retired=("p1r1",)))
    assert file.tables.retired() == {"p1r1": NOW}
    file.tables.forget(["p1r1", "p2r1"])
    assert file.rows("credentials") == {"p2r1": "user:p2r1"}, "only what is retired"
    assert set(file.rows("tls_policy")) == {"[p2r1]:587"}
    assert dict(file.tables.aliases()) == {"p2r1": "smtp.provider.example"}
