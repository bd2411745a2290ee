"""Encrypted credentials are stored with their endpoint and kept while queued mail may need them."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection
from tests.postgres import Cluster

from sendroute.model.owner import BOUNCES, PLATFORM, RELAY
from sendroute.model.platform import Managed, Platform, Relay
from sendroute.model.problem import ProblemError, StaleError
from sendroute.model.profile import Encryption
from sendroute.model.records import Endpoint
from sendroute.model.secret import SecretBinding, binding_of
from sendroute.store.backups import backup_store
from sendroute.store.create import init_store
from sendroute.store.record import Store, open_store
from sendroute.store.states import spec

from .raw import make_old


@pytest.fixture
def started(store: Store, say: Any) -> Store:
    """An account with the profile `ses`, whose token is `first`."""
    store.commit([say.start("shop.example")], None, say.provenance, {say.key: {"ses": "first"}})
    return store


def change(store: Store, say: Any, after: Any, token: str | None = None) -> None:
    current = store.read().accounts[say.key]
    update = say.profile("ses", current.profiles["ses"], after)
    encrypted = {say.key: {"ses": token}} if token is not None else {}
    store.commit([say.plan(current.revision, update)], None, say.provenance, encrypted)


def summary(store: Store) -> list[tuple[str, str, str | None, bool]]:
    return [(e.alias, e.binding.host, e.credential, e.retired is None) for e in store.endpoints()]


def test_a_credential_is_written_with_its_profile(started: Store, say: Any) -> None:
    assert started.read_with_credentials()[1] == {say.key: {"ses": "first"}}
    assert started.endpoints() == [
        Endpoint(1, 1, binding_of(say.key, "ses", say.ses), "first", made=1, retired=None)
    ]


def test_a_new_credential_keeps_the_old_one_for_queued_mail(started: Store, say: Any) -> None:
    change(started, say, say.ses, "second")
    assert summary(started) == [
        ("p1r1", say.ses.host, "first", False),
        ("p1r2", say.ses.host, "second", True),
    ]
    assert started.read_with_credentials()[1] == {say.key: {"ses": "second"}}
    entry = started.history(limit=1)[0]
    assert (entry.kind, entry.name, entry.before == entry.after) == ("SMTPProfile", "ses", True)


def test_a_change_of_another_field_keeps_the_credential(started: Store, say: Any) -> None:
    change(started, say, replace(say.ses, display_name="Ireland"))
    assert summary(started)[-1] == ("p1r2", say.ses.host, "first", True)


@pytest.mark.parametrize(
    "different",
    [
        {"host": "evil.example"},
        {"port": 465},
        {"encryption": Encryption.NONE},
        {"secret": "another"},
        {"secret": None},
        {"username": "someone"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_credential_is_never_used_for_another_destination_or_secret(
    started: Store, say: Any, different: dict[str, Any]
) -> None:
    change(started, say, replace(say.ses, **different))
    assert started.read_with_credentials()[1] == {}
    assert started.endpoints()[0].credential == "first", (
        "for mail that is queued for the old destination"
    )


def test_a_deleted_profile_keeps_its_credential_for_queued_mail(started: Store, say: Any) -> None:
    deletion = say.profile("ses", say.ses, None)
    started.commit([say.plan(1, deletion)], None, say.provenance)
    assert summary(started) == [("p1r1", say.ses.host, "first", False)]
    assert started.read_with_credentials()[1] == {}
    again = say.plan(2, say.profile("ses"))
    started.commit([again], None, say.provenance, {say.key: {"ses": "new"}})
    assert summary(started)[-1] == ("p2r1", say.ses.host, "new", True)


def test_a_stale_commit_stores_no_credential(started: Store, say: Any) -> None:
    with pytest.raises(StaleError):
        started.commit(
            [say.plan(7, say.profile("other"))], None, say.provenance, {say.key: {"other": "x"}}
        )
    assert summary(started) == [("p1r1", say.ses.host, "first", True)]


def with_relay(host: str = "relay.internal.example") -> Platform:
    relay = Relay(host, 587, Encryption.STARTTLS, "relay")
    return Platform(Managed(None, "smtp.example", (), relay), plans=())


def put(store: Store, say: Any, before: Any, after: Any, token: str | None = None) -> None:
    change = say.platform_change(before, after)
    encrypted = {PLATFORM: {RELAY: token}} if token else {}
    store.commit([], change, say.provenance, encrypted)


def test_the_managed_relay_has_endpoint_revisions(store: Store, say: Any) -> None:
    first = with_relay()
    put(store, say, None, first, "a")
    assert store.read_with_credentials()[1] == {PLATFORM: {RELAY: "a"}}
    assert first.managed
    assert store.endpoints()[0].binding == binding_of(PLATFORM, RELAY, first.managed.relay)
    put(store, say, first, first, "b")
    moved = with_relay("new.internal.example")
    put(store, say, first, moved)
    assert summary(store) == [
        ("m0r1", "relay.internal.example", "a", False),
        ("m0r2", "relay.internal.example", "b", False),
        ("m0r3", "new.internal.example", None, True),
    ]
    put(store, say, moved, replace(moved, managed=None))
    assert [live for *_, live in summary(store)] == [False] * 3
    put(store, say, replace(moved, managed=None), moved, "c")
    assert summary(store)[-1] == ("m0r5", "new.internal.example", "c", True)


def test_the_relay_for_bounces_has_endpoint_revisions_of_its_own(
    store: Store, say: Any, tmp_path: Path
) -> None:
    bounces = Relay("bounces.internal.example", 587, Encryption.STARTTLS, "bounces")
    first = with_relay()
    both = replace(first, bounces=bounces)
    put(store, say, None, first, "a")
    change = say.platform_change(first, both)
    store.commit([], change, say.provenance, {PLATFORM: {BOUNCES: "b"}})
    assert store.read_with_credentials()[1] == {PLATFORM: {RELAY: "a", BOUNCES: "b"}}
    assert summary(store) == [
        ("b0r2", "bounces.internal.example", "b", True),
        ("m0r1", "relay.internal.example", "a", False),
        ("m0r2", "relay.internal.example", "a", True),
    ]
    assert store.read().platform == both
    lock = tmp_path / "sendroute.lock"
    store.write_lock(lock)
    with init_store(f"sqlite:///{tmp_path}/again.db", say.provenance, from_lock=lock) as again:
        assert [row[0] for row in summary(again)] == ["b0r1002", "m0r1002"]
    put(store, say, both, first)
    assert [alias for alias, *_, live in summary(store) if live] == ["m0r3"]
    assert store.endpoints()[0].credential == "b", "mail in a queue may need it"


def test_a_store_from_a_lock_file_has_no_credentials(
    started: Store, say: Any, tmp_path: Path
) -> None:
    lock = tmp_path / "sendroute.lock"
    started.write_lock(lock)
    assert "first" not in lock.read_text()
    with init_store(f"sqlite:///{tmp_path}/again.db", say.provenance, from_lock=lock) as again:
        assert summary(again) == [("p1r1001", say.ses.host, None, True)]
        change(again, say, say.ses, "new-token")
        assert summary(again)[-1] == ("p1r1002", say.ses.host, "new-token", True)


def test_a_backup_holds_the_encrypted_credentials(
    started: Store, store_url: str, say: Any, tmp_path: Path
) -> None:
    backup_store(store_url, tmp_path / "backup")
    url = f"sqlite:///{tmp_path}/again.db"
    with init_store(url, say.provenance, from_backup=tmp_path / "backup") as again:
        assert again.read_with_credentials()[1] == started.read_with_credentials()[1]


def test_migration_creates_the_endpoints_of_an_older_store(store_url: str, say: Any) -> None:
    when = datetime(2026, 1, 1, tzinfo=UTC).isoformat(" ")
    rows = {
        "revision": f"(3, '{when}', 'ada', NULL)",
        "store": f"(1, 'old', 3, 0, '{when}')",
        "platform": f"(1, '{spec(with_relay())}', 1)",
        "account": "(1, 'acme', 'acme', 'nano', NULL, NULL, 3)",
        "profile": f"(1, 1, 'ses', 1, '{spec(say.ses)}')",
    }

    def fill(connection: Connection) -> None:
        for name, row in rows.items():
            connection.exec_driver_sql(f"INSERT INTO {name} VALUES {row}")  # noqa: S608

    make_old(store_url, "0002", fill)
    with open_store(store_url) as store:
        assert summary(store) == [
            ("m0r1", "relay.internal.example", None, True),
            ("p1r1", say.ses.host, None, True),
        ]
        assert [endpoint.made for endpoint in store.endpoints()] == [3, 3]
        assert store.read().accounts[say.key].revision == 3


# Keys


def test_rekey_replaces_every_credential_and_is_recorded(started: Store, say: Any) -> None:
    change(started, say, say.ses, "second")
    seen: list[tuple[str, SecretBinding]] = []

    def reencrypt(token: str, binding: SecretBinding) -> str:
        seen.append((token, binding))
        return token.upper()

    assert started.rekey(reencrypt, say.provenance).count == 2
    assert [credential for _, _, credential, _ in summary(started)] == ["FIRST", "SECOND"]
    assert {binding for _, binding in seen} == {binding_of(say.key, "ses", say.ses)}
    entry = started.history(limit=1)[0]
    assert (entry.revision, entry.reason, entry.actor) == (3, "rekeyed", "ada")
    assert started.read().revision == 3


def test_a_failed_rekey_changes_nothing(started: Store, say: Any) -> None:
    change(started, say, say.ses, "second")
    before = started.endpoints()

    def reencrypt(token: str, _bond: SecretBinding) -> str:
        if token == "second":
            raise LookupError
        return "new-token"

    with pytest.raises(LookupError):
        started.rekey(reencrypt, say.provenance)
    assert started.endpoints() == before
    assert started.read().revision == 2


def test_rekey_leaves_retired_credentials_that_cannot_be_decrypted(
    started: Store, say: Any
) -> None:
    change(started, say, say.ses, "second")
    rekeyed = started.rekey(lambda t, _: None if t == "first" else t.upper(), say.provenance)
    assert rekeyed.count == 1
    assert [endpoint.credential for endpoint in rekeyed.unreadable] == ["first"]
    assert [credential for _, _, credential, _ in summary(started)] == ["first", "SECOND"]


@pytest.mark.parametrize("readable", [["first"], []])
def test_rekey_changes_nothing_if_a_credential_in_use_cannot_be_decrypted(
    started: Store, say: Any, readable: list[str]
) -> None:
    change(started, say, say.ses, "second")
    before = started.endpoints()
    with pytest.raises(ProblemError, match="profile ses of account acme/acme cannot be decrypted"):
        started.rekey(lambda t, _: t.upper() if t in readable else None, say.provenance)
    assert (started.endpoints(), started.read().revision) == (before, 2)


@pytest.fixture
def files(store_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[], bytes]:
    """The content of the store's files, without the server's write-ahead log."""
    if store_url.startswith("sqlite"):
        paths = [tmp_path / f"sendroute.db{suffix}" for suffix in ("", "-wal")]
        return lambda: b"".join(path.read_bytes() for path in paths)
    cluster: Cluster = request.getfixturevalue("cluster")

    def of_the_server() -> bytes:
        with cluster.connect() as connection:
            connection.execute("CHECKPOINT")
        paths = (cluster.data / "base").rglob("*")
        return b"".join(path.read_bytes() for path in paths if path.is_file())

    return of_the_server


def test_rekey_removes_the_old_tokens_from_the_files(
    started: Store, say: Any, files: Callable[[], bytes]
) -> None:
    old = "old-token-" + "x" * 900
    for number in range(40):
        change(started, say, say.ses, f"{old}-{number}")
    assert b"old-token-" in files(), "the old tokens were in the files before"
    assert started.rekey(lambda _token, _bond: "new-token" * 10, say.provenance).count == 41
    assert b"old-token-" not in files()
