"""A platform that loses its managed relay keeps it while domains are sent through it."""

import re
from pathlib import Path

import pytest

from .conftest import PLATFORM, Program, account, domain, write

STAYS = "The managed relay is not removed: domains of account"
ENDPOINT = "relay.internal.example:587"


class Platform:
    """Two accounts on the managed relay, and manifests of the platform without it."""

    def __init__(self, workdir: Path, sendroute: Program) -> None:
        self.manifests, self.run = workdir / "manifests", sendroute
        assert sendroute("init").status == 0
        write(self.manifests / "platform.yaml", PLATFORM)
        for name in ("acme", "other"):
            domains = [domain(name, f"{letter}.{name}.example") for letter in "ab"]
            write(self.manifests / f"{name}.yaml", account(name), *domains)
        assert self.apply() == 0

    def apply(self, *options: str) -> int:
        return self.run("apply", "manifests", "--auto-approve", *options).status

    def lose_relay(self) -> None:
        without = re.sub(r"  managed:\n(    .*\n|      .*\n)+", "", PLATFORM)
        write(self.manifests / "platform.yaml", without.replace("managed: true", "managed: false"))

    def change(self, name: str, old: str, new: str) -> None:
        path = self.manifests / f"{name}.yaml"
        path.write_text(path.read_text().replace(old, new))

    def endpoint(self, name: str) -> str:
        return self.run("explain", name).out


@pytest.fixture
def platform(workdir: Path, sendroute: Program) -> Platform:
    return Platform(workdir, sendroute)


LIMITLESS = ("--max-change-percent", "100")


def test_an_account_that_is_held_back_keeps_the_relay(platform: Platform) -> None:
    for number in range(12):
        name = f"n{number}.acme.example"
        path = platform.manifests / "acme.yaml"
        path.write_text(path.read_text() + "---\n" + domain("acme", name))
    assert platform.apply() == 0
    platform.lose_relay()
    result = platform.run("apply", "manifests", "--auto-approve")
    assert result.status == 3
    assert "domains of accounts acme/acme, other/other are" in " ".join(result.out.split())
    assert ENDPOINT in platform.endpoint("a.acme.example")
    assert platform.apply(*LIMITLESS) == 0
    assert ENDPOINT not in platform.endpoint("a.acme.example")
    assert platform.run("plan", "manifests").out.strip() == "Plan: nothing to do."


def test_an_account_outside_the_plan_keeps_the_relay(platform: Platform) -> None:
    platform.lose_relay()
    result = platform.run("apply", "manifests", "--auto-approve", "--only", "other", *LIMITLESS)
    assert f"{STAYS} acme/acme are" in " ".join(result.out.split())
    assert ENDPOINT in platform.endpoint("a.acme.example")
    assert ENDPOINT not in platform.endpoint("a.other.example")
    assert platform.apply(*LIMITLESS) == 0
    assert ENDPOINT not in platform.endpoint("a.acme.example")


@pytest.mark.parametrize(
    ("old", "new"),
    [("plan: pro", "plan: pro, suspend: true"), ("plan: pro", "plan: pro, hots: 1")],
    ids=["suspended", "with an error"],
)
def test_an_account_that_cannot_change_keeps_the_relay(
    platform: Platform, old: str, new: str
) -> None:
    platform.change("acme", old, new)
    platform.lose_relay()
    result = platform.run("apply", "manifests", "--auto-approve", *LIMITLESS)
    assert f"{STAYS} acme/acme are" in " ".join(result.out.split())
    assert ENDPOINT in platform.endpoint("a.acme.example")
    assert STAYS in platform.run("status").out
    again = platform.run("plan", "manifests")
    assert "skip" in again.out
    platform.change("acme", new, old)
    assert platform.apply(*LIMITLESS) == 0
    assert ENDPOINT not in platform.endpoint("a.acme.example")


def test_a_secret_of_the_bounce_relay_is_rotated_while_the_managed_relay_is_kept(
    platform: Platform, workdir: Path
) -> None:
    secret = workdir / "s/sendroute-system/bounce"
    secret.mkdir(parents=True)
    for key, value in (("username", "u"), ("password", "one"), ("allowed-hosts", "b.example")):
        (secret / key).write_text(value)
    bounces = (
        "spec:\n  bounces: {relay: {host: b.example, port: 587, encryption: starttls, "
        "credentials: {secretRef: {name: bounce}}}}\n"
    )
    platform.lose_relay()
    platform.change("platform", "spec:\n", bounces)
    platform.change("acme", "plan: pro", "plan: pro, suspend: true")
    secrets = ("--secrets", "s", *LIMITLESS)
    assert platform.apply(*secrets) == 4
    (secret / "password").write_text("two")
    result = platform.run("apply", "manifests", "--auto-approve", *secrets)
    rotated = "The content of the secret of the bounce relay changed."
    assert rotated in " ".join(result.out.split())
    assert ENDPOINT in platform.endpoint("a.acme.example")
    assert rotated not in platform.run("plan", "manifests", *secrets).out


def test_a_relay_that_nothing_uses_any_more_is_removed_at_once(platform: Platform) -> None:
    platform.lose_relay()
    result = platform.run("apply", "manifests", "--auto-approve", *LIMITLESS)
    assert result.status == 0
    assert STAYS not in result.out
    assert platform.run("plan", "manifests").out.strip() == "Plan: nothing to do."
