"""Who may do what: the chart's roles and policies on a real API server, denied by default."""

import http.client
import json
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.control_plane.control_plane import ApiResponse, ControlPlane, PrivateControlPlane, User
from tests.control_plane.polling import eventually
from tests.manifests.admission_cases import (
    CASES,
    Case,
    Refused,
    account,
    document,
    domain,
    platform,
    profile,
)

from sendroute.manifests.crd import RESOURCES

CHART = Path(__file__).parents[2] / "charts/sendroute"
PLATFORM, ACME, OTHER = "mail", "acme", "other"
RBAC = "rbac.authorization.k8s.io"


@pytest.fixture(scope="module")
def cluster(private_control_plane: PrivateControlPlane, helm: Path) -> PrivateControlPlane:
    """A cluster with the chart in the namespace ``mail``, which may get Secrets of ``acme``."""
    for namespace in (PLATFORM, ACME, OTHER, "sendroute-system"):
        private_control_plane.kubectl("create", "namespace", namespace)
    private_control_plane.install_crds()
    install(
        helm,
        private_control_plane,
        "sendroute",
        "secrets.namespaces={acme}",
        "admission.managedPlans={pro}",
    )
    without_cluster_objects = ("admission.enabled=false", "tenancy.roles=false")
    install(
        helm,
        private_control_plane,
        "narrow",
        "watchNamespaces={acme}",
        "platform.plans[0].name=nano",
        "platform.plans[0].managed=false",
        *without_cluster_objects,
    )
    install(
        helm,
        private_control_plane,
        "listed",
        "watchNamespaces={acme}",
        *without_cluster_objects,
    )
    users = {name: private_control_plane.service_account(PLATFORM, name) for name in BINDINGS}
    for name, (role, namespace) in BINDINGS.items():
        bind(private_control_plane, users[name], role, namespace)
    tester = private_control_plane.service_account(PLATFORM, "tester")
    bind(private_control_plane, tester, "admin", "sendroute-system")
    eventually(
        lambda: (
            post(private_control_plane, tester, within("sendroute-system", account())).status == 403
        )
    )
    eventually(lambda: allowed(private_control_plane, users["editor"], "create", "mailaccounts"))
    return private_control_plane


def install(helm: Path, cluster: ControlPlane, release: str, *values: str) -> None:
    words = [word for value in values for word in ("--set", value)]
    rendered = subprocess.run(
        (
            helm,
            "template",
            release,
            CHART,
            "--namespace",
            PLATFORM,
            *words,
            "--set",
            f"fullnameOverride={release}",
        ),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    cluster.kubectl("apply", "-f", "-", stdin=rendered)


# Who is bound to which ClusterRole; None: in the whole cluster.
BINDINGS: dict[str, tuple[str, str | None]] = {
    "platform": ("sendroute-platform", None),
    "auditor": ("sendroute-auditor", None),
    "tenant": ("sendroute-tenant", ACME),
    "admin": ("admin", ACME),
    "editor": ("edit", ACME),
    "viewer": ("view", ACME),
}


def bind(cluster: ControlPlane, user: User, role: str, namespace: str | None) -> None:
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    name = f"{user.name.rpartition(':')[2]}-{role}"
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    cluster.apply(
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": kind,
            "metadata": metadata,
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user.name}],
        }
    )


def user_of(cluster: ControlPlane, name: str) -> User:
    return cluster.service_account(PLATFORM, OPERATORS.get(name, name))


# The ServiceAccounts of the releases.
OPERATORS = {
    "operator": "sendroute",
    "an operator of listed namespaces": "listed",
    "an operator of listed namespaces with the platform in a file": "narrow",
}


# --- the matrix ---------------------------------------------------------------------------------

READ = ("get", "list", "watch")
WRITE = ("create", "update", "patch", "delete")
VERBS = (*READ, *WRITE, "deletecollection", "use", "approve")
TENANT = ("mailaccounts", "smtpprofiles", "sendingdomains")
KINDS = ("mailplatforms", *TENANT)
STATUSES = tuple(f"{kind}/status" for kind in KINDS)
FOREIGN = {
    "secrets": "",
    "events": "events.k8s.io",
    "leases": "coordination.k8s.io",
    "rolebindings": RBAC,
    "clusterrolebindings": RBAC,
    "customresourcedefinitions": "apiextensions.k8s.io",
}
OWN_LEASE = "leases:sendroute-operator"  # one object, by its name
RESOURCES_ASKED = (*KINDS, *STATUSES, "plans", *FOREIGN, OWN_LEASE)
NAMESPACES = (PLATFORM, ACME, OTHER, "default")


class Right(NamedTuple):
    namespace: str
    resource: str
    verb: str


def rights(
    namespaces: tuple[str, ...], resources: tuple[str, ...], verbs: tuple[str, ...]
) -> set[Right]:
    return {
        Right(namespace, resource, verb)
        for namespace in namespaces
        for resource in resources
        for verb in verbs
    }


LISTED = (
    rights((ACME,), TENANT, READ)
    | rights((ACME,), tuple(f"{kind}/status" for kind in TENANT), ("patch",))
    | rights((ACME,), ("events",), ("create", "patch"))
    | rights((PLATFORM,), ("leases",), ("create",))
    | rights((PLATFORM,), (OWN_LEASE,), ("get", "create", "update"))
    | rights((PLATFORM, ACME), ("secrets",), ("get",))
)
# What each may do, and nothing else. What the cluster's own roles allow beyond our group is left
# out for those who have one.
MATRIX: dict[str, set[Right]] = {
    "nobody": set(),
    "platform": rights(NAMESPACES, KINDS, (*READ, *WRITE))
    | rights(NAMESPACES, ("plans",), ("use",))
    | rights(NAMESPACES, ("mailplatforms", "mailaccounts"), ("approve",)),
    "auditor": rights(NAMESPACES, (*KINDS, "events"), READ),
    "tenant": rights((ACME,), TENANT, (*READ, *WRITE)),
    "admin": rights((ACME,), TENANT, (*READ, *WRITE))
    | rights((ACME,), ("mailaccounts",), ("approve",)),
    "editor": rights((ACME,), TENANT, (*READ, *WRITE)),
    "viewer": rights((ACME,), TENANT, READ),
    "operator": rights(NAMESPACES, KINDS, READ)
    | rights(NAMESPACES, STATUSES, ("patch",))
    | rights(NAMESPACES, ("events",), ("create", "patch"))
    | rights((PLATFORM,), ("leases",), ("create",))
    | rights((PLATFORM,), (OWN_LEASE,), ("get", "create", "update"))
    | rights((PLATFORM, ACME), ("secrets",), ("get",)),
    "an operator of listed namespaces": LISTED
    | rights(NAMESPACES, ("mailplatforms",), READ)
    | rights(NAMESPACES, ("mailplatforms/status",), ("patch",))
    | rights(("default",), ("events",), ("create", "patch")),
    "an operator of listed namespaces with the platform in a file": LISTED,
}


class Reviews:
    """Questions about rights, over one connection."""

    def __init__(self, cluster: ControlPlane) -> None:
        self._token = cluster.admin.token
        host = cluster.url.removeprefix("https://")
        tls = ssl.create_default_context(cafile=str(cluster.ca_file))
        self.server = http.client.HTTPSConnection(host, context=tls, timeout=60)

    def allows(self, user: str, right: Right) -> bool:
        kind, _, name = right.resource.partition(":")
        resource, _, part = kind.partition("/")
        group = FOREIGN.get(resource, "sendroute.dev")
        in_cluster = resource in {"mailplatforms", "plans"} or resource.startswith(("c",))
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user,
                "groups": ["system:serviceaccounts", "system:authenticated"],
                "resourceAttributes": {
                    "group": group,
                    "resource": resource,
                    "subresource": part,
                    "name": name,
                    "verb": right.verb,
                    "namespace": "" if in_cluster else right.namespace,
                },
            },
        }
        self.server.request(
            "POST",
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            json.dumps(review),
            {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
        )
        answer = json.loads(self.server.getresponse().read())
        return bool(answer["status"]["allowed"])


def allowed(cluster: ControlPlane, user: User, verb: str, resource: str) -> bool:
    reviews = Reviews(cluster)
    with closing(reviews.server):
        return reviews.allows(user.name, Right(ACME, resource, verb))


@pytest.mark.parametrize("name", MATRIX)
def test_each_may_do_exactly_this(name: str, cluster: PrivateControlPlane) -> None:
    user = user_of(cluster, name).name
    has_more = name in {"admin", "editor", "viewer"}
    asked = tuple(
        item for item in RESOURCES_ASKED if not (has_more and item.partition(":")[0] in FOREIGN)
    )
    reviews = Reviews(cluster)
    with closing(reviews.server):
        granted = {
            right for right in rights(NAMESPACES, asked, VERBS) if reviews.allows(user, right)
        }
    assert granted == MATRIX[name]


# --- what the policies decide -------------------------------------------------------------------


def within(namespace: str, value: dict[str, Any], **annotations: str) -> dict[str, Any]:
    metadata = dict(value["metadata"])
    if "namespace" in metadata:
        metadata["namespace"] = namespace
    if annotations:
        metadata["annotations"] = {
            f"sendroute.dev/{key}": text for key, text in annotations.items()
        }
    return value | {"metadata": metadata}


def path_of(value: dict[str, Any]) -> str:
    namespace = value["metadata"].get("namespace")
    within = f"namespaces/{namespace}/" if namespace else ""
    return f"/apis/sendroute.dev/v1alpha1/{within}{RESOURCES[value['kind']].plural}"


def post(cluster: ControlPlane, user: User | None, value: dict[str, Any]) -> ApiResponse:
    return cluster.request("POST", f"{path_of(value)}?dryRun=All", value, user=user)


def patch(
    cluster: ControlPlane, user: User | None, value: dict[str, Any], change: dict[str, Any]
) -> ApiResponse:
    path = f"{path_of(value)}/{value['metadata']['name']}?dryRun=All"
    content_type = "application/merge-patch+json"
    return cluster.request("PATCH", path, change, user=user, content_type=content_type)


@pytest.fixture
def stored(cluster: PrivateControlPlane) -> Iterator[Callable[..., dict[str, Any]]]:
    """Creates an object as the administrator. The end of the test deletes it."""
    paths: list[str] = []

    def store(value: dict[str, Any]) -> dict[str, Any]:
        answer = cluster.request("POST", path_of(value), value)
        assert answer.status == 201, answer
        paths.append(f"{path_of(value)}/{value['metadata']['name']}")
        return value

    yield store
    for path in paths:
        cluster.request("DELETE", path)


def let_use(cluster: ControlPlane, user: User, plan: str) -> None:
    rule = {
        "apiGroups": ["sendroute.dev"],
        "resources": ["plans"],
        "resourceNames": [plan],
        "verbs": ["use"],
    }
    cluster.allow(user, [rule])


def test_a_plan_is_chosen_only_by_those_who_may_use_it(cluster: PrivateControlPlane) -> None:
    user = cluster.service_account(PLATFORM, "chooser")
    bind(cluster, user, "sendroute-tenant", ACME)
    refused = post(cluster, user, account(plan="nano"))
    assert refused.status == 403
    assert "the verb use on plans.sendroute.dev/nano" in refused.document["message"]
    let_use(cluster, user, "nano")
    eventually(lambda: post(cluster, user, account(plan="nano")).status == 201)
    assert post(cluster, user, account(plan="pro")).status == 403
    assert post(cluster, user_of(cluster, "platform"), account(plan="pro")).status == 201


@pytest.mark.parametrize("name", ["tenant", "editor", "admin"])
def test_a_tenant_edits_everything_of_an_account_but_its_plan(
    name: str,
    cluster: PrivateControlPlane,
    stored: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    user, value = user_of(cluster, name), stored(account(plan="nano"))
    change = {"spec": {"defaultRoute": {"unconfigured": {}}, "plan": "nano"}}
    assert patch(cluster, user, value, change).status == 200
    assert patch(cluster, user, value, {"spec": {"plan": "pro"}}).status == 403
    assert post(cluster, user, within(ACME, profile())).status == 201
    assert post(cluster, user, within(OTHER, profile())).status == 403


def test_every_right_in_a_namespace_is_no_right_to_a_plan(cluster: PrivateControlPlane) -> None:
    user = cluster.service_account(PLATFORM, "owner")
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    cluster.allow(user, [everything], ACME)
    eventually(lambda: post(cluster, user, within(ACME, profile())).status == 201)
    assert post(cluster, user, account(plan="nano")).status == 403


def test_a_tenants_admin_cannot_give_a_plan(cluster: PrivateControlPlane) -> None:
    role = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "metadata": {"name": "plans", "namespace": ACME},
        "rules": [{"apiGroups": ["sendroute.dev"], "resources": ["plans"], "verbs": ["use"]}],
    }
    path = f"/apis/{RBAC}/v1/namespaces/{ACME}/roles?dryRun=All"
    assert cluster.request("POST", path, role, user=user_of(cluster, "admin")).status == 403


@pytest.mark.parametrize(
    ("name", "status"), [("tenant", 403), ("editor", 403), ("admin", 200), ("platform", 200)]
)
def test_an_approval_needs_its_own_verb(
    name: str,
    status: int,
    cluster: PrivateControlPlane,
    stored: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    user, value = user_of(cluster, name), stored(account(plan="nano"))
    approval = {"metadata": {"annotations": {"sendroute.dev/approve": "0123456789ab"}}}
    answer = patch(cluster, user, value, approval)
    assert answer.status == status, answer
    if status == 403:
        assert "the verb approve on mailaccounts.sendroute.dev" in answer.document["message"]


def test_an_approval_that_is_there_needs_no_right_to_remain_or_to_go(
    cluster: PrivateControlPlane, stored: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    user = user_of(cluster, "tenant")
    value = stored(within(ACME, account(plan="nano"), approve="0123456789ab"))
    assert patch(cluster, user, value, {"spec": {"suspend": True}}).status == 200
    for text, status in (("0123456789ab", 200), (None, 200), ("ba9876543210", 403)):
        change = {"metadata": {"annotations": {"sendroute.dev/approve": text}}}
        assert patch(cluster, user, value, change).status == status


def test_an_approval_on_the_platform_is_for_the_platform_team(
    cluster: PrivateControlPlane, stored: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    value = stored(platform())
    approval = {"metadata": {"annotations": {"sendroute.dev/approve": "0123456789ab"}}}
    assert patch(cluster, user_of(cluster, "platform"), value, approval).status == 200
    editor = cluster.service_account(PLATFORM, "platform-editor")
    kinds = {"apiGroups": ["sendroute.dev"], "resources": ["mailplatforms"]}
    cluster.allow(editor, [kinds | {"verbs": ["get", "patch", "update"]}])
    eventually(lambda: patch(cluster, editor, value, {"spec": {"suspend": True}}).status == 200)
    assert patch(cluster, editor, value, approval).status == 403


POLICY_CASES = [case for case in CASES if case.admission is Refused.BY_POLICY]


@pytest.mark.parametrize("case", POLICY_CASES, ids=[case.name for case in POLICY_CASES])
def test_no_object_of_a_tenant_is_in_the_platforms_namespace(
    case: Case, cluster: PrivateControlPlane
) -> None:
    for namespace in ("sendroute-system", PLATFORM):
        answer = post(cluster, None, within(namespace, case.document))
        assert answer.status == 403, answer
        assert f"The namespace {namespace} is the platform's own" in answer.document["message"]


def test_managed_is_refused_on_a_plan_without_it_once_the_account_is_there(
    cluster: PrivateControlPlane, stored: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    managed = domain(account="a", route={"managed": {}})
    assert post(cluster, None, managed).status == 201, "objects arrive in any order"
    known = stored(domain(account="a", route={"managed": {}}))
    plain = stored(domain(account="a", domain="b.example") | {
        "metadata": {"name": "b", "namespace": ACME}
    })  # fmt: skip
    stored(account(plan="nano"))
    stored(document("MailAccount", {"plan": "pro"}, name="b"))
    fresh = managed | {"metadata": {"name": "c", "namespace": ACME}}
    eventually(
        lambda: post(cluster, None, fresh).status == 422
    )  # the policy sees it a little later
    refused = post(cluster, None, fresh)
    assert "nano of account a does not include managed" in refused.document["message"]
    assert patch(cluster, None, plain, {"spec": {"route": {"managed": {}}}}).status == 422
    assert patch(cluster, None, known, {"spec": {"suspend": True}}).status == 200
    of_other = fresh | {"spec": fresh["spec"] | {"account": "b"}}
    assert post(cluster, None, of_other).status == 201
    assert post(cluster, None, fresh | {"spec": plain["spec"]}).status == 201


# --- Secrets and statuses, with the real requests -----------------------------------------------


def test_the_operator_gets_secrets_where_it_is_bound_and_lists_none(
    cluster: PrivateControlPlane,
) -> None:
    operator = user_of(cluster, "operator")
    for namespace, status in ((ACME, 200), (PLATFORM, 200), (OTHER, 403)):
        path = f"/api/v1/namespaces/{namespace}/secrets"
        cluster.request("POST", path, {"metadata": {"name": "ses"}})
        assert cluster.request("GET", f"{path}/ses", user=operator).status == status
        assert cluster.request("GET", path, user=operator).status == 403


def test_the_operator_writes_statuses_and_no_spec(
    cluster: PrivateControlPlane, stored: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    operator, value = user_of(cluster, "operator"), stored(domain())
    assert patch(cluster, operator, value, {"spec": {"suspend": True}}).status == 403
    path = f"{path_of(value)}/{value['metadata']['name']}/status?fieldManager=sendroute&force=true"
    applied = {
        "apiVersion": value["apiVersion"],
        "kind": value["kind"],
        "status": {"observedGeneration": 1, "routeText": "managed"},
    }
    content_type = "application/apply-patch+yaml"
    for user, status in ((operator, 200), (user_of(cluster, "admin"), 403)):
        answer = cluster.request("PATCH", path, applied, user=user, content_type=content_type)
        assert answer.status == status, answer


OWNER = "owner of a namespace"
MAY_WRITE = {
    "administrator": True,
    "operator": True,
    "an operator of listed namespaces": True,
    # The policy of another release does not name it: it must be bound, as the last test says.
    "an operator of listed namespaces with the platform in a file": False,
    OWNER: False,
}
FORGED = {"store": {"lineage": "00000000-0000-0000-0000-000000000000"}}
REFUSED = "by those who hold the verb patch on mailplatforms.sendroute.dev/status"


@pytest.fixture(scope="module")
def owner(cluster: PrivateControlPlane) -> User:
    """A tenant with every right in its namespace."""
    user = cluster.service_account(PLATFORM, "owner-of-all")
    cluster.allow(user, [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}], ACME)
    eventually(lambda: post(cluster, user, within(ACME, profile())).status == 201)
    return user


def write_status(
    cluster: ControlPlane, user: User, value: dict[str, Any], method: str, *, dry: bool = True
) -> ApiResponse:
    """Write the status of an object, as kubectl edit (PUT), kubectl patch or the operator does."""
    status = FORGED if value["kind"] == "MailAccount" else {"observedGeneration": 7}
    path = f"{path_of(value)}/{value['metadata']['name']}"
    body: dict[str, Any] = {"status": status}
    verb, content_type = "PATCH", "application/merge-patch+json"
    if method == "update":
        verb, content_type = "PUT", "application/json"
        body = cluster.request("GET", path).document | body
    options = "dryRun=All" if dry else ""
    if method == "apply":
        content_type = "application/apply-patch+yaml"
        body = {key: value[key] for key in ("apiVersion", "kind")} | body
        options += "&fieldManager=test&force=true"
    return cluster.request(
        verb, f"{path}/status?{options}", body, user=user, content_type=content_type
    )


@pytest.mark.parametrize("value", [account(), profile(), domain()], ids=lambda item: item["kind"])
@pytest.mark.parametrize("name", MAY_WRITE)
def test_a_status_is_the_operators(
    name: str,
    value: dict[str, Any],
    cluster: PrivateControlPlane,
    owner: User,
    stored: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    value = stored(within(ACME, value))
    users = {OWNER: owner, "administrator": cluster.admin}
    user = users[name] if name in users else user_of(cluster, name)
    methods = ("patch", "apply") if name in OPERATORS else ("patch", "apply", "update")
    for method in methods:
        answer = write_status(cluster, user, value, method)
        assert answer.status == (200 if MAY_WRITE[name] else 403), (method, answer)
        if not MAY_WRITE[name]:
            assert REFUSED in answer.document["message"]


def test_a_status_that_comes_with_an_object_is_dropped(
    cluster: PrivateControlPlane, owner: User, stored: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    value = within(ACME, profile())
    created = post(cluster, owner, value | {"status": {"observedGeneration": 7}})
    assert created.status == 201
    assert created.document["status"] == {"observedGeneration": -1}
    stored(value)
    changed = patch(cluster, owner, value, {"status": {"observedGeneration": 7}})
    assert changed.status == 200
    assert changed.document["status"] == {"observedGeneration": -1}


def test_the_right_to_write_statuses_is_one_to_the_platforms(
    cluster: PrivateControlPlane, stored: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """What the operator of another release needs, if the chart's roles do not give it."""
    user = cluster.service_account(PLATFORM, "writer")
    value = stored(within(ACME, domain()))
    rule = {"apiGroups": ["sendroute.dev"], "resources": ["sendingdomains/status"]}
    cluster.allow(user, [rule | {"verbs": ["patch"]}])
    eventually(lambda: REFUSED in write_status(cluster, user, value, "patch").document["message"])
    cluster.allow(user, [rule | {"verbs": ["patch"], "resources": ["mailplatforms/status"]}])
    eventually(lambda: write_status(cluster, user, value, "patch").status == 200)
