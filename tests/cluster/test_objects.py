"""Objects of the API are read as documents of files are, and only what is needed is kept."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from sendroute.cluster.objects import ClusterObject, ObjectKey, decode_item, object_of
from sendroute.manifests import shapes
from sendroute.model.desired import AccountKey

METADATA = {
    "name": "shop",
    "namespace": "acme",
    "uid": "0b5c",
    "generation": 3,
    "resourceVersion": "77",
    "creationTimestamp": "2026-11-28T10:00:00Z",
    "labels": {"team": "mail"},
    "managedFields": [{"manager": "kubectl"}],
    "annotations": {
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "sendroute.dev/accept": "profile-unused",
    },
}


def read(kind: str, spec: Any, **metadata: Any) -> ClusterObject:
    item = {
        "apiVersion": shapes.API_VERSION,
        "kind": kind,
        "metadata": METADATA | metadata,
        "spec": spec,
        "status": {"observedGeneration": 2},
    }
    return object_of(kind, decode_item(msgspec.json.encode(item)))


def test_an_object_is_a_document_with_the_metadata_that_is_needed() -> None:
    cluster_object = read("SendingDomain", {"account": "acme", "domain": "shop.example.com"})
    assert cluster_object.key == ObjectKey("SendingDomain", "acme", "shop")
    assert str(cluster_object.key) == "SendingDomain/acme/shop"
    assert (cluster_object.uid, cluster_object.generation, cluster_object.resource_version) == (
        "0b5c",
        3,
        "77",
    )
    assert cluster_object.created == datetime(2026, 11, 28, 10, tzinfo=UTC)
    assert cluster_object.annotations == {"sendroute.dev/accept": "profile-unused"}
    assert cluster_object.status == {"observedGeneration": 2}
    assert cluster_object.account == AccountKey("acme", "acme")
    assert isinstance(cluster_object.document, shapes.SendingDomain)
    assert cluster_object.document.spec.domain == "shop.example.com"


def test_the_platform_has_no_namespace() -> None:
    cluster_object = read("MailPlatform", {"plans": []}, name="default", namespace="")
    assert str(cluster_object.key) == "MailPlatform/default"
    assert cluster_object.account is None
    assert isinstance(cluster_object.document, shapes.MailPlatform)


@pytest.mark.parametrize("port", [587, 587.0])
def test_a_number_is_read_as_in_a_file(port: float) -> None:
    spec = {"account": "acme", "host": "smtp.example.com", "port": port, "encryption": "starttls"}
    cluster_object = read("SMTPProfile", spec)
    assert isinstance(cluster_object.document, shapes.SMTPProfile), cluster_object.findings
    assert cluster_object.document.spec.port == 587


def test_an_invalid_object_has_every_problem_and_its_account() -> None:
    cluster_object = read(
        "SendingDomain", {"account": "acme", "route": {"newProfile": {"name": "ses"}}, "x": 1}
    )
    assert cluster_object.document is None
    assert cluster_object.account == AccountKey("acme", "acme")
    assert cluster_object.profiles == {"ses"}
    assert {(item.code, item.account) for item in cluster_object.findings} >= {
        ("unknown-field", "acme"),
        ("missing-field", "acme"),
    }
    assert {item.where.file for item in cluster_object.findings if item.where} == {
        "SendingDomain/acme/shop"
    }


def test_a_name_that_no_file_may_have_is_invalid_here_too() -> None:
    spec = {"account": "acme", "domain": "shop.example.com"}
    cluster_object = read("SendingDomain", spec, name="shop.example.com")
    assert cluster_object.document is None
    assert cluster_object.findings[0].where is not None
    assert cluster_object.findings[0].where.path == ("metadata", "name")


@pytest.mark.parametrize("spec", [None, [], "text"])
def test_an_object_without_a_usable_spec_is_invalid(spec: Any) -> None:
    cluster_object = read("MailAccount", spec)
    assert cluster_object.document is None
    assert cluster_object.findings
    assert cluster_object.account == AccountKey("acme", "shop")


def test_a_status_is_held_compressed() -> None:
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "Applied",
        "message": "The domain takes its declared route.",
        "lastTransitionTime": "2026-11-28T10:00:00Z",
    }
    status = {"conditions": [condition | {"type": str(number)} for number in range(4)]}
    item = {"metadata": METADATA, "spec": {"plan": "pro"}, "status": status}
    read_object = object_of("MailAccount", decode_item(msgspec.json.encode(item)))
    assert read_object.status == status
    assert msgspec.json.decode(read_object.status_json) == status
    assert len(read_object.held_status) * 4 < len(msgspec.json.encode(status))
