"""Statuses, events, secrets and approvals against a real API server."""

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.cluster.test_status_writer import status
from tests.control_plane.control_plane import ControlPlane
from tests.control_plane.polling import eventually

from sendroute.cluster.api import Api, ApiError, connect, path_of_object
from sendroute.cluster.approvals import writer_of
from sendroute.cluster.events import Event, EventWriter
from sendroute.cluster.objects import ClusterObject, ObjectKey, decode_item, object_of
from sendroute.cluster.secrets import KEPT, ApiSecrets
from sendroute.cluster.status_writer import StatusWriter
from sendroute.model.credential import Credential
from sendroute.model.secret import PLATFORM_NAMESPACE, SecretProblem, SecretRef

pytestmark = pytest.mark.usefixtures("crds")

GROUP = "sendroute.dev/v1alpha1"


class CountingApi(Api):
    """The API, which counts the requests by verb."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self.calls: list[str] = []
        super().__init__(
            connect(str(control_plane.kubeconfig)).client,
            lambda verb, _status, _seconds: self.calls.append(verb),
        )


@pytest.fixture
def api(control_plane: ControlPlane) -> CountingApi:
    return CountingApi(control_plane)


@pytest.fixture
def writer(api: CountingApi) -> Iterator[StatusWriter]:
    created = StatusWriter(api, workers=4)
    yield created
    created.stop()


def domain(namespace: str, name: str = "shop") -> dict[str, Any]:
    return {
        "apiVersion": GROUP,
        "kind": "SendingDomain",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"account": "acme", "domain": f"{name}.{namespace}.example"},
    }


def seen(api: Api, namespace: str, name: str = "shop") -> ClusterObject:
    key = ObjectKey("SendingDomain", namespace, name)
    return object_of(key.kind, decode_item(api.request("GET", path_of_object(key))))


def test_a_status_is_written_beside_the_users_fields(
    control_plane: ControlPlane, namespace: str, api: CountingApi, writer: StatusWriter
) -> None:
    control_plane.apply(domain(namespace))
    before = control_plane.get("sendingdomain", "shop", "-n", namespace, "--show-managed-fields")
    assert before["status"] == {"observedGeneration": -1}
    assert writer.put(seen(api, namespace), status("managed"))
    assert writer.wait(20)
    after = control_plane.get("sendingdomain", "shop", "-n", namespace, "--show-managed-fields")
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert after["status"]["routeText"] == "managed"
    mine = [m for m in after["metadata"]["managedFields"] if m["manager"] == "sendroute"]
    assert [(m["operation"], m["subresource"], [*m["fieldsV1"]]) for m in mine] == [
        ("Apply", "status", ["f:status"])
    ]
    for name in ("finalizers", "ownerReferences"):
        assert name not in after["metadata"]


def test_an_unchanged_status_costs_no_call(
    control_plane: ControlPlane, namespace: str, api: CountingApi, writer: StatusWriter
) -> None:
    control_plane.apply(domain(namespace))
    writer.put(seen(api, namespace), status("managed"))
    assert writer.wait(20)
    api.calls.clear()
    for _ in range(10):
        writer.put(seen(api, namespace), status("managed"))
    assert writer.wait(20)
    assert set(api.calls) == {"GET"}, "only what this test reads itself"


def test_a_condition_that_is_no_longer_true_goes(
    control_plane: ControlPlane, namespace: str, api: CountingApi, writer: StatusWriter
) -> None:
    control_plane.apply(domain(namespace))
    stalled = [
        condition.__class__(**{**condition_fields(condition), "type": kind})
        for condition in status("x").conditions or []
        for kind in ("Ready", "Stalled")
    ]
    writer.put(seen(api, namespace), status("x").__class__(conditions=stalled))
    assert writer.wait(20)
    types = {c["type"] for c in (seen(api, namespace).status or {})["conditions"]}
    assert types == {"Ready", "Stalled"}
    writer.put(seen(api, namespace), status("x"))
    assert writer.wait(20)
    types = {c["type"] for c in (seen(api, namespace).status or {})["conditions"]}
    assert types == {"Ready"}


def condition_fields(condition: Any) -> dict[str, Any]:
    return {name: getattr(condition, name) for name in condition.__struct_fields__}


def test_the_status_of_a_deleted_object_creates_nothing(
    control_plane: ControlPlane, namespace: str, api: CountingApi, writer: StatusWriter
) -> None:
    control_plane.apply(domain(namespace))
    old = seen(api, namespace)
    control_plane.kubectl("delete", "sendingdomain", "shop", "-n", namespace)
    writer.put(old, status("managed"))
    assert writer.wait(20)
    assert control_plane.get("sendingdomains", "-n", namespace)["items"] == []


def test_a_thousand_statuses_are_written_once_each(
    control_plane: ControlPlane, namespace: str, api: CountingApi, writer: StatusWriter
) -> None:
    control_plane.apply(*(domain(namespace, f"d{number}") for number in range(200)))
    objects = [seen(api, namespace, f"d{number}") for number in range(200)]
    api.calls.clear()
    for _ in range(5):
        for item in objects:
            writer.put(item, status("managed"))
    assert writer.wait(60)
    assert api.calls == ["PATCH"] * 200


# Events


@pytest.fixture
def log(api: CountingApi) -> Iterator[EventWriter]:
    created = EventWriter(api)
    yield created
    created.stop()


def test_the_api_takes_events_and_their_series(
    control_plane: ControlPlane, namespace: str, api: CountingApi, log: EventWriter
) -> None:
    control_plane.apply(domain(namespace))
    item = seen(api, namespace)
    event = Event(item.key, item.uid, True, "DomainConflict", "Reconcile", f"Taken in {namespace}.")
    for _ in range(3):
        log.record(event)
    log.record(event._replace(uid="p", key=ObjectKey("MailPlatform", "", "default")))
    assert log.wait(20)
    [written] = control_plane.get("events.events.k8s.io", "-n", namespace)["items"]
    assert (written["reason"], written["type"], written["series"]["count"]) == (
        "DomainConflict",
        "Warning",
        2,
    )
    of_platform = control_plane.get("events.events.k8s.io", "-n", "default")["items"]
    assert event.note in {entry["note"] for entry in of_platform}
    described = control_plane.kubectl("describe", "sendingdomain", "shop", "-n", namespace).stdout
    assert event.note in described


# Approvals


def test_who_wrote_the_annotation_is_known(
    control_plane: ControlPlane, namespace: str, api: CountingApi
) -> None:
    control_plane.apply(domain(namespace))
    key = ObjectKey("SendingDomain", namespace, "shop")
    assert writer_of(api, key) == "kubernetes"
    control_plane.kubectl(
        "annotate", "sendingdomain", "shop", "-n", namespace, "sendroute.dev/approve=4f1a22b09c"
    )
    assert writer_of(api, key) == "kubernetes:kubectl-annotate"


# Secrets

WORD = "canary-word-77ab"
HOST, PORT = "smtp.ses.example", 587


def secret(namespace: str, **keys: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "ses-smtp", "namespace": namespace},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in keys.items()},
    }


def test_secrets_are_read_with_the_right_to_get_them_and_no_other(
    control_plane: ControlPlane, namespace: str
) -> None:
    other = control_plane.create_namespace()
    operator = control_plane.service_account(namespace, "sendroute")
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    control_plane.allow(operator, rules, namespace)
    for name in (namespace, other):
        control_plane.apply(secret(name, username="acme", password=WORD))
    api = Api(connect(str(operator.kubeconfig)).client)
    now = [0.0]
    secrets = ApiSecrets(api, PLATFORM_NAMESPACE, lambda: now[0])

    def code(where: str, name: str = "ses-smtp") -> str:
        answer = secrets.run().credential(SecretRef(where, name), HOST, PORT)
        return answer.code if isinstance(answer, SecretProblem) else "usable"

    eventually(lambda: code(namespace) == "usable")
    assert secrets.run().credential(SecretRef(namespace, "ses-smtp"), HOST, PORT) == Credential(
        "acme", WORD
    )
    assert code(namespace, "gone") == "secret-missing"
    assert code(other) == "secret-forbidden"

    control_plane.apply(secret(namespace, username="acme"))
    assert code(namespace) == "usable", "it is kept for a minute"
    now[0] += KEPT
    assert secrets.changed() == {SecretRef(namespace, "ses-smtp")}
    assert code(namespace) == "secret-key-missing"
    control_plane.apply(secret(namespace, username="acme", password=WORD))
    secrets.forget(namespace)
    assert code(namespace) == "usable"

    for forbidden in (
        lambda: api.request("GET", f"/api/v1/namespaces/{namespace}/secrets"),
        lambda: api.request("GET", "/api/v1/secrets"),
    ):
        refused: Callable[[], bytes] = forbidden
        with pytest.raises(ApiError) as raised:
            refused()
        assert raised.value.status == 403
