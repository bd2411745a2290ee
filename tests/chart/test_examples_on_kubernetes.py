"""The examples for Kubernetes, on a real API server: the quickstart is followed, and the files for
other tools are accepted. The operator of the quickstart is a process here, because no kubelet runs
its pod."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from tests.chart.conftest import ROOT, Render
from tests.control_plane.control_plane import PrivateControlPlane

EXAMPLES = ROOT / "examples"
TENANT = "system:serviceaccount:acme:mail"
NEEDS_A_KUBELET = "kubectl rollout status"
# The operator starts when the page has installed it.
INSTALLED = "kubectl wait --for=condition=Established"


def commands(page: Path) -> Iterator[str]:
    for block in re.findall(r"^```console\n(.*?)^```$", page.read_text(), re.M | re.S):
        yield from block.replace("\\\n", " ").splitlines()


@contextmanager
def operator(directory: Path, cluster: PrivateControlPlane) -> Iterator[None]:
    """The operator with the key and the arguments of its pod."""
    environment = {
        **os.environ,
        "SENDROUTE_STORE": f"sqlite:///{directory / 'sendroute.db'}",
        "SENDROUTE_KEY_FILE": str(directory / "sendroute.key"),
        "SENDROUTE_LISTEN": "",
        "KUBECONFIG": str(cluster.kubeconfig),
        "POD_NAMESPACE": "sendroute-system",
    }
    program = [sys.executable, "-m", "sendroute"]
    subprocess.run([*program, "init", "--if-missing"], env=environment, check=True)
    with (directory / "operator.log").open("w") as log:
        process = subprocess.Popen([*program, "operator"], env=environment, stdout=log, stderr=log)
    try:
        yield
        assert process.poll() is None, (directory / "operator.log").read_text()
    finally:
        process.terminate()
        assert process.wait(30) == 0, (directory / "operator.log").read_text()


FILES = [
    path
    for name in ("argo-cd", "flux", "external-secrets", "csi-secrets")
    for path in sorted((EXAMPLES / name).rglob("*.yaml"))
    if path.name not in ("values.yaml", "argocd-cm.yaml")
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_the_api_server_accepts_the_files_of_an_example(
    path: Path, api_server: PrivateControlPlane
) -> None:
    for namespace in ("argocd", "sendroute-system", "acme"):
        api_server.kubectl("create", "namespace", namespace, status=None)
    api_server.kubectl(
        "apply", "--server-side", "--validate=strict", "--dry-run=server", "-f", path
    )


def test_argo_cd_takes_the_health_check_beside_its_own_settings(
    api_server: PrivateControlPlane,
) -> None:
    api_server.kubectl("create", "namespace", "argocd", status=None)
    at = ("configmap", "argocd-cm", "-n", "argocd")
    api_server.kubectl("create", *at, "--from-literal=url=https://argo.example.com")
    api_server.kubectl("patch", *at, "--patch-file", EXAMPLES / "argo-cd" / "argocd-cm.yaml")
    data = api_server.get(*at)["data"]
    assert data["url"] == "https://argo.example.com"
    assert list(yaml.safe_load(data["resource.customizations"])) == ["sendroute.dev/*"]


def test_argo_cd_may_create_what_is_a_tenants_and_nothing_else() -> None:
    project = yaml.safe_load((EXAMPLES / "argo-cd" / "project.yaml").read_text())["spec"]
    kinds = {(item["group"], item["kind"]) for item in project["namespaceResourceWhitelist"]}
    written = {
        document["kind"]
        for path in (EXAMPLES / "argo-cd" / "manifests").glob("*.yaml")
        for document in yaml.safe_load_all(path.read_text())
    }
    assert kinds == {("sendroute.dev", kind) for kind in written}
    assert project["clusterResourceWhitelist"] == []


def test_flux_applies_with_the_rights_of_a_tenant_and_no_more(
    api_server: PrivateControlPlane, render: Render
) -> None:
    roles = [o for o in render({}) if o["kind"] in ("ClusterRole", "ValidatingAdmissionPolicy")]
    api_server.apply(*roles)
    api_server.kubectl("create", "namespace", "acme", status=None)
    api_server.kubectl("apply", "-f", EXAMPLES / "flux" / "tenant.yaml")
    api_server.kubectl(
        "create",
        "clusterrole",
        "plan-pro",
        "--verb=use",
        "--resource=plans.sendroute.dev",
        "--resource-name=pro",
        status=None,
    )
    as_tenant = (f"--as={TENANT}", "--dry-run=server")
    manifests = ("apply", "--server-side", "-f", EXAMPLES / "flux" / "manifests")
    api_server.kubectl(*manifests, *as_tenant)
    for refused in (
        ("create", "secret", "generic", "x", "-n", "acme"),
        ("apply", "--server-side", "-f", EXAMPLES / "kubernetes" / "manifests" / "platform.yaml"),
    ):
        done = api_server.kubectl(*refused, *as_tenant, status=None)
        assert done.returncode != 0
        assert "orbidden" in done.stderr
    can = api_server.kubectl(
        "auth", "can-i", "list", "secrets", "-n", "acme", f"--as={TENANT}", status=None
    )
    assert can.stdout.strip() == "no"


def test_the_values_for_the_csi_driver_are_values_of_the_chart(render: Render) -> None:
    values = yaml.safe_load((EXAMPLES / "csi-secrets" / "values.yaml").read_text())
    (deployment,) = (o for o in render(values) if o["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    classes = yaml.safe_load((EXAMPLES / "csi-secrets" / "secret-provider-class.yaml").read_text())
    (volume,) = (v for v in pod["volumes"] if "csi" in v)
    attributes = volume["csi"]["volumeAttributes"]
    assert attributes == {"secretProviderClass": classes["metadata"]["name"]}
    (container,) = pod["containers"]
    assert volume["name"] in {mount["name"] for mount in container["volumeMounts"]}
    platform = yaml.safe_load((EXAMPLES / "csi-secrets/manifests/platform.yaml").read_text())
    named = platform["spec"]["managed"]["relay"]["credentials"]["secretRef"]["name"]
    assert [s["secretName"] for s in classes["spec"]["secretObjects"]] == [named]


def test_the_quickstart_can_be_followed(api_server: PrivateControlPlane, tmp_path: Path) -> None:
    """The last test here: in the end it deletes the definitions."""
    for name in ("config", "charts", "examples/kubernetes"):
        shutil.copytree(ROOT / name, tmp_path / name)
    directory = tmp_path / "examples" / "kubernetes"
    (directory / "ses-password").write_text("a-password")
    api_server.kubectl("delete", "namespace", "acme")
    # A cluster without Sendroute: an earlier test applied these under another field manager.
    policies = "validatingadmissionpolicies,validatingadmissionpolicybindings"
    api_server.kubectl("delete", policies, "--all")
    environment = {
        "PATH": f"{api_server.programs}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "KUBECONFIG": str(api_server.kubeconfig),
    }

    def follow(command: str) -> str:
        done = subprocess.run(
            ["sh", "-ec", command],
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        log = directory / "operator.log"
        shown = log.read_text() if log.exists() else ""
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}{shown}"
        return done.stdout

    lines = [line for line in commands(directory / "README.md") if NEEDS_A_KUBELET not in line]
    installed = next(n for n, line in enumerate(lines) if INSTALLED in line) + 1
    for line in lines[:installed]:
        follow(line)
    with operator(directory, api_server):
        printed = {line: follow(line) for line in lines[installed:-1]}
        routes = "kubectl wait --for=jsonpath={.status.routeText}='profile ses' --timeout=60s"
        follow(f"{routes} sendingdomain/example-com -n acme")
    (table,) = (text for line, text in printed.items() if "get mailaccounts,smtp" in line)
    assert re.search(r"example-com +acme .*managed +\w+ +True", table), table
    assert re.search(r"news-example-com +acme .*profile ses +\w+ +True", table), table
    assert lines[-1] == "kubectl delete -k ."
    # The controller that lets go of a volume is not here, so the namespace would wait for it.
    assert "deleted" in follow(f"{lines[-1]} --wait=false")
