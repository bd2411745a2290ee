"""Presets supply missing fields, and an explicit value wins."""

from typing import get_args

import pytest
from msgspec import convert

from sendroute.manifests.fields import ProfileFields, Provider
from sendroute.manifests.names import Host, host
from sendroute.manifests.presets import PRESETS
from sendroute.manifests.profiles import Reporter, profile_of
from sendroute.model.finding import Finding, Where
from sendroute.model.profile import Encryption, Profile


def compile_profile(**fields: object) -> tuple[Profile | None, list[Finding]]:
    findings: list[Finding] = []
    reporter = Reporter(Where("a.yaml", 0, ("spec",)), None, findings)
    return profile_of(convert(fields, ProfileFields), reporter), findings


def test_every_provider_of_the_schema_has_a_preset() -> None:
    assert set(PRESETS) == set(get_args(Provider))


@pytest.mark.parametrize("provider", [name for name in PRESETS if PRESETS[name].host])
def test_a_preset_alone_gives_a_complete_profile(provider: Provider) -> None:
    profile, findings = compile_profile(provider=provider)
    assert findings == []
    assert profile is not None
    assert host(profile.host) == Host(profile.host)
    assert (profile.port, profile.encryption) == (587, Encryption.STARTTLS)
    assert profile.username == ("apikey" if provider == "sendgrid" else None)


@pytest.mark.parametrize("provider", sorted(PRESETS))
def test_a_preset_has_an_spf_term_and_a_source(provider: Provider) -> None:
    assert PRESETS[provider].spf.startswith("include:")
    assert PRESETS[provider].source


def test_ses_requires_a_host_because_it_is_regional() -> None:
    profile, (finding,) = compile_profile(provider="ses")
    assert profile is None
    assert (finding.code, finding.where) == ("missing-field", Where("a.yaml", 0, ("spec",)))
    assert "email-smtp.REGION.amazonaws.com" in (finding.hint or "")


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


def test_implicit_tls_with_a_provider_without_a_port_for_it_is_reported() -> None:
    profile, (finding,) = compile_profile(provider="postmark", encryption="tls")
    assert profile is None
    assert finding.code == "missing-field"
    assert "STARTTLS only" in (finding.hint or "")


def test_without_a_preset_host_port_and_encryption_are_required() -> None:
    profile, findings = compile_profile()
    assert profile is None
    assert [finding.message.split()[0] for finding in findings] == [
        "spec.encryption",
        "spec.port",
        "spec.host",
    ]
