"""What the values of the chart mean, and which are refused."""

import re
from typing import Any

import pytest
import yaml
from tests.chart.conftest import (
    CHART,
    EVERYTHING,
    POSTGRESQL,
    RELAY,
    SHAPES,
    Helm,
    Render,
    Values,
    the,
    variables,
)

from sendroute.model.version import __version__


def pod_of(objects: list[dict[str, Any]]) -> dict[str, Any]:
    pod: dict[str, Any] = the(objects, "Deployment")["spec"]["template"]["spec"]
    return pod


def test_helm_lint_has_nothing_to_say(run_helm: Helm) -> None:
    for values in SHAPES.values():
        done = run_helm("lint", "--strict", str(CHART), "--values", "-", input=yaml.dump(values))
        assert done.returncode == 0, done.stdout
        findings = re.findall(r"^\[\w+\] .*", done.stdout, re.MULTILINE)
        assert [text for text in findings if "icon is recommended" not in text] == []


def test_the_chart_is_of_the_version_of_the_program() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


FREE = frozenset({"requests", "limits", "labels"})
"""Mappings in which a name is the user's."""


def misspelt(values: Values, path: str = "") -> dict[str, Any]:
    """The same tree with another name for every value; the name says where it is."""
    tree: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value and name not in FREE:
            tree[name] = misspelt(value, f"{path}{name}-")
        else:
            tree[f"{path}{name}x"] = 1
    return tree


def names(values: Values) -> set[str]:
    return {name for name in values if name.endswith("x")}.union(
        *(names(value) for value in values.values() if isinstance(value, dict))
    )


def test_a_misspelt_name_is_refused_wherever_it_is(template: Helm) -> None:
    values = misspelt(yaml.safe_load((CHART / "values.yaml").read_text()))
    assert len(names(values)) > 80
    done = template(values)
    assert done.returncode != 0
    assert {name for name in names(values) if f"'{name}'" not in done.stderr} == set()


@pytest.mark.parametrize(
    "values",
    [
        {"replicas": "2"},
        {"interval": "5"},
        {"interval": "5 minutes"},
        {"settle": {"quiet": 1}},
        {"guards": {"maxChangePercent": 101}},
        {"log": {"format": "yaml"}},
        {"watchNamespaces": "acme"},
        {"watchNamespaces": ["Acme"]},
        {"watchNamespaces": ["acme", "acme"]},
        {"image": {"digest": "latest"}},
        {"store": {"sqlite": {"size": "big"}}},
        {"key": {"secretName": ""}},
        {"secrets": {"access": "all"}},
        {"relay": {"settings": {"message_size_limit": 52428800}}},
        {"relay": {"settings": {"smtpd_banner = x\nmynetworks": "0.0.0.0/0"}}},
        {"relay": {"hostname": "mail"}},
        {"relay": {"service": {"port": 0}}},
    ],
    ids=str,
)
def test_a_value_of_the_wrong_form_is_refused(values: Values, template: Helm) -> None:
    done = template(values)
    assert done.returncode != 0
    assert "values don't meet the specifications" in done.stderr


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"replicas": 2}, "replicas: more than one needs store.postgresql.enabled"),
        ({"relay": {"enabled": True, "hostname": "m.example"}}, "relay.enabled needs store.post"),
        ({**POSTGRESQL, "relay": {"enabled": True}}, "relay.hostname: set the name"),
        ({"platform": {"plans": []}}, "platform needs watchNamespaces"),
    ],
)
def test_values_that_contradict_each_other_are_refused(
    values: Values, reason: str, template: Helm
) -> None:
    done = template(values)
    assert done.returncode != 0
    assert reason in done.stderr


def test_a_store_on_a_volume_has_one_pod_at_a_time(render: Render) -> None:
    objects = render({})
    deployment = the(objects, "Deployment")["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    claim = the(objects, "PersistentVolumeClaim")["metadata"]
    assert claim["annotations"]["helm.sh/resource-policy"] == "keep"
    volumes = {volume["name"]: volume for volume in deployment["template"]["spec"]["volumes"]}
    assert volumes["store"]["persistentVolumeClaim"]["claimName"] == claim["name"]
    objects = render({"store": {"sqlite": {"existingClaim": "mine"}}})
    assert "PersistentVolumeClaim" not in {o["kind"] for o in objects}
    assert {"name": "store", "persistentVolumeClaim": {"claimName": "mine"}} in pod_of(objects)[
        "volumes"
    ]


def test_a_store_in_postgresql_has_several_pods_and_no_volume(render: Render) -> None:
    objects = render({**POSTGRESQL, "replicas": 3})
    assert the(objects, "Deployment")["spec"]["strategy"] == {"type": "RollingUpdate"}
    assert the(objects, "Deployment")["spec"]["replicas"] == 3
    assert the(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert "PersistentVolumeClaim" not in {o["kind"] for o in objects}
    for container in (*pod_of(objects)["initContainers"], *pod_of(objects)["containers"]):
        source = variables(container)["SENDROUTE_STORE"]
        assert source == {"secretKeyRef": {"name": "sendroute-store", "key": "url"}}


@pytest.mark.parametrize("secret", ["", "sendroute-relay-store"])
def test_the_authority_of_the_database_is_a_file_of_each_process_that_reads_the_store(
    render: Render, secret: str
) -> None:
    store = {"postgresql": {"enabled": True, "caKey": "authority"}}
    objects = render({"store": store, "relay": {**RELAY["relay"], "storeSecretName": secret}})
    readers = set()
    for kind, name in (("Deployment", "sendroute-store"), ("StatefulSet", secret)):
        pod = the(objects, kind)["spec"]["template"]["spec"]
        (volume,) = (volume for volume in pod["volumes"] if volume["name"] == "database")
        assert volume["secret"]["secretName"] == (name or "sendroute-store")
        assert volume["secret"]["items"] == [{"key": "authority", "path": "ca.crt"}]
        for container in (*pod["initContainers"], *pod["containers"]):
            mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
            given = variables(container)
            assert ("SENDROUTE_STORE" in given) is ("database" in mounts)
            if "database" in mounts:
                readers.add(container["name"])
                assert given["PGSSLROOTCERT"] == f"{mounts['database']}/ca.crt"
    assert readers == {"create-store", "operator", "configure", "agent"}


def test_one_replica_has_no_disruption_budget_which_would_block_a_drain(render: Render) -> None:
    assert "PodDisruptionBudget" not in {o["kind"] for o in render(RELAY)}


def test_no_shape_holds_a_secret_or_creates_one(render: Render) -> None:
    """The key is the user's. A chart that generated it would replace it at an upgrade."""
    for values in SHAPES.values():
        objects = render(values)
        assert "Secret" not in {o["kind"] for o in objects}
        for pod in objects:
            if pod["kind"] not in ("Deployment", "StatefulSet"):
                continue
            spec = pod["spec"]["template"]["spec"]
            for container in (*spec.get("initContainers", ()), *spec["containers"]):
                assert "SENDROUTE_KEY" not in variables(container)
                assert "password" not in str(container.get("args", ())).lower()


def test_the_operator_gets_its_options_as_variables(render: Render) -> None:
    values = {
        "guards": {"maxChangePercent": 10, "maxRemovePercent": 20},
        "settle": {"quiet": "2s", "destructive": "9s"},
        "interval": "1m",
        "watchNamespaces": ["acme", "globex"],
        "platform": {"plans": [{"name": "nano", "managed": False}]},
    }
    objects = render(values)
    (container,) = pod_of(objects)["containers"]
    given = variables(container)
    assert container["args"] == ["operator"]
    assert {name: given[name] for name in given if "SENDROUTE" in name} == {
        "SENDROUTE_STORE": "sqlite:////var/lib/sendroute/sendroute.db",
        "SENDROUTE_KEY_FILE": "/etc/sendroute/key/key",
        "SENDROUTE_LISTEN": "0.0.0.0:9466",
        "SENDROUTE_LOG_FORMAT": "json",
        "SENDROUTE_INTERVAL": "1m",
        "SENDROUTE_SETTLE": "2s",
        "SENDROUTE_SETTLE_DESTRUCTIVE": "9s",
        "SENDROUTE_MAX_CHANGE_PERCENT": "10",
        "SENDROUTE_MAX_REMOVE_PERCENT": "20",
        "SENDROUTE_WATCH_NAMESPACES": "acme,globex",
        "SENDROUTE_PLATFORM": "/etc/sendroute/platform/platform.yaml",
    }
    platform = yaml.safe_load(the(objects, "ConfigMap")["data"]["platform.yaml"])
    assert (platform["kind"], platform["spec"]) == ("MailPlatform", values["platform"])


def test_the_pods_find_the_volumes_that_they_mount(render: Render) -> None:
    for values in SHAPES.values():
        for owner in render(values):
            if owner["kind"] not in ("Deployment", "StatefulSet"):
                continue
            spec = owner["spec"]["template"]["spec"]
            volumes = {volume["name"] for volume in spec["volumes"]}
            volumes |= {
                c["metadata"]["name"] for c in owner["spec"].get("volumeClaimTemplates", ())
            }
            containers = (*spec.get("initContainers", ()), *spec["containers"])
            mounted = {m["name"] for c in containers for m in c["volumeMounts"]}
            assert mounted == volumes


def test_parameters_of_postfix_are_arguments_and_never_read_by_a_shell(render: Render) -> None:
    hostile = "$(touch /x) `id` \"'; exit"
    settings = {"smtpd_banner": hostile}
    objects = render({**RELAY, "relay": {**RELAY["relay"], "settings": settings}})
    (configure,) = the(objects, "StatefulSet")["spec"]["template"]["spec"]["initContainers"]
    script, _, *arguments = configure["args"]
    assert f"smtpd_banner = {hostile}" in arguments
    assert hostile not in script


def test_every_object_is_of_the_release(render: Render) -> None:
    for values in (*SHAPES.values(), {**EVERYTHING, "fullnameOverride": "other"}):
        for rendered in render(values):
            labels = rendered["metadata"]["labels"]
            assert labels["app.kubernetes.io/instance"] == "sendroute", rendered
            assert labels["app.kubernetes.io/name"] == "sendroute"


@pytest.mark.parametrize(
    ("account", "name"),
    [({}, "sendroute"), ({"name": "mail"}, "mail"), ({"create": False, "name": ""}, "default")],
)
def test_the_policy_of_statuses_names_the_account_that_the_operator_runs_as(
    account: Values, name: str, render: Render
) -> None:
    objects = render({"serviceAccount": account, "admission": {"enabled": True}}, namespace="mail")
    assert pod_of(objects)["serviceAccountName"] == name
    [policy] = [
        o
        for o in objects
        if o["kind"] == "ValidatingAdmissionPolicy" and o["metadata"]["name"].endswith("-statuses")
    ]
    [condition] = policy["spec"]["matchConditions"]
    assert condition["expression"].endswith(f"!= 'system:serviceaccount:mail:{name}'")


def test_two_releases_share_no_name(render: Render) -> None:
    def objects(values: Values) -> set[tuple[str, str]]:
        return {(o["kind"], o["metadata"]["name"]) for o in render(values)}

    assert objects(EVERYTHING) & objects({**EVERYTHING, "fullnameOverride": "other"}) == set()
