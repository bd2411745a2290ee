"""A store, its secrets and its manifests; programs on them that are killed; and what must hold of
the store at any time."""

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

from sendroute.credentials.keys import keys_of_file
from sendroute.credentials.sealing import Sealer
from sendroute.store.record import open_store
from sendroute.store.url import is_postgres

from .estates import Estate, holdings
from .forks import DEADLINE, Forked, Forks
from .replay import Told, check

SEED = "SENDROUTE_TEST_SEED"
KILLS = int(os.environ.get("SENDROUTE_TEST_KILLS", "100"))
"""Of one program, on each database; in so many parts, for several processes to do at once."""
PARTS = 4


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The two minutes begin at once, on two of pytest-xdist's workers: each is the first of the
    tests in a row that a worker is given to begin with (xdist.scheduler.load.LoadScheduling)."""
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    in_a_row = max(len(items) // workers // 4, 2)
    minutes = [item for item in items if "test_minute" in item.nodeid]
    if workers > 1:
        for turn, item in enumerate(minutes):
            items.remove(item)
            items.insert(turn * in_a_row, item)


@pytest.fixture
def seed() -> str:
    """Another one each time, unless the variable gives one: pytest shows it of a failing test."""
    chosen = os.environ.get(SEED) or secrets.token_hex(4)
    print(f"{SEED}={chosen}")
    return chosen


@pytest.fixture
def chance(seed: str, request: pytest.FixtureRequest) -> random.Random:
    """The test's own, whichever others run."""
    return random.Random(f"{seed} {request.node.name}")


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    with Forks() as forking:
        yield forking


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.01)


class Place:
    """``folder`` is where the program works; all that it may leave anywhere is below ``home``."""

    def __init__(self, forks: Forks, url: str, home: Path) -> None:
        self.url = url
        self.folder = home / "work"
        self.home = home
        self._forks = forks
        self._children: list[Forked] = []
        for name in ("work", "tmp", "said", "trees", "secrets"):
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

    def start(self, *words: str) -> Forked:
        said = self.home / "said" / str(len(self._children))
        self._children.append(self._forks.start(list(words), self.folder, self._env, said))
        return self._children[-1]

    def run(self, *words: str, may_end: tuple[int, ...] = (0,)) -> Forked:
        """To its end."""
        child = self.start(*words)
        assert child.wait() in may_end, child.text()
        return child

    def lay_secret(self, namespace: str, name: str, password: str) -> None:
        folder = self.home / "secrets" / namespace / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "username").write_text("somebody\n")
        beside = folder / ".password"
        beside.write_text(f"{password}\n")
        beside.rename(folder / "password")

    def lay_secrets(self, accounts: list[Key], word: str) -> None:
        self.lay_secret("default", "managed-relay", word)
        for key in accounts:
            self.lay_secret(*key, f"{word} of {key[1]}")

    def current(self) -> Store:
        with open_store(self.url) as store:
            return as_store(store.read())

    def until_held(self, expected: Store, by: Forked) -> None:
        """Until the store holds that, which is somebody's work who must not end over it."""
        seen = None

        def holds() -> bool:
            nonlocal seen
            assert not by.ended(), by.text()
            head = store.head()
            if head == seen:
                return False
            seen = head
            return as_store(store.read()) == expected

        with open_store(self.url) as store:
            until(holds, "what the manifests say")

    def commits(self) -> dict[int, str | None]:
        """The manifests' commit of each revision."""
        with opened(self.url) as raw:
            return dict(raw.execute("SELECT number, source_commit FROM revision").fetchall())

    def settled(self) -> bool:
        """Whether nothing is noted as unsettled."""
        with open_store(self.url) as store:
            return not store.account_statuses()

    def rest(self) -> None:
        """Until nothing of those that were killed is at work: neither a process of their sessions
        nor, at the server, a session that holds a lock."""
        until(lambda: not self.processes(), "the end of all processes")
        if is_postgres(self.url):
            with psycopg.connect(self.url, autocommit=True) as own:
                until(lambda: not _others(own), "the end of the dead one's session")
                assert own.execute("SELECT count(*) FROM pg_prepared_xacts").fetchone() == (0,)

    def processes(self) -> list[int]:
        """That are alive, and of the session of a child that has ended."""
        ended = {child.pid for child in self._children if child.status is not None}
        return [pid for pid, session in _sessions() if session in ended]

    def check(self, *, opens: bool = True) -> list[Told]:
        """What holds at any time. ``opens``: and each credential in use is the one at hand."""
        if not is_postgres(self.url):
            self._check_file()
        told = check(self.url)
        sealer = Sealer(keys_of_file(str(self.folder / "sendroute.key")))
        with open_store(self.url) as store:
            for one in store.endpoints():
                assert one.credential is not None, f"{one.alias} has none"
                opened = sealer.open(one.credential, one.binding)
                assert opened is not None, f"the credential of {one.alias} does not open"
                if opens and one.retired is None and one.profile:
                    path = self.home / "secrets" / one.binding.namespace / one.binding.account
                    assert opened.password == (path / "password").read_text().strip(), one.alias
        return told

    def _check_file(self) -> None:
        import sqlite3
        from contextlib import closing

        with closing(sqlite3.connect(self.folder / "sendroute.db")) as raw:
            assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert raw.execute("PRAGMA foreign_key_check").fetchall() == []

    def check_nothing_is_left(self) -> None:
        expected = {"sendroute.key"} if is_postgres(self.url) else {"sendroute.key", "sendroute.db"}
        assert {path.name for path in self.folder.iterdir()} == expected
        assert list((self.home / "tmp").iterdir()) == []

    def close(self) -> None:
        for child in self._children:
            if child.status is None:
                child.kill()


def _sessions() -> Iterator[tuple[int, int]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The name may hold anything, also brackets (proc_pid_stat(5)).
            facts = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if facts[0] != "Z":
            yield int(folder.name), int(facts[3])


def _others(own: psycopg.Connection) -> bool:
    found = own.execute(
        "SELECT FROM pg_stat_activity WHERE datname = current_database()"
        " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    return found.fetchone() is not None


@pytest.fixture
def place(forks: Forks, store_url: str, tmp_path: Path) -> Iterator[Place]:
    url = store_url if is_postgres(store_url) else f"sqlite:///{tmp_path}/work/sendroute.db"
    one = Place(forks, url, tmp_path)
    one.run("init")
    yield one
    one.close()


def check_whole(current: Store, estate: Estate) -> int:
    """Every account is as it was or as it shall be, those between which a domain moves together;
    of how many that change the latter is so."""
    before, after = estate.before, estate.after
    assert current.plans in (before.plans, after.plans)
    done = 0
    for group in _groups(before, after):
        changes = [key for key in group if holdings(before, key) != holdings(after, key)]
        if not changes:
            assert all(holdings(current, key) == holdings(before, key) for key in group)
            continue
        is_new = [holdings(current, key) == holdings(after, key) for key in changes]
        is_old = [holdings(current, key) == holdings(before, key) for key in changes]
        assert all(is_new) or all(is_old), f"{group} is half done: {is_new}, {is_old}"
        done += all(is_new) * len(changes)
    if done and before.plans != after.plans:
        assert current.plans == after.plans, "the platform comes before the accounts"
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
