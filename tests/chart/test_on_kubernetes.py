"""The chart on a real API server: every shape is accepted, installed, upgraded and removed.

There is no kubelet, so no pod runs; whether the API server would admit each is asked by a dry run.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.conftest import (
    CHART,
    KINDS,
    ROOT,
    SHAPES,
    Completed,
    Helm,
    Objects,
    Render,
    Values,
)
from tests.control_plane.control_plane import PrivateControlPlane
from tests.control_plane.polling import eventually

RESTRICTED, FOR_RELAYS = "enforce=restricted", "enforce=baseline"
OpenNamespace = Callable[[str], str]


@pytest.fixture
def open_namespace(api_server: PrivateControlPlane) -> Iterator[OpenNamespace]:
    """Create a namespace that enforces a level of pod security; its name."""
    created = []

    def create(label: str) -> str:
        name = api_server.create_namespace()
        api_server.kubectl("label", "namespace", name, f"pod-security.kubernetes.io/{label}")
        created.append(name)
        return name

    yield create
    for name in created:
        api_server.kubectl("delete", "namespace", name, "--wait=false")


def text(objects: Objects) -> str:
    return yaml.safe_dump_all(objects)


def keys(objects: Objects) -> list[tuple[str, str]]:
    return [(o["kind"], o["metadata"]["name"]) for o in objects]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_accepted_and_stored_as_rendered(
    shape: str, api_server: PrivateControlPlane, open_namespace: OpenNamespace, render: Render
) -> None:
    namespace = open_namespace(FOR_RELAYS if "relay" in SHAPES[shape] else RESTRICTED)
    objects = render(SHAPES[shape], namespace=namespace)
    apply = ("apply", "--server-side", "--validate=strict", "-f", "-", "-o", "name")
    dry = api_server.kubectl(*apply, "--dry-run=server", stdin=text(objects))
    real = api_server.kubectl(*apply, stdin=text(objects))
    assert real.stdout == dry.stdout
    assert len(real.stdout.split()) == len(objects)
    # Pod security answers with a warning for the template of a Deployment.
    assert "Warning" not in real.stderr, real.stderr
    again = api_server.kubectl("diff", "--server-side", "-f", "-", stdin=text(objects))
    assert again.stdout == "", "a second apply changes nothing"
    api_server.kubectl("delete", "--wait=false", "-f", "-", stdin=text(objects))


@pytest.mark.parametrize("shape", SHAPES)
def test_pod_security_admits_the_pods(
    shape: str, api_server: PrivateControlPlane, open_namespace: OpenNamespace, render: Render
) -> None:
    restricted, relays = open_namespace(RESTRICTED), open_namespace(FOR_RELAYS)
    for namespace in (restricted, relays):
        accounts = render(SHAPES[shape], namespace=namespace)
        api_server.apply(*(o for o in accounts if o["kind"] == "ServiceAccount"))
    objects = render(SHAPES[shape], namespace=restricted)
    for owner in (o for o in objects if o["kind"] in ("Deployment", "StatefulSet")):
        refusal = dry_run(api_server, restricted, owner)
        if owner["kind"] == "Deployment":
            assert refusal == ""
        else:  # Postfix starts as root: the relay says that it needs another namespace
            assert "violates PodSecurity" in refusal
            assert dry_run(api_server, relays, owner) == ""


def dry_run(api_server: PrivateControlPlane, namespace: str, owner: Mapping[str, Any]) -> str:
    """Why a pod of an owner is refused; empty if it is admitted."""
    template = owner["spec"]["template"]
    spec = {**template["spec"]}
    claims = [c["metadata"]["name"] for c in owner["spec"].get("volumeClaimTemplates", ())]
    spec["volumes"] = spec["volumes"] + [
        {"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims
    ]
    metadata = {**template["metadata"], "name": "try"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    answer = api_server.request(
        "POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldValidation=Strict", pod
    )
    return "" if answer.status == 201 else str(answer.document["message"])


@pytest.fixture
def helm_here(run_helm: Helm, api_server: PrivateControlPlane, tmp_path: Path) -> Helm:
    """Run helm against the control plane; it must succeed."""

    def run(*arguments: str, values: Values | None = None) -> Completed:
        options = ("--values", "-") if values is not None else ()
        done = run_helm(
            *arguments,
            *options,
            input=yaml.safe_dump(dict(values or {})),
            env={
                "KUBECONFIG": str(api_server.kubeconfig),
                "HOME": str(tmp_path),
                "PATH": "/usr/bin",
            },
        )
        assert done.returncode == 0, done.stderr
        return done

    return run


@pytest.fixture
def earlier_chart(tmp_path: Path) -> Path:
    """The chart as of another version, whose definitions lack a column."""
    chart = tmp_path / "earlier"
    shutil.copytree(CHART, chart)
    file = chart / "Chart.yaml"
    file.write_text(file.read_text().replace("0.1.0", "0.0.9"))
    path = chart / "crds" / "sendingdomains.yaml"
    definition = yaml.safe_load(path.read_text())
    (version,) = definition["spec"]["versions"]
    version["additionalPrinterColumns"].pop()
    path.write_text(yaml.safe_dump(definition))
    return chart


def remove_definitions(api_server: PrivateControlPlane) -> None:
    """Without the wait of kubectl, which does not end where the API server closes its watch."""
    api_server.kubectl("delete", "--wait=false", "-k", str(CHART / "crds"))

    def are_gone() -> bool:
        names = {definition["metadata"]["name"] for definition in api_server.get("crd")["items"]}
        return names.isdisjoint(f"{kind}.sendroute.dev" for kind in KINDS)

    eventually(are_gone, 240.0, interval=1.0)


def columns(api_server: PrivateControlPlane) -> int:
    definition = api_server.get("crd", "sendingdomains.sendroute.dev")
    (version,) = definition["spec"]["versions"]
    return len(version["additionalPrinterColumns"])


def test_an_upgrade_keeps_the_store_and_the_key_and_needs_one_command_for_the_definitions(
    api_server: PrivateControlPlane,
    open_namespace: OpenNamespace,
    helm_here: Helm,
    earlier_chart: Path,
) -> None:
    namespace = open_namespace(RESTRICTED)
    at = ("sendroute", "--namespace", namespace)
    current = columns(api_server)
    remove_definitions(api_server)
    notes = helm_here("install", at[0], str(earlier_chart), *at[1:], values={}).stdout
    assert "The pods wait for the encryption key." in notes
    create = re_command(notes, "kubectl create secret generic")
    assert create == f"kubectl create secret generic sendroute-key --namespace {namespace}"
    secret = ("secret", "sendroute-key", "-n", namespace)
    api_server.kubectl("create", "secret", "generic", *secret[1:], "--from-literal=key=a-key")
    before = api_server.get(*secret)
    claim = api_server.get("pvc", "sendroute-store", "-n", namespace)
    assert columns(api_server) == current - 1

    notes = helm_here("upgrade", at[0], str(CHART), *at[1:], values={"interval": "1m"}).stdout
    assert "The pods wait for the encryption key." not in notes
    assert "helm show crds CHART | kubectl apply --server-side --force-conflicts -f -" in notes
    assert columns(api_server) == current - 1, "Helm does not upgrade definitions"
    shown = helm_here("show", "crds", str(CHART)).stdout
    api_server.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=shown)
    assert columns(api_server) == current

    assert api_server.get(*secret) == before
    kept = api_server.get("pvc", "sendroute-store", "-n", namespace)
    assert kept["metadata"]["uid"] == claim["metadata"]["uid"]
    deployment = api_server.get("deployment", "sendroute", "-n", namespace)
    assert deployment["metadata"]["labels"]["helm.sh/chart"] == "sendroute-0.1.0"

    helm_here("uninstall", *at)
    names = api_server.kubectl("get", "all,pvc,secret", "-n", namespace, "-o", "name").stdout
    assert "persistentvolumeclaim/sendroute-store" in names, "the record outlives the release"
    assert "secret/sendroute-key" in names
    assert "deployment" not in names
    assert columns(api_server) == current, "definitions, and all objects with them, stay"


def re_command(notes: str, start: str) -> str:
    """A command of the notes, up to the option that differs, in one line."""
    joined = " ".join(notes.replace("\\\n", " ").split())
    return start + joined.partition(start)[2].partition(" --from-file")[0]


def test_two_releases_share_a_cluster(open_namespace: OpenNamespace, helm_here: Helm) -> None:
    first, second = open_namespace(RESTRICTED), open_namespace(RESTRICTED)
    for name, namespace, watched in (("one", first, "acme"), ("two", second, "globex")):
        values = {"watchNamespaces": [watched]}
        helm_here("install", name, str(CHART), "--namespace", namespace, values=values)
    for name, namespace in (("one", first), ("two", second)):
        helm_here("uninstall", name, "--namespace", namespace)


def test_kubectl_installs_the_base(api_server: PrivateControlPlane) -> None:
    """``kubectl apply -k config``, with and without ``--server-side``: one may follow the other."""
    for option in ((), ("--server-side",), (), ("--server-side",)):
        api_server.kubectl("apply", *option, "-k", str(ROOT / "config"))
    deployment = api_server.get("deployment", "sendroute", "-n", "sendroute-system")
    assert deployment["spec"]["template"]["spec"]["containers"][0]["args"] == ["operator"]
    level = api_server.get("namespace", "sendroute-system")["metadata"]["labels"]
    assert level["pod-security.kubernetes.io/enforce"] == "restricted"
    api_server.kubectl("delete", "-k", str(ROOT / "config"), "--wait=false")
