"""A platform that sends real mail: a store, an agent, a Postfix and providers."""

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from sendroute.cli.main import main
from sendroute.delivery.explain import explain_domain
from sendroute.postfix.tables import ALIASES, DATABASE
from sendroute.store.record import open_store

from .providers import Provider, Providers
from .server import Addresses, MailServer

API = "sendroute.dev/v1alpha1"
MANAGED = {"managed": {}}
UNCONFIGURED = {"unconfigured": {}}
Document = dict[str, Any]


def through(profile: str) -> Document:
    return {"profile": profile}


def account(name: str, **spec: Any) -> Document:
    return _document("MailAccount", name, name, {"plan": "pro", **spec})


def profile(
    account: str, name: str, host: str, port: int, encryption: str, secret: str | None, **spec: Any
) -> Document:
    """A profile whose connection is not tested: its host has a name only for Postfix."""
    credentials = {"credentials": {"secretRef": {"name": secret}}} if secret else {}
    fixed = {"account": account, "host": host, "port": port, "encryption": encryption}
    additional = {"displayName": name, "connectionTest": "skip", **credentials, **spec}
    return _document("SMTPProfile", name, account, {**fixed, **additional})


def domain(account: str, name: str, route: Document | None = None, **spec: Any) -> Document:
    declared = {"route": route} if route is not None else {}
    fields = {"account": account, "domain": name, **declared, **spec}
    label = name.encode("idna").decode().replace(".", "-")
    return _document("SendingDomain", label, account, fields)


def _document(kind: str, name: str, namespace: str, spec: Document) -> Document:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API, "kind": kind, "metadata": metadata, "spec": spec}


class Sending:
    """``documents`` are the manifests that :meth:`apply` applies, all of them each time."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.addresses = Addresses()
        self.providers = Providers()
        self.server = MailServer(home, self.addresses)
        self.store = f"sqlite:///{home}/sendroute.db"
        self.documents: list[Document] = []
        self.managed = self._provider("smtp.managed.test", {"managed": "managed-secret"})
        self.provider_one = self._provider(
            "smtp.one.test", {"first": "1-secret", "second": "2-secret"}
        )
        self.provider_two = self._provider("smtp.two.test", {"first": "3-secret"})
        self.slow = self._provider("smtp.slow.test", {"user": "password"})
        self.slow.delay = 1.0
        self.impostor = Provider("smtp.impostor.test", self.addresses.next())
        self.providers.start(self.impostor, starttls=587, tls=465, certificate="other.test")
        self.secrets = {
            ("sendroute-system", "managed"): ("managed", "managed-secret"),
        }
        self.providers.authority.cert_pem.write_to_path(str(home / "ca.pem"))

    def _provider(self, host: str, users: dict[str, str]) -> Provider:
        provider = Provider(host, self.addresses.next(), users)
        return self.providers.start(provider, none=2525, starttls=587, tls=465)

    def start(self) -> None:
        relay = {
            "host": self.managed.host,
            "port": 587,
            "encryption": "starttls",
            "credentials": {"secretRef": {"name": "managed"}},
        }
        ports = [{"port": 587, "encryption": "starttls"}]
        self.platform = {
            "apiVersion": API,
            "kind": "MailPlatform",
            "metadata": {"name": "default"},
            "spec": {
                "heloName": "out.example.test",
                "managed": {"host": "mail.example.test", "ports": ports, "relay": relay},
                "connectionTest": {"caFile": str(self.home / "ca.pem"), "timeout": "5s"},
                "plans": [{"name": "pro", "managed": True}, {"name": "nano", "managed": False}],
            },
        }
        self._run("init")
        self.server.knows({host.host: host.address for host in self.providers.hosts.values()})
        self._apply()
        self.server.configure(self.store)
        self.server.start()
        self.server.start_agent(self.store)
        self.server.wait_until_it_accepts()

    def stop(self) -> None:
        self.server.stop()
        self.providers.stop()

    def secret(self, account: str, name: str, user: str, password: str) -> None:
        self.secrets[account, name] = (user, password)

    def apply(self, *more: Document, settled: bool = False) -> None:
        """Apply all documents, and wait until the relay serves them; ``settled``: until Postfix is
        reloaded too, if routes of known domains changed."""
        self.documents += more
        self._apply()
        with open_store(self.store) as store:
            revision = store.head().revision
        self.server.wait(lambda: self._serves(revision, settled), "the relay is behind")

    def _serves(self, revision: int, settled: bool) -> bool:
        with self._tables() as tables:
            ((served, reload),) = tables.execute("SELECT revision, reload FROM served")
        return bool(served >= revision and not (settled and reload))

    @contextmanager
    def _tables(self) -> Iterator[sqlite3.Connection]:
        """The agent's tables, to read."""
        path = f"file:{self.server.tables / DATABASE}?mode=ro"
        with closing(sqlite3.connect(path, uri=True)) as tables:
            yield tables

    @contextmanager
    def writable_tables(self) -> Iterator[sqlite3.Connection]:
        """The tables of an agent that is stopped, to damage them."""
        with closing(sqlite3.connect(self.server.tables / DATABASE)) as tables, tables:
            yield tables

    def transport(self, name: str) -> str | None:
        """The row of a domain in the agent's tables."""
        with self._tables() as tables:
            rows = tables.execute("SELECT value FROM transport WHERE key = ?", (name,)).fetchall()
        return rows[0][0] if rows else None

    def _apply(self) -> None:
        for (namespace, name), (user, password) in self.secrets.items():
            directory = self.home / "secrets" / namespace / name
            directory.mkdir(parents=True, exist_ok=True)
            (directory / "username").write_text(user)
            (directory / "password").write_text(password)
        tree = self.home / "manifests.json"
        items = {"kind": "List", "apiVersion": "v1", "items": [self.platform, *self.documents]}
        tree.write_text(json.dumps(items))
        limits = ("--max-change-percent", "100", "--max-remove-percent", "100")
        self._run(
            *("apply", "--auto-approve", *limits),
            *("--secrets", str(self.home / "secrets"), str(tree)),
        )

    def replace(self, old: Document, new: Document, *, settled: bool = False) -> None:
        """Apply with another document in place of one."""
        self.documents[self.documents.index(old)] = new
        self.apply(settled=settled)

    def remove(self, *documents: Document) -> None:
        self.documents = [document for document in self.documents if document not in documents]
        self.apply(settled=True)

    def explain(self, name: str) -> str | None:
        """The transport that ``explain`` names for a domain; None if its mail is refused."""
        with open_store(self.store) as store:
            to = explain_domain(name, name, store.explain_facts(name)).nexthop
        return to.transport if to is not None else None

    def alias(self, name: str) -> str:
        """The alias of a domain's nexthop."""
        return (self.explain(name) or "").partition("[")[2].partition("]")[0]

    def destinations(self) -> dict[str, tuple[str, str]]:
        """The host and the user of each alias, retired ones included."""
        lines = (self.server.tables / ALIASES).read_text().splitlines()
        hosts = dict(line.split() for line in lines)
        with self._tables() as tables:
            rows = tables.execute("SELECT key, value FROM credentials").fetchall()
        users = {alias: value.partition(":")[0] for alias, value in rows}
        return {alias: (host, users.get(alias, "")) for alias, host in hosts.items()}

    def assert_each_took_its_own_route(self, subjects: Collection[str]) -> None:
        """Each message arrived once, at the host of the alias that Postfix logged for it, and was
        sent by the user of that alias. No host was offered the password of another."""
        chosen = frozenset(subjects)
        ids = {
            message.queue_id
            for provider in self.providers.hosts.values()
            for message in provider.received
            if message.subject in chosen
        }
        # The log is written by another process, maybe after the message has left the queue.
        self.server.wait(lambda: ids <= self._sent().keys(), "a delivery is not in the log")
        sent = self._sent()
        destinations = self.destinations()
        arrived: Counter[str] = Counter()
        for provider in self.providers.hosts.values():
            assert set(provider.attempts) <= set(provider.users.items()), provider.host
            for message in provider.received:
                if message.subject in chosen:
                    arrived[message.subject] += 1
                    alias = sent[message.queue_id]
                    assert (provider.host, message.user) == destinations[alias]
                    assert message.server_name == provider.host
        assert {subject: arrived[subject] for subject in chosen if arrived[subject] != 1} == {}

    def _sent(self) -> dict[str, str]:
        """The alias that each delivered message took, by its queue id."""
        log = self.server.log
        return dict(re.findall(r" (\w+): to=<[^>]*>, relay=(\w+)\[.* status=sent", log))

    @contextmanager
    def without_alias(self, name: str) -> Iterator[None]:
        """The alias of a domain's nexthop is missing, as if the file was not written yet."""
        path, alias = self.server.tables / ALIASES, self.alias(name)
        content = path.read_text()
        path.write_text("".join(x for x in content.splitlines(True) if x.split()[0] != alias))
        yield
        path.write_text(content)

    @contextmanager
    def without_key(self) -> Iterator[None]:
        """The agent has another key, which decrypts no credential."""
        other = self.home / "other.key"
        other.write_bytes(Fernet.generate_key())
        self.server.stop_agent()
        self.server.start_agent(self.store, "--key-file", str(other))
        try:
            yield
        finally:
            self.server.stop_agent()
            self.server.start_agent(self.store)

    def _run(self, *words: str) -> None:
        assert main([*words, "--store", self.store, "-q"]) == 0
