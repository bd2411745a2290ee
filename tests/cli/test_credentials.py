"""Test the connection, then save and use it: real secrets, real sockets, a real store."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .conftest import Program, Ran, account, domain, lay_secret, write
from .provider import Provider


class Shop(NamedTuple):
    """One account whose profile `ses` is a provider on this machine."""

    sendroute: Program
    provider: Provider
    manifests: Path
    secret: Path

    def write(self, *documents: str, test: str = "required", more: str = "") -> None:
        platform = f"""\
apiVersion: sendroute.dev/v1alpha1
kind: MailPlatform
metadata: {{name: default}}
spec:
  connectionTest: {{allowNetworks: [127.0.0.0/8, "::1/128"], caFile: {self.provider.ca_file}}}
  plans: [{{name: pro, managed: false}}]
"""
        profile = f"""\
apiVersion: sendroute.dev/v1alpha1
kind: SMTPProfile
metadata: {{name: ses, namespace: acme}}
spec:
  account: acme
  host: localhost
  port: {self.provider.port}
  encryption: starttls
  credentials: {{secretRef: {{name: ses-smtp}}}}
  connectionTest: {test}
{more}"""
        shop = domain("acme", "shop.example.com", "{profile: ses}")
        write(self.manifests / "all.yaml", platform, account("acme"), profile, shop, *documents)

    def say(self, word: str, user: str = "a-user") -> None:
        """The secret holds this password."""
        lay_secret(self.secret, word)
        (self.secret / "username").write_text(user)

    def accept(self, word: str, user: str = "a-user") -> None:
        self.provider.users[user] = word

    def apply(self, *words: str, status: int = 0) -> dict[str, Any]:
        path = "manifests" if not words or words[0].startswith("-") else words[0]
        rest = words if path == "manifests" else words[1:]
        ran = self.sendroute("apply", path, "--auto-approve", "-o", "json", *rest)
        assert ran.status == status, ran
        return dict(json.loads(ran.out))

    def plan(self, *words: str, status: int = 0) -> dict[str, Any]:
        ran = self.sendroute("plan", "manifests", "-o", "json", *words)
        assert ran.status == status, ran
        return dict(json.loads(ran.out))

    def domains(self) -> list[str]:
        routes = json.loads(self.sendroute("routes", "-o", "json").out)["domains"]
        return [each["domain"] for each in routes]

    def test(self, *words: str) -> Ran:
        return self.sendroute("test", *words)


def findings(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Not that the provider here listens where none does."""
    return [found for found in told["findings"] if found["code"] != "unusual-port"]


def codes(told: dict[str, Any]) -> dict[str, str]:
    return {found["code"]: found["severity"] for found in findings(told)}


def changes(told: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each["name"], each["action"], each["reason"]) for each in told["changes"]]


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    server = Provider(tmp_path)
    yield server
    server.close()


@pytest.fixture
def shop(sendroute: Program, provider: Provider, place: Path, tmp_path: Path) -> Shop:
    one = Shop(sendroute, provider, place / "manifests", tmp_path / "secrets/acme/ses-smtp")
    one.write()
    one.say("right")
    one.accept("right")
    assert sendroute("init").status == 0
    return one


@pytest.fixture
def saved(shop: Shop) -> Shop:
    """Applied once, the provider asked once."""
    shop.apply()
    assert shop.provider.seen == ["right"]
    shop.provider.seen.clear()
    return shop


def test_a_profile_is_tested_saved_and_used(shop: Shop) -> None:
    assert codes(shop.plan()) == {"connection-not-tested": "info"}
    assert shop.provider.seen == [], "a plan asks nobody"
    told = shop.apply()
    assert findings(told) == []
    assert shop.provider.seen == ["right"]
    assert shop.domains() == ["shop.example.com"]
    assert shop.plan("--detailed-exitcode")["changes"] == []
    shop.apply()
    assert shop.provider.seen == ["right"], "what has not changed is not tested again"


def test_a_profile_that_fails_is_not_saved_and_the_next_apply_tries_again(shop: Shop) -> None:
    shop.write(domain("acme", "plain.example.com", "{unconfigured: {}}"))
    shop.say("wrong")
    told = shop.apply(status=4)
    assert codes(told) == {"connection-test-failed": "error", "dependency-skipped": "warning"}
    (failed,) = (f for f in told["findings"] if f["code"] == "connection-test-failed")
    assert "auth-failed" in failed["message"]
    assert failed["position"]["line"] > 1
    assert ("ses", "skip", "connection-test-failed") in changes(told)
    assert ("shop.example.com", "skip", "dependency-skipped") in changes(told)
    assert shop.domains() == ["plain.example.com"], "the rest goes on"
    shop.say("right")
    shop.apply()
    assert shop.domains() == ["plain.example.com", "shop.example.com"]


def test_a_profile_that_only_warns_is_saved_and_told(shop: Shop) -> None:
    shop.write(test="warn")
    shop.say("wrong")
    assert codes(shop.apply()) == {"connection-test-failed": "warning"}
    assert shop.domains() == ["shop.example.com"]


def test_a_profile_that_skips_is_saved_untested(shop: Shop) -> None:
    shop.write(test="skip")
    shop.say("wrong")
    assert codes(shop.apply()) == {}
    assert shop.provider.seen == []


def test_plan_can_test_too_and_shows_what_apply_would_skip(shop: Shop) -> None:
    shop.say("wrong")
    told = shop.plan("--test-connections", status=4)
    assert ("ses", "skip", "connection-test-failed") in changes(told)
    assert changes(told) == changes(shop.apply(status=4))


# Secrets that change


def test_a_rotated_secret_is_a_change_that_is_tested_and_saved(saved: Shop) -> None:
    saved.say("new")
    saved.accept("new")
    assert changes(saved.plan("--detailed-exitcode", status=2)) == [
        ("ses", "update", "credentials-changed")
    ]
    saved.apply()
    assert saved.provider.seen == ["new"]
    assert saved.plan("--detailed-exitcode")["changes"] == []


def test_a_rotated_username_is_a_change_too(saved: Shop) -> None:
    saved.say("right", user="other")
    assert changes(saved.plan()) == [("ses", "update", "credentials-changed")]


def test_a_rotated_secret_that_fails_leaves_the_one_that_works(saved: Shop) -> None:
    saved.say("typo")
    told = saved.apply(status=4)
    assert changes(told) == [("ses", "skip", "connection-test-failed")]
    saved.sendroute("history")
    assert saved.domains() == ["shop.example.com"]
    assert saved.test("ses", "--secrets", "").status == 0, "by the credential in the store"


def test_a_suspended_profile_does_not_take_its_new_secret(saved: Shop) -> None:
    saved.write(more="  suspend: true\n")
    saved.say("new")
    assert saved.plan()["changes"] == []


def test_without_secrets_nothing_is_compared_nor_guessed(
    saved: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved.say("new")
    monkeypatch.delenv("SENDROUTE_SECRETS")
    told = saved.plan("--detailed-exitcode")
    assert (changes(told), codes(told)) == ([], {"secret-not-compared": "info"})
    saved.apply()
    assert saved.provider.seen == []


def test_without_the_key_nothing_is_compared_nor_guessed(saved: Shop) -> None:
    saved.say("new")
    Path("sendroute.key").rename("elsewhere")
    told = saved.plan()
    assert (changes(told), codes(told)) == ([], {"secret-not-compared": "info"})
    assert changes(saved.plan("--key-file", "elsewhere")) == [
        ("ses", "update", "credentials-changed")
    ]


# Secrets that cannot be used


@pytest.mark.parametrize("test", ["required", "warn", "skip"])
def test_without_its_secret_a_profile_is_not_saved_whatever_it_says(shop: Shop, test: str) -> None:
    shop.write(test=test)
    (shop.secret / "password").unlink()
    told = shop.apply(status=4)
    assert codes(told)["secret-missing"] == "error"
    assert ("ses", "skip", "secret-missing") in changes(told)
    assert shop.domains() == []
    assert codes(shop.plan(status=4))["secret-missing"] == "error", "a plan says so too"


def test_a_saved_profile_whose_secret_is_gone_stays_as_it_is(saved: Shop) -> None:
    (saved.secret / "password").unlink()
    told = saved.apply()
    assert (changes(told), codes(told)) == ([], {"secret-not-compared": "info"})
    assert "acme/ses-smtp" in findings(told)[0]["message"]
    saved.write(more="  displayName: Provider\n")
    assert changes(saved.apply()) == [("ses", "update", "declared")]
    assert saved.test("ses", "--secrets", "").status == 0, "it kept its credential"


def test_not_one_byte_goes_to_a_host_that_the_secrets_owner_did_not_list(shop: Shop) -> None:
    (shop.secret / "allowed-hosts").write_text("smtp.provider.example\n")
    told = shop.apply(status=4)
    assert codes(told)["secret-not-bound"] == "error"
    assert shop.provider.seen == []
    (shop.secret / "allowed-hosts").write_text(f"localhost:{shop.provider.port}\n")
    shop.apply()
    assert shop.provider.seen == ["right"]


def test_a_relay_without_its_secret_leaves_the_platform_as_it_was(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from .conftest import PLATFORM

    write(shop.manifests / "all.yaml", PLATFORM, account("acme"))
    monkeypatch.setenv("SENDROUTE_SECRETS", str(shop.secret))
    told = shop.apply(status=4)
    assert codes(told)["secret-missing"] == "error"
    assert changes(told) == [("default", "skip", "secret-missing")]
    monkeypatch.setenv("SENDROUTE_SECRETS", str(shop.secret.parents[1]))
    assert [action for _, action, _ in changes(shop.apply())] == ["create", "create"]
    lay_secret(shop.secret.parents[1] / "default/managed-relay", "turned")
    assert changes(shop.apply()) == [("default", "update", "credentials-changed")]
    assert shop.plan("--detailed-exitcode")["changes"] == []


# Saved plans


def test_a_saved_plan_is_tested_when_it_is_applied(shop: Shop) -> None:
    shop.plan("--out", "change.plan")
    shop.provider.users.clear()
    told = shop.apply("change.plan", status=4)
    assert ("ses", "skip", "connection-test-failed") in changes(told)
    shop.accept("right")
    shop.apply("change.plan", status=3)  # the account is there by now: another decision


def test_a_saved_plan_carries_out_the_rotation_that_it_showed_once(saved: Shop) -> None:
    saved.say("new")
    saved.accept("new")
    saved.plan("--out", "change.plan")
    saved.apply("change.plan")
    assert saved.provider.seen == ["new"]
    ran = saved.sendroute("apply", "change.plan")
    assert (ran.status, "stale-plan" in ran.err) == (3, True)


def test_a_saved_plan_takes_no_new_secret_that_it_did_not_show(saved: Shop) -> None:
    saved.write(domain("acme", "more.example.com"))
    saved.plan("--out", "change.plan")
    saved.say("new")
    saved.apply("change.plan")
    assert saved.provider.seen == []
    assert changes(saved.plan()) == [("ses", "update", "credentials-changed")]


def test_a_saved_plan_never_does_what_it_showed_as_skipped(shop: Shop) -> None:
    shop.say("wrong")
    shop.plan("--test-connections", "--out", "change.plan", status=4)
    shop.say("right")
    told = shop.apply("change.plan", status=4)
    assert ("ses", "skip", "connection-test-failed") in changes(told)
    assert shop.domains() == []
    shop.apply()
    assert shop.domains() == ["shop.example.com"]


# Keys


def test_without_a_key_nothing_is_saved(shop: Shop) -> None:
    Path("sendroute.key").unlink()
    assert shop.sendroute("apply", "manifests", "--auto-approve").status == 3
    assert shop.provider.seen == []


def test_with_a_wrong_key_nothing_is_compared_nor_saved(saved: Shop) -> None:
    from cryptography.fernet import Fernet

    Path("wrong").write_bytes(Fernet.generate_key())
    ran = saved.sendroute("apply", "manifests", "--auto-approve", "--key-file", "wrong")
    assert (ran.status, "credential-unreadable" in ran.err) == (1, True)


def test_keys_are_turned(saved: Shop) -> None:
    from cryptography.fernet import Fernet

    old, new = Path("sendroute.key").read_text(), Fernet.generate_key().decode()
    Path("keys").write_text(f"{new}\n{old}")
    Path("new").write_text(new)
    assert saved.sendroute("rekey", "--key-file", "new").status == 1
    rekeyed = saved.sendroute("rekey", "--key-file", "keys")
    assert rekeyed.out.startswith("Re-encrypted 1 credential")
    assert codes(saved.plan("--key-file", "new", "--detailed-exitcode")) == {}
    assert saved.sendroute("plan", "manifests").status == 1, "the old one opens nothing any more"
    assert "rekeyed" in saved.sendroute("history", "-o", "json").out


# The test command


def test_saved_profiles_are_tested_by_the_secrets_given_or_by_the_stores(saved: Shop) -> None:
    told = json.loads(saved.test("acme/ses", "-o", "json").out)
    (result,) = told["results"]
    assert told["format_version"] == "1.0"
    assert (result["namespace"], result["profile"], result["outcome"]) == ("acme", "ses", "ok")
    assert result["seconds"] > 0
    saved.say("wrong")
    ran = saved.test("--all")
    assert (ran.status, "auth-failed" in ran.out) == (1, True)
    assert saved.test("--all", "--secrets", "").status == 0
    (saved.secret / "allowed-hosts").write_text("elsewhere.example")
    assert "secret-not-bound" in saved.test("ses").out
    (saved.secret / "allowed-hosts").unlink()
    (saved.secret / "password").unlink()
    assert "secret-missing" in saved.test("ses").out


def test_what_is_not_there_to_be_tested(saved: Shop) -> None:
    ran = saved.test("sess")
    assert (ran.status, "acme/ses" in ran.err or "`ses`" in ran.err) == (1, True)
    assert saved.test().status == 64
    assert saved.test("ses", "--all").status == 64


def test_a_new_provider_is_written_only_where_its_connection_test_passes(shop: Shop) -> None:
    def add(*more: str) -> Ran:
        named = f"--new-profile next --host localhost --port {shop.provider.port}"
        how = "--encryption starttls --secret ses-smtp --test manifests"
        words = f"edit add-domain new.example.com --account acme {named} {how}"
        return shop.sendroute(*words.split(), *more)

    before = (shop.manifests / "all.yaml").read_bytes()
    shop.say("wrong")
    for more in ((), ("--dry-run",)):
        ran = add(*more)
        assert ran.status == 1, ran
        assert "connection-test-failed" in ran.err
        assert "auth-failed" in ran.err
        assert (shop.manifests / "all.yaml").read_bytes() == before
    assert shop.provider.seen == ["wrong", "wrong"]
    (shop.secret / "allowed-hosts").write_text("elsewhere.example\n")
    ran = add()
    assert (ran.status, shop.provider.seen) == (1, ["wrong", "wrong"]), ran
    assert "secret-not-bound" in ran.err
    (shop.secret / "allowed-hosts").unlink()
    shop.say("right")
    ran = add()
    assert ran.status == 0, ran
    assert shop.provider.seen[2:] == ["right"]
    assert "new.example.com" in (shop.manifests / "all.yaml").read_text()


def test_the_variables_of_a_saved_profile_are_nobody_elses_while_its_own_file_is_broken(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, word in (("USERNAME", "a-user"), ("PASSWORD", "right")):
        monkeypatch.setenv(f"SENDROUTE_SECRET_ACME_SES_SMTP_{key}", word)
    monkeypatch.delenv("SENDROUTE_SECRETS", raising=False)
    shop.apply()
    shop.provider.seen.clear()
    thief = f"""\
apiVersion: sendroute.dev/v1alpha1
kind: SMTPProfile
metadata: {{name: ses, namespace: acme-ses}}
spec:
  account: acme-ses
  host: localhost
  port: {shop.provider.port}
  encryption: starttls
  credentials: {{secretRef: {{name: smtp}}}}
"""
    write(shop.manifests / "thief.yaml", account("acme-ses"), thief)
    mine = shop.manifests / "all.yaml"
    mine.write_text(mine.read_text().replace("encryption: starttls", "encryption: sometimes"))
    told = shop.apply(status=1)
    assert codes(told)["secret-ambiguous"] == "error"
    assert shop.provider.seen == []


def test_a_rotation_that_went_wrong_is_a_warning(saved: Shop) -> None:
    (saved.secret / "password").write_bytes(b"")
    assert codes(saved.apply()) == {"secret-not-compared": "warning"}
    saved.say("right")
    (saved.secret / "allowed-hosts").write_text("elsewhere.example\n")
    assert codes(saved.plan()) == {"secret-not-compared": "warning"}
