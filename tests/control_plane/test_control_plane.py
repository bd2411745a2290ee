"""The control plane of the tests is a real one: what the tests of Sendroute rely on."""

import json
from collections.abc import Iterator

import pytest

from .control_plane import ControlPlane, Document, User
from .polling import eventually
from .programs import chosen
from .shared import shared

RULE = "self == oldSelf"
WIDGETS: Document = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.control-plane.test"},
    "spec": {
        "group": "control-plane.test",
        "names": {"kind": "Widget", "plural": "widgets", "singular": "widget"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "size": {
                                        "type": "integer",
                                        "x-kubernetes-validations": [
                                            {"rule": RULE, "message": "the size is fixed"}
                                        ],
                                    }
                                },
                            }
                        },
                    }
                },
            }
        ],
    },
}


def widget(namespace: str, size: int) -> Document:
    metadata = {"name": "one", "namespace": namespace}
    kind = {"apiVersion": "control-plane.test/v1", "kind": "Widget"}
    return {**kind, "metadata": metadata, "spec": {"size": size}}


@pytest.fixture
def tenant(control_plane: ControlPlane, namespace: str) -> User:
    return control_plane.user("tenant", group=f"team-{namespace}")


@pytest.fixture
def widgets(control_plane: ControlPlane) -> Iterator[None]:
    control_plane.apply(WIDGETS)
    name = WIDGETS["metadata"]["name"]
    control_plane.kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=60s")
    yield
    control_plane.kubectl("delete", "crd", name)


def test_the_server_is_the_chosen_version(control_plane: ControlPlane) -> None:
    versions = json.loads(control_plane.kubectl("version", "-o", "json").stdout)
    assert f"1.{versions['serverVersion']['minor']}" == chosen()
    assert versions["serverVersion"]["gitVersion"] == versions["clientVersion"]["gitVersion"]


def test_a_user_may_do_nothing_until_a_role_allows_it(
    control_plane: ControlPlane, namespace: str, tenant: User
) -> None:
    words = ("get", "configmaps", "--namespace", namespace)
    assert "Forbidden" in control_plane.kubectl(*words, user=tenant, status=1).stderr
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}
    control_plane.allow(tenant, [rule], namespace)
    eventually(lambda: control_plane.kubectl(*words, user=tenant, status=None).returncode == 0)
    create = ("create", "configmap", "mine", "--namespace", namespace)
    assert "is forbidden" in control_plane.kubectl(*create, user=tenant, status=1).stderr
    elsewhere = ("get", "configmaps", "--namespace", "default")
    assert "Forbidden" in control_plane.kubectl(*elsewhere, user=tenant, status=1).stderr


def test_a_role_may_name_a_group(control_plane: ControlPlane, namespace: str, tenant: User) -> None:
    control_plane.kubectl(
        *("create", "rolebinding", "viewers", "--namespace", namespace),
        *("--clusterrole", "view", "--group", f"team-{namespace}"),
    )
    words = ("auth", "can-i", "list", "configmaps", "--namespace", namespace)
    eventually(lambda: control_plane.kubectl(*words, user=tenant, status=None).returncode == 0)


def test_a_service_account_signs_in_with_its_token(
    control_plane: ControlPlane, namespace: str
) -> None:
    account = control_plane.service_account(namespace, "app")
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    assert control_plane.request("GET", path, user=account).status == 403
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}
    control_plane.allow(account, [rule], namespace)
    eventually(lambda: control_plane.request("GET", path, user=account).status == 200)
    assert control_plane.kubectl("get", "cm", "-n", namespace, user=account).returncode == 0


def test_an_unknown_token_is_refused(control_plane: ControlPlane) -> None:
    nobody = User("nobody", control_plane.kubeconfig, "a-token-of-nobody")
    assert control_plane.request("GET", "/api/v1/namespaces", user=nobody).status == 401


@pytest.mark.usefixtures("widgets")
def test_a_rule_in_a_definition_compares_with_the_old_object(
    control_plane: ControlPlane, namespace: str
) -> None:
    control_plane.apply(widget(namespace, 1))
    with pytest.raises(AssertionError, match="the size is fixed"):
        control_plane.apply(widget(namespace, 2))
    control_plane.apply(widget(namespace, 1))


def test_a_namespace_is_deleted_with_what_is_in_it(control_plane: ControlPlane) -> None:
    name = control_plane.create_namespace()
    control_plane.kubectl("create", "configmap", "mine", "--namespace", name)
    control_plane.kubectl("delete", "namespace", name, "--timeout=60s")
    assert control_plane.request("GET", f"/api/v1/namespaces/{name}").status == 404


def test_workers_share_one_control_plane(control_plane: ControlPlane) -> None:
    with shared(control_plane.directory.parent) as other:
        assert (other.url, other.admin) == (control_plane.url, control_plane.admin)
        assert other.request("GET", "/readyz").status == 200
    assert control_plane.request("GET", "/readyz").status == 200
