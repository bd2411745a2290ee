"""Renders the chart."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.stubs import stubs
from tests.control_plane.control_plane import PrivateControlPlane

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "sendroute"
NAMESPACE = "sendroute-system"
KINDS = ("mailplatforms", "mailaccounts", "smtpprofiles", "sendingdomains")
Values = Mapping[str, Any]
Objects = list[dict[str, Any]]
Completed = subprocess.CompletedProcess[str]
Helm = Callable[..., Completed]
Render = Callable[..., Objects]

POSTGRESQL = {"store": {"postgresql": {"enabled": True}}}
RELAY = {**POSTGRESQL, "relay": {"enabled": True, "hostname": "mail.example.com"}}
EVERYTHING: Values = {
    "replicas": 3,
    "store": {"postgresql": {"enabled": True, "passwordKey": "password", "caKey": "ca.crt"}},
    "watchNamespaces": ["acme", "globex"],
    "platform": {"plans": [{"name": "nano", "managed": False}]},
    "secrets": {"access": "namespaces", "namespaces": ["acme"]},
    "image": {"digest": f"sha256:{'a' * 64}", "pullSecrets": ["registry"]},
    "podAnnotations": {"example.com/note": "a note"},
    "podLabels": {"example.com/team": "mail"},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "mail", "operator": "Exists"}],
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app.kubernetes.io/component": "operator"}},
        }
    ],
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"}],
    "extraVolumes": [{"name": "ca", "configMap": {"name": "our-ca"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/our-ca", "readOnly": True}],
    "networkPolicy": {
        "enabled": True,
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"team": "monitoring"}}}],
    },
    "metrics": {
        "serviceMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True},
        "dashboard": {"enabled": True},
    },
    "relay": {
        "enabled": True,
        "replicas": 2,
        "hostname": "mail.example.com",
        "networks": ["127.0.0.0/8", "10.0.0.0/8"],
        "settings": {"message_size_limit": "52428800"},
        "storeSecretName": "sendroute-relay-store",
        "tlsSecretName": "mail-tls",
        "saslSecretName": "mail-sasl",
        "service": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"},
    },
}
SHAPES: dict[str, Values] = {
    "default": {},
    "postgresql": {**POSTGRESQL, "replicas": 2},
    "relay": RELAY,
    "namespaces": {"watchNamespaces": ["acme"]},
    "everything": EVERYTHING,
}
"""The shapes in which the chart is tried."""


@pytest.fixture(scope="session")
def run_helm(helm: Path) -> Helm:
    """Run helm; it returns also if it fails."""

    def run(*arguments: str, **options: Any) -> Completed:
        return subprocess.run(
            [str(helm), *arguments], capture_output=True, text=True, check=False, **options
        )

    return run


@pytest.fixture(scope="session")
def template(run_helm: Helm) -> Helm:
    """Render the chart with values; it returns also if that fails."""

    def rendered(values: Values, *options: str, namespace: str = NAMESPACE) -> Completed:
        command = ("template", "sendroute", str(CHART), "--namespace", namespace, *options)
        return run_helm(*command, "--values", "-", input=yaml.safe_dump(dict(values)))

    return rendered


@pytest.fixture(scope="session")
def render(template: Helm) -> Render:
    """Render the chart with values; the objects."""

    def objects(values: Values, *options: str, namespace: str = NAMESPACE) -> Objects:
        done = template(values, *options, namespace=namespace)
        assert done.returncode == 0, done.stderr
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    return objects


@pytest.fixture(scope="module")
def api_server(private_control_plane: PrivateControlPlane) -> PrivateControlPlane:
    """A control plane with the definitions of Sendroute and of the other projects."""
    private_control_plane.apply(*stubs())
    private_control_plane.kubectl("apply", "--server-side", "-k", str(CHART / "crds"))
    names = [f"crd/{stub['metadata']['name']}" for stub in stubs()]
    names += [f"crd/{kind}.sendroute.dev" for kind in KINDS]
    private_control_plane.kubectl("wait", "--for=condition=Established", *names)
    for namespace in ("acme", "globex"):
        private_control_plane.kubectl("create", "namespace", namespace)
    return private_control_plane


def the(objects: Objects, kind: str, name: str = "") -> dict[str, Any]:
    """The one object of a kind, or of a kind and a name."""
    (item,) = (
        o for o in objects if o["kind"] == kind and (not name or o["metadata"]["name"] == name)
    )
    return item


def variables(container: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a container: a value, or where it comes from."""
    return {v["name"]: v.get("value", v.get("valueFrom")) for v in container.get("env", ())}
