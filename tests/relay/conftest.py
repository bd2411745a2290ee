"""The agent as a process, beside a store of each kind, and a Postfix that records its reloads."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from tests.crash.fork_server import ForkedProcess, ForkServer
from tests.loop.conftest import SOURCE, LoopProcess, wait_until
from tests.store.conftest import Say

from sendroute.credentials.cipher import FernetCipher
from sendroute.model.change import AccountPlan, ObjectChange
from sendroute.model.credential import Credential
from sendroute.model.current import DomainState
from sendroute.model.owner import PLATFORM, RELAY
from sendroute.model.platform import Managed, Platform, Relay
from sendroute.model.profile import Encryption, Profile
from sendroute.model.route import Origin, Route
from sendroute.model.secret import binding_of
from sendroute.store.create import init_store
from sendroute.store.record import Store

MANAGED_RELAY = Relay("relay.internal.example", 587, Encryption.STARTTLS, "relay")
PLATFORM_SPEC = Platform(Managed(None, "smtp.example", (), MANAGED_RELAY), plans=())

# Reloads, and reads of the queue, as the agent runs them (postfix(1), postqueue(1), postconf(1)).
_PROGRAMS = {
    "postfix": 'if [ -s "$0.fails" ]; then cat "$0.fails" >&2; exit 1; fi\n'
    'date +%s.%N >> "$0.calls"\n',
    "postqueue": 'while [ -e "$0.hangs" ]; do sleep 0.1; done\n'
    'cat "$0.answer" 2>/dev/null\ndate +%s.%N >> "$0.calls"\n',
    "postconf": 'case "$*" in *queue_directory*) echo "$0.spool" ;; *) echo 3.7.11 ;; esac\n',
}


def profile(host: str) -> Profile:
    return Profile(host, 587, Encryption.STARTTLS, secret="provider")


def state(route: Route) -> DomainState:
    return DomainState(route, Origin.DECLARED, route)


class Site:
    """A store, and the directory of one relay."""

    def __init__(self, directory: Path, store_url: str) -> None:
        self.directory = directory
        self.tables = directory / "relay"
        self.url = store_url
        self.say = Say()
        self.key = Fernet.generate_key().decode()
        self.key_file = directory / "sendroute.key"
        self.key_file.write_text(self.key + "\n")
        self.key_file.chmod(0o600)
        self.store: Store = init_store(store_url, self.say.provenance, busy_timeout=30)
        self._programs = directory / "bin"
        self._programs.mkdir()
        for name, script in _PROGRAMS.items():
            program = self._programs / name
            program.write_text(f"#!/bin/sh\n{script}")
            program.chmod(0o755)
        (self._programs / "postconf.spool" / "pid").mkdir(parents=True)
        self.run_postfix(running=True)
        self.agents: list[LoopProcess] = []
        self.forked: list[ForkedProcess] = []
        self.expected: dict[int, dict[str, str]] = {}

    def token(self, name: str, destination: Profile, password: str) -> str:
        bound = binding_of(self.say.key, name, destination)
        return FernetCipher((self.key,)).encrypt(Credential("user", password), bound)

    def fill(self, *changes: ObjectChange, profiles: tuple[str, ...] = ("one", "two")) -> int:
        """Create the platform and the account with its profiles, each with a credential."""
        destinations = {name: profile(f"smtp.{name}.example") for name in profiles}
        tokens = {name: self.token(name, p, f"of-{name}") for name, p in destinations.items()}
        made = [self.say.profile(name, None, p) for name, p in destinations.items()]
        plan = self.say.plan(0, self.say.account(), *made, *changes)
        relay = FernetCipher((self.key,)).encrypt(
            Credential("user", "of-relay"), binding_of(PLATFORM, RELAY, MANAGED_RELAY)
        )
        encrypted = {self.say.key: tokens, PLATFORM: {RELAY: relay}}
        change = self.say.platform_change(None, PLATFORM_SPEC)
        return self.store.commit([plan], change, self.say.provenance, encrypted)

    def commit(self, *changes: ObjectChange, tokens: dict[str, str] | None = None) -> int:
        current = self.store.read((self.say.key,)).accounts[self.say.key]
        plan = AccountPlan(self.say.key, current.revision, changes)
        encrypted = {self.say.key: tokens or {}}
        return self.store.commit([plan], None, self.say.provenance, encrypted)

    def create(self, domain: str, route: Route) -> ObjectChange:
        return self.say.domain(domain, None, state(route))

    def reroute(self, domain: str, before: Route, after: Route) -> ObjectChange:
        return self.say.domain(domain, state(before), state(after))

    def delete(self, domain: str, before: Route) -> ObjectChange:
        return self.say.domain(domain, state(before), None)

    # The agent

    def start(self, *options: str, name: str = "mx1", **variables: str) -> LoopProcess:
        agent = LoopProcess(
            self.directory,
            *self._arguments(options, name),
            command="relay",
            **{"PATH": self._path, **variables},
        )
        self.agents.append(agent)
        return agent

    def fork(self, server: ForkServer) -> ForkedProcess:
        """Start the agent in milliseconds, for a test that kills it often."""
        self.forked.append(
            server.start(
                ["relay", *self._arguments((), "mx1")],
                self.directory,
                {**os.environ, "PATH": self._path},
                self.directory / "forked.log",
            )
        )
        return self.forked[-1]

    @property
    def _path(self) -> str:
        return f"{self._programs}:{os.environ['PATH']}"

    def _arguments(self, options: tuple[str, ...], name: str) -> tuple[str, ...]:
        return (
            *("--dir", str(self.tables), "--name", name, "--store", self.url),
            *(() if "--key-file" in options else ("--key-file", str(self.key_file))),
            *(() if "--listen" in options else ("--listen", "")),
            *options,
        )

    def sendroute(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "sendroute", "--store", self.url, *arguments],
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": SOURCE},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def wait_until_served(self, revision: int, name: str = "mx1") -> None:
        """Wait until the store knows that the relay serves a revision."""

        def serves() -> bool:
            return any(
                relay.name == name and relay.revision >= revision for relay in self.store.relays()
            )

        logs = [agent.all() for agent in self.agents] + [log.text() for log in self.forked[-1:]]
        wait_until(serves, "\n".join([f"revision {revision} is served:", *logs]))

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Read the tables as Postfix does: without waiting for a lock."""
        path = self.tables / "tables.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=0)) as connection:
            return connection.execute(statement).fetchall()

    def rows(self, table: str) -> dict[str, str]:
        return dict(self.sql(f"SELECT key, value FROM {table}"))  # noqa: S608

    def aliases(self) -> dict[str, str]:
        text = (self.tables / "aliases").read_text()
        return dict(line.split() for line in text.splitlines())  # type: ignore[misc]

    # Postfix

    def reloads(self) -> list[float]:
        return self._calls("postfix")

    def queue_reads(self) -> list[float]:
        return self._calls("postqueue")

    def _calls(self, program: str) -> list[float]:
        calls = self._programs / f"{program}.calls"
        return [float(line) for line in calls.read_text().split()] if calls.exists() else []

    def run_postfix(self, *, running: bool) -> None:
        """Whether there is a process with the number in ``master.pid`` (master(8))."""
        number = os.getpid() if running else 2**22 + 1  # above the largest (proc(5))
        (self._programs / "postconf.spool" / "pid" / "master.pid").write_text(f"{number}\n")

    def fail_reloads(self, reason: str) -> None:
        """What a reload fails with; empty if it succeeds."""
        (self._programs / "postfix.fails").write_text(reason)

    def queue(self, *messages: str) -> None:
        (self._programs / "postqueue.answer").write_text("\n".join(messages))

    def hang_queue(self, *, hangs: bool) -> None:
        """Whether the listing of the queue ends."""
        path = self._programs / "postqueue.hangs"
        path.touch() if hangs else path.unlink()

    def close(self) -> None:
        for agent in self.agents:
            print(agent.all())  # shown if the test failed
            agent.kill()
        for forked in self.forked[-1:]:
            print(forked.text())
        for forked in self.forked:
            forked.kill()
        self.store.close()


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    with ForkServer() as server:
        yield server


@pytest.fixture
def make_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Site]]:
    for name in list(os.environ):
        if name.startswith("SENDROUTE_"):
            monkeypatch.delenv(name)
    sites: list[Site] = []

    def make(url: str) -> Site:
        directory = tmp_path / f"site{len(sites)}"
        directory.mkdir()
        sites.append(Site(directory, url))
        return sites[-1]

    yield make
    for site in sites:
        site.close()


@pytest.fixture
def site(make_site: Callable[[str], Site], store_url: str) -> Site:
    """With a store of each kind."""
    return make_site(store_url)


@pytest.fixture
def small_site(make_site: Callable[[str], Site], tmp_path: Path) -> Site:
    """With a SQLite store, where the kind of store makes no difference."""
    return make_site(f"sqlite:///{tmp_path}/sendroute.db")
