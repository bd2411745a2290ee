"""The addresses of a host, resolved once: the same addresses are checked and then connected to."""

import asyncio
from collections.abc import Iterable, Sequence
from ipaddress import ip_address

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.resolver
from msgspec import Struct

from sendroute.connection.addresses import Address
from sendroute.connection.failure import ConnectionTestError
from sendroute.model.connection import ConnectionOutcome
from sendroute.model.smtp_client import is_address

LOOKUP_TIMEOUT = 5.0
"""Seconds for the lookup of a host, both address families at once: a third of a test's time."""

_MAX_HOSTS_BYTES = 1 << 20


class Nameserver(Struct, frozen=True):
    address: str
    port: int = 53


class Addresses(Struct, frozen=True):
    """``from_hosts`` is true if they come from the hosts file. Postfix does not read it if it
    resolves hosts with DNS alone (``smtp_host_lookup = dns``, as Sendroute sets it)."""

    addresses: tuple[Address, ...]
    from_hosts: bool = False


class Resolver:
    """Resolves names as the system does: first the hosts file, then the name servers (``files dns``
    in nsswitch.conf). Names are absolute, without the
    system's search list, as for Postfix.

    Args:
        nameservers: used instead of those of /etc/resolv.conf.
        hosts_file: None for no such file. It is read when the resolver is created.
    """

    def __init__(
        self,
        nameservers: Sequence[Nameserver] | None = None,
        hosts_file: str | None = "/etc/hosts",
    ) -> None:
        self._hosts = _read_hosts(hosts_file) if hosts_file else {}
        self._dns = _configured(nameservers)

    async def addresses(self, host: str) -> Addresses:
        """Resolve a host. The name server follows CNAMEs.

        Returns:
            At least one address, IPv6 and IPv4 in turn; an address resolves to itself.

        Raises:
            ConnectionTestError: the host cannot be resolved (``dns-failed``).
        """
        if is_address(host):
            return Addresses((ip_address(host),))
        name = _absolute(host)
        listed = self._hosts.get(host.removesuffix(".").lower())
        if listed:
            return Addresses(tuple(listed), from_hosts=True)
        if self._dns is None:
            raise _failed("No DNS server is configured on the machine that runs sendroute.")
        return Addresses(await _query(self._dns, name))


async def _query(resolver: dns.asyncresolver.Resolver, name: dns.name.Name) -> tuple[Address, ...]:
    async with asyncio.TaskGroup() as group:
        queries = [group.create_task(_query_type(resolver, name, kind)) for kind in ("AAAA", "A")]
    v6, v4 = (task.result() for task in queries)
    if v6.addresses or v4.addresses:  # one address family is enough
        return tuple(_interleave(v6.addresses, v4.addresses))
    raise _failed(v4.failure or v6.failure or "The host has neither an IPv4 nor an IPv6 address.")


class _DnsAnswer(Struct, frozen=True):
    addresses: tuple[Address, ...] = ()
    failure: str | None = None


async def _query_type(
    resolver: dns.asyncresolver.Resolver, name: dns.name.Name, kind: str
) -> _DnsAnswer:
    try:
        answer = await resolver.resolve(name, kind, lifetime=LOOKUP_TIMEOUT, search=False)
    except dns.resolver.NXDOMAIN:
        return _DnsAnswer(failure="The host does not exist in DNS (NXDOMAIN).")
    except dns.resolver.NoAnswer:
        return _DnsAnswer()
    except dns.exception.Timeout:
        return _DnsAnswer(failure=f"No DNS server answered within {LOOKUP_TIMEOUT:g} seconds.")
    except dns.resolver.NoNameservers:
        return _DnsAnswer(
            failure="The DNS servers could not resolve the host (SERVFAIL or similar)."
        )
    except (dns.exception.DNSException, OSError):
        return _DnsAnswer(failure="The answer of the DNS servers is invalid.")
    return _DnsAnswer(tuple(ip_address(record.address) for record in answer))


def _interleave(first: Sequence[Address], second: Sequence[Address]) -> Iterable[Address]:
    for index in range(max(len(first), len(second))):
        yield from first[index : index + 1]
        yield from second[index : index + 1]


def _configured(nameservers: Sequence[Nameserver] | None) -> dns.asyncresolver.Resolver | None:
    if nameservers is None:
        try:
            return dns.asyncresolver.Resolver()
        except dns.resolver.NoResolverConfiguration:
            return None
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = [dns.nameserver.Do53Nameserver(s.address, s.port) for s in nameservers]
    return resolver


def _absolute(host: str) -> dns.name.Name:
    """The name in DNS form. Raises ConnectionTestError if it is invalid (RFC 1035, 2.3.4)."""
    try:
        host.encode("ascii")
        name = dns.name.from_text(host)
    except (UnicodeError, dns.exception.DNSException):
        name = dns.name.root
    if name == dns.name.root:
        raise _failed("The host is not a valid DNS name.")
    return name


def _read_hosts(path: str) -> dict[str, list[Address]]:
    """hosts(5): an address, then its names. Other lines are skipped; a missing file is empty."""
    hosts: dict[str, list[Address]] = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            lines = file.read(_MAX_HOSTS_BYTES).splitlines()
    except OSError:
        return hosts
    for line in lines:
        fields = line.partition("#")[0].split()
        if not fields or not is_address(fields[0]):
            continue
        address = ip_address(fields[0])
        for name in fields[1:]:
            known = hosts.setdefault(name.removesuffix(".").lower(), [])
            if address not in known:
                known.append(address)
    return hosts


def _failed(detail: str) -> ConnectionTestError:
    return ConnectionTestError(ConnectionOutcome.DNS_FAILED, detail)
