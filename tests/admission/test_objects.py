"""The CustomResourceDefinitions on a real API server: what it admits, keeps, and shows."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.control_plane.control_plane import ApiResponse, ControlPlane
from tests.manifests.admission_cases import CASES, Case, Refused, account, domain, profile

from sendroute.manifests.crd import RESOURCES
from sendroute.manifests.headers import is_ours

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.usefixtures("crds")


def path_of(document: dict[str, Any], namespace: str) -> str:
    within = "" if document["kind"] == "MailPlatform" else f"namespaces/{namespace}/"
    return f"/apis/sendroute.dev/v1alpha1/{within}{RESOURCES[document['kind']].plural}"


def placed(document: dict[str, Any], namespace: str) -> dict[str, Any]:
    """The document in the test's own namespace."""
    metadata = dict(document["metadata"])
    if "namespace" in metadata:
        metadata["namespace"] = namespace
    return document | {"metadata": metadata}


def create(
    control_plane: ControlPlane, namespace: str, document: dict[str, Any], query: str = ""
) -> ApiResponse:
    path = path_of(document, namespace)
    return control_plane.request("POST", f"{path}?{query}", placed(document, namespace))


def update(
    control_plane: ControlPlane,
    namespace: str,
    document: dict[str, Any],
    change: dict[str, Any],
    part: str = "",
) -> ApiResponse:
    path = f"{path_of(document, namespace)}/{document['metadata']['name']}{part}"
    content_type = "application/merge-patch+json"
    return control_plane.request("PATCH", path, change, content_type=content_type)


@pytest.fixture(scope="module")
def dry(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace in which nothing is created."""
    name = control_plane.create_namespace()
    yield name
    control_plane.request("DELETE", f"/api/v1/namespaces/{name}")


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_api_server_decides_as_the_list_says(
    case: Case, control_plane: ControlPlane, dry: str
) -> None:
    refused = case.admission in {Refused.BY_SCHEMA, Refused.BY_RULE}
    lax = create(control_plane, dry, case.document, "dryRun=All")
    assert lax.status in ((400, 422) if refused else (201,)), lax
    strict = create(control_plane, dry, case.document, "dryRun=All&fieldValidation=Strict")
    refused |= case.admission is Refused.IF_STRICT
    assert strict.status in ((400, 422) if refused else (201,)), strict


def test_what_a_rule_refuses_is_said_of_its_field(control_plane: ControlPlane, dry: str) -> None:
    for document, field, words in (
        (domain(domain="example"), "spec.domain", "must be a full domain name"),
        (profile(host="192.0.2.1", credentials={"secretRef": {"name": "s"}}), "spec.host",
         "must be a DNS name if there are credentials"),
        (domain(route={}), "spec.route", "must have exactly one of managed, profile"),
        (domain(route={"managed": {}, "profile": "ses"}), "spec.route",
         "must have exactly one of managed, profile"),
    ):  # fmt: skip
        answer = create(control_plane, dry, document, "dryRun=All")
        causes = answer.document["details"]["causes"]
        assert any(item["field"] == field and words in item["message"] for item in causes), causes


@pytest.mark.parametrize(
    ("document", "change"),
    [
        (domain(), {"domain": "other.example.com"}),
        (domain(), {"account": "other"}),
        (profile(), {"account": "other"}),
    ],
    ids=["the domain", "the domain's account", "the profile's account"],
)
def test_what_an_object_is_about_cannot_be_changed(
    document: dict[str, Any],
    change: dict[str, str],
    control_plane: ControlPlane,
    namespace: str,
) -> None:
    assert create(control_plane, namespace, document).status == 201
    [field] = change
    answer = update(control_plane, namespace, document, {"spec": change})
    assert answer.status == 422, answer
    assert f"{field} cannot be changed" in answer.document["message"]
    same = update(control_plane, namespace, document, {"spec": {"suspend": True}})
    assert same.status == 200, same


def test_a_new_object_was_looked_at_by_nobody(control_plane: ControlPlane, namespace: str) -> None:
    answer = create(control_plane, namespace, domain() | {"status": {"routeText": "mine"}})
    assert answer.document["status"] == {"observedGeneration": -1}
    answer = update(control_plane, namespace, domain(), {"status": {"routeText": "mine"}})
    assert answer.document["status"] == {"observedGeneration": -1}


def test_an_object_without_a_status_gets_one(control_plane: ControlPlane, namespace: str) -> None:
    create(control_plane, namespace, domain())
    answer = update(control_plane, namespace, domain(), {"status": None}, "/status")
    assert answer.document["status"] == {"observedGeneration": -1}


def condition(**fields: Any) -> dict[str, Any]:
    return {
        "type": "Ready",
        "status": "True",
        "reason": "Applied",
        "message": "The route is applied.",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-11-28T12:00:00Z",
    } | fields


def test_a_table_shows_the_route_and_why(control_plane: ControlPlane, namespace: str) -> None:
    create(control_plane, namespace, domain())
    status = {
        "routeText": "profile ses",
        "origin": "apply-all",
        "conditions": [condition()],
        "observedGeneration": 1,
    }
    answer = update(control_plane, namespace, domain(), {"status": status}, "/status")
    assert answer.status == 200, answer
    head, row = control_plane.kubectl("get", "sdom", "-n", namespace).stdout.splitlines()
    assert head.split() == ["NAME", "ACCOUNT", "ROUTE", "ORIGIN", "READY", "REASON", "AGE"]
    assert row.split()[:-1] == ["a", "acme", "profile", "ses", "apply-all", "True", "Applied"]
    everything = control_plane.kubectl("get", "sendroute", "-n", namespace, "-o", "name").stdout
    assert everything.split() == ["sendingdomain.sendroute.dev/a"]


def test_a_status_has_each_condition_once(control_plane: ControlPlane, namespace: str) -> None:
    create(control_plane, namespace, account())
    twice = {"status": {"conditions": [condition(), condition(status="False")]}}
    answer = update(control_plane, namespace, account(), twice, "/status")
    assert answer.status == 422, answer


def example_documents() -> Iterator[Any]:
    """Every object of an example, except what is of another group, such as Secrets."""
    for path in sorted(EXAMPLES.rglob("*")):
        if path.suffix not in {".yaml", ".yml", ".json"} or "expected" in path.parts:
            continue
        documents = [item for item in yaml.safe_load_all(path.read_text()) if is_ours(item)]
        if documents:
            yield pytest.param(documents, id=path.relative_to(EXAMPLES).as_posix())


@pytest.mark.parametrize("documents", list(example_documents()))
def test_kubectl_accepts_every_example(
    documents: list[dict[str, Any]], control_plane: ControlPlane, dry: str
) -> None:
    text = "\n---\n".join(json.dumps(placed(item, dry)) for item in documents)
    done = control_plane.kubectl("apply", "--dry-run=server", "-n", dry, "-f", "-", stdin=text)
    assert len(done.stdout.splitlines()) == len(documents)


def test_kubectl_writes_whole_numbers_and_refuses_unknown_fields(
    control_plane: ControlPlane, dry: str
) -> None:
    words = ("apply", "--dry-run=server", "-n", dry, "-f", "-")
    text = yaml.safe_dump(placed(profile(port=587.0), dry))
    control_plane.kubectl(*words, stdin=text)
    text = yaml.safe_dump(placed(profile(prot=587), dry))
    refused = control_plane.kubectl(*words, stdin=text, status=1)
    assert 'unknown field "spec.prot"' in refused.stderr
