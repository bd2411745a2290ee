"""Every status that any case projects is accepted by the CustomResourceDefinitions, and read by
kstatus as it is meant."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest
import yaml
from tests.cluster.kstatus import kstatus as modelled
from tests.cluster.projected import Cluster
from tests.cluster.test_conditions import ROWS, platform, projected
from tests.cluster.test_projected_cases import SHOWN, TEST_FAILED, text_of
from tests.planner.test_cases import PLANS, profiles_in, tree_with_platform, trees

from sendroute.cluster.objects import ObjectKey
from sendroute.cluster.tenancy import findings_for_tenant

CRDS = Path(__file__).parents[2] / "charts/sendroute/crds"


class Projected(NamedTuple):
    key: ObjectKey
    generation: int
    status: dict[str, Any]


@pytest.fixture(scope="module")
def statuses(tmp_path_factory: pytest.TempPathFactory) -> list[Projected]:
    return [*of_rows(), *of_cases(tmp_path_factory.mktemp("cases"))]


def of_rows() -> Iterator[Projected]:
    for item in ROWS:
        cluster, written = projected(item)
        for key, status in written.items():
            yield Projected(key, status["observedGeneration"], status)
        for seen in cluster.objects:  # as they were before the operator has seen them
            yield Projected(seen.key, seen.generation, {"observedGeneration": -1})
    yield Projected(ObjectKey("MailPlatform", "", "default"), 1, platform())


def of_cases(directory: Path) -> Iterator[Projected]:
    for cluster in of_steps(directory):
        for seen in cluster.objects:
            if (status := cluster.written.get(seen.key)) is not None:
                yield Projected(seen.key, seen.generation, status)


def of_steps(directory: Path) -> Iterator[Cluster]:
    """Each case after each of its trees."""
    for name in SHOWN:
        cluster = Cluster()
        steps = trees(PLANS / name)
        for number, tree in enumerate(steps, start=1):
            failing = profiles_in(PLANS / name / "failing.txt", number, len(steps))
            cluster.apply(
                text_of(tree_with_platform(tree, directory / f"{name}-{number}")),
                failing={key: dict.fromkeys(names, TEST_FAILED) for key, names in failing.items()},
            )
            yield cluster


def test_the_schemas_of_the_cluster_accept_every_status(statuses: list[Projected]) -> None:
    schemas = {}
    for file in CRDS.glob("*.yaml"):
        definition = yaml.safe_load(file.read_text("utf-8"))
        if definition["kind"] != "CustomResourceDefinition":
            continue
        spec = definition["spec"]
        schema = spec["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
        schemas[spec["names"]["kind"]] = jsonschema.Draft202012Validator(closed(schema))
    assert schemas.keys() == {"MailPlatform", "MailAccount", "SMTPProfile", "SendingDomain"}
    for item in statuses:
        schemas[item.key.kind].validate(item.status)


def test_no_status_of_a_tenant_names_an_account_of_another_one(statuses: list[Projected]) -> None:
    tenants = {item.key.namespace for item in statuses} - {""}
    for item in statuses:
        messages = " ".join(condition["message"] for condition in item.status.get("conditions", ()))
        named = set(re.findall(r"([a-z0-9-]+)/[a-z0-9]", messages)) & tenants
        assert named <= {item.key.namespace}, (item.key, messages)


def test_no_finding_as_a_tenant_reads_it_names_another_one(tmp_path: Path) -> None:
    """Also of those that no status shows today."""
    withheld = set()
    for item in of_steps(tmp_path):
        tenants = {key.namespace for key in item.reconciled}
        for key, reconciled in item.reconciled.items():
            for before in reconciled.findings:
                for shown in findings_for_tenant([before], key.namespace):
                    text = f"{shown.message} {shown.hint}"
                    assert tenants & words_in(text) <= {key.namespace}, (key, text)
                    withheld |= {before.code} if shown is not before else set()
    assert withheld == {
        "dependency-skipped",
        "domain-conflict",
        "removed-before-move",
        "too-many-changes",
        "too-many-removals",
    }


def words_in(text: str) -> set[str]:
    """The words of a text; a domain name is one, and the two parts of an account's key are two."""
    return set(re.findall(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?", text))


def closed(schema: Any) -> Any:
    """The schema, in which a field that it does not name is an error: the API would drop it."""
    if isinstance(schema, dict):
        schema = {name: closed(value) for name, value in schema.items()}
        if "properties" in schema and schema.get("type") == "object":
            schema["additionalProperties"] = False
        if isinstance(pattern := schema.get("pattern"), str):  # of RE2, which Python cannot read
            schema["pattern"] = re.sub(r"\\x\{([0-9a-fA-F]{4})\}", r"\\u\1", pattern)
    elif isinstance(schema, list):
        schema = [closed(value) for value in schema]
    return schema


def test_kstatus_itself_says_what_the_model_of_it_says(
    statuses: list[Projected], kstatus: Path
) -> None:
    objects = [
        {
            "apiVersion": "sendroute.dev/v1alpha1",
            "kind": item.key.kind,
            "metadata": {"name": item.key.name, "generation": item.generation},
            "status": item.status,
        }
        for item in statuses
    ]
    done = subprocess.run(
        (kstatus,), input=json.dumps(objects), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    computed = [entry["Status"] for entry in json.loads(done.stdout)]
    assert computed == [modelled(item.generation, item.status) for item in statuses]
    assert set(computed) == {"Current", "InProgress", "Failed"}
