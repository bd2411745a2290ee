"""Invalid URLs, files, directories and disks are reported clearly and never modified."""

import os
import resource
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import pytest

from sendroute.model.current import DomainState
from sendroute.model.problem import ProblemError
from sendroute.model.route import MANAGED, Origin
from sendroute.store.backups import backup_store
from sendroute.store.create import init_store
from sendroute.store.postgres import errors as postgres_errors
from sendroute.store.record import open_store
from sendroute.store.sqlite import errors as sqlite_errors
from sendroute.store.translation import translated_errors
from sendroute.store.url import APPLICATION_ID


def refusal(url: str) -> tuple[str, str]:
    with pytest.raises(ProblemError) as caught:
        open_store(url)
    [finding] = caught.value.findings
    assert finding.hint
    return finding.code, finding.message


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x.db",
        "sqlite:",
        "sqlite:x.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///\0",
        "sqlite:///\ud800",
        "mysql://sendroute:hunter2@db.example/x",
        "hunter2",
        "\x1b[31m://hunter2",
        "sqlite://user:hunter2@db.example",
        "sqlite:user:hunter2@db.example",
        "sqlite:///user:hunter2@db.example/x.db",
        "sqlite:////user:hun/ter2@db.example/x.db",
        "sqlite:///x.db?password=hunter2",
        "sqlite:///x.db;PWD = hunter2",
    ],
)
def test_invalid_store_url_is_an_invalid_value(url: str) -> None:
    code, message = refusal(url)
    assert code == "invalid-value"
    assert "hunter2" not in message
    assert "\x1b" not in message


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE domain (name)")
        raw.commit()


def ours_but_empty(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        raw.execute("CREATE TABLE domain (name)")
        raw.commit()


def with_invalid_version(path: Path) -> None:
    ours_but_empty(path)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE alembic_version (version_num)")
        raw.execute("INSERT INTO alembic_version VALUES ('af31c0')")
        raw.commit()


def with_a_journal(path: Path) -> None:
    """Another program's database whose writer died: opening it would roll it back."""
    foreign(path)
    path.with_name(path.name + "-journal").write_bytes(
        b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + b"x" * 600
    )


STRANGERS: dict[str, Callable[[Path], object]] = {
    "an empty file": Path.touch,
    "text": lambda path: path.write_text("not a database, but long enough to be one" * 100),
    "another SQLite database": foreign,
    "another program's database with a left-over journal": with_a_journal,
    "a database with our application id and none of our tables": ours_but_empty,
    "a database with our application id and an unknown version": with_invalid_version,
    "the first bytes of a store": lambda path: path.write_bytes(b"SQLite format 3\0"),
    "a directory": Path.mkdir,
}


@pytest.mark.parametrize("make", STRANGERS.values(), ids=STRANGERS.keys())
def test_foreign_database_is_refused_and_not_modified(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    make(tmp_path / "x.db")
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.iterdir()}
    assert refusal(f"sqlite:///{tmp_path}/x.db")[0] == "wrong-store"
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.iterdir()} == before


def test_missing_file_is_not_initialised(tmp_path: Path) -> None:
    assert refusal(f"sqlite:///{tmp_path}/x.db")[0] == "not-initialised"
    assert refusal(f"sqlite:///{tmp_path}/no/x.db")[0] == "not-initialised"
    (tmp_path / "file").touch()
    assert refusal(f"sqlite:///{tmp_path}/file/x.db")[0] == "not-initialised"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.fixture
def path(tmp_path: Path, say: Any) -> Path:
    """A store with a few pages in it, closed."""
    path = tmp_path / "directory" / "x.db"
    path.parent.mkdir()
    with init_store(f"sqlite:///{path}", say.provenance) as store:
        store.commit([say.start(*(f"d{n}.example" for n in range(2000)))], None, say.provenance)
    return path


def test_damaged_pages_are_reported_as_damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for start in range(4096, len(content), 4096):
        content[start : start + 64] = b"\xff" * 64
    path.write_bytes(content)
    url = f"sqlite:///{path}"
    assert refusal(url) == ("store-failed", f"The store {path} is damaged.")


def test_invalid_spec_is_reported_as_damage(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE profile SET spec = '{', version = 2")
        raw.commit()
    with (
        open_store(f"sqlite:///{path}") as store,
        pytest.raises(ProblemError, match="is damaged"),
    ):
        store.read()


def against_a_trigger(raw: sqlite3.Connection, trigger: str, statement: str) -> None:
    named = "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name = ?"
    [again] = raw.execute(named, [trigger]).fetchone()
    raw.execute(f"DROP TRIGGER {trigger}")
    raw.execute(statement)
    raw.execute(again)


def broken_time(raw: sqlite3.Connection) -> None:
    update = "UPDATE revision SET at = '2X26-11-23 05:08:22.837934'"
    against_a_trigger(raw, "revision_numbered_once", update)


def broken_text(raw: sqlite3.Connection) -> None:
    update = "UPDATE history SET message = CAST(x'41ff42' AS TEXT)"
    against_a_trigger(raw, "history_never_updated", update)


def broken_route(raw: sqlite3.Connection) -> None:
    raw.execute("PRAGMA ignore_check_constraints = ON")
    raw.execute("UPDATE domain SET kind = 'managef', origin = 'luck'")


def broken_schema(raw: sqlite3.Connection) -> None:
    raw.execute("PRAGMA writable_schema = ON")
    raw.execute("UPDATE sqlite_schema SET sql = CAST(x'435245ff' AS TEXT) WHERE name = 'relay'")


def read_all(url: str) -> None:
    with open_store(url) as store:
        store.history()
        store.routes()


@pytest.mark.parametrize("harm", [broken_time, broken_text, broken_route, broken_schema])
def test_corrupted_values_are_reported_as_damage(
    path: Path, harm: Callable[[sqlite3.Connection], None]
) -> None:
    with closing(sqlite3.connect(path)) as raw:
        harm(raw)
        raw.commit()
    with pytest.raises(ProblemError, match="is damaged"):
        read_all(f"sqlite:///{path}")


def use_without_write_access(url: str, say: Any, sender: Connection) -> None:
    if os.getuid() == 0:  # root may write anything
        os.setgid(65534)
        os.setuid(65534)
    store = open_store(url)
    sender.send(len(store.routes()))
    try:
        store.commit([say.plan(0, say.account())], None, say.provenance)
    except ProblemError as error:
        sender.send(error.findings[0])


@pytest.mark.parametrize(("directory", "file"), [(0o555, 0o444), (0o777, 0o444), (0o555, 0o666)])
def test_read_only_store_can_be_read(
    path: Path, other: Any, child: Any, directory: int, file: int
) -> None:
    # pytest's own directories are closed to other users.
    copy = Path(mkdtemp(prefix="sendroute-test-"))
    try:
        (copy / "x.db").write_bytes(path.read_bytes())
        (copy / "x.db").chmod(file)
        copy.chmod(directory)
        rows, refused = child(
            partial(use_without_write_access, f"sqlite:///{copy}/x.db", other)
        ).receive_all()
        assert rows == 2000
        assert refused.code == "store-failed"
        assert "read-only" in refused.message
        assert [left.name for left in copy.iterdir()] == ["x.db"]
    finally:
        copy.chmod(0o755)
        rmtree(copy)


def fill_a_small_disk(url: str, say: Any, sender: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    store = open_store(url)
    current = DomainState(MANAGED, Origin.DEFAULT)
    made = [say.domain(f"new{number}.example", None, current) for number in range(20_000)]
    try:
        store.commit([say.plan(1, *made)], None, say.provenance)
    except ProblemError as error:
        sender.send(error.findings[0].code)


def test_full_disk_keeps_the_previous_state(path: Path, say: Any, child: Any) -> None:
    assert child(partial(fill_a_small_disk, f"sqlite:///{path}", say)).receive_all() == [
        "store-failed"
    ]
    with open_store(f"sqlite:///{path}") as store:
        assert store.read().revision == 1
        assert len(store.routes()) == 2000


def create_on_a_small_disk(path: Path, size: int, say: Any, sender: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        init_store(f"sqlite:///{path}", say.provenance).close()
    except ProblemError as error:
        sender.send(error.findings[0].code)
    else:
        sender.send("created")


def test_a_disk_that_fills_while_a_store_is_created_leaves_none(
    tmp_path: Path, say: Any, child: Any
) -> None:
    outcomes = set()
    for size in range(8192, 400_000, 24_000):
        path = tmp_path / str(size) / "sendroute.db"
        path.parent.mkdir()
        work = partial(create_on_a_small_disk, path, size, say)
        [outcome] = child(work).receive_all()
        outcomes.add(outcome)
        if outcome == "created":
            open_store(f"sqlite:///{path}").close()
        else:
            assert outcome == "store-failed"
            assert list(path.parent.iterdir()) == [], size
            init_store(f"sqlite:///{path}", say.provenance).close()
    assert outcomes == {"created", "store-failed"}


def test_full_disk_is_reported() -> None:
    with closing(sqlite3.connect(":memory:")) as raw:
        raw.execute("PRAGMA max_page_count = 2")
        raw.execute("CREATE TABLE t (x)")
        with pytest.raises(ProblemError, match="x is full") as caught, translated_errors("x"):
            raw.execute("INSERT INTO t VALUES (zeroblob(100000))")
        (finding,) = caught.value.findings
        assert finding.hint is not None
        assert "what was committed before it stays" in finding.hint


@pytest.mark.parametrize("advice", [sqlite_errors._ADVICE, postgres_errors._ADVICE])
def test_no_error_of_one_transaction_speaks_for_the_whole_command(
    advice: dict[object, tuple[str, str]],
) -> None:
    """An apply of many accounts commits several times."""
    assert not [hint for _, hint in advice.values() if "Nothing was written" in hint]


def test_file_name_that_is_not_utf_8_is_accepted(tmp_path: Path, say: Any) -> None:
    """File names are bytes (pathname(7)); Python keeps invalid ones as lone surrogates."""
    url = f"sqlite:///{tmp_path}/store\udcff.db"
    init_store(url, say.provenance).close()
    with open_store(url) as store:
        assert store.commit([say.start("a.example")], None, say.provenance) == 1
    backup_store(url, tmp_path / "backup\udcff.db")
    assert (tmp_path / "backup\udcff.db").is_file()


def journal_that_names(victim: Path, pages: int) -> bytes:
    """A rollback journal without pages, of a transaction over several databases: SQLite deletes the
    file of that name when it opens the database."""
    magic, name = bytes.fromhex("d9d505f920a163d7"), os.fsencode(victim)
    header = magic + struct.pack(">IIIII", 0, 1, pages, 512, 4096)
    end = struct.pack(">II", len(name), sum(name)) + magic
    return header.ljust(512, b"\0") + struct.pack(">I", 0x40000000 // 4096 + 1) + name + end


@pytest.mark.parametrize("opened", ["a store", "a backup", "by SQLite alone"])
def test_a_journal_that_names_another_file_deletes_nothing(
    tmp_path: Path, say: Any, opened: str
) -> None:
    store, victim = tmp_path / "given/store.db", tmp_path / "precious"
    store.parent.mkdir()
    init_store(f"sqlite:///{tmp_path}/first.db", say.provenance).close()
    backup_store(f"sqlite:///{tmp_path}/first.db", store)
    journal = store.with_name("store.db-journal")
    journal.write_bytes(journal_that_names(victim, store.stat().st_size // 4096))
    victim.write_text("precious")
    if opened == "by SQLite alone":
        with closing(sqlite3.connect(store)) as raw:
            raw.execute("SELECT count(*) FROM store")
        assert not victim.exists(), "the journal of this test is no longer one that does harm"
        return
    opens = {
        "a store": lambda: open_store(f"sqlite:///{store}"),
        "a backup": lambda: init_store(
            f"sqlite:///{tmp_path}/second.db", say.provenance, from_backup=store
        ),
    }
    with pytest.raises(ProblemError) as caught:
        opens[opened]()
    assert caught.value.findings[0].code == "store-failed"
    assert "refers to another file" in caught.value.findings[0].message
    assert victim.exists()
    assert journal.exists()


def test_a_journal_that_is_no_file_does_not_block(tmp_path: Path, say: Any) -> None:
    init_store(f"sqlite:///{tmp_path}/x.db", say.provenance).close()
    os.mkfifo(tmp_path / "x.db-journal")
    code, message = refusal(f"sqlite:///{tmp_path}/x.db")
    assert (code, "not a regular file" in message) == ("store-failed", True)
