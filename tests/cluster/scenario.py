"""The history of one account, change by change, on a real API server.

Each step changes one object, or objects that are declared together. The next step begins when the
store holds what this one declares, so that every run must record the same changes.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from tests.control_plane.control_plane import ControlPlane, Document
from tests.crash.replay import RecordedChange, check

from sendroute.cli.main import main

API = "sendroute.dev/v1alpha1"
PLURALS = {
    "MailAccount": "mailaccounts",
    "SMTPProfile": "smtpprofiles",
    "SendingDomain": "sendingdomains",
}
PLATFORM: Document = {
    "apiVersion": API,
    "kind": "MailPlatform",
    "metadata": {"name": "default"},
    "spec": {
        "managed": {
            "host": "smtp.example.test",
            "ports": [{"port": 587, "encryption": "starttls"}],
            "relay": {"host": "relay.example.test", "port": 587, "encryption": "starttls"},
        },
        "plans": [{"name": "pro", "managed": True}, {"name": "nano", "managed": False}],
    },
}
MANAGED = {"managed": {}}


class Tenant(ABC):
    """What a tenant declares in their namespace."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    @abstractmethod
    def put(self, kind: str, name: str, **spec: Any) -> None:
        """Declare an object: exactly these fields."""

    @abstractmethod
    def delete(self, kind: str, name: str) -> None:
        """Declare it no more."""

    def account(self, **spec: Any) -> None:
        self.put("MailAccount", "acme", plan="pro", **spec)

    def profile(self, name: str, **spec: Any) -> None:
        fixed = {"account": "acme", "port": 587, "encryption": "starttls"}
        host = {"host": f"smtp.{name}.test", "connectionTest": "skip"}
        self.put("SMTPProfile", name, **{**fixed, **host, **spec})

    def domain(self, name: str, route: Document | None = None) -> None:
        declared = {"route": route} if route is not None else {}
        self.put("SendingDomain", name, account="acme", domain=f"{name}.example.test", **declared)

    def document(self, kind: str, name: str, spec: Document) -> Document:
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": API, "kind": kind, "metadata": metadata, "spec": spec}


class InCluster(Tenant):
    """Objects, written by the API server itself, without any fault."""

    def __init__(self, server: ControlPlane, namespace: str) -> None:
        super().__init__(namespace)
        self._server = server

    def put(self, kind: str, name: str, **spec: Any) -> None:
        answer = self._server.request(
            "PATCH",
            f"{self._path(kind, name)}?fieldManager=tenant&force=true",
            self.document(kind, name, spec),
            content_type="application/apply-patch+yaml",
        )
        assert answer.status in (200, 201), answer

    def delete(self, kind: str, name: str) -> None:
        answer = self._server.request("DELETE", self._path(kind, name))
        assert answer.status == 200, answer

    def _path(self, kind: str, name: str) -> str:
        return f"/apis/{API}/namespaces/{self.namespace}/{PLURALS[kind]}/{name}"


class InFiles(Tenant):
    """Manifests in a directory, which the command line applies."""

    def __init__(self, home: Path, namespace: str) -> None:
        super().__init__(namespace)
        self._home = home
        self._documents: dict[tuple[str, str], Document] = {}
        self.store = f"sqlite:///{home}/files.db"
        self._run("init")

    def put(self, kind: str, name: str, **spec: Any) -> None:
        self._documents[kind, name] = self.document(kind, name, spec)

    def delete(self, kind: str, name: str) -> None:
        del self._documents[kind, name]

    def apply(self) -> None:
        tree = self._home / "tree.yaml"
        tree.write_text(yaml.safe_dump_all([PLATFORM, *self._documents.values()]))
        guards = ("--max-change-percent", "100", "--max-remove-percent", "100")
        self._run("apply", "--auto-approve", *guards, str(tree))

    def _run(self, *words: str) -> None:
        assert main([*words, "--store", self.store]) == 0


Recorded = list[str]
"""The changes of one step, in an order of their own."""


def recorded(store: str) -> list[RecordedChange]:
    """All changes in the history of a store, whose tables are what the history says."""
    return check(store)


def lines_of(changes: list[RecordedChange]) -> Recorded:
    """Changes without what differs from run to run: the revision and the namespace."""
    return sorted(
        f"{change.kind} {change.name} {change.action} ({change.reason}):"
        f" {_plain(change.before)} -> {_plain(change.after)}"
        for change in changes
    )


def expected_of_files(home: Path, namespace: str) -> list[Recorded]:
    """What each step records if the same documents are applied as files."""
    return recorded_steps(InFiles(home, namespace))


def recorded_steps(tenant: InFiles) -> list[Recorded]:
    """Play all steps with files; what each step records."""
    steps: list[Recorded] = []
    seen = 0
    for step in STEPS:
        step.do(tenant)
        tenant.apply()
        changes = recorded(tenant.store)
        steps.append(lines_of(changes[seen:]))
        seen = len(changes)
    return steps


def switches(changes: list[RecordedChange]) -> int:
    """How often the route of a domain that was there became another one."""
    return sum(
        change.before is not None
        and change.after is not None
        and change.before.get("route") != change.after.get("route")
        for change in changes
        if change.kind == "SendingDomain"
    )


def _plain(document: Document | None) -> str:
    return json.dumps(document, sort_keys=True)


def through(profile: str) -> Document:
    return {"profile": profile}


class Step(NamedTuple):
    name: str
    do: Callable[[Tenant], None]


def _begin(tenant: Tenant) -> None:
    tenant.account(defaultRoute=MANAGED)
    tenant.profile("ses")
    tenant.profile("mailgun")
    tenant.domain("shop", through("ses"))
    tenant.domain("news")
    tenant.domain("blog", MANAGED)


def _declare_together(tenant: Tenant) -> None:
    """In the order in which nothing works before the last object is there."""
    tenant.domain("shop2", through("postmark"))
    tenant.domain("news2", through("postmark"))
    tenant.profile("postmark")


STEPS = (
    Step("declare an account", _begin),
    Step("another default", lambda tenant: tenant.account(defaultRoute=through("ses"))),
    Step("a domain without a route", lambda tenant: tenant.domain("docs")),
    Step("a declared route", lambda tenant: tenant.domain("news", through("mailgun"))),
    Step("another port", lambda tenant: tenant.profile("mailgun", port=2525)),
    Step(
        "an apply-all",
        lambda tenant: tenant.account(
            defaultRoute=through("ses"),
            applyToAll={"id": "to-mailgun", "route": through("mailgun"), "confirm": {"domains": 4}},
        ),
    ),
    Step("a route declared after it", lambda tenant: tenant.domain("blog", through("ses"))),
    Step(
        "the request removed, another default",
        lambda tenant: tenant.account(defaultRoute=MANAGED),
    ),
    Step("another domain without a route", lambda tenant: tenant.domain("help")),
    Step("domains before their profile", _declare_together),
    Step("a profile is deleted", lambda tenant: tenant.delete("SMTPProfile", "mailgun")),
    Step("a domain is deleted", lambda tenant: tenant.delete("SendingDomain", "docs")),
    Step("a route is not declared any more", lambda tenant: tenant.domain("shop2")),
    Step("a deleted domain comes back", lambda tenant: tenant.domain("docs")),
    Step("a profile comes back", lambda tenant: tenant.profile("mailgun")),
)
