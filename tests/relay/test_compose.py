"""The example for containers is complete: what it names exists, and what it hides stays hidden. No
engine runs here."""

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sendroute.cli.commands import COMMANDS

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / "examples" / "relay"
COMPOSE: dict[str, Any] = yaml.safe_load((DIRECTORY / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
each_service = pytest.mark.parametrize("name", SERVICES)

TEXT, LIST, FLAG, MAPPING = str, list, bool, dict
# The keys that the examples use, with their type (Compose Specification: services, build,
# depends_on, healthcheck, volumes). Another key must be looked up there before it is added.
OF_SERVICE = {
    "build": MAPPING,
    "cap_drop": LIST,
    "command": LIST,
    "depends_on": MAPPING,
    "entrypoint": LIST,
    "environment": MAPPING,
    "healthcheck": MAPPING,
    "image": TEXT,
    "pid": TEXT,
    "ports": LIST,
    "read_only": FLAG,
    "restart": TEXT,
    "secrets": LIST,
    "security_opt": LIST,
    "tmpfs": LIST,
    "ulimits": MAPPING,
    "volumes": LIST,
}
OF_HEALTHCHECK = {"test": LIST, "interval": TEXT, "timeout": TEXT, "retries": int}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}
DURATION = r"(\d+h)?(\d+m)?(\d+s)?"


def lint(compose: dict[str, Any]) -> list[str]:
    """What is not as the Compose Specification says, by path."""
    top = _without_extensions(compose)
    top_keys = dict.fromkeys(("services", "volumes", "secrets", "networks"), MAPPING)
    wrong = _wrong("", top, {"name": TEXT, **top_keys})
    for name, service in compose["services"].items():
        wrong += _wrong(name, service, OF_SERVICE)
        wrong += _wrong(
            f"{name}.build", service.get("build", {}), {"context": TEXT, "target": TEXT}
        )
        health = service.get("healthcheck", {})
        wrong += _wrong(f"{name}.healthcheck", health, OF_HEALTHCHECK)
        if health and health["test"][0] not in ("CMD", "CMD-SHELL", "NONE"):
            wrong.append(f"{name}.healthcheck.test")
        for key in ("interval", "timeout"):
            if not re.fullmatch(DURATION, health.get(key, "1s")):
                wrong.append(f"{name}.healthcheck.{key}")
        for other, needed in service.get("depends_on", {}).items():
            if needed.keys() != {"condition"} or needed["condition"] not in CONDITIONS:
                wrong.append(f"{name}.depends_on.{other}")
        for key in ("command", "entrypoint", "ports", "volumes", "secrets", "tmpfs"):
            if not all(isinstance(item, str) for item in service.get(key, ())):
                wrong.append(f"{name}.{key}")
        if "image" not in service and "build" not in service:
            wrong.append(f"{name}.image")
    for name, volume in (compose.get("volumes") or {}).items():
        known = {"driver": TEXT, "driver_opts": MAPPING, "external": FLAG}
        wrong += _wrong(f"volumes.{name}", volume or {}, known)
    return wrong + [f"{text}: interpolated" for text in _texts(top) if _is_variable(text)]


def _wrong(path: str, mapping: dict[str, Any], known: dict[str, type]) -> list[str]:
    return [
        f"{path}.{key}".removeprefix(".")
        for key, value in mapping.items()
        if key not in known or type(value) is not known[key]
    ]


def _without_extensions(compose: dict[str, Any]) -> dict[str, Any]:
    """Without extensions, which Compose ignores; they stand where the services merge them."""
    return {key: value for key, value in compose.items() if not key.startswith("x-")}


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "postgresql"])
def test_a_process_that_knows_a_password_writes_no_core_dump(name: str) -> None:
    assert SERVICES[name]["ulimits"] == {"core": 0}


def _is_variable(text: str) -> bool:
    """Compose replaces $NAME by a variable of the shell that starts it; $$ is a dollar sign."""
    return "$" in text.replace("$$", "")


@pytest.mark.parametrize("file", sorted(ROOT.glob("examples/*/compose.yaml")))
def test_the_file_is_as_the_compose_specification_says(file: Path) -> None:
    assert lint(yaml.safe_load(file.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda c: c["services"]["agent"].update(volume=["a:/b"]), "agent.volume"),
        (lambda c: c["services"]["loop"].update(read_only="yes"), "loop.read_only"),
        (lambda c: c["services"]["loop"].update(command="run /m"), "loop.command"),
        (lambda c: c["services"]["postfix"]["ports"].append(25), "postfix.ports"),
        (lambda c: c["services"]["agent"]["healthcheck"].update(interval="5 s"), "interval"),
        (lambda c: c["services"]["agent"]["healthcheck"].update(retries="24"), "retries"),
        (lambda c: c["services"]["agent"]["depends_on"].update(init={}), "agent.depends_on.init"),
        (lambda c: c["services"]["init"]["command"].append("$HOME"), "$HOME"),
        (lambda c: c.update(service={}), "service"),
    ],
)
def test_what_the_specification_does_not_know_is_found(
    change: Callable[[dict[str, Any]], object], path: str
) -> None:
    changed = copy.deepcopy(COMPOSE)
    change(changed)
    assert any(path in fault for fault in lint(changed))


def test_the_story_is_complete() -> None:
    assert SERVICES.keys() == {"postgresql", "init", "loop", "configure", "agent", "postfix"}


@each_service
def test_what_a_service_names_exists(name: str) -> None:
    service = SERVICES[name]
    assert service.get("depends_on", {}).keys() <= SERVICES.keys()
    assert set(service.get("secrets", ())) <= COMPOSE["secrets"].keys()
    mounted = [volume.partition(":")[0] for volume in service.get("volumes", ())]
    assert {volume for volume in mounted if volume[0] != "."} <= COMPOSE["volumes"].keys()
    for other, needed in service.get("depends_on", {}).items():
        waits_for = needed["condition"]
        assert waits_for != "service_healthy" or "healthcheck" in SERVICES[other], other


@each_service
def test_an_image_is_pinned_or_built_from_this_source(name: str) -> None:
    service = SERVICES[name]
    if build := service.get("build"):
        context = (DIRECTORY / build["context"]).resolve()
        assert f" AS {build['target']}\n" in (context / "Dockerfile").read_text()
    else:
        assert re.fullmatch(r"[a-z]+:\d+\.\d+\S*", service["image"]), "no host, a whole version"


@each_service
def test_a_service_that_lasts_has_a_health_check(name: str) -> None:
    service = SERVICES[name]
    lasts = service["restart"] == "unless-stopped"
    assert lasts is ("healthcheck" in service)
    assert lasts or service["restart"] == "no"


@each_service
def test_no_secret_is_in_the_file(name: str) -> None:
    environment = SERVICES[name].get("environment", {})
    for variable, value in environment.items():
        assert "PASSWORD" not in variable or variable.endswith("_FILE")
        assert not re.search(r"://[^/@]*:[^/@]*@", str(value)), "a password in a URL"
        if str(value).startswith("/run/secrets/"):
            named = str(value).rpartition("/")[2]
            # Commands that write the Postfix side and ask for the store need no key.
            assert named in SERVICES[name]["secrets"] or (name, named) == ("configure", "key")


def test_every_secret_is_a_file() -> None:
    assert all(secret.keys() == {"file"} for secret in COMPOSE["secrets"].values())


def test_postfix_has_neither_the_key_nor_the_store() -> None:
    assert "secrets" not in SERVICES["postfix"]
    assert SERVICES["postfix"]["environment"] == {}


def test_mail_continues_while_the_agent_is_away() -> None:
    """A namespace of processes ends with its first process, and must be that of Postfix."""
    assert SERVICES["agent"]["pid"] == "service:postfix"
    assert "pid" not in SERVICES["postfix"]


def test_the_agent_and_postfix_share_what_a_reload_needs() -> None:
    assert SERVICES["agent"]["volumes"] == SERVICES["postfix"]["volumes"]
    directory = SERVICES["agent"]["environment"]["SENDROUTE_DIR"]
    assert f"tables:{directory}" in SERVICES["postfix"]["volumes"]
    assert f"[ -e {directory}/tables.sqlite ]" in SERVICES["postfix"]["entrypoint"][-1]


def test_the_commands_exist() -> None:
    for name in ("init", "loop", "agent"):
        assert SERVICES[name]["command"][0] in COMMANDS
    for command in re.findall(r"sendroute (\w+)", SERVICES["configure"]["entrypoint"][-1]):
        assert command in COMMANDS
