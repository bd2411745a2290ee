"""Which addresses tests may reach."""

from ipaddress import ip_address

import pytest

from sendroute.connection.addresses import embedded, networks, why_refused

REFUSED = {
    "0.0.0.0": "unspecified",  # noqa: S104
    "0.1.2.3": "unspecified",
    "10.1.2.3": "private",
    "100.64.0.1": "carrier-grade",
    "100.127.255.255": "carrier-grade",
    "100.100.100.200": "metadata",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "168.63.129.16": "metadata",
    "169.254.1.1": "link-local",
    "169.254.169.254": "metadata",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.0.0.8": "protocols",
    "192.0.2.1": "documentation",
    "192.88.99.1": "6to4",
    "192.168.1.1": "private",
    "198.18.0.1": "benchmarks",
    "198.51.100.1": "documentation",
    "203.0.113.1": "documentation",
    "224.0.0.1": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "::": "unspecified",
    "::1": "loopback",
    "::7f00:1": "compatible",
    "::ffff:127.0.0.1": "mapped",
    "::ffff:8.8.8.8": "mapped",
    "::ffff:0:127.0.0.1": "translated",
    "64:ff9b::127.0.0.1": "loopback",
    "64:ff9b::10.0.0.1": "private",
    "64:ff9b::169.254.169.254": "metadata",
    "64:ff9b:1::8.8.8.8": "local NAT64",
    "100::1": "reserved",
    "2001::1": "Teredo",
    "2001:2::1": "protocols",
    "2001:10::1": "protocols",
    "2001:20::1": "protocols",
    "2001:db8::1": "documentation",
    "2002:7f00:1::1": "6to4",
    "2002:808:808::1": "6to4",
    "3fff::1": "documentation",
    "4000::1": "reserved",
    "5f00::1": "reserved",
    "fc00::1": "unique-local",
    "fd00:ec2::254": "metadata",
    "fd12::1": "unique-local",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "fec0::1": "site-local",
    "ff02::1": "multicast",
}


@pytest.mark.parametrize(("address", "kind"), REFUSED.items(), ids=REFUSED)
def test_an_address_that_is_not_public_is_refused(address: str, kind: str) -> None:
    reason = why_refused(ip_address(address), ())
    assert reason is not None
    assert kind in reason


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::1",
        "2606:4700::1111",
        "64:ff9b::8.8.8.8",
    ],
)
def test_a_public_address_is_allowed(address: str) -> None:
    assert why_refused(ip_address(address), ()) is None


@pytest.mark.parametrize(
    ("address", "listed", "taken"),
    [
        pytest.param("10.1.2.3", ["10.0.0.0/8"], True, id="a listed network"),
        pytest.param("10.1.2.3", ["10.0.0.1/8"], True, id="host bits in the list do not matter"),
        pytest.param("10.1.2.3", ["10.1.2.3"], True, id="a listed address"),
        pytest.param("11.0.0.1", [], True, id="a public address needs no list"),
        pytest.param("192.168.1.1", ["10.0.0.0/8"], False, id="another network"),
        pytest.param("::1", ["::1/128"], True, id="IPv6 loopback, if listed"),
        pytest.param("::1", ["127.0.0.0/8"], False, id="IPv4 loopback is not IPv6's"),
        pytest.param("169.254.169.254", ["169.254.0.0/16"], False, id="metadata in a wide network"),
        pytest.param("fd00:ec2::254", ["fc00::/7"], False, id="IPv6 metadata in a wide network"),
        pytest.param("fd00:ec2::253", ["fc00::/7"], True, id="its neighbour in the same network"),
        pytest.param("169.254.169.254", ["169.254.169.254/32"], True, id="metadata by itself"),
        pytest.param("64:ff9b::10.0.0.1", ["10.0.0.0/8"], True, id="NAT64 of a listed address"),
        pytest.param("64:ff9b::10.0.0.1", ["64:ff9b::/96"], False, id="NAT64 listed, target not"),
        pytest.param("::ffff:10.0.0.1", ["10.0.0.0/8"], False, id="mapped: itself is not listed"),
        pytest.param("::ffff:10.0.0.1", ["::/0"], False, id="mapped: what it carries is not"),
        pytest.param("::ffff:10.0.0.1", ["10.0.0.0/8", "::/0"], True, id="mapped: both are listed"),
        pytest.param("2002:a00:1::1", ["2002::/16"], False, id="6to4: what it carries is private"),
        pytest.param("2002:808:808::1", ["2002::/16"], True, id="6to4 of a public address"),
        pytest.param("2001:0:808:808::f5ff:fffe", ["2001::/32"], False, id="Teredo, client"),
        pytest.param("2001:0:a00:1::f7f7:f7f7", ["2001::/32"], False, id="Teredo, server"),
        pytest.param("2001:0:808:808::f7f7:f7f7", ["2001::/32"], True, id="Teredo: both public"),
        pytest.param("64:ff9b:1::8.8.8.8", ["64:ff9b:1::/48"], True, id="local NAT64, last bits"),
        pytest.param("64:ff9b:1::10.0.0.1", ["64:ff9b:1::/48"], False, id="and a private target"),
        pytest.param("64:ff9b:1:a00:0:100::", ["64:ff9b:1::/48"], False, id="in a /48's layout"),
        pytest.param("64:ff9b:1:a:0:1::", ["64:ff9b:1::/48"], False, id="in a /56's layout"),
        pytest.param("64:ff9b:1:0:a:0:100:0", ["64:ff9b:1::/48"], False, id="in a /64's layout"),
    ],
)  # fmt: skip
def test_allowed_networks_of_the_platform(address: str, listed: list[str], taken: bool) -> None:
    reason = why_refused(ip_address(address), networks(tuple(listed)))
    assert (reason is None) is taken


def test_embedded_addresses_of_local_nat64_follow_rfc_6052() -> None:
    """The examples of RFC 6052, section 2.4 for 192.0.2.33, with another prefix."""
    for layout in ("64:ff9b:1:c000:2:2100::", "64:ff9b:1:c0:0:221::", "64:ff9b:1:0:c0:2:2100::",
                   "64:ff9b:1::192.0.2.33"):  # fmt: skip
        assert ip_address("192.0.2.33") in list(embedded(ip_address(layout))), layout


def test_an_invalid_network_is_rejected() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        networks(("10.0.0.0/33",))
