"""A host's addresses, looked up once: what is returned here is checked, then connected to."""

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
from sendroute.connection.failure import FailureError
from sendroute.model.connection import ConnectionOutcome
from sendroute.model.tls import is_address

PATIENCE = 5.0
"""Seconds that one host's lookup may take, both families at once: a third of a test's time."""

_HOSTS_AT_MOST = 1 << 20


class Nameserver(Struct, frozen=True):
    address: str
    port: int = 53


class Addresses(Struct, frozen=True):
    """``from_hosts`` tells that they come from the hosts file, which Postfix does not read where
    it looks hosts up by DNS alone (``smtp_host_lookup = dns``, as Sendroute sets it)."""

    found: tuple[Address, ...]
    from_hosts: bool = False


class Resolver:
    """The system's view of names: its hosts file first, then its name servers (nsswitch.conf's
    usual ``files dns``), for that is what a person who put a name there expects. Names are taken
    as absolute, without the system's search list, as Postfix takes them.

    ``nameservers`` stand in for those of /etc/resolv.conf; ``hosts_file`` is None for no such
    file. Both are read when the resolver is made.
    """

    def __init__(
        self,
        nameservers: Sequence[Nameserver] | None = None,
        hosts_file: str | None = "/etc/hosts",
    ) -> None:
        self._hosts = _read_hosts(hosts_file) if hosts_file else {}
        self._dns = _configured(nameservers)

    async def addresses(self, host: str) -> Addresses:
        """All addresses of a host, IPv6 and IPv4 by turns, at least one; a literal is its own.

        CNAMEs are followed by the name server. Raises FailureError (``dns-failed``).
        """
        if is_address(host):
            return Addresses((ip_address(host),))
        name = _absolute(host)
        named = self._hosts.get(host.removesuffix(".").lower())
        if named:
            return Addresses(tuple(named), from_hosts=True)
        if self._dns is None:
            raise _failed("This machine has no name server configured.")
        return Addresses(await _ask(self._dns, name))


async def _ask(resolver: dns.asyncresolver.Resolver, name: dns.name.Name) -> tuple[Address, ...]:
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(_ask_for(resolver, name, kind)) for kind in ("AAAA", "A")]
    v6, v4 = (task.result() for task in asked)
    if v6.found or v4.found:  # one family's failure does not take the other's answer away
        return tuple(_by_turns(v6.found, v4.found))
    raise _failed(v4.why or v6.why or "The host has neither an IPv4 nor an IPv6 address.")


class _Answer(Struct, frozen=True):
    found: tuple[Address, ...] = ()
    why: str | None = None


async def _ask_for(resolver: dns.asyncresolver.Resolver, name: dns.name.Name, kind: str) -> _Answer:
    try:
        answer = await resolver.resolve(name, kind, lifetime=PATIENCE, search=False)
    except dns.resolver.NXDOMAIN:
        return _Answer(why="The host does not exist in DNS (NXDOMAIN).")
    except dns.resolver.NoAnswer:
        return _Answer()
    except dns.exception.Timeout:
        return _Answer(why=f"No name server answered within {PATIENCE:g} seconds.")
    except dns.resolver.NoNameservers:
        return _Answer(why="The name servers could not answer for the host (SERVFAIL or the like).")
    except (dns.exception.DNSException, OSError):
        return _Answer(why="The name servers' answer could not be used.")
    return _Answer(tuple(ip_address(record.address) for record in answer))


def _by_turns(first: Sequence[Address], second: Sequence[Address]) -> Iterable[Address]:
    for place in range(max(len(first), len(second))):
        yield from first[place : place + 1]
        yield from second[place : place + 1]


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
    """The name as DNS has it. Raises FailureError for what cannot be one (RFC 1035, 2.3.4)."""
    try:
        host.encode("ascii")
        name = dns.name.from_text(host)
    except (UnicodeError, dns.exception.DNSException):
        name = dns.name.root
    if name == dns.name.root:
        raise _failed("The host is not a name that DNS can hold.")
    return name


def _read_hosts(path: str) -> dict[str, list[Address]]:
    """hosts(5): an address, then its names. Lines that cannot be read so are passed over, and so
    is a file that is not there."""
    hosts: dict[str, list[Address]] = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            lines = file.read(_HOSTS_AT_MOST).splitlines()
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


def _failed(detail: str) -> FailureError:
    return FailureError(ConnectionOutcome.DNS_FAILED, detail)
