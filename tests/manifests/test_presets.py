"""Presets supply missing fields, an explicit value wins, and what they know is checked offline."""

import re
from typing import Any, get_args

import pytest
from msgspec import convert

from sendroute.manifests.fields import ProfileFields
from sendroute.manifests.fields import ProviderName as ProviderName
from sendroute.manifests.names import Host, host
from sendroute.manifests.problems import problems
from sendroute.manifests.profiles import FindingCollector, profile_of
from sendroute.model.finding import Finding, Where
from sendroute.model.profile import Encryption, Profile
from sendroute.model.providers import ALIASES, PROVIDERS, preset_meant_by, speaks_tls_at_once

USERNAMES = {
    "sendgrid": "apikey",
    "sparkpost": "SMTP_Injection",
    "resend": "resend",
    "zeptomail": "emailapikey",
}
EVERY_PORT = [
    (name, port, encryption)
    for name, provider in PROVIDERS.items()
    for encryption, ports in (("starttls", provider.starttls_ports), ("tls", provider.tls_ports))
    for port in ports
]


def compile_profile(**fields: object) -> tuple[Profile | None, list[Finding]]:
    findings: list[Finding] = []
    reporter = FindingCollector("SMTPProfile p", Where("a.yaml", 0, ("spec",)), None, findings)
    return profile_of(convert(fields, ProfileFields), reporter), findings


def codes(**fields: object) -> list[str]:
    return [finding.code for finding in compile_profile(**fields)[1]]


def test_every_provider_of_the_schema_has_a_preset() -> None:
    assert set(PROVIDERS) == set(get_args(ProviderName))


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if PROVIDERS[name].host])
def test_a_preset_alone_gives_a_complete_profile(provider: str) -> None:
    profile, findings = compile_profile(provider=provider)
    assert findings == []
    assert profile is not None
    assert host(profile.host) == Host(profile.host)
    assert (profile.port, profile.encryption) == (587, Encryption.STARTTLS)
    assert profile.username == USERNAMES.get(provider)


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_a_preset_has_sources_and_what_they_say_is_well_formed(provider: str) -> None:
    known = PROVIDERS[provider]
    assert known.sources
    assert all(source.startswith("https://") for source in known.sources)
    assert known.spf is None or known.spf.startswith("include:")
    lists = (known.starttls_ports, known.tls_ports, known.ports_without_tls)
    assert sum(map(len, lists)) == len(known.ports), "a port is in one list"
    assert known.starttls_ports


@pytest.mark.parametrize("provider", ["ses", "oci"])
def test_a_regional_provider_requires_a_host(provider: str) -> None:
    profile, (finding,) = compile_profile(provider=provider)
    assert profile is None
    assert (finding.code, finding.where) == ("missing-field", Where("a.yaml", 0, ("spec",)))
    assert "REGION" in (finding.hint or "")


def test_an_explicit_value_wins() -> None:
    profile, _ = compile_profile(
        provider="mailgun", host="SMTP.eu.mailgun.org", port=2525, encryption="starttls"
    )
    assert profile is not None
    assert (profile.host, profile.port) == ("smtp.eu.mailgun.org", 2525)


@pytest.mark.parametrize(
    ("fields", "port", "encryption"),
    [
        ({"port": 465}, 465, Encryption.TLS),
        ({"encryption": "tls"}, 465, Encryption.TLS),
        ({"port": 2525}, 2525, Encryption.STARTTLS),
        ({"port": 465, "encryption": "starttls"}, 465, Encryption.STARTTLS),
    ],
)
def test_port_and_encryption_are_completed_as_the_provider_offers_them(
    fields: dict[str, object], port: int, encryption: Encryption
) -> None:
    profile, _ = compile_profile(provider="sendgrid", **fields)
    assert profile is not None
    assert (profile.port, profile.encryption) == (port, encryption)


@pytest.mark.parametrize("provider", ["postmark", "microsoft365", "google", "sparkpost"])
def test_implicit_tls_with_a_provider_without_a_port_for_it_is_reported(provider: str) -> None:
    profile, (finding,) = compile_profile(provider=provider, encryption="tls")
    assert profile is None
    assert finding.code == "missing-field"
    assert "starttls on" in (finding.hint or "")


def test_a_preset_never_guesses_the_encryption_of_a_port_that_it_does_not_know() -> None:
    assert codes(provider="mailgun", port=2587) == ["missing-field", "unusual-port"]
    assert codes(provider="mailgun", port=2587, encryption="starttls") == ["unusual-port"]


def test_without_a_preset_host_port_and_encryption_are_required() -> None:
    profile, findings = compile_profile()
    assert profile is None
    assert [finding.message.split()[2] for finding in findings] == [
        "spec.encryption",
        "spec.port",
        "spec.host",
    ]


# What is known of ports


@pytest.mark.parametrize(("provider", "port", "encryption"), EVERY_PORT)
def test_a_port_that_the_provider_documents_is_accepted(
    provider: str, port: int, encryption: str
) -> None:
    at = {"provider": provider, "host": "smtp.example.com", "port": port}
    assert codes(**at, encryption=encryption) == []
    profile, findings = compile_profile(**at)
    assert findings == []
    assert profile is not None
    assert profile.encryption == encryption, "the preset supplies it"


@pytest.mark.parametrize(("provider", "port", "encryption"), EVERY_PORT)
def test_the_other_encryption_on_a_documented_port_is_reported(
    provider: str, port: int, encryption: str
) -> None:
    other = "tls" if encryption == "starttls" else "starttls"
    profile, (finding,) = compile_profile(
        provider=provider, host="smtp.example.com", port=port, encryption=other
    )
    assert profile is not None
    assert (finding.code, finding.severity) == ("encryption-mismatch", "warning")
    assert f"port {port} of {provider}" in finding.message
    assert f"Set encryption: {encryption}" in (finding.hint or "")
    assert finding.where is not None
    assert finding.where.path == ("spec", "encryption")


@pytest.mark.parametrize(
    ("port", "encryption", "expected"),
    [
        (465, "starttls", ["encryption-mismatch"]),
        (465, "none", ["encryption-mismatch"]),
        (587, "tls", ["encryption-mismatch"]),
        (25, "tls", ["encryption-mismatch"]),
        (2525, "tls", []),
        (2587, "starttls", []),
        (25, "none", []),
        (8025, "starttls", ["unusual-port"]),
        (2465, "tls", ["unusual-port"]),
    ],
)
def test_without_a_preset_the_standard_ports_are_known(
    port: int, encryption: str, expected: list[str]
) -> None:
    assert codes(host="smtp.example.com", port=port, encryption=encryption) == expected


def test_the_port_of_google_without_tls_is_reported_with_tls() -> None:
    for encryption in ("tls", "starttls"):
        (finding,) = compile_profile(provider="google", port=465, encryption=encryption)[1]
        assert finding.code == "encryption-mismatch"
        assert "without TLS only" in finding.message
    assert codes(provider="google", port=465, encryption="none") == []
    assert codes(provider="google", port=465) == ["missing-field"]


@pytest.mark.parametrize("provider", [None, "ses"])
def test_the_message_about_a_port_claims_only_what_is_known(provider: str | None) -> None:
    fields: dict[str, Any] = {"host": "smtp.example.com", "port": 26, "encryption": "starttls"}
    (finding,) = compile_profile(**fields, **({"provider": provider} if provider else {}))[1]
    ports = "25, 465, 587, 2465, 2587" if provider else "25, 465, 587, 2525, 2587"
    assert finding.message.endswith(f"{ports}.")
    assert "do not use" not in finding.message


@pytest.mark.parametrize(
    ("provider", "port", "expected"),
    [
        (None, 465, True),
        (None, 587, False),
        (None, 2465, None),
        ("ses", 2465, True),
        ("ses", 2587, False),
        ("postmark", 465, True),
        ("google", 465, False),
        ("unknown", 465, True),
    ],
)
def test_whether_a_port_is_for_tls_from_the_first_byte(
    provider: str | None, port: int, expected: bool | None
) -> None:
    assert speaks_tls_at_once(provider, port) is expected


# Other names


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        ("gmail", "google"),
        ("Google Workspace", "google"),
        ("office365", "microsoft365"),
        ("Microsoft-365", "microsoft365"),
        ("amazon", "ses"),
        ("Amazon SES", "ses"),
        ("SendinBlue", "brevo"),
        ("SES", "ses"),
        ("postfix", None),
        ("", None),
    ],
)
def test_another_name_of_a_provider_leads_to_its_preset(name: str, preset: str | None) -> None:
    assert preset_meant_by(name) == preset


@pytest.mark.parametrize("alias", sorted(ALIASES))
def test_an_alias_in_a_manifest_is_an_error_that_names_the_preset(alias: str) -> None:
    assert ALIASES[alias] in PROVIDERS
    document = {
        "apiVersion": "sendroute.dev/v1alpha1",
        "kind": "SMTPProfile",
        "metadata": {"name": "p", "namespace": "acme"},
        "spec": {"account": "acme", "provider": alias},
    }
    (problem,) = problems("SMTPProfile", document)
    assert problem.hint == f"Did you mean {ALIASES[alias]}?"


@pytest.mark.parametrize("provider", ["sendgrid", "brevo", "mailgun"])
def test_a_missing_encryption_gets_the_ports_and_their_encryption(provider: str) -> None:
    profile, findings = compile_profile(provider=provider, port=2526)
    assert profile is None
    (missing,) = (item for item in findings if item.code == "missing-field")
    assert re.fullmatch(
        r"The provider documents starttls on [0-9, ]+; tls on 465\.", missing.hint or ""
    )
