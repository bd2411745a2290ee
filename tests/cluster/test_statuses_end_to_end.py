"""The operator and its statuses on a real control plane, as a user sees them with kubectl."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cluster.conftest import SYSTEM
from tests.cluster.kstatus import kstatus
from tests.cluster.running import RunningOperator, running_operator
from tests.control_plane.control_plane import PrivateControlPlane
from tests.control_plane.polling import eventually

pytestmark = pytest.mark.usefixtures("operator")

SES = {"profile": "ses"}
PLATFORM = {
    "apiVersion": "sendroute.dev/v1alpha1",
    "kind": "MailPlatform",
    "metadata": {"name": "default"},
    "spec": {
        "managed": {
            "host": "smtp.trekmail.example",
            "ports": [{"port": 587, "encryption": "starttls"}],
            "relay": {"host": "relay.trekmail.example", "port": 587, "encryption": "starttls"},
        },
        "plans": [{"name": "nano", "managed": False}, {"name": "pro", "managed": True}],
    },
}


def manifest(kind: str, namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "sendroute.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def account(namespace: str, **spec: Any) -> dict[str, Any]:
    return manifest("MailAccount", namespace, "acme", **{"plan": "pro", **spec})


def profile(namespace: str, name: str = "ses", **spec: Any) -> dict[str, Any]:
    fields = {
        "account": "acme",
        "host": f"smtp.{name}.example",
        "port": 587,
        "encryption": "starttls",
        "connectionTest": "skip",
    }
    return manifest("SMTPProfile", namespace, name, **{**fields, **spec})


def domain(namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    return manifest(
        "SendingDomain",
        namespace,
        name,
        **{"account": "acme", "domain": f"{name}.{namespace}.example", **spec},
    )


@pytest.fixture(scope="module")
def plane(private_control_plane: PrivateControlPlane) -> PrivateControlPlane:
    private_control_plane.install_crds()
    private_control_plane.kubectl("create", "namespace", SYSTEM)
    private_control_plane.apply(PLATFORM)
    return private_control_plane


@pytest.fixture(scope="module")
def operator(
    plane: PrivateControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningOperator]:
    with running_operator(plane, tmp_path_factory.mktemp("store") / "sendroute.db") as operator:
        yield operator


@pytest.fixture
def namespace(plane: PrivateControlPlane) -> str:
    return plane.create_namespace()


class NamespaceView:
    """What kubectl shows of the objects of a namespace."""

    def __init__(self, plane: PrivateControlPlane, namespace: str) -> None:
        self._plane = plane
        self._namespace = namespace

    def get(self, kind: str, name: str) -> dict[str, Any]:
        document: dict[str, Any] = self._plane.get(kind, name, "-n", self._namespace)
        return document

    def conditions(self, kind: str, name: str) -> dict[str, tuple[str, str]]:
        status = self.get(kind, name).get("status", {})
        return {c["type"]: (c["status"], c["reason"]) for c in status.get("conditions", ())}

    def is_ready(self, kind: str, name: str, reason: str, *, ready: bool = True) -> bool:
        document = self.get(kind, name)
        status = document.get("status", {})
        if status.get("observedGeneration") != document["metadata"]["generation"]:
            return False
        return self.conditions(kind, name).get("Ready") == (str(ready), reason)

    def table(self, kind: str) -> dict[str, list[str]]:
        """The rows of ``kubectl get`` by the first column, without the age."""
        lines = self._plane.kubectl("get", kind, "-n", self._namespace).stdout.splitlines()
        header = lines[0]
        starts = [header.index(word) for word in header.split()]
        ends = [*starts[1:], None]
        rows = [
            [line[start:end].strip() for start, end in zip(starts, ends, strict=True)]
            for line in lines
        ]
        return {row[0]: row[1:-1] for row in rows}

    def events(self) -> set[tuple[str, str]]:
        items = self._plane.get("events.events.k8s.io", "-n", self._namespace)["items"]
        return {(item["regarding"]["name"], item["reason"]) for item in items}


@pytest.fixture
def view(plane: PrivateControlPlane, namespace: str) -> NamespaceView:
    return NamespaceView(plane, namespace)


def test_a_user_applies_and_sees_the_columns(
    plane: PrivateControlPlane, namespace: str, operator: RunningOperator, view: NamespaceView
) -> None:
    plane.apply(
        account(namespace, defaultRoute=SES),
        profile(namespace),
        domain(namespace, "shop", route=SES),
        domain(namespace, "news", route={"managed": {}}),
        domain(namespace, "blog"),
    )
    for name in ("sendingdomain/shop", "sendingdomain/news", "mailaccount/acme", "smtpprofile/ses"):
        plane.kubectl("wait", name, "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    operator.wait_until_idle()
    assert view.table("sendingdomains") == {
        "NAME": ["ACCOUNT", "ROUTE", "ORIGIN", "READY", "REASON"],
        "blog": ["acme", "profile ses", "default", "True", "Applied"],
        "news": ["acme", "managed", "declared", "True", "Applied"],
        "shop": ["acme", "profile ses", "declared", "True", "Applied"],
    }
    status = view.get("mailaccount", "acme")["status"]
    assert status["effectiveDefaultText"] == "profile ses"
    assert status["counts"] == {"domains": 3, "profiles": 1, "shadowed": 0}
    assert status["store"]["lineage"] == operator.lineage


def test_the_default_the_apply_all_and_the_deletion_of_its_profile(
    plane: PrivateControlPlane, namespace: str, view: NamespaceView
) -> None:
    plane.apply(account(namespace), profile(namespace), domain(namespace, "shop"))
    plane.apply(domain(namespace, "news", route={"managed": {}}))
    eventually(lambda: view.is_ready("sendingdomain", "news", "Applied"))
    eventually(lambda: view.is_ready("sendingdomain", "shop", "Applied"))

    plane.apply(account(namespace, defaultRoute=SES))
    eventually(
        lambda: (
            view.get("mailaccount", "acme")["status"].get("effectiveDefaultText") == "profile ses"
        )
    )
    assert view.table("sendingdomains")["shop"][1:3] == ["managed", "default"], "it keeps its route"

    to_ses = {"id": "to-ses", "route": SES}
    plane.apply(account(namespace, defaultRoute=SES, applyToAll=to_ses))
    eventually(lambda: view.is_ready("mailaccount", "acme", "AwaitingConfirmation", ready=False))
    confirmed = {**to_ses, "confirm": {"domains": 2}}
    plane.apply(account(namespace, defaultRoute=SES, applyToAll=confirmed))
    eventually(lambda: view.is_ready("mailaccount", "acme", "Applied"))
    eventually(lambda: view.is_ready("sendingdomain", "news", "Shadowed"))
    assert view.table("sendingdomains")["news"] == [
        "acme",
        "profile ses",
        "apply-all",
        "True",
        "Shadowed",
    ]
    assert view.get("sendingdomain", "news")["status"]["shadowedBy"] == "to-ses"
    assert view.get("mailaccount", "acme")["status"]["lastApplyAll"]["domains"] == 2
    eventually(lambda: ("acme", "ApplyAllRan") in view.events())
    eventually(lambda: ("news", "RouteChanged") in view.events())

    plane.kubectl("delete", "smtpprofile", "ses", "-n", namespace)
    eventually(lambda: view.is_ready("mailaccount", "acme", "DefaultFellBack"))
    eventually(lambda: view.table("sendingdomains")["shop"][1:3] == ["managed", "reassigned"])
    assert view.conditions("mailaccount", "acme")["ResolvedRefs"] == ("False", "DefaultFellBack")
    eventually(lambda: ("acme", "DefaultFellBack") in view.events())


def test_a_secret_that_comes_later_is_found(
    plane: PrivateControlPlane, namespace: str, view: NamespaceView, operator: RunningOperator
) -> None:
    credentials = {"secretRef": {"name": "ses-smtp"}}
    plane.apply(
        account(namespace),
        profile(namespace, credentials=credentials),
        domain(namespace, "shop", route=SES),
    )
    eventually(lambda: view.is_ready("smtpprofile", "ses", "SecretNotFound", ready=False))
    assert view.conditions("smtpprofile", "ses")["Reconciling"] == ("True", "SecretNotFound")
    eventually(lambda: view.is_ready("sendingdomain", "shop", "DependencySkipped", ready=False))
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "ses-smtp", "namespace": namespace},
        "stringData": {"username": "acme", "password": "canary-word-77ab"},
    }
    plane.apply(secret)
    eventually(lambda: view.is_ready("smtpprofile", "ses", "Applied"), seconds=90)
    eventually(lambda: view.is_ready("sendingdomain", "shop", "Applied"), seconds=90)
    everything = plane.kubectl(
        "get",
        "mailaccounts,smtpprofiles,sendingdomains,events.events.k8s.io",
        "-n",
        namespace,
        "-o",
        "yaml",
    ).stdout
    assert "canary-word-77ab" not in everything
    assert "canary-word-77ab" not in operator.log


def test_a_namespace_deleted_by_mistake_is_held_back_until_it_is_approved(
    plane: PrivateControlPlane, namespace: str, operator: RunningOperator, view: NamespaceView
) -> None:
    names = [f"d{number}" for number in range(3)]
    plane.apply(account(namespace), *(domain(namespace, name) for name in names))
    for name in names:
        eventually(lambda name=name: view.is_ready("sendingdomain", name, "Applied"))  # type: ignore[misc]
    plane.kubectl("delete", "namespace", namespace, "--wait=true")

    def held() -> list[dict[str, str]]:
        status = plane.get("mailplatform", "default")["status"]
        return [item for item in status.get("heldBack", ()) if item["namespace"] == namespace]

    eventually(lambda: len(held()) == 1)
    [item] = held()
    assert item["account"] == "acme"
    assert "3 domains" in item["what"]
    assert len(operator.domains(namespace)) == 3, "mail continues as it was"
    events = plane.get("events.events.k8s.io", "-n", "default")["items"]
    notes = [event["note"] for event in events if event["reason"] == "HeldBack"]
    assert any(item["digest"] in note for note in notes)

    plane.kubectl("annotate", "mailplatform", "default", "sendroute.dev/approve=0123456789abcdef")
    plane.kubectl(
        "annotate",
        "mailplatform",
        "default",
        "--overwrite",
        f"sendroute.dev/approve={item['digest']}",
    )
    eventually(lambda: operator.domains(namespace) == {})
    eventually(lambda: held() == [])
    assert operator.approved_by(namespace) == "kubernetes:kubectl-annotate"


def test_a_change_that_is_held_back_is_approved_at_its_account(
    plane: PrivateControlPlane, namespace: str, operator: RunningOperator, view: NamespaceView
) -> None:
    names = [f"d{number:02}" for number in range(12)]
    plane.apply(account(namespace), *(domain(namespace, name) for name in names))
    for name in names:
        eventually(lambda name=name: view.is_ready("sendingdomain", name, "Applied"))  # type: ignore[misc]
    plane.kubectl("delete", "sendingdomain", *names[:6], "-n", namespace)
    eventually(lambda: view.is_ready("mailaccount", "acme", "HeldBack", ready=False))
    eventually(lambda: ("acme", "HeldBack") in view.events())
    assert len(operator.domains(namespace)) == 12, "mail continues as it was"

    def message() -> str:
        conditions = view.get("mailaccount", "acme")["status"]["conditions"]
        return str(next(c["message"] for c in conditions if c["type"] == "Applied"))

    digest = message().rstrip(".").rpartition(" ")[2]
    annotate = ("annotate", "mailaccount", "acme", "-n", namespace, "--overwrite")
    plane.kubectl(*annotate, "sendroute.dev/approve=0123456789abcdef")
    eventually(lambda: "approves another change, 0123456789abcdef" in message())
    assert len(operator.domains(namespace)) == 12
    plane.kubectl(*annotate, f"sendroute.dev/approve={digest}")
    eventually(lambda: len(operator.domains(namespace)) == 6)
    eventually(lambda: view.is_ready("mailaccount", "acme", "Applied"))
    assert operator.approved_by(namespace) == "kubernetes:kubectl-annotate"


def test_a_status_that_was_deleted_comes_back(
    plane: PrivateControlPlane, namespace: str, operator: RunningOperator, view: NamespaceView
) -> None:
    plane.apply(account(namespace), domain(namespace, "shop"))
    eventually(lambda: view.is_ready("sendingdomain", "shop", "Applied"))
    operator.wait_until_idle()
    before = view.get("sendingdomain", "shop")["status"]
    patch = '{"status": {"route": null, "routeText": "profile x", "conditions": []}}'
    plane.kubectl(
        *("patch", "sendingdomain", "shop", "-n", namespace, "--subresource=status"),
        *("--type=merge", "-p", patch),
    )
    eventually(lambda: view.is_ready("sendingdomain", "shop", "Applied"))
    after = view.get("sendingdomain", "shop")["status"]
    assert {**after, "conditions": 0} == {**before, "conditions": 0}


def test_nobodys_spec_is_written_and_an_unchanged_cluster_costs_no_write(
    plane: PrivateControlPlane, namespace: str, operator: RunningOperator, view: NamespaceView
) -> None:
    documents = [account(namespace), profile(namespace), domain(namespace, "shop", route=SES)]
    plane.apply(*documents)
    eventually(lambda: view.is_ready("sendingdomain", "shop", "Applied"))
    operator.wait_until_idle()
    before = objects(plane)
    writes = operator.writes()
    operator.after_rounds(3)
    assert operator.writes() == writes
    assert objects(plane) == before
    for document in documents:
        current = view.get(document["kind"].lower(), document["metadata"]["name"])
        assert current["spec"] == document["spec"]
        assert current["metadata"]["generation"] == 1
        assert not {"finalizers", "ownerReferences"} & current["metadata"].keys()


def test_a_restarted_operator_writes_nothing_that_is_there_already(
    plane: PrivateControlPlane, operator: RunningOperator
) -> None:
    operator.wait_until_idle()
    with running_operator(plane, operator.store) as restarted:
        eventually(lambda: "sendroute_rounds_total" in restarted.page(), 60)
        restarted.after_rounds(3)
        assert restarted.writes() == {}


def test_every_status_in_the_cluster_is_as_kstatus_expects(
    plane: PrivateControlPlane, operator: RunningOperator
) -> None:
    operator.wait_until_idle()
    for item in objects(plane):
        state = kstatus(item["metadata"]["generation"], item.get("status"))
        types = {c["type"]: c["status"] for c in item["status"]["conditions"]}
        expected = "Current" if types["Ready"] == "True" else "Failed"
        expected = "InProgress" if types.get("Reconciling") == "True" else expected
        assert state == expected, json.dumps(item)


def objects(plane: PrivateControlPlane) -> list[dict[str, Any]]:
    kinds = "mailplatforms,mailaccounts,smtpprofiles,sendingdomains"
    items: list[dict[str, Any]] = plane.get(kinds, "-A", "--show-managed-fields")["items"]
    return items
