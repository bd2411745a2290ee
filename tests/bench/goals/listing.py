"""Goal 11, on a real API server: an operator's copy of 100,000 sending domains takes 300 MB, its
start is linear in their number, and a change of one object costs what its account costs.

One domain is created through the API server and gets a status there. The others are copies of what
etcd then holds, written to etcd: the API server creates 300 in a second by four connections, and
what it lists is the same.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from goals.cluster import FEWER, per_object
from lab import CHILDREN, PYTHON, Lab
from measuring import run
from table import Row, megabytes, seconds
from tests.control_plane.control_plane import Document, PrivateControlPlane
from tests.control_plane.programs import why_not

_LIMIT = 300_000_000
_OF_ACCOUNT = 100
_AT_ONCE = 100  # etcd takes at most 128 changes in one transaction
_API = "sendroute.dev/v1alpha1"
_CONDITION = {
    "status": "True",
    "reason": "Applied",
    "message": "The store holds what the object declares.",
    "observedGeneration": 1,
    "lastTransitionTime": "2026-11-28T10:00:00Z",
}
_STATUS = {
    "observedGeneration": 1,
    "conditions": [
        {"type": kind, **_CONDITION} for kind in ("Accepted", "ResolvedRefs", "Applied", "Ready")
    ],
    "route": {"managed": {}},
    "routeText": "managed",
    "origin": "declared",
    "since": "2026-11-28T10:00:00Z",
}


def measure(lab: Lab) -> Iterator[Row]:
    domains = lab.size(100_000)
    fewer = domains // FEWER
    case = f"{domains:,} domains on a real API server"
    if (reason := why_not()) is not None:
        yield Row("11", case, "-", note=reason)
        return
    # On a machine with other work a list takes longer than etcd keeps its version by default.
    flags = ("--etcd-compaction-interval=0",)
    with PrivateControlPlane(lab.room / "control-plane", flags=flags) as control_plane:
        control_plane.install_crds()
        copies = _Copies(control_plane)
        copies.extend(0, fewer)
        few, _ = _measured(control_plane, fewer)
        copies.extend(fewer, domains)
        many, peak = _measured(control_plane, domains)
    yield Row("11", f"{case}: hold them", megabytes(peak), megabytes(_LIMIT), peak / _LIMIT, 1.0)
    for step in ("listed", "compiled"):
        yield Row("11", f"{case}: {step} (no goal)", seconds(many[step]), "-")
    yield from per_object(
        few,
        many,
        f"{case}: list and compile one of them, of one of {fewer:,}",
        f"{case}: change one of them, of one of {fewer:,}",
    )


class _Copies:
    """Copies of one account and of one domain, in etcd."""

    def __init__(self, control_plane: PrivateControlPlane) -> None:
        self._etcd = control_plane.etcd
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "original"}}
        metadata = {"name": "original", "namespace": "original"}
        account = {"kind": "MailAccount", "spec": {"plan": "pro"}}
        route = {"managed": {}}
        spec = {"account": "original", "domain": "original.example", "route": route}
        domain = {"kind": "SendingDomain", "spec": spec}
        objects = [
            {"apiVersion": _API, "metadata": metadata, **shape} for shape in (account, domain)
        ]
        control_plane.apply(namespace, *objects)
        path = f"/apis/{_API}/namespaces/original/sendingdomains/original/status"
        merge = "application/merge-patch+json"
        control_plane.request("PATCH", path, {"status": _STATUS}, content_type=merge)
        self._account = self._original("mailaccounts")
        self._domain = self._original("sendingdomains")
        assert self._domain["status"]["routeText"] == "managed"
        for plural in ("mailaccounts", "sendingdomains"):
            self._etcd("kv/deleterange", key=_key(plural, "original", "original"))

    def _original(self, plural: str) -> Document:
        answer = self._etcd("kv/range", key=_key(plural, "original", "original"))
        stored: Document = json.loads(base64.b64decode(answer["kvs"][0]["value"]))
        return stored

    def extend(self, first: int, end: int) -> None:
        """Add the domains with these numbers, and their accounts."""
        changes: list[dict[str, Any]] = []
        for number in range(first, end):
            account = f"account-{number // _OF_ACCOUNT}"
            if number % _OF_ACCOUNT == 0:
                changes.append(_put("mailaccounts", self._account, account, account, {}))
            spec = {"account": account, "domain": f"d{number}.example"}
            changes.append(_put("sendingdomains", self._domain, account, f"domain-{number}", spec))
            if len(changes) >= _AT_ONCE or number == end - 1:
                self._etcd("kv/txn", success=changes)
                changes = []  # the peak of a child includes the memory of this process


def _key(plural: str, namespace: str, name: str) -> str:
    path = f"/registry/sendroute.dev/{plural}/{namespace}/{name}"
    return base64.b64encode(path.encode()).decode()


def _put(
    plural: str, original: Document, namespace: str, name: str, spec: Document
) -> dict[str, Any]:
    metadata = original["metadata"] | {"name": name, "namespace": namespace, "uid": str(uuid4())}
    document = original | {"metadata": metadata, "spec": original["spec"] | spec}
    value = base64.b64encode(json.dumps(document).encode()).decode()
    return {"requestPut": {"key": _key(plural, namespace, name), "value": value}}


def _measured(control_plane: PrivateControlPlane, domains: int) -> tuple[dict[str, Any], int]:
    """The seconds of each step, and the peak of memory."""
    child = str(CHILDREN / "cluster_objects.py")
    done = run([PYTHON, child, str(control_plane.kubeconfig)], keep=True)
    measured: dict[str, Any] = json.loads(done.output)
    assert measured["domains"] == domains, measured
    return measured, done.peak
