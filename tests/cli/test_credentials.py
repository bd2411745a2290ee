"""Test the connection, then save and use it: real secrets, real sockets, a real store."""

import json
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from typing import Any, NamedTuple

import pytest

from .conftest import CommandResult, Program, account, domain, write, write_secret
from .provider import Provider


class Shop(NamedTuple):
    """An account whose profile `ses` is a provider on this machine."""

    sendroute: Program
    provider: Provider
    manifests: Path
    secret: Path

    def write(self, *documents: str, test: str = "required", extra: str = "") -> None:
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
{extra}"""
        shop = domain("acme", "shop.example.com", "{profile: ses}")
        write(self.manifests / "all.yaml", platform, account("acme"), profile, shop, *documents)

    def set_secret(self, password: str, user: str = "a-user") -> None:
        """Store this password and username in the secret."""
        write_secret(self.secret, password)
        (self.secret / "username").write_text(user)

    def accept_password(self, password: str, user: str = "a-user") -> None:
        self.provider.users[user] = password

    def apply(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        path = "manifests" if not arguments or arguments[0].startswith("-") else arguments[0]
        rest = arguments if path == "manifests" else arguments[1:]
        result = self.sendroute("apply", path, "--auto-approve", "-o", "json", *rest)
        assert result.status == status, result
        return dict(json.loads(result.out))

    def plan(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        result = self.sendroute("plan", "manifests", "-o", "json", *arguments)
        assert result.status == status, result
        return dict(json.loads(result.out))

    def domains(self) -> list[str]:
        routes = json.loads(self.sendroute("routes", "-o", "json").out)["domains"]
        return [route["domain"] for route in routes]

    def test(self, *arguments: str) -> CommandResult:
        return self.sendroute("test", *arguments)


def findings(report: dict[str, Any]) -> list[dict[str, Any]]:
    """All but `unusual-port`: the provider of these tests listens on an unusual port."""
    return [finding for finding in report["findings"] if finding["code"] != "unusual-port"]


def codes(report: dict[str, Any]) -> dict[str, str]:
    return {finding["code"]: finding["severity"] for finding in findings(report)}


def changes(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(change["name"], change["action"], change["reason"]) for change in report["changes"]]


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    server = Provider(tmp_path)
    yield server
    server.close()


@pytest.fixture
def shop(sendroute: Program, provider: Provider, workdir: Path, tmp_path: Path) -> Shop:
    shop = Shop(sendroute, provider, workdir / "manifests", tmp_path / "secrets/acme/ses-smtp")
    shop.write()
    shop.set_secret("right")
    shop.accept_password("right")
    assert sendroute("init").status == 0
    return shop


@pytest.fixture
def saved(shop: Shop) -> Shop:
    """The manifests are applied, and the connection has been tested."""
    shop.apply()
    assert shop.provider.offered_passwords == ["right"]
    shop.provider.offered_passwords.clear()
    return shop


def test_apply_tests_saves_and_uses_a_profile(shop: Shop) -> None:
    assert codes(shop.plan()) == {"connection-not-tested": "info"}
    assert shop.provider.offered_passwords == [], "a plan tests no connection"
    report = shop.apply()
    assert findings(report) == []
    assert shop.provider.offered_passwords == ["right"]
    assert shop.domains() == ["shop.example.com"]
    assert shop.plan("--detailed-exitcode")["changes"] == []
    shop.apply()
    assert shop.provider.offered_passwords == ["right"], "an unchanged profile is not tested again"


def test_a_profile_that_fails_its_test_is_not_saved_and_is_retried_by_the_next_apply(
    shop: Shop,
) -> None:
    shop.write(domain("acme", "plain.example.com", "{unconfigured: {}}"))
    shop.set_secret("wrong")
    report = shop.apply(status=4)
    assert codes(report) == {"connection-test-failed": "error", "dependency-skipped": "warning"}
    (failed,) = (f for f in report["findings"] if f["code"] == "connection-test-failed")
    assert "auth-failed" in failed["message"]
    assert failed["hint"].endswith("The next attempt tests it again.")
    (waits,) = (f for f in report["findings"] if f["code"] == "dependency-skipped")
    assert waits["hint"] == "Apply again when the profile can be saved.", "its fault may be none"
    assert failed["position"]["line"] > 1
    assert ("ses", "skip", "connection-test-failed") in changes(report)
    assert ("shop.example.com", "skip", "dependency-skipped") in changes(report)
    assert shop.domains() == ["plain.example.com"], "the rest is applied"
    shop.set_secret("right")
    shop.apply()
    assert shop.domains() == ["plain.example.com", "shop.example.com"]


def test_a_profile_whose_secret_lacks_its_password_is_not_said_to_have_none(
    shop: Shop,
) -> None:
    (shop.secret / "password").unlink()
    report = shop.apply(status=4)
    [message] = (row["message"] for row in report["changes"] if row["reason"] == "secret-missing")
    assert "is not saved: its secret is missing or incomplete;" in message
    [missing] = (f for f in report["findings"] if f["code"] == "secret-missing")
    assert "its password is missing" in missing["message"]


def test_a_failed_test_with_policy_warn_is_reported_and_the_profile_is_saved(shop: Shop) -> None:
    shop.write(test="warn")
    shop.set_secret("wrong")
    assert codes(shop.apply()) == {"connection-test-failed": "warning"}
    assert shop.domains() == ["shop.example.com"]


def test_a_profile_with_policy_skip_is_saved_without_a_test(shop: Shop) -> None:
    shop.write(test="skip")
    shop.set_secret("wrong")
    assert codes(shop.apply()) == {}
    assert shop.provider.offered_passwords == []


def test_plan_with_test_connections_shows_what_apply_would_skip(shop: Shop) -> None:
    shop.set_secret("wrong")
    report = shop.plan("--test-connections", status=4)
    assert ("ses", "skip", "connection-test-failed") in changes(report)
    assert changes(report) == changes(shop.apply(status=4))


# Secrets that change


def test_a_rotated_secret_is_a_change_that_is_tested_and_saved(saved: Shop) -> None:
    saved.set_secret("new")
    saved.accept_password("new")
    assert changes(saved.plan("--detailed-exitcode", status=2)) == [
        ("ses", "update", "credentials-changed")
    ]
    saved.apply()
    assert saved.provider.offered_passwords == ["new"]
    assert saved.plan("--detailed-exitcode")["changes"] == []


def test_a_rotated_username_is_a_change(saved: Shop) -> None:
    saved.set_secret("right", user="other")
    assert changes(saved.plan()) == [("ses", "update", "credentials-changed")]


def test_a_rotated_secret_that_fails_its_test_does_not_replace_the_working_credential(
    saved: Shop,
) -> None:
    saved.set_secret("typo")
    report = saved.apply(status=4)
    assert changes(report) == [("ses", "skip", "connection-test-failed")]
    saved.sendroute("history")
    assert saved.domains() == ["shop.example.com"]
    assert saved.test("ses", "--secrets", "").status == 0, "the credential in the store still works"


def test_a_suspended_profile_ignores_a_rotated_secret(saved: Shop) -> None:
    saved.write(extra="  suspend: true\n")
    saved.set_secret("new")
    assert saved.plan()["changes"] == []


def test_without_secrets_no_rotation_is_assumed(
    saved: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved.set_secret("new")
    monkeypatch.delenv("SENDROUTE_SECRETS")
    report = saved.plan("--detailed-exitcode")
    assert (changes(report), codes(report)) == ([], {"secret-not-compared": "info"})
    saved.apply()
    assert saved.provider.offered_passwords == []


def test_without_the_key_no_rotation_is_assumed(saved: Shop) -> None:
    saved.set_secret("new")
    Path("sendroute.key").rename("elsewhere")
    report = saved.plan()
    assert (changes(report), codes(report)) == ([], {"secret-not-compared": "info"})
    assert changes(saved.plan("--key-file", "elsewhere")) == [
        ("ses", "update", "credentials-changed")
    ]


# Secrets that cannot be used


@pytest.mark.parametrize("test", ["required", "warn", "skip"])
def test_a_profile_without_its_secret_is_not_saved_under_any_test_policy(
    shop: Shop, test: str
) -> None:
    shop.write(test=test)
    (shop.secret / "password").unlink()
    report = shop.apply(status=4)
    assert codes(report)["secret-missing"] == "error"
    assert ("ses", "skip", "secret-missing") in changes(report)
    assert shop.domains() == []
    assert codes(shop.plan(status=4))["secret-missing"] == "error", "plan reports it too"


def test_a_saved_profile_keeps_its_credential_when_its_secret_is_gone(saved: Shop) -> None:
    rmtree(saved.secret)
    report = saved.apply()
    assert (changes(report), codes(report)) == ([], {"secret-not-compared": "info"})
    assert "acme/ses-smtp" in findings(report)[0]["message"]
    saved.write(extra="  displayName: Provider\n")
    assert changes(saved.apply()) == [("ses", "update", "declared")]
    assert saved.test("ses", "--secrets", "").status == 0, "the profile kept its credential"


def test_no_credential_is_sent_to_a_host_missing_from_allowed_hosts(shop: Shop) -> None:
    (shop.secret / "allowed-hosts").write_text("smtp.provider.example\n")
    report = shop.apply(status=4)
    assert codes(report)["secret-not-bound"] == "error"
    assert shop.provider.offered_passwords == []
    (shop.secret / "allowed-hosts").write_text(f"localhost:{shop.provider.port}\n")
    shop.apply()
    assert shop.provider.offered_passwords == ["right"]


def test_a_relay_without_its_secret_leaves_the_platform_unchanged(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from .conftest import PLATFORM

    write(shop.manifests / "all.yaml", PLATFORM, account("acme"))
    monkeypatch.setenv("SENDROUTE_SECRETS", str(shop.secret))
    report = shop.apply(status=4)
    assert codes(report)["secret-missing"] == "error"
    assert changes(report) == [("default", "skip", "secret-missing")]
    monkeypatch.setenv("SENDROUTE_SECRETS", str(shop.secret.parents[1]))
    assert [action for _, action, _ in changes(shop.apply())] == ["create", "create"]
    write_secret(shop.secret.parents[1] / "sendroute-system/managed-relay", "turned")
    assert changes(shop.apply()) == [("default", "update", "credentials-changed")]
    assert shop.plan("--detailed-exitcode")["changes"] == []


# Saved plans


def test_connections_are_tested_when_a_saved_plan_is_applied(shop: Shop) -> None:
    shop.plan("--out", "change.plan")
    shop.provider.users.clear()
    report = shop.apply("change.plan", status=4)
    assert ("ses", "skip", "connection-test-failed") in changes(report)
    shop.accept_password("right")
    shop.apply("change.plan", status=3)  # the account exists now, so the decision differs


def test_a_saved_plan_applies_the_rotation_that_it_showed_only_once(saved: Shop) -> None:
    saved.set_secret("new")
    saved.accept_password("new")
    saved.plan("--out", "change.plan")
    saved.apply("change.plan")
    assert saved.provider.offered_passwords == ["new"]
    result = saved.sendroute("apply", "change.plan")
    assert (result.status, "stale-plan" in result.err) == (3, True)


def test_a_saved_plan_applies_no_rotation_that_it_did_not_show(saved: Shop) -> None:
    saved.write(domain("acme", "more.example.com"))
    saved.plan("--out", "change.plan")
    saved.set_secret("new")
    saved.apply("change.plan")
    assert saved.provider.offered_passwords == []
    assert changes(saved.plan()) == [("ses", "update", "credentials-changed")]


def test_a_saved_plan_never_applies_a_change_that_it_showed_as_skipped(shop: Shop) -> None:
    shop.set_secret("wrong")
    shop.plan("--test-connections", "--out", "change.plan", status=4)
    shop.set_secret("right")
    report = shop.apply("change.plan", status=4)
    assert ("ses", "skip", "connection-test-failed") in changes(report)
    assert shop.domains() == []
    shop.apply()
    assert shop.domains() == ["shop.example.com"]


# Keys


def test_without_a_key_nothing_is_saved(shop: Shop) -> None:
    Path("sendroute.key").unlink()
    assert shop.sendroute("apply", "manifests", "--auto-approve").status == 3
    assert shop.provider.offered_passwords == []


def test_with_a_wrong_key_apply_fails_and_saves_nothing(saved: Shop) -> None:
    from cryptography.fernet import Fernet

    Path("wrong").write_bytes(Fernet.generate_key())
    result = saved.sendroute("apply", "manifests", "--auto-approve", "--key-file", "wrong")
    assert (result.status, "credential-unreadable" in result.err) == (1, True)
    result = saved.test("ses", "--key-file", "wrong", "--secrets", "")
    assert (result.status, "credential-unreadable" in result.out) == (1, True)


def test_rekey_encrypts_all_credentials_with_the_new_key(saved: Shop) -> None:
    from cryptography.fernet import Fernet

    old, new = Path("sendroute.key").read_text(), Fernet.generate_key().decode()
    Path("keys").write_text(f"{new}\n{old}")
    Path("new").write_text(new)
    assert saved.sendroute("rekey", "--key-file", "new").status == 1
    rekeyed = saved.sendroute("rekey", "--key-file", "keys")
    assert rekeyed.out == "Re-encrypted 1 credential with the first of 2 keys.\n"
    again = saved.sendroute("rekey", "--key-file", "new")
    assert again.out == "Re-encrypted 1 credential with the given key.\n"
    assert codes(saved.plan("--key-file", "new", "--detailed-exitcode")) == {}
    assert saved.sendroute("plan", "manifests").status == 1, "the old key decrypts nothing any more"
    assert "rekeyed" in saved.sendroute("history", "-o", "json").out


def test_rekey_tells_the_credentials_of_earlier_versions_apart(saved: Shop) -> None:
    saved.set_secret("new")
    saved.accept_password("new")
    saved.apply()
    rekeyed = saved.sendroute("rekey").out
    assert rekeyed == (
        "Re-encrypted 2 credentials with the given key; 1 of earlier versions, for mail that"
        " waits.\n"
    )


# The test command


def test_saved_profiles_are_tested_with_the_given_secrets_or_with_those_in_the_store(
    saved: Shop,
) -> None:
    document = json.loads(saved.test("acme/ses", "-o", "json").out)
    (tested,) = document["results"]
    assert document["format_version"] == "1.0"
    assert (tested["namespace"], tested["profile"], tested["outcome"]) == ("acme", "ses", "ok")
    assert tested["seconds"] > 0
    saved.set_secret("wrong")
    result = saved.test("--all")
    assert (result.status, "auth-failed" in result.out) == (1, True)
    assert saved.test("--all", "--secrets", "").status == 0
    (saved.secret / "allowed-hosts").write_text("elsewhere.example")
    assert "secret-not-bound" in saved.test("ses").out
    (saved.secret / "allowed-hosts").unlink()
    (saved.secret / "password").unlink()
    assert "secret-missing" in saved.test("ses").out


def test_the_test_command_rejects_unknown_and_missing_profiles(saved: Shop) -> None:
    result = saved.test("sess")
    assert (result.status, "acme/ses" in result.err or "`ses`" in result.err) == (1, True)
    assert saved.test().status == 64
    assert saved.test("ses", "--all").status == 64


def test_a_new_provider_is_written_only_if_its_connection_test_passes(shop: Shop) -> None:
    def add(*options: str) -> CommandResult:
        profile = f"--new-profile next --host localhost --port {shop.provider.port}"
        settings = "--encryption starttls --secret ses-smtp --test manifests"
        arguments = f"edit add-domain new.example.com --account acme {profile} {settings}"
        return shop.sendroute(*arguments.split(), *options)

    before = (shop.manifests / "all.yaml").read_bytes()
    shop.set_secret("wrong")
    for options in ((), ("--dry-run",)):
        result = add(*options)
        assert result.status == 1, result
        assert "connection-test-failed" in result.err
        assert "auth-failed" in result.err
        assert (shop.manifests / "all.yaml").read_bytes() == before
    assert shop.provider.offered_passwords == ["wrong", "wrong"]
    (shop.secret / "allowed-hosts").write_text("elsewhere.example\n")
    result = add()
    assert (result.status, shop.provider.offered_passwords) == (1, ["wrong", "wrong"]), result
    assert "secret-not-bound" in result.err
    (shop.secret / "allowed-hosts").unlink()
    shop.set_secret("right")
    result = add()
    assert result.status == 0, result
    assert shop.provider.offered_passwords[2:] == ["right"]
    assert "new.example.com" in (shop.manifests / "all.yaml").read_text()


@pytest.mark.parametrize("neighbour", ["declares its secret", "has an error"])
def test_a_secret_variable_is_read_by_its_own_account_only(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, neighbour: str
) -> None:
    """acme/ses-smtp and acme-ses/smtp had the same variables in earlier versions."""
    for key, password in (("USERNAME", "a-user"), ("PASSWORD", "right")):
        monkeypatch.setenv(f"SENDROUTE_SECRET_ACME__SES_SMTP__{key}", password)
    monkeypatch.delenv("SENDROUTE_SECRETS", raising=False)
    shop.apply()
    assert shop.provider.offered_passwords == ["right"]
    shop.provider.offered_passwords.clear()
    other_account = f"""\
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
    write(shop.manifests / "thief.yaml", account("acme-ses"), other_account)
    if neighbour == "has an error":
        path = shop.manifests / "all.yaml"
        path.write_text(path.read_text().replace("encryption: starttls", "encryption: sometimes"))
    report = shop.apply(status=4 if neighbour == "declares its secret" else 1)
    assert codes(report)["secret-missing"] == "error"
    assert shop.provider.offered_passwords == []


def test_a_secret_variable_of_the_earlier_form_is_reported_with_its_new_name(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, password in (("USERNAME", "a-user"), ("PASSWORD", "right")):
        monkeypatch.setenv(f"SENDROUTE_SECRET_ACME_SES_SMTP_{key}", password)
    monkeypatch.delenv("SENDROUTE_SECRETS", raising=False)
    report = shop.apply(status=4)
    (problem,) = [finding for finding in findings(report) if finding["code"] == "secret-missing"]
    assert "SENDROUTE_SECRET_ACME_SES_SMTP_USERNAME" in problem["message"]
    assert "SENDROUTE_SECRET_ACME__SES_SMTP__USERNAME" in problem["hint"]
    assert shop.provider.offered_passwords == []


def test_a_tenant_is_never_sent_the_secret_of_the_managed_relay(shop: Shop) -> None:
    secrets = shop.secret.parents[1]
    write_secret(secrets / "sendroute-system/managed-relay", "password-of-the-relay")
    path = shop.manifests / "all.yaml"
    path.write_text(path.read_text().replace("{name: ses-smtp}", "{name: managed-relay}"))
    report = shop.apply(status=4)
    assert codes(report)["secret-missing"] == "error"
    assert shop.provider.offered_passwords == []


def test_an_unusable_rotated_secret_is_a_warning(saved: Shop) -> None:
    (saved.secret / "password").write_bytes(b"")
    assert codes(saved.apply()) == {"secret-not-compared": "warning"}
    (saved.secret / "password").unlink()
    assert codes(saved.apply()) == {"secret-not-compared": "warning"}
    saved.set_secret("right")
    (saved.secret / "allowed-hosts").write_text("elsewhere.example\n")
    assert codes(saved.plan()) == {"secret-not-compared": "warning"}


@pytest.fixture
def relative(shop: Shop, workdir: Path) -> Shop:
    """The platform specifies its caFile relative to its manifest."""
    shop.provider.ca_file.rename(workdir / "ca.pem")
    manifest = shop.manifests / "all.yaml"
    manifest.write_text(manifest.read_text().replace(str(shop.provider.ca_file), "../ca.pem"))
    return shop


def test_a_saved_plan_reads_the_ca_file_of_its_manifest_in_any_directory(
    relative: Shop, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relative.plan("--out", "change.plan")
    elsewhere = workdir / "another/directory"
    elsewhere.mkdir(parents=True)
    (workdir / "another/ca.pem").write_text("an authority that nobody chose")
    monkeypatch.chdir(elsewhere)
    store = f"sqlite:///{workdir}/sendroute.db"
    result = relative.sendroute("--store", store, "apply", f"{workdir}/change.plan")
    assert result.status == 0, result
    assert relative.provider.offered_passwords == ["right"]


def test_a_test_of_saved_profiles_uses_the_platform_of_the_given_manifests(relative: Shop) -> None:
    relative.apply()
    assert relative.test("--all", "--manifests", "manifests").status == 0
    without = relative.test("ses")
    assert without.status == 1
    text = " ".join(without.out.split())
    assert "Give the manifest of the MailPlatform too: the caFile is relative to it" in text
    assert f"without it {Path.cwd().parent / 'ca.pem'} was read" in text
    assert "Check the host" not in without.out
    assert "To give the manifest of the MailPlatform: --manifests PATH" in text


def test_a_reason_that_several_profiles_fail_for_is_printed_once(relative: Shop) -> None:
    path = relative.manifests / "all.yaml"
    other = [part for part in path.read_text().split("---\n") if "SMTPProfile" in part]
    copies = [part.replace("name: ses,", f"name: {name},") for part in other for name in "ab"]
    path.write_text("---\n".join([path.read_text(), *copies]))
    relative.apply()
    result = relative.test("--all")
    assert (result.status, result.out.count("Give the manifest of")) == (1, 1)
    assert result.out.count("As for acme/a.") == 2


def test_a_relative_ca_file_of_the_store_is_read_in_the_working_directory(
    relative: Shop, workdir: Path
) -> None:
    relative.apply()
    (workdir / "ca.pem").rename(workdir.parent / "ca.pem")
    assert relative.test("ses").status == 0
    given = relative.test("ses", "--manifests", "manifests")
    text = " ".join(given.out.split())
    assert "or the file at manifests/../ca.pem." in text
    assert "Give the manifest" not in text


def test_a_test_with_manifests_without_a_platform_fails(saved: Shop) -> None:
    write(saved.manifests / "all.yaml", account("acme"))
    result = saved.test("ses", "--manifests", "manifests")
    assert (result.status, "no-platform" in result.err) == (1, True)
