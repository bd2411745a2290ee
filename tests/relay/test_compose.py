"""The example for containers is complete: what it names exists, and what it hides stays hidden. No
engine runs here."""

import re
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
    for name in ("loop", "agent"):
        assert SERVICES[name]["command"][0] in COMMANDS
    written = " ".join(SERVICES[name]["entrypoint"][-1] for name in ("init", "configure"))
    for command in re.findall(r"sendroute (\w+)", written):
        assert command in COMMANDS
