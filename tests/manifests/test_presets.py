"""Presets: they fill what is absent, and an explicit value wins."""

from typing import get_args

import pytest
from msgspec import convert

from sendroute.manifests.fields import ProfileFields, Provider
from sendroute.manifests.names import Host, host
from sendroute.manifests.presets import PRESETS
from sendroute.manifests.profiles import Reporter, profile_of
from sendroute.model.finding import Finding, Where
from sendroute.model.profile import Encryption, Profile


def made(**fields: object) -> tuple[Profile | None, list[Finding]]:
    findings: list[Finding] = []
    place = Reporter(Where("a.yaml", 0, ("spec",)), None, findings)
    return profile_of(convert(fields, ProfileFields), place), findings


def test_every_provider_that_a_manifest_may_name_has_a_preset() -> None:
    assert set(PRESETS) == set(get_args(Provider))


@pytest.mark.parametrize("provider", [name for name in PRESETS if PRESETS[name].host])
def test_a_preset_alone_is_a_whole_profile(provider: Provider) -> None:
    profile, findings = made(provider=provider)
    assert findings == []
    assert profile is not None
    assert host(profile.host) == Host(profile.host)
    assert (profile.port, profile.encryption) == (587, Encryption.STARTTLS)
    assert profile.username == ("apikey" if provider == "sendgrid" else None)


@pytest.mark.parametrize("provider", sorted(PRESETS))
def test_a_preset_knows_its_spf_term_and_its_source(provider: Provider) -> None:
    assert PRESETS[provider].spf.startswith("include:")
    assert PRESETS[provider].source


def test_ses_is_regional_so_its_host_must_be_written() -> None:
    profile, (found,) = made(provider="ses")
    assert profile is None
    assert (found.code, found.where) == ("missing-field", Where("a.yaml", 0, ("spec",)))
    assert "email-smtp.REGION.amazonaws.com" in (found.hint or "")


def test_an_explicit_value_wins() -> None:
    profile, _ = made(
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
def test_port_and_encryption_fill_each_other_as_the_provider_serves_them(
    fields: dict[str, object], port: int, encryption: Encryption
) -> None:
    profile, _ = made(provider="sendgrid", **fields)
    assert profile is not None
    assert (profile.port, profile.encryption) == (port, encryption)


def test_tls_from_the_first_byte_with_a_provider_that_has_no_port_for_it_is_reported() -> None:
    profile, (found,) = made(provider="postmark", encryption="tls")
    assert profile is None
    assert found.code == "missing-field"
    assert "STARTTLS only" in (found.hint or "")


def test_without_a_preset_host_port_and_encryption_are_all_needed() -> None:
    profile, findings = made()
    assert profile is None
    assert [found.message.split()[0] for found in findings] == [
        "spec.encryption",
        "spec.port",
        "spec.host",
    ]
