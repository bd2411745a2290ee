"""The operator on a real API server."""

import json
import random
import signal
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from tests.cluster.conftest import (
    PLATFORM,
    ROOT,
    SYSTEM,
    account,
    domain,
    routes,
    rows,
    running,
    sendroute,
)
from tests.cluster.running import running_operator
from tests.control_plane.control_plane import Document, PrivateControlPlane
from tests.control_plane.polling import eventually, stays

from sendroute.cluster.api import path_of

CRDS = Path(__file__).parents[2] / "charts/sendroute/crds"


def _is_whole(example: Path) -> bool:
    """Whether its manifests are a whole tree: a tenant's part of one has no platform."""
    text = "".join(path.read_text() for path in (example / "manifests").rglob("*.yaml"))
    return "kind: MailPlatform" in text and "kind: SendingDomain" in text


EXAMPLES = sorted(filter(_is_whole, (ROOT / "examples").iterdir()))
LEASE = "sendroute-operator"
KINDS = "sendingdomains,smtpprofiles,mailaccounts"


@pytest.fixture
def tenant(cluster: PrivateControlPlane) -> Iterator[str]:
    """An empty cluster with the platform and one namespace."""
    cluster.apply(PLATFORM)
    name = cluster.create_namespace()
    yield name
    cluster.kubectl("delete", KINDS, "--all", "-n", name)
    cluster.kubectl("delete", "namespace", name, "--wait=false")
    cluster.kubectl("delete", "mailplatforms", "--all")


def documents(example: Path) -> list[Document]:
    """The manifests of an example. Their connections are not tested: there are no servers."""
    manifests: list[Document] = []
    for path in sorted((example / "manifests").rglob("*.yaml")):
        manifests += filter(None, yaml.safe_load_all(path.read_text()))
    for document in manifests:
        profile = document["spec"].get("route", {}).get("newProfile")
        if document["kind"] == "SMTPProfile":
            profile = document["spec"]
        if profile is not None:
            profile["connectionTest"] = "skip"
            profile.pop("credentials", None)
    return manifests


def namespace_of(document: Document) -> str | None:
    if document["kind"] == "MailPlatform":
        return None
    name: str = document["metadata"].get("namespace", "default")
    return name


def put(cluster: PrivateControlPlane, document: Document) -> None:
    """Apply one object, as ``kubectl apply --server-side`` does, in a tenth of the time."""
    namespace = namespace_of(document)
    path = path_of(document["kind"], namespace or "", document["metadata"]["name"])
    answer = cluster.request(
        "PATCH",
        f"{path}?fieldManager=kubectl&force=true",
        document,
        content_type="application/apply-patch+yaml",
    )
    assert answer.status in (200, 201), answer.document


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_objects_in_any_order_end_where_the_files_end(
    cluster: PrivateControlPlane, store: Path, tmp_path: Path, example: Path
) -> None:
    objects = documents(example)
    files, of_files = tmp_path / "all.yaml", tmp_path / "of-files" / "sendroute.db"
    of_files.parent.mkdir()
    files.write_text(yaml.safe_dump_all(objects))
    sendroute("init", store=of_files)
    sendroute("apply", files, "--auto-approve", store=of_files, status=None)
    expected = routes(of_files)
    assert expected
    namespaces = {name for name in map(namespace_of, objects) if name is not None} - {"default"}
    for name in namespaces:
        cluster.kubectl("create", "namespace", name, status=None)
    random.Random(example.name).shuffle(objects)
    try:
        with running(cluster.kubeconfig, store, "--no-leader-election") as operator:
            for document in objects:
                put(cluster, document)
            eventually(lambda: routes(store) == expected)
            assert operator.stop() == 0, operator.log
        switched = rows(
            store,
            "SELECT name, count(*) FROM history WHERE kind = 'SendingDomain'"
            " GROUP BY name HAVING count(*) > 1",
        )
        assert switched == [], "a domain had another route in between"
    finally:
        for name in {*namespaces, "default"}:
            cluster.kubectl("delete", KINDS, "--all", "-n", name)
        cluster.kubectl("delete", "mailplatforms", "--all")


def test_changes_are_followed_and_a_restart_changes_nothing(
    cluster: PrivateControlPlane, tenant: str, store: Path
) -> None:
    with running(cluster.kubeconfig, store, "--no-leader-election") as operator:
        cluster.apply(account(namespace=tenant), domain("a.example", tenant))
        eventually(lambda: routes(store) == {"a.example": "managed"})
        cluster.apply(domain("b.example", tenant, route={"unconfigured": {}}))
        eventually(lambda: routes(store).get("b.example") == "unconfigured")
        cluster.kubectl("delete", "sendingdomain", "b-example", "-n", tenant)
        eventually(lambda: routes(store) == {"a.example": "managed"})
        assert operator.stop() == 0, operator.log
    assert "Stopped by SIGTERM" in operator.log
    assert "drifted" not in operator.log
    before = rows(store, "SELECT count(*) FROM revision")
    with running(cluster.kubeconfig, store, "--no-leader-election", "--listen", "") as operator:
        stays(lambda: rows(store, "SELECT count(*) FROM revision") == before, 4)
        assert operator.stop() == 0, operator.log


def test_an_object_deleted_while_no_operator_runs_is_noticed(
    cluster: PrivateControlPlane, tenant: str, store: Path
) -> None:
    names = [f"{letter}.example" for letter in "abcdefgh"]
    with running(cluster.kubeconfig, store, "--no-leader-election"):
        cluster.apply(account(namespace=tenant), *(domain(name, tenant) for name in names))
        eventually(lambda: len(routes(store)) == 8)
    cluster.kubectl("delete", "sendingdomain", "a-example", "-n", tenant)
    with running(cluster.kubeconfig, store, "--no-leader-election") as operator:
        eventually(lambda: set(routes(store)) == set(names[1:]))
        operator.stop()
    assert "drifted" not in operator.log, "a restart takes a deletion for drift"


def other_tree(directory: Path, tenant: str) -> Path:
    """A file in which the tenant's domain is not routed."""
    other = [
        PLATFORM,
        account(namespace=tenant),
        domain("a.example", tenant, route={"unconfigured": {}}),
    ]
    file = directory / "other.yaml"
    file.write_text("---\n".join(json.dumps(document) + "\n" for document in other))
    return file


def test_a_route_that_another_process_assigned_is_repaired_as_drift(
    cluster: PrivateControlPlane, tenant: str, store: Path, tmp_path: Path
) -> None:
    file = other_tree(tmp_path, tenant)
    with running(cluster.kubeconfig, store, "--no-leader-election") as operator:
        cluster.apply(account(namespace=tenant), domain("a.example", tenant, route={"managed": {}}))
        eventually(lambda: routes(store) == {"a.example": "managed"})
        sendroute("apply", file, "--auto-approve", store=store)
        eventually(lambda: "drifted" in operator.log)
        assert routes(store) == {"a.example": "managed"}
        assert "is contested" not in operator.log, "it was changed once"
        for times in (2, 3):
            sendroute("apply", file, "--auto-approve", store=store)
            eventually(lambda times=times: operator.log.count("drifted") == times)  # type: ignore[misc]
        eventually(lambda: "is contested" in operator.log)
        assert "contested-account" in sendroute("status", "-o", "json", store=store)
        eventually(lambda: _condition(cluster, tenant, "Ready") == ("False", "Contested"))
        assert _condition(cluster, tenant, "Stalled") == ("True", "Contested")
        cluster.kubectl(
            "wait",
            "sendingdomain",
            "-n",
            tenant,
            "--all",
            "--for=condition=Stalled",
            "--timeout=60s",
        )
        eventually(lambda: "Contested" in _reasons_of_events(cluster, tenant))


def test_what_stays_as_another_process_left_it_is_logged_and_is_no_drift(
    cluster: PrivateControlPlane, tenant: str, store: Path, tmp_path: Path
) -> None:
    file = other_tree(tmp_path, tenant)
    with running(cluster.kubeconfig, store, "--no-leader-election") as operator:
        cluster.apply(account(namespace=tenant), domain("a.example", tenant))
        eventually(lambda: routes(store) == {"a.example": "managed"})
        sendroute("apply", file, "--auto-approve", store=store)
        eventually(lambda: "was changed by another process" in operator.log)
        assert "a.example stays on unconfigured" in operator.log
        assert routes(store) == {"a.example": "unconfigured"}
        assert operator.stop() == 0, operator.log
    assert "drifted" not in operator.log


def test_an_object_deleted_behind_a_410_is_noticed(
    cluster: PrivateControlPlane, tenant: str, store: Path
) -> None:
    names = [f"{letter}.example" for letter in "abcdefgh"]
    with running(cluster.kubeconfig, store, "--no-leader-election") as operator:
        cluster.apply(account(namespace=tenant), *(domain(name, tenant) for name in names))
        eventually(lambda: len(routes(store)) == 8)
        operator.send(signal.SIGSTOP)
        cluster.kubectl("delete", "sendingdomain", "a-example", "-n", tenant)
        cluster.compact()
        cluster.restart_apiserver()
        operator.send(signal.SIGCONT)
        eventually(lambda: set(routes(store)) == set(names[1:]))
        assert operator.stop() == 0, operator.log


def test_the_operator_survives_an_api_server_that_is_killed(
    cluster: PrivateControlPlane, tenant: str, store: Path
) -> None:
    with running(cluster.kubeconfig, store, "--no-leader-election") as operator:
        cluster.apply(account(namespace=tenant), domain("a.example", tenant))
        eventually(lambda: set(routes(store)) == {"a.example"})
        cluster.kill_apiserver()
        stays(lambda: routes(store) == {"a.example": "managed"}, 2)
        cluster.start_apiserver()
        cluster.apply(domain("b.example", tenant))
        eventually(lambda: set(routes(store)) == {"a.example", "b.example"})
        assert operator.stop() == 0, operator.log


def test_a_namespace_deleted_by_mistake_is_held_back_until_it_is_approved(
    cluster: PrivateControlPlane, tenant: str, store: Path
) -> None:
    doomed = cluster.create_namespace()
    with running(cluster.kubeconfig, store, "--no-leader-election"):
        cluster.apply(account(namespace=tenant), domain("a.example", tenant))
        cluster.apply(account(namespace=doomed), domain("b.example", doomed))
        eventually(lambda: set(routes(store)) == {"a.example", "b.example"})
        cluster.kubectl("delete", "namespace", doomed)
        eventually(lambda: _held_back(store) == {f"{doomed}/acme"})
        assert routes(store)["b.example"] == "managed"
        ((digest,),) = rows(store, "SELECT digest FROM account_status")
        words = ("--auto-approve", "--digest", digest)
        sendroute("approve", f"{doomed}/acme", *words, store=store)
        eventually(lambda: set(routes(store)) == {"a.example"})
        eventually(lambda: _held_back(store) == set())


def _held_back(store: Path) -> set[str]:
    accounts = rows(
        store, "SELECT namespace, account FROM account_status WHERE reason = 'held-back'"
    )
    return {"/".join(row) for row in accounts}


def test_a_kind_that_may_not_be_listed_removes_nothing(
    cluster: PrivateControlPlane, tenant: str, store: Path
) -> None:
    operator_account = cluster.service_account(tenant, "operator")
    kinds = ["mailplatforms", "mailaccounts", "smtpprofiles", "sendingdomains"]
    with running(cluster.kubeconfig, store, "--no-leader-election"):
        cluster.apply(account(namespace=tenant), domain("a.example", tenant))
        eventually(lambda: set(routes(store)) == {"a.example"})
    cluster.allow(
        operator_account,
        [{"apiGroups": ["sendroute.dev"], "resources": kinds[:3], "verbs": ["list", "watch"]}],
    )
    options = ("--no-leader-election", "--interval", "1s")
    with running(operator_account.kubeconfig, store, *options) as operator:
        eventually(lambda: "SendingDomain objects cannot be followed" in operator.log)
        stays(lambda: routes(store) == {"a.example": "managed"}, 3)
        assert operator.stop() == 0, operator.log


def test_a_kind_that_may_not_be_listed_is_shown_where_people_look(
    cluster: PrivateControlPlane, tenant: str, store: Path
) -> None:
    kinds = ("mailplatforms", "mailaccounts", "sendingdomains")
    user = cluster.service_account(tenant, "operator")

    def allow(group: str, resources: Iterable[str], *verbs: str) -> None:
        cluster.allow(
            user, [{"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}]
        )

    allow("sendroute.dev", kinds, "list", "watch")
    allow("sendroute.dev", (f"{kind}/status" for kind in (*kinds, "smtpprofiles")), "patch")
    allow("events.k8s.io", ("events",), "create", "patch")
    cluster.apply(account(namespace=tenant), domain("a.example", tenant))
    with running(user.kubeconfig, store, "--no-leader-election"):
        eventually(lambda: _condition(cluster, tenant, "Ready") == ("False", "ClusterUnreachable"))
        assert _condition(cluster, tenant, "Reconciling") == ("True", "ClusterUnreachable")
        status = _account(cluster, tenant)["status"]
        assert "The SMTPProfile objects of the namespace cannot be read" in str(status)
        assert "serviceaccount" not in str(status), "a tenant need not know the operator's account"
        words = "--for=condition=Applied=false"
        cluster.kubectl("wait", "sendingdomain", "a-example", "-n", tenant, words, "--timeout=60s")
        cluster.kubectl("wait", "mailplatform", "default", words, "--timeout=60s")
        status = cluster.get("mailplatforms", "default")["status"]
        assert "smtpprofiles.sendroute.dev is forbidden" in str(status)
        eventually(lambda: "ClusterUnreachable" in _reasons_of_events(cluster, tenant))
        assert routes(store) == {}
        allow("sendroute.dev", ("smtpprofiles",), "list", "watch")
        eventually(lambda: _condition(cluster, tenant, "Ready") == ("True", "Applied"))
        cluster.kubectl("wait", "mailplatform", "default", "--for=condition=Ready", "--timeout=60s")
        assert routes(store) == {"a.example": "managed"}


def test_definitions_that_are_deleted_and_created_again_lose_no_route(
    cluster: PrivateControlPlane, tenant: str, store: Path
) -> None:
    """The account comes back while its domains cannot be listed yet. That it has none then is no
    deletion: with fewer than ten domains no guard would hold it back."""
    kinds = ("mailplatforms", "mailaccounts", "smtpprofiles", "sendingdomains")
    definitions = [yaml.safe_load((CRDS / f"{kind}.yaml").read_text()) for kind in kinds]
    names = [f"crd/{definition['metadata']['name']}" for definition in definitions]
    with running_operator(cluster, store) as operator:
        cluster.apply(account(namespace=tenant), domain("a.example", tenant))
        eventually(lambda: set(routes(store)) == {"a.example"})
        cluster.kubectl("delete", *names)
        eventually(lambda: operator.followed_kinds() == set(), 90)
        cluster.apply(*definitions[:2])
        cluster.kubectl("wait", "--for=condition=Established", *names[:2])
        cluster.apply(PLATFORM, account(namespace=tenant, defaultRoute={"unconfigured": {}}))
        eventually(lambda: operator.followed_kinds() >= {"MailPlatform", "MailAccount"}, 90)
        operator.after_rounds(4)  # of two seconds each: it would have settled long ago
        assert routes(store) == {"a.example": "managed"}
        cluster.apply(*definitions[2:])
        cluster.kubectl("wait", "--for=condition=Established", *names[2:])
        cluster.apply(domain("a.example", tenant), domain("b.example", tenant))
        eventually(lambda: set(routes(store)) == {"a.example", "b.example"}, 120)
    assert rows(store, "SELECT name FROM history WHERE action = 'delete'") == []
    assert routes(store) == {"a.example": "managed", "b.example": "unconfigured"}


def test_an_account_waits_while_a_kind_of_its_namespace_may_not_be_listed(
    cluster: PrivateControlPlane, tenant: str, store: Path, tmp_path: Path
) -> None:
    """Not even what removes nothing is decided: half of the objects are no state to plan for."""
    other = cluster.create_namespace()
    platform = tmp_path / "platform.yaml"
    platform.write_text(yaml.safe_dump(PLATFORM))
    of_all = ("--watch-namespaces", f"{tenant},{other}", "--platform", str(platform))
    options = (*of_all, "--no-leader-election", "--interval", "1s")
    with running(cluster.kubeconfig, store, *options):
        cluster.apply(account(namespace=tenant), domain("a.example", tenant))
        eventually(lambda: set(routes(store)) == {"a.example"})
    kinds = ["mailaccounts", "smtpprofiles", "sendingdomains"]
    user = cluster.service_account(tenant, "operator")
    for namespace, listed in ((tenant, kinds[:2]), (other, kinds)):
        rule = {"apiGroups": ["sendroute.dev"], "resources": listed, "verbs": ["list", "watch"]}
        cluster.allow(user, [rule], namespace)
    cluster.apply(account(namespace=tenant, defaultRoute={"unconfigured": {}}))
    before = rows(store, "SELECT count(*) FROM history")
    with running(user.kubeconfig, store, *options) as operator:
        eventually(lambda: "SendingDomain objects of namespace" in operator.log)
        cluster.apply(account(namespace=other))
        eventually(lambda: rows(store, "SELECT count(*) FROM account") == [(2,)])
        cluster.apply(domain("c.example", other))  # takes longer to settle than the round over all
        eventually(lambda: set(routes(store)) == {"a.example", "c.example"})
        assert rows(store, "SELECT * FROM account_status") == []
        assert rows(store, "SELECT count(*) FROM history") == [(before[0][0] + 2,)]
        # A tenant may take the operator's role in its namespace away. No other tenant waits for it.
        cluster.kubectl("delete", "sendingdomain", "c-example", "-n", other)
        eventually(lambda: set(routes(store)) == {"a.example"})
        assert operator.stop() == 0, operator.log
    cluster.kubectl("delete", KINDS, "--all", "-n", other)


def test_the_file_of_the_platform_is_followed(
    cluster: PrivateControlPlane, tenant: str, store: Path, tmp_path: Path
) -> None:
    cluster.apply(account(namespace=tenant), domain("a.example", tenant))
    platform = tmp_path / "platform.yaml"
    platform.write_text(yaml.safe_dump(PLATFORM))
    options = ("--watch-namespaces", tenant, "--platform", str(platform))
    with running(cluster.kubeconfig, store, "--no-leader-election", *options) as operator:
        eventually(lambda: routes(store) == {"a.example": "managed"})
        platform.write_text(platform.read_text().replace("managed:", "managed: ["))
        eventually(lambda: "the last good MailPlatform stays in effect" in operator.log)
        platform.unlink()
        eventually(lambda: "cannot be read" in operator.log)
        cluster.apply(domain("b.example", tenant))
        eventually(lambda: routes(store).get("b.example") == "managed")
        assert operator.status is None, operator.log
        other = json.loads(json.dumps(PLATFORM))
        other["spec"]["managed"]["relay"]["port"] = 2587
        platform.write_text(yaml.safe_dump(other))
        eventually(lambda: "in effect again" in operator.log)
        eventually(lambda: any("2587" in str(row) for row in rows(store, "SELECT * FROM history")))
        assert operator.stop() == 0, operator.log


def test_only_the_listed_namespaces_are_touched(
    cluster: PrivateControlPlane, tenant: str, store: Path, tmp_path: Path
) -> None:
    other = cluster.create_namespace()
    cluster.apply(account(namespace=tenant), domain("a.example", tenant))
    cluster.apply(account(namespace=other), domain("b.example", other))
    with running(cluster.kubeconfig, store, "--no-leader-election"):
        eventually(lambda: set(routes(store)) == {"a.example", "b.example"})
    platform = tmp_path / "platform.yaml"
    platform.write_text(yaml.safe_dump(PLATFORM))
    # Nobody declares b.example in a namespace that is read, and another account claims it.
    options = ("--watch-namespaces", tenant, "--platform", str(platform), "--interval", "1s")
    with running(cluster.kubeconfig, store, "--no-leader-election", *options) as operator:
        cluster.apply(domain("b.example", tenant), domain("c.example", tenant))
        eventually(lambda: "c.example" in routes(store))
        held = {(tenant, "a.example"), (tenant, "c.example"), (other, "b.example")}
        holders = "SELECT a.namespace, d.name FROM domain d JOIN account a ON a.id = d.account_id"
        stays(lambda: set(rows(store, holders)) == held, 3)
        assert operator.stop() == 0, operator.log
    assert rows(store, f"SELECT * FROM account_status WHERE namespace = '{other}'") == []  # noqa: S608
    cluster.kubectl("delete", KINDS, "--all", "-n", other)


def _lease(cluster: PrivateControlPlane) -> str:
    done = cluster.kubectl("get", "lease", LEASE, "-n", SYSTEM, "-o", "json", status=None)
    if done.returncode:
        return ""
    holder: str = json.loads(done.stdout)["spec"].get("holderIdentity") or ""
    return holder


def test_a_standby_takes_over_at_once_from_a_leader_that_is_stopped(
    cluster: PrivateControlPlane, tenant: str, store: Path
) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(running(cluster.kubeconfig, store))
        eventually(lambda: _lease(cluster) != "")
        leader = _lease(cluster)
        second = stack.enter_context(running(cluster.kubeconfig, store))
        names = [f"{letter}.example" for letter in "abcdefgh"]
        cluster.apply(account(namespace=tenant), *(domain(name, tenant) for name in names))
        eventually(lambda: len(routes(store)) == 8)
        assert first.stop() == 0, first.log
        assert "Released the Lease" in first.log
        cluster.kubectl("delete", "sendingdomain", "a-example", "-n", tenant)
        eventually(lambda: _lease(cluster) not in ("", leader), 10)
        eventually(lambda: set(routes(store)) == set(names[1:]))
        assert rows(store, "SELECT number FROM epoch") == [(2,)]
        assert second.stop() == 0, second.log


def test_of_two_operators_without_an_election_only_the_newer_one_writes(
    cluster: PrivateControlPlane, tenant: str, store: Path
) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(running(cluster.kubeconfig, store, "--no-leader-election"))
        eventually(lambda: "leads, in epoch 1" in first.log)
        first.send(signal.SIGSTOP)
        second = stack.enter_context(running(cluster.kubeconfig, store, "--no-leader-election"))
        eventually(lambda: "leads, in epoch 2" in second.log)
        cluster.apply(account(namespace=tenant), domain("a.example", tenant))
        eventually(lambda: routes(store) == {"a.example": "managed"})
        second.send(signal.SIGSTOP)
        cluster.apply(domain("b.example", tenant))
        first.send(signal.SIGCONT)
        eventually(lambda: first.status is not None)
        assert first.stop() == 1, first.log
        assert "leader-replaced" in first.log
        assert routes(store) == {"a.example": "managed"}, "the replaced operator wrote"
        second.send(signal.SIGCONT)
        eventually(lambda: set(routes(store)) == {"a.example", "b.example"})
        assert second.stop() == 0, second.log


def test_a_leader_that_was_paused_writes_nothing_more_and_ends(
    cluster: PrivateControlPlane, tenant: str, store: Path
) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(running(cluster.kubeconfig, store))
        eventually(lambda: "leads, in epoch" in first.log)
        leader = _lease(cluster)
        first.send(signal.SIGSTOP)
        second = stack.enter_context(running(cluster.kubeconfig, store))
        eventually(lambda: _lease(cluster) not in ("", leader))
        eventually(lambda: "leads, in epoch" in second.log)
        cluster.apply(account(namespace=tenant), domain("a.example", tenant))
        eventually(lambda: set(routes(store)) == {"a.example"})
        first.send(signal.SIGCONT)
        eventually(lambda: first.status is not None)
        assert first.stop() == 1, first.log
        assert "leader-replaced" in first.log
        assert (
            len(rows(store, "SELECT DISTINCT actor FROM revision")) == 2
        )  # init, and the operator
        assert second.stop() == 0, second.log


def new_store(directory: Path) -> Path:
    directory.mkdir()
    path = directory / "sendroute.db"
    sendroute("init", store=path)
    return path


def test_a_store_that_is_not_the_one_of_the_statuses_assigns_nothing(
    cluster: PrivateControlPlane, tenant: str, tmp_path: Path
) -> None:
    right, empty = new_store(tmp_path / "right"), new_store(tmp_path / "empty")
    options = ("--no-leader-election", "--interval", "1s")
    with running(cluster.kubeconfig, right, *options):
        cluster.apply(account(namespace=tenant), domain("a.example", tenant))
        eventually(lambda: routes(right) == {"a.example": "managed"})
        eventually(lambda: _condition(cluster, tenant, "Applied") == ("True", "Applied"))
    lineage = _account(cluster, tenant)["status"]["store"]["lineage"]
    # A restart with the wrong store, and objects that are declared meanwhile.
    with running(cluster.kubeconfig, empty, *options) as operator:
        reason = "False", "StoreLineageMismatch"
        eventually(lambda: _condition(cluster, tenant, "Applied") == reason)
        cluster.apply(domain("b.example", tenant))
        stays(lambda: routes(empty) == {}, 3)
        assert _account(cluster, tenant)["status"]["store"]["lineage"] == lineage
        assert "store-empty" in operator.log
        # What the hint says, if the new store is meant.
        for name in ("mailaccounts/acme", "mailplatforms/default"):
            patch = ("--subresource=status", "--type=merge", "-p", '{"status": {"store": null}}')
            cluster.kubectl("patch", name, "-n", tenant, *patch)
        eventually(lambda: set(routes(empty)) == {"a.example", "b.example"})
        eventually(lambda: _condition(cluster, tenant, "Applied") == ("True", "Applied"))
        assert _account(cluster, tenant)["status"]["store"]["lineage"] != lineage


def test_another_store_with_domains_of_its_own_stays_as_it_is(
    cluster: PrivateControlPlane, tenant: str, tmp_path: Path
) -> None:
    right, other = new_store(tmp_path / "right"), new_store(tmp_path / "other")
    file = tmp_path / "other.yaml"
    file.write_text(
        yaml.safe_dump_all([PLATFORM, account(namespace=tenant), domain("c.example", tenant)])
    )
    sendroute("apply", file, "--auto-approve", store=other)
    neighbour = cluster.create_namespace()
    options = ("--no-leader-election", "--interval", "1s")
    with running(cluster.kubeconfig, right, *options):
        for name in (tenant, neighbour):
            cluster.apply(account(namespace=name), domain(f"{name}.example", name))
            eventually(
                lambda name=name: _condition(cluster, name, "Applied") == ("True", "Applied")  # type: ignore[misc]
            )
    with running(cluster.kubeconfig, other, *options) as operator:
        cluster.apply(domain("b.example", tenant))
        reason = "False", "StoreLineageMismatch"
        for name in (tenant, neighbour):
            eventually(lambda name=name: _condition(cluster, name, "Applied") == reason)  # type: ignore[misc]
        stays(lambda: set(routes(other)) == {"c.example"}, 3)  # neither created nor removed
        assert operator.stop() == 0, operator.log
    assert "wrong-store" in operator.log
    shown = [_account(cluster, tenant), _account(cluster, neighbour)]
    for ours, theirs in (shown, shown[::-1]):
        conditions = {item["type"]: item for item in ours["status"]["conditions"]}
        message = conditions["Applied"]["message"]
        assert "was written from the store" in message
        assert ours["status"]["store"]["lineage"] in message
        assert theirs["metadata"]["namespace"] not in message
        assert conditions["Stalled"]["status"] == "True"
    old, new = (
        {
            item["type"]: item["status"]
            for item in cluster.get("sendingdomains", name, "-n", tenant)["status"]["conditions"]
        }
        for name in (f"{tenant}-example", "b-example")
    )
    assert old["Ready"] == "True", "its mail continues by the store that the relays have"
    assert new["Ready"] == "False"
    events = cluster.get("events", "-n", tenant)["items"]
    [mismatch] = [event for event in events if event["reason"] == "StoreLineageMismatch"
                  and event["involvedObject"]["kind"] == "MailAccount"]  # fmt: skip
    assert mismatch["type"] == "Warning"
    cluster.kubectl("delete", KINDS, "--all", "-n", neighbour)


FORGED = "00000000-0000-0000-0000-000000000000"


def write_lineage(cluster: PrivateControlPlane, tenant: str, lineage: str | None) -> None:
    """Write a status, as a tenant may who has all rights in its namespace, if no policy refuses."""
    store = {"lineage": lineage} if lineage is not None else None
    patch = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": {"store": store}}))
    cluster.kubectl("patch", "mailaccounts/acme", "-n", tenant, *patch)


def test_a_tenant_that_forges_a_status_stops_itself_alone(
    cluster: PrivateControlPlane, tenant: str, store: Path
) -> None:
    forger, latecomer = cluster.create_namespace(), cluster.create_namespace()
    options = ("--no-leader-election", "--interval", "1h")
    reason = "False", "StoreLineageMismatch"
    try:
        for name in (tenant, forger):
            cluster.apply(account(namespace=name), domain(f"{name}.example", name))
        write_lineage(cluster, forger, FORGED)  # on a store that is really new
        with running(cluster.kubeconfig, store, *options) as operator:
            eventually(lambda: _condition(cluster, forger, "Applied") == reason)
            eventually(lambda: _condition(cluster, tenant, "Applied") == ("True", "Applied"))
            assert set(routes(store)) == {f"{tenant}.example"}
            conditions = _account(cluster, forger)["status"]["conditions"]
            [applied] = [item for item in conditions if item["type"] == "Applied"]
            assert (
                f"MailAccount/{forger}/acme was written from the store {FORGED}"
                in (applied["message"])
            )
            assert "remove status.store of the MailAccount" in applied["message"]
            eventually(lambda: "StoreLineageMismatch" in _reasons_of_events(cluster, forger))
            eventually(lambda: f"Account {forger}/acme failed: The status of" in operator.log)
            # One that arrives later, and its neighbours.
            operator.send(signal.SIGSTOP)
            cluster.apply(account(namespace=latecomer), domain(f"{latecomer}.example", latecomer))
            write_lineage(cluster, latecomer, FORGED)
            operator.send(signal.SIGCONT)
            cluster.apply(domain("b.example", tenant))
            eventually(lambda: "b.example" in routes(store))
            eventually(lambda: _condition(cluster, latecomer, "Applied") == reason)
            # What the hint says.
            write_lineage(cluster, forger, None)
            eventually(lambda: _condition(cluster, forger, "Applied") == ("True", "Applied"))
            assert set(routes(store)) == {"b.example", f"{tenant}.example", f"{forger}.example"}
        # Of an account that the store holds, the MailPlatform's status says which one is right.
        write_lineage(cluster, forger, FORGED)
        with running(cluster.kubeconfig, store, *options) as operator:
            eventually(lambda: _account(cluster, forger)["status"]["store"]["lineage"] != FORGED)
            assert _condition(cluster, forger, "Applied") == ("True", "Applied")
            assert f"The status of MailAccount/{forger}/acme named the store" in operator.log
    finally:
        for name in (forger, latecomer):
            cluster.kubectl("delete", KINDS, "--all", "-n", name)


def _account(cluster: PrivateControlPlane, tenant: str) -> Document:
    return cluster.get("mailaccounts", "acme", "-n", tenant)


def _reasons_of_events(cluster: PrivateControlPlane, tenant: str) -> set[str]:
    return {item["reason"] for item in cluster.get("events", "-n", tenant)["items"]}


def _condition(cluster: PrivateControlPlane, tenant: str, kind: str) -> tuple[str, str] | None:
    conditions = _account(cluster, tenant).get("status", {}).get("conditions", ())
    states = {item["type"]: (item["status"], item["reason"]) for item in conditions}
    return states.get(kind)
