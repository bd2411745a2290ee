"""A platform that sends real mail: a store, an agent, a Postfix and providers."""

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sendroute.cli.commands.postfix.check import _senders
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
    own = {"displayName": name, "connectionTest": "skip", **credentials, **spec}
    return _document("SMTPProfile", name, account, {**fixed, **own})


def domain(account: str, name: str, route: Document | None = None, **spec: Any) -> Document:
    declared = {"route": route} if route is not None else {}
    own = {"account": account, "domain": name, **declared, **spec}
    label = name.encode("idna").decode().replace(".", "-")
    return _document("SendingDomain", label, account, own)


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
        self.one = self._provider("smtp.one.test", {"first": "1-secret", "second": "2-secret"})
        self.two = self._provider("smtp.two.test", {"first": "3-secret"})
        self.slow = self._provider("smtp.slow.test", {"user": "password"})
        self.slow.delay = 1.0
        self.impostor = Provider("smtp.impostor.test", self.addresses.next())
        self.providers.start(self.impostor, starttls=587, tls=465, certificate="other.test")
        self.secrets = {
            ("sendroute-system", "managed"): ("managed", "managed-secret"),
        }
        self.providers.authority.cert_pem.write_to_path(str(home / "ca.pem"))
        self._agent: sqlite3.Connection | None = None

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
        self.apply()
        self.server.configure(self.store)
        self.server.start()

    def stop(self) -> None:
        self.server.stop()
        self.providers.stop()
        if self._agent is not None:
            self._agent.close()

    def secret(self, account: str, name: str, user: str, password: str) -> None:
        self.secrets[account, name] = (user, password)

    def apply(self, *more: Document, reload: bool = False) -> None:
        """Apply all documents, and wait until the relay serves them."""
        self.documents += more
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
        self.serve()
        if reload:
            self.server.reload()

    def replace(self, old: Document, new: Document, *, reload: bool = False) -> None:
        """Apply with another document in place of one."""
        self.documents[self.documents.index(old)] = new
        self.apply(reload=reload)

    def remove(self, *documents: Document) -> None:
        self.documents = [one for one in self.documents if one not in documents]
        self.apply()

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
        database = f"file:{self.server.tables / DATABASE}?mode=ro"
        with closing(sqlite3.connect(database, uri=True)) as tables:
            rows = tables.execute("SELECT key, value FROM credentials").fetchall()
        users = {alias: value.partition(":")[0] for alias, value in rows}
        return {alias: (host, users.get(alias, "")) for alias, host in hosts.items()}

    def assert_each_took_its_own_route(self, subjects: Collection[str]) -> None:
        """Each message arrived once, at the host of the alias that Postfix logged for it, and was
        sent by the user of that alias. No host was offered the password of another."""
        log = self.server.log
        sent = dict(re.findall(r" (\w+): to=<[^>]*>, relay=(\w+)\[.* status=sent", log))
        destinations = self.destinations()
        arrived: Counter[str] = Counter()
        wanted = frozenset(subjects)
        for provider in self.providers.hosts.values():
            assert set(provider.attempts) <= set(provider.users.items()), provider.host
            for message in provider.received:
                if message.subject in wanted:
                    arrived[message.subject] += 1
                    alias = sent[message.queue_id]
                    assert (provider.host, message.user) == destinations[alias]
                    assert message.server_name == provider.host
        assert {subject: arrived[subject] for subject in wanted if arrived[subject] != 1} == {}

    @contextmanager
    def without_alias(self, name: str) -> Iterator[None]:
        """The alias of a domain's nexthop is missing, as if the file was not written yet."""
        path, alias = self.server.tables / ALIASES, self.alias(name)
        content = path.read_text()
        path.write_text("".join(x for x in content.splitlines(True) if x.split()[0] != alias))
        yield
        path.write_text(content)

    @contextmanager
    def without_credential(self, name: str) -> Iterator[None]:
        """No key decrypts the credential of a domain's nexthop: it has no route then."""
        assert self._agent is not None
        self._agent.execute("DELETE FROM transport WHERE key = ?", (name,))
        yield
        self.serve()
        self.server.reload()

    def _run(self, *words: str) -> None:
        assert main([*words, "--store", self.store, "-q"]) == 0

    def serve(self) -> None:
        """Write the tables of the store's revision."""
        if self._agent is None:
            self._agent = sqlite3.connect(self.server.tables / DATABASE, isolation_level=None)
            self._agent.execute("PRAGMA journal_mode = wal")
            for table in ("access", "transport", "credentials", "tls_policy", "senders"):
                self._agent.execute(
                    f"CREATE TABLE {table} (key TEXT PRIMARY KEY, value TEXT NOT NULL)"
                    " WITHOUT ROWID"
                )
        with open_store(self.store) as store:
            senders = list(_senders(store))
        nexthops = {s.explanation.nexthop for s in senders if s.explanation.nexthop is not None}
        path = self.server.tables / ALIASES
        lines = set(path.read_text().splitlines()) if path.exists() else set()
        lines |= {f"{to.alias} {to.host}" for to in nexthops}
        path.with_suffix(".new").write_text("".join(f"{line}\n" for line in sorted(lines)))
        path.with_suffix(".new").rename(path)
        self._agent.execute("BEGIN IMMEDIATE")
        self._agent.execute("DELETE FROM access")
        self._agent.execute("DELETE FROM transport")
        for sender in senders:
            to = sender.explanation.nexthop
            value = "OK" if to else "REJECT 5.7.1 This sender domain has no outbound route."
            self._agent.execute("INSERT INTO access VALUES (?, ?)", (sender.key, value))
            if to is not None:
                self._agent.execute(
                    "INSERT INTO transport VALUES (?, ?)", (sender.key, to.transport)
                )
        for to in nexthops:
            if to.secret is not None:
                value = ":".join(self.secrets[to.namespace, to.secret])
                self._agent.execute(
                    "INSERT OR REPLACE INTO credentials VALUES (?, ?)", (to.alias, value)
                )
            if to.encryption != "none":
                site = to.transport.partition(":")[2]
                policy = f"secure match={to.host} servername={to.host}"
                self._agent.execute(
                    "INSERT OR REPLACE INTO tls_policy VALUES (?, ?)", (site, policy)
                )
        self._agent.execute("COMMIT")
