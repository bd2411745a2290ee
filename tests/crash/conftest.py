"""A workspace with a store, secrets and manifests; processes that tests kill in it; and the
conditions that the store must fulfil at any time."""

import os
import random
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from tests.planner.naive import Key, Store
from tests.planner.values import as_store
from tests.store.raw import opened

from sendroute.credentials.cipher import FernetCipher
from sendroute.credentials.keys import keys_of_file
from sendroute.model.secret import PLATFORM_NAMESPACE
from sendroute.store.record import open_store
from sendroute.store.url import is_postgres

from .fork_server import DEADLINE, ForkedProcess, ForkServer
from .manifest_trees import TreeSequence, holdings
from .replay import RecordedChange, check

SEED = "SENDROUTE_TEST_SEED"
KILLS = int(os.environ.get("SENDROUTE_TEST_KILLS", "100"))
"""Kills of one command on each database."""
PARTS = 4
"""The kills are split into this many tests, so that pytest-xdist can run them in parallel."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Start the two long tests first, on two workers of pytest-xdist: each is the first test of a
    worker's initial batch (xdist.scheduler.load.LoadScheduling)."""
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    batch = max(len(items) // workers // 4, 2)
    minutes = [item for item in items if "test_minute" in item.nodeid]
    if workers > 1:
        for turn, item in enumerate(minutes):
            items.remove(item)
            items.insert(turn * batch, item)


@pytest.fixture
def seed() -> str:
    """A new seed for each run, unless the variable sets one; pytest prints it if a test fails."""
    value = os.environ.get(SEED) or secrets.token_hex(4)
    print(f"{SEED}={value}")
    return value


@pytest.fixture
def rng(seed: str, request: pytest.FixtureRequest) -> random.Random:
    """A generator of this test only: it does not depend on which other tests run."""
    return random.Random(f"{seed} {request.node.name}")


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    with ForkServer() as server:
        yield server


def wait_until(condition: Callable[[], bool], expected: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"timed out waiting for {expected}"
        time.sleep(0.01)


class Workspace:
    """Commands run in ``directory``; every file that they may leave is below ``home``."""

    def __init__(self, fork_server: ForkServer, url: str, home: Path) -> None:
        self.url = url
        self.directory = home / "work"
        self.home = home
        self._fork_server = fork_server
        self._children: list[ForkedProcess] = []
        for name in ("work", "tmp", "output", "trees", "secrets"):
            (home / name).mkdir()
        self._env = {
            name: value
            for name, value in os.environ.items()
            if name in ("PATH", "LANG", "PYTHONPATH")
        } | {
            "HOME": str(home),
            "TMPDIR": str(home / "tmp"),
            "SENDROUTE_STORE": url,
            "SENDROUTE_SECRETS": str(home / "secrets"),
            "SENDROUTE_ACTOR": "tests",
        }

    def start(self, *arguments: str) -> ForkedProcess:
        output_path = self.home / "output" / str(len(self._children))
        self._children.append(
            self._fork_server.start(list(arguments), self.directory, self._env, output_path)
        )
        return self._children[-1]

    def run(self, *arguments: str, allowed_statuses: tuple[int, ...] = (0,)) -> ForkedProcess:
        """Run a command and wait for it to end."""
        child = self.start(*arguments)
        assert child.wait() in allowed_statuses, child.text()
        return child

    def write_secret(self, namespace: str, name: str, password: str) -> None:
        directory = self.home / "secrets" / namespace / name
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "username").write_text("user\n")
        temporary = directory / ".password"
        temporary.write_text(f"{password}\n")
        temporary.rename(directory / "password")

    def write_secrets(self, accounts: list[Key], password: str) -> None:
        self.write_secret(PLATFORM_NAMESPACE, "managed-relay", password)
        for key in accounts:
            self.write_secret(*key, f"{password} of {key[1]}")

    def current(self) -> Store:
        with open_store(self.url) as store:
            return as_store(store.read())

    def wait_until_applied(self, expected: Store, by: ForkedProcess) -> None:
        """Wait until the process ``by`` has applied ``expected``; it must not end."""
        last_head = None

        def is_applied() -> bool:
            nonlocal last_head
            assert not by.has_ended(), by.text()
            head = store.head()
            if head == last_head:
                return False
            last_head = head
            return as_store(store.read()) == expected

        with open_store(self.url) as store:
            wait_until(is_applied, "the state that the manifests declare")

    def commits(self) -> dict[int, str | None]:
        """The source commit of each revision."""
        with opened(self.url) as raw:
            return dict(raw.execute("SELECT number, source_commit FROM revision").fetchall())

    def has_no_account_status(self) -> bool:
        """Whether the store records no account status."""
        with open_store(self.url) as store:
            return not store.account_statuses()

    def wait_until_idle(self) -> None:
        """Wait until nothing of the killed processes still runs: no process of their sessions, and
        no database session of theirs on the server."""
        wait_until(lambda: not self.processes(), "the end of all processes")
        if is_postgres(self.url):
            with psycopg.connect(self.url, autocommit=True) as connection:
                wait_until(
                    lambda: not _has_other_sessions(connection),
                    "the end of the killed process's database session",
                )
                assert connection.execute("SELECT count(*) FROM pg_prepared_xacts").fetchone() == (
                    0,
                )

    def processes(self) -> list[int]:
        """The living processes in the sessions of children that have ended."""
        has_ended = {child.pid for child in self._children if child.status is not None}
        return [pid for pid, session in _sessions() if session in has_ended]

    def check(self, *, decrypts: bool = True) -> list[RecordedChange]:
        """Check the conditions that hold at any time. With ``decrypts``, each credential in use
        must also equal the current secret."""
        if not is_postgres(self.url):
            self._check_file()
        changes = check(self.url)
        cipher = FernetCipher(keys_of_file(str(self.directory / "sendroute.key")))
        with open_store(self.url) as store:
            for endpoint in store.endpoints():
                assert endpoint.credential is not None, f"{endpoint.alias} has no credential"
                credential = cipher.decrypt(endpoint.credential, endpoint.binding)
                assert credential is not None, f"the credential of {endpoint.alias} fails"
                if decrypts and endpoint.retired is None and endpoint.profile:
                    path = (
                        self.home
                        / "secrets"
                        / endpoint.binding.namespace
                        / endpoint.binding.account
                    )
                    assert credential.password == (path / "password").read_text().strip(), (
                        endpoint.alias
                    )
        return changes

    def _check_file(self) -> None:
        import sqlite3
        from contextlib import closing

        with closing(sqlite3.connect(self.directory / "sendroute.db")) as raw:
            assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert raw.execute("PRAGMA foreign_key_check").fetchall() == []

    def check_no_leftover_files(self) -> None:
        expected = {"sendroute.key"} if is_postgres(self.url) else {"sendroute.key", "sendroute.db"}
        assert {path.name for path in self.directory.iterdir()} == expected
        assert list((self.home / "tmp").iterdir()) == []

    def close(self) -> None:
        for child in self._children:
            if child.status is None:
                child.kill()


def _sessions() -> Iterator[tuple[int, int]]:
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            # The process name may contain anything, also parentheses (proc_pid_stat(5)).
            fields = (directory / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            yield int(directory.name), int(fields[3])


def _has_other_sessions(connection: psycopg.Connection) -> bool:
    row = connection.execute(
        "SELECT FROM pg_stat_activity WHERE datname = current_database()"
        " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    return row.fetchone() is not None


@pytest.fixture
def workspace(fork_server: ForkServer, store_url: str, tmp_path: Path) -> Iterator[Workspace]:
    url = store_url if is_postgres(store_url) else f"sqlite:///{tmp_path}/work/sendroute.db"
    created = Workspace(fork_server, url, tmp_path)
    created.run("init")
    yield created
    created.close()


def check_no_partial_account(current: Store, sequence: TreeSequence) -> int:
    """Assert that every account has its complete old or its complete new state, and that accounts
    that exchange a domain change together. Return how many accounts have a changed, new state."""
    before, after = sequence.before, sequence.after
    assert current.plans in (before.plans, after.plans)
    done = 0
    for group in _groups(before, after):
        changes = [key for key in group if holdings(before, key) != holdings(after, key)]
        if not changes:
            assert all(holdings(current, key) == holdings(before, key) for key in group)
            continue
        is_new = [holdings(current, key) == holdings(after, key) for key in changes]
        is_old = [holdings(current, key) == holdings(before, key) for key in changes]
        assert all(is_new) or all(is_old), f"{group} is partly applied: {is_new}, {is_old}"
        done += all(is_new) * len(changes)
    if done and before.plans != after.plans:
        assert current.plans == after.plans, "the platform is committed before the accounts"
    return done


def _groups(before: Store, after: Store) -> list[set[Key]]:
    keys = before.accounts.keys() | after.accounts.keys() | after.ran.keys()
    groups = [{key} for key in sorted(keys)]
    old, new = _owners(before), _owners(after)
    for name in old.keys() & new.keys():
        if old[name] != new[name]:
            pair = [group for group in groups if group & {old[name], new[name]}]
            groups = [group for group in groups if group not in pair] + [set[Key]().union(*pair)]
    return groups


def _owners(store: Store) -> dict[str, Key]:
    return {name: key for key, account in store.accounts.items() for name in account.domains}
