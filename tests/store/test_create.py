"""A store is created completely or not at all, and never replaces an existing file."""

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sendroute.model.current import AccountState, DomainState, RanApplyAll
from sendroute.model.problem import ProblemError
from sendroute.model.route import MANAGED, UNCONFIGURED, Origin, via
from sendroute.store.backups import backup_store
from sendroute.store.create import init_store
from sendroute.store.lockfile import read as read_lock
from sendroute.store.record import Store, open_store


def code_of(caught: pytest.ExceptionInfo[ProblemError]) -> str:
    [finding] = caught.value.findings
    assert finding.hint
    return finding.code


def at(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.mark.parametrize("slashes", ["", "/", "//"])
def test_slashes_too_many_lead_to_the_same_file(tmp_path: Path, say: Any, slashes: str) -> None:
    """As shells make them: sqlite:////$PWD/x.db."""
    url = f"sqlite:///{slashes}{tmp_path}/x.db"
    with init_store(url, say.provenance):
        assert (tmp_path / "x.db").exists()
    with open_store(url) as store:
        assert store.location == str(tmp_path / "x.db")


def test_only_the_owner_can_read_the_store_files(tmp_path: Path, say: Any) -> None:
    with init_store(at(tmp_path / "x.db"), say.provenance) as store:
        store.commit([say.start("a.example")], None, say.provenance)
        for path in tmp_path.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert os.listdir(tmp_path) == ["x.db"]  # noqa: PTH208 - names are compared


@pytest.mark.parametrize("name", ["with space.db", "a?b#c%20.db", "ünïcode.db", "it's.db", "-x.db"])
def test_a_path_with_unusual_characters_is_accepted(tmp_path: Path, say: Any, name: str) -> None:
    init_store(at(tmp_path / name), say.provenance).close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    open_store(at(tmp_path / name)).close()


def test_a_relative_path_starts_at_the_working_directory(
    tmp_path: Path, say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    init_store("sqlite:///./x.db", say.provenance).close()
    open_store(at(tmp_path / "x.db")).close()


EXISTING: dict[str, Callable[[Path], object]] = {
    "a store": lambda path: path.write_bytes(b"SQLite format 3\0"),
    "an empty file": Path.touch,
    "a directory": Path.mkdir,
    "a dangling link": lambda path: path.symlink_to("nowhere"),
    "the log of a removed store": lambda path: Path(f"{path}-wal").write_bytes(b"x"),
}


@pytest.mark.parametrize("make", EXISTING.values(), ids=EXISTING.keys())
def test_an_existing_path_is_never_overwritten(
    tmp_path: Path, say: Any, make: Callable[[Path], object]
) -> None:
    make(tmp_path / "x.db")
    [existing] = tmp_path.iterdir()
    before = existing.lstat()
    with pytest.raises(ProblemError) as caught:
        init_store(at(tmp_path / "x.db"), say.provenance)
    assert code_of(caught) == "store-exists"
    [after] = tmp_path.iterdir()
    assert (after, after.lstat().st_mtime_ns) == (existing, before.st_mtime_ns)


def test_a_missing_directory_is_reported(tmp_path: Path, say: Any) -> None:
    with pytest.raises(ProblemError, match="no such file") as caught:
        init_store(at(tmp_path / "no" / "x.db"), say.provenance)
    assert code_of(caught) == "store-failed"


@pytest.fixture
def filled(tmp_path: Path, say: Any, other: Any) -> Store:
    """A store with an account, a deleted one, changed and deleted profiles, and an apply-all."""
    store = init_store(at(tmp_path / "first.db"), say.provenance)
    platform = say.platform_change(None, say.platform)
    current = AccountState("nano", default=via("gone"))
    ran = ('2026 "quoted" \u00e9', RanApplyAll(via("ses"), 1))
    shadowed = DomainState(via("ses"), Origin.APPLY_ALL, MANAGED, ran[0])
    store.commit(
        [
            say.plan(
                0,
                say.account(None, current, ran=ran),
                say.profile("ses"),
                say.domain("a.example", None, shadowed),
                say.domain("b.example", None, DomainState(UNCONFIGURED, Origin.REASSIGNED)),
            ),
            other.plan(0, other.account(ran=ran), other.profile("idle"), other.profile("last")),
        ],
        platform,
        say.provenance,
    )
    edited = msgspec.structs.replace(say.ses, port=465, reassign_to=MANAGED)
    store.commit([say.plan(1, say.profile("ses", say.ses, edited))], None, say.provenance)
    deletion = (
        other.account(AccountState("nano"), None),
        other.profile("idle", say.ses, None),
        other.profile("last", say.ses, None),
    )
    store.commit([other.plan(1, *deletion)], None, say.provenance)
    return store


def without_revisions(store: Store) -> Any:
    current = store.read()
    accounts = {
        key: msgspec.structs.replace(account, revision=bool(account.revision))
        for key, account in current.accounts.items()
    }
    profiles = [
        msgspec.structs.replace(profile, version=profile.version % 1000)
        for profile in store.profiles()
    ]
    return current.lineage, current.platform, accounts, profiles


def test_a_lock_file_restores_state_and_lineage(
    filled: Store, tmp_path: Path, say: Any, other: Any
) -> None:
    filled.write_lock(tmp_path / "lock.json")
    again = init_store(at(tmp_path / "again.db"), say.provenance, from_lock=tmp_path / "lock.json")
    assert without_revisions(again) == without_revisions(filled)
    assert again.read().revision == filled.read().revision + 1
    made = again.history()[0]
    assert (made.reason, made.revision) == ("restored-from-lock", 4)
    facts = again.explain_facts("a.example")
    assert facts.assignment == made
    # A version or id that a profile has had before is not used again, even if it is not in the
    # lock file.
    assert [profile.version for profile in again.profiles()] == [1002]
    again.commit([other.start()], None, say.provenance)
    assert max(profile.id for profile in again.profiles()) == 1_000_004
    again.write_lock(tmp_path / "lock2.json")
    assert read_lock(tmp_path / "lock2.json").lineage == filled.read().lineage
    again.close()
    filled.close()


def test_the_same_state_gives_the_same_lock_file(filled: Store, tmp_path: Path) -> None:
    filled.write_lock(tmp_path / "lock.json")
    first = (tmp_path / "lock.json").read_bytes()
    filled.write_lock(tmp_path / "lock.json")
    assert (tmp_path / "lock.json").read_bytes() == first
    filled.close()


def test_a_backup_restores_everything(filled: Store, tmp_path: Path, say: Any) -> None:
    backup_store(at(tmp_path / "first.db"), tmp_path / "copy.db")  # while it is open
    again = init_store(at(tmp_path / "again.db"), say.provenance, from_backup=tmp_path / "copy.db")
    assert again.read().accounts == filled.read().accounts
    history = again.history()
    assert history[0].reason == "restored-from-backup"
    assert history[1:] == filled.history()
    again.close()
    filled.close()


def test_a_backup_without_a_store_creates_no_store(tmp_path: Path, say: Any) -> None:
    stranger = tmp_path / "theirs.db"
    with closing(sqlite3.connect(stranger)) as raw:
        raw.execute("CREATE TABLE t (x)")
    with pytest.raises(ProblemError) as caught:
        init_store(at(tmp_path / "x.db"), say.provenance, from_backup=stranger)
    assert code_of(caught) == "wrong-store"
    with pytest.raises(ProblemError) as caught:
        init_store(at(tmp_path / "x.db"), say.provenance, from_backup=tmp_path / "none.db")
    assert code_of(caught) == "unreadable"
    assert list(tmp_path.iterdir()) == [stranger]


def test_a_damaged_backup_creates_no_store(filled: Store, tmp_path: Path, say: Any) -> None:
    filled.close()
    damaged = tmp_path / "first.db"
    content = bytearray(damaged.read_bytes())
    content[8192:16384] = os.urandom(8192)
    damaged.write_bytes(content)
    with pytest.raises(ProblemError) as caught:
        init_store(at(tmp_path / "x.db"), say.provenance, from_backup=damaged)
    assert code_of(caught) == "store-failed"
    assert not (tmp_path / "x.db").exists()


DOMAIN = {"route": {"managed": {}}, "origin": "default"}
PROFILE = {"host": "smtp.ses.example", "port": 587, "encryption": "starttls", "secret": "ses"}
ACCOUNT: dict[str, Any] = {"namespace": "a", "name": "a", "plan": "nano"}
BAD_ACCOUNTS: dict[str, Any] = {
    "an unknown route": ACCOUNT | {"domains": {"a.example": DOMAIN | {"route": {"direct": {}}}}},
    "two routes at once": ACCOUNT
    | {"domains": {"a.example": DOMAIN | {"route": {"managed": {}, "profile": "x"}}}},
    "a route to a missing profile": ACCOUNT
    | {"domains": {"a.example": DOMAIN | {"route": {"profile": "none"}}}},
    "an unknown origin": ACCOUNT | {"domains": {"a.example": DOMAIN | {"origin": "luck"}}},
    "a shadow by an apply-all that never ran": ACCOUNT
    | {"domains": {"a.example": DOMAIN | {"origin": "apply-all", "shadow": "x"}}},
    "a deleted account that owns a domain": {
        "namespace": "a",
        "name": "a",
        "domains": {"a.example": DOMAIN},
    },
    "no name": {"namespace": "a"},
    "a profile id above the last used id": ACCOUNT
    | {"profiles": {"ses": {"id": 1, "version": 1, "spec": PROFILE}}},
}


LOCK = {
    "format_version": "1.3",
    "lineage": "0f8e4a52-6d0b-4f27-9f1e-3f7d2c1b0a99",
    "revision": 3,
    "last_profile": 0,
    "platform": None,
    "platform_version": 0,
    "accounts": [],
}


@pytest.mark.parametrize("account", BAD_ACCOUNTS.values(), ids=BAD_ACCOUNTS.keys())
def test_an_inconsistent_lock_file_creates_no_store(
    tmp_path: Path, say: Any, account: dict[str, Any]
) -> None:
    path = tmp_path / "lock.json"
    path.write_bytes(msgspec.json.encode(LOCK))
    assert read_lock(path).revision == 3  # only the account is invalid
    path.write_bytes(msgspec.json.encode(LOCK | {"accounts": [account]}))
    with pytest.raises(ProblemError) as caught:
        init_store(at(tmp_path / "x.db"), say.provenance, from_lock=path)
    assert code_of(caught) == "invalid-value"
    assert list(tmp_path.iterdir()) == [path]


def with_profile(**changes: Any) -> dict[str, Any]:
    """An account with one profile, parts of which are replaced."""
    profile = {"id": 1, "version": 1, "spec": PROFILE | changes}
    return ACCOUNT | {"profiles": {"ses": profile}}


HOSTILE_ACCOUNTS: dict[str, Any] = {
    "a host of two lines": with_profile(host="a.example\np1r1001 evil.example"),
    "a host with a space": with_profile(host="a.example evil.example"),
    "an empty host": with_profile(host=""),
    "a port above all": with_profile(port=2**63),
    "a negative port": with_profile(port=-5),
    "a secret in another directory": with_profile(secret="../other/ses"),
    "a domain that closes a quote": ACCOUNT | {"domains": {"a.example' OR 1=1 --": DOMAIN}},
    "a domain in upper case": ACCOUNT | {"domains": {"A.example": DOMAIN}},
    "a namespace that leads out": ACCOUNT | {"namespace": "../x"},
    "a login name of two": ACCOUNT | {"logins": ["a,b"]},
}


@pytest.mark.parametrize("account", HOSTILE_ACCOUNTS.values(), ids=HOSTILE_ACCOUNTS.keys())
def test_a_lock_file_brings_no_name_that_manifests_refuse(
    tmp_path: Path, say: Any, account: dict[str, Any]
) -> None:
    path = tmp_path / "lock.json"
    lock = LOCK | {"last_profile": 9}
    path.write_bytes(msgspec.json.encode(lock | {"accounts": [with_profile()]}))
    assert read_lock(path).accounts[0].profiles
    path.write_bytes(msgspec.json.encode(lock | {"accounts": [account]}))
    with pytest.raises(ProblemError) as caught:
        init_store(at(tmp_path / "x.db"), say.provenance, from_lock=path)
    assert code_of(caught) == "invalid-value"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "invalid-value"),
        (b"\xff\xfe", "invalid-value"),
        (b"[" * 100_000, "invalid-value"),
        (b"{}", "invalid-value"),
        (b'{"format_version": "2.0"}', "store-version"),
        (msgspec.json.encode(LOCK | {"revision": 2**63 - 1}), "invalid-value"),
        (msgspec.json.encode(LOCK | {"revision": -1}), "invalid-value"),
        (msgspec.json.encode(LOCK | {"lineage": "\x1b[31mred"}), "invalid-value"),
    ],
    ids=[
        "empty",
        "not text",
        "deeply nested",
        "an empty object",
        "a later format",
        "a revision that is too large",
        "a negative revision",
        "an invalid lineage",
    ],
)
def test_an_invalid_lock_file_creates_no_store(
    tmp_path: Path, say: Any, content: bytes, code: str
) -> None:
    path = tmp_path / "lock.json"
    path.write_bytes(content)
    with pytest.raises(ProblemError) as caught:
        init_store(at(tmp_path / "x.db"), say.provenance, from_lock=path)
    assert code_of(caught) == code
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_file_replaces_only_a_regular_file(filled: Store, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/null")
    before = sorted(tmp_path.iterdir())
    for name in ("directory", "pipe", "device"):
        with pytest.raises(ProblemError) as caught:
            filled.write_lock(tmp_path / name)
        assert [finding.code for finding in caught.value.findings] == ["unwritable"]
    with pytest.raises(ProblemError):
        filled.write_lock(Path())
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "device").is_symlink()
    assert (tmp_path / "pipe").is_fifo()
