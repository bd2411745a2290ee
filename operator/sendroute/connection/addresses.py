"""Which addresses a test may connect to: public ones, and those that the platform allows.

A tenant chooses the host, and the platform's machine connects. Without this rule a profile could
reach what only that machine can reach (RFC 1918 networks, the cloud's metadata service). Sources:
the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890 and its updates) and IANA's
IPv6 address space registry (unicast addresses are allocated from 2000::/3 only).
"""

from collections.abc import Iterator
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def networks(listed: tuple[str, ...]) -> tuple[Network, ...]:
    """Parse the platform's ``allowNetworks``.

    Raises:
        ValueError: an item is not a network or address.
    """
    return tuple(ip_network(text, strict=False) for text in listed)


def why_refused(address: Address, allowed: tuple[Network, ...]) -> str | None:
    """Check whether tests may connect to an address.

    An IPv6 address that embeds an IPv4 address (mapped, NAT64, 6to4, …) is checked for both: each
    must be public or allowed. A metadata service is reached only if it is listed as a single
    address (``169.254.169.254/32``): a wider network that contains it does not allow it.

    Returns:
        The kind of address if it is refused; None if it is allowed.
    """
    for checked in (address, *embedded(address)):
        kind = _kind(checked)
        if kind is not None and not _listed(checked, allowed):
            return kind
    return None


def _listed(address: Address, allowed: tuple[Network, ...]) -> bool:
    is_metadata = address in METADATA
    return any(address in net and (not is_metadata or net.num_addresses == 1) for net in allowed)


def _kind(address: Address) -> str | None:
    if address in METADATA:
        return "a cloud metadata service"
    for network, kind in _SPECIAL:
        if address in network:
            return kind
    if isinstance(address, IPv6Address) and address not in _UNICAST and address not in _NAT64:
        return "reserved (IANA IPv6 address space)"
    return None


METADATA: frozenset[Address] = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, Google Cloud, Oracle and most others
        "169.254.169.123",  # AWS time service
        "169.254.169.253",  # AWS resolver
        "169.254.170.2",  # AWS container credentials
        "169.254.170.23",  # AWS EKS pod identity
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure's host agent, in a public network
        "192.0.0.192",  # Oracle Cloud
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS EKS pod identity
        "fd20:ce::254",  # Google Cloud
        "fd00:42::42",  # Scaleway
    )
)

_SPECIAL: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(text), kind)
    for text, kind in (
        ("0.0.0.0/8", "unspecified (RFC 791)"),
        ("10.0.0.0/8", "private (RFC 1918)"),
        ("100.64.0.0/10", "carrier-grade NAT (RFC 6598)"),
        ("127.0.0.0/8", "loopback (RFC 1122)"),
        ("169.254.0.0/16", "link-local (RFC 3927)"),
        ("172.16.0.0/12", "private (RFC 1918)"),
        ("192.0.0.0/24", "reserved for protocols (RFC 6890)"),
        ("192.0.2.0/24", "reserved for documentation (RFC 5737)"),
        ("192.88.99.0/24", "a retired 6to4 relay (RFC 7526)"),
        ("192.168.0.0/16", "private (RFC 1918)"),
        ("198.18.0.0/15", "reserved for benchmarks (RFC 2544)"),
        ("198.51.100.0/24", "reserved for documentation (RFC 5737)"),
        ("203.0.113.0/24", "reserved for documentation (RFC 5737)"),
        ("224.0.0.0/4", "multicast (RFC 5771)"),
        ("240.0.0.0/4", "reserved (RFC 1112)"),
        ("::/128", "unspecified (RFC 4291)"),
        ("::1/128", "loopback (RFC 4291)"),
        ("::ffff:0:0/96", "IPv4-mapped (RFC 4291)"),
        ("::ffff:0:0:0/96", "IPv4-translated (RFC 2765)"),
        ("::/96", "IPv4-compatible (RFC 4291)"),
        ("64:ff9b:1::/48", "local NAT64 (RFC 8215)"),
        ("2001::/32", "Teredo (RFC 4380)"),
        ("2001::/23", "reserved for protocols (RFC 2928)"),
        ("2001:db8::/32", "reserved for documentation (RFC 3849)"),
        ("2002::/16", "6to4 (RFC 3056)"),
        ("3fff::/20", "reserved for documentation (RFC 9637)"),
        ("fc00::/7", "unique-local (RFC 4193)"),
        ("fe80::/10", "link-local (RFC 4291)"),
        ("fec0::/10", "site-local (RFC 3879)"),
        ("ff00::/8", "multicast (RFC 4291)"),
    )
)

_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")  # globally reachable: the embedded address decides
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
_UNSPECIFIED_AND_LOOPBACK = IPv6Network("::/127")  # in ::/96, but they embed no address
_THIS_NETWORK = IPv4Network("0.0.0.0/8")

_IN_LAST_32_BITS = tuple(
    IPv6Network(text) for text in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")
)


def embedded(address: Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that an IPv6 address embeds."""
    if isinstance(address, IPv4Address) or address in _UNSPECIFIED_AND_LOOPBACK:
        return
    octets = address.packed
    if any(address in network for network in _IN_LAST_32_BITS):
        yield IPv4Address(octets[12:])
    elif address in _LOCAL_NAT64:
        yield from _translated(octets)
    elif address.sixtofour is not None:
        yield address.sixtofour
    elif address.teredo is not None:
        yield from address.teredo


def _translated(octets: bytes) -> Iterator[IPv4Address]:
    """Every layout of RFC 6052, section 2.2 that fits below a /48, because the one that the site's
    translator uses is unknown. Octet 8 is skipped. A wrong layout yields 0.0.0.0/8, which no
    translator forwards."""
    layouts = (
        octets[6:8] + octets[9:11],
        octets[7:8] + octets[9:12],
        octets[9:13],
        octets[12:16],
    )
    for address in map(IPv4Address, layouts):
        if address not in _THIS_NETWORK:
            yield address
