"""The TLS policy of a profile and of the managed relay."""

import pytest

from sendroute.model.platform import Relay
from sendroute.model.profile import Encryption, Profile
from sendroute.model.smtp_client import TlsPolicy, is_address, tls_policy

NONE, STARTTLS, TLS = Encryption.NONE, Encryption.STARTTLS, Encryption.TLS
NAME = "smtp.example.com"


@pytest.mark.parametrize(
    ("host", "encryption", "expected"),
    [
        pytest.param(NAME, NONE, TlsPolicy(NONE, None, None), id="without TLS no name is checked"),
        pytest.param(NAME, STARTTLS, TlsPolicy(STARTTLS, NAME, NAME), id="a name is sent as SNI"),
        pytest.param(
            NAME + ".", TLS, TlsPolicy(TLS, NAME, NAME), id="a final dot is not part of the name"
        ),
        pytest.param(
            "8.8.8.8", TLS, TlsPolicy(TLS, "8.8.8.8", None), id="an IPv4 address is not sent as SNI"
        ),
        pytest.param(
            "2001::1", TLS, TlsPolicy(TLS, "2001::1", None), id="an IPv6 address is not sent as SNI"
        ),
    ],
)
def test_tls_policy_follows_host_and_encryption(
    host: str, encryption: Encryption, expected: TlsPolicy
) -> None:
    assert tls_policy(Profile(host, 587, encryption)) == expected
    assert tls_policy(Relay(host, 587, encryption)) == expected


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "[::1]", "a.example"])
def test_short_forms_and_names_are_not_addresses(host: str) -> None:
    assert not is_address(host)
