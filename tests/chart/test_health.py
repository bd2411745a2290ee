"""What Argo CD and Flux make of statuses: the script for Argo CD in its own language, and kstatus,
the library that Flux waits with."""

import json
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import lupa
import pytest
import yaml
from tests.chart.conftest import ROOT
from tests.cluster.projected import Cluster
from tests.cluster.test_projected_cases import SHOWN, text_of
from tests.planner.test_cases import PLANS, trees

EXAMPLE = ROOT / "examples" / "argo-cd"
SCRIPT = (EXAMPLE / "health.lua").read_text()
Object = dict[str, Any]


class Expected(NamedTuple):
    argo_cd: str
    flux: str


def sending_domain(*conditions: tuple[str, str], generation: int = 2, observed: int = 2) -> Object:
    written = [
        {"type": name, "status": status, "reason": "Reason", "message": f"{name} is {status}."}
        for name, status in conditions
    ]
    return {
        "apiVersion": "sendroute.dev/v1alpha1",
        "kind": "SendingDomain",
        "metadata": {"name": "a-example", "namespace": "acme", "generation": generation},
        "spec": {"account": "acme", "domain": "a.example"},
        "status": {"observedGeneration": observed, "conditions": written},
    }


def without_status() -> Object:
    created = sending_domain(observed=-1)
    del created["status"]["conditions"]
    return created


CASES: dict[str, tuple[Object, Expected]] = {
    "ready": (
        sending_domain(("Accepted", "True"), ("Ready", "True")),
        Expected("Healthy", "Current"),
    ),
    "created": (without_status(), Expected("Progressing", "InProgress")),
    "changed": (
        sending_domain(("Ready", "True"), generation=3),
        Expected("Progressing", "InProgress"),
    ),
    "reconciling": (
        sending_domain(("Ready", "False"), ("Reconciling", "True")),
        Expected("Progressing", "InProgress"),
    ),
    "stalled": (
        sending_domain(("Ready", "False"), ("Stalled", "True")),
        Expected("Degraded", "Failed"),
    ),
    "stalled before the change": (
        sending_domain(("Ready", "False"), ("Stalled", "True"), generation=3),
        Expected("Progressing", "InProgress"),
    ),
}


def argo_cd(script: str, resource: Object) -> dict[str, str]:
    """Run a script as Argo CD does: the object is the global ``obj``, and none of the libraries of
    Lua can reach the system."""
    lua = lupa.LuaRuntime(register_eval=False, unpack_returned_tuples=True)
    environment = lua.globals()
    for name in ("os", "io", "package", "require", "dofile", "loadfile", "debug"):
        environment[name] = None
    environment.obj = lua.table_from(resource, recursive=True)
    return dict(lua.execute(script))


@pytest.fixture
def flux(kstatus: Path) -> Callable[[Iterable[Object]], list[str]]:
    def computed(objects: Iterable[Object]) -> list[str]:
        text = json.dumps(list(objects))
        done = subprocess.run([kstatus], input=text, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return [result["Status"] for result in json.loads(done.stdout)]

    return computed


@pytest.mark.parametrize("name", CASES)
def test_argo_cd_shows_the_health(name: str) -> None:
    resource, expected = CASES[name]
    assert argo_cd(SCRIPT, resource)["status"] == expected.argo_cd


def test_flux_waits_for_the_same(flux: Callable[[Iterable[Object]], list[str]]) -> None:
    assert flux(resource for resource, _ in CASES.values()) == [to.flux for _, to in CASES.values()]


def projected() -> list[Object]:
    """Every object of the cases of the routing rules, with the status that the operator writes."""
    objects = []
    for name in SHOWN:
        cluster = Cluster()
        for tree in trees(PLANS / name):
            for key, status in cluster.apply(text_of(tree)).items():
                metadata = {"name": key.name, "namespace": key.namespace}
                written = {
                    "apiVersion": "sendroute.dev/v1alpha1",
                    "kind": key.kind,
                    "spec": {},
                    "status": json.loads(json.dumps(status, default=str)),
                }
                now = cluster.generation(key)
                # As it is, and after a change that the operator has not seen.
                objects += [
                    written | {"metadata": metadata | {"generation": generation}}
                    for generation in (now, now + 1)
                ]
    return objects


def test_argo_cd_and_flux_agree_on_every_status_that_the_operator_writes(
    flux: Callable[[Iterable[Object]], list[str]],
) -> None:
    same = {"Healthy": "Current", "Degraded": "Failed", "Progressing": "InProgress"}
    objects = projected()
    healths = [argo_cd(SCRIPT, resource)["status"] for resource in objects]
    assert [same[health] for health in healths] == flux(objects)
    assert set(healths) == set(same), "each of them is tried"


def test_argo_cd_shows_why_an_object_is_degraded() -> None:
    assert argo_cd(SCRIPT, CASES["stalled"][0])["message"] == "Stalled is True."


def test_a_suspended_object_is_suspended() -> None:
    resource = sending_domain(("Ready", "True"))
    resource["spec"]["suspend"] = True
    assert argo_cd(SCRIPT, resource)["status"] == "Suspended"


def test_the_config_map_holds_the_script_in_the_form_that_has_wildcards() -> None:
    config = yaml.safe_load((EXAMPLE / "argocd-cm.yaml").read_text())
    assert all(name.replace(".", "").isalnum() for name in config["data"]), "a valid key"
    customizations = yaml.safe_load(config["data"]["resource.customizations"])
    assert customizations == {"sendroute.dev/*": {"health.lua": SCRIPT}}
