"""Domains that wait for the same thing, such as a profile that was not saved: how one of them is
reported, and how many are reported together."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct


class Wait(Struct, frozen=True):
    """Why a domain waits. Domains whose waits are equal are reported together.

    ``obstacle`` is what they wait for, and why that is not there: ``profile ses, which was not
    saved``. ``consequence`` is what is so until then, without a subject, so that it is right for
    many domains too: ``not created yet``. ``profile`` is the account's profile that they wait for;
    None if they wait for something else, or the status is of an earlier version.
    """

    obstacle: str
    consequence: str
    profile: str | None = None

    def of(self, domain: str) -> str:
        """Return the sentence about one domain: ``shop.example waits for profile ses, which was not
        saved: not created yet.``"""
        return f"{domain} waits for {self}."

    def of_all(self, domains: Sequence[str]) -> str:
        """Return the sentence about all these domains, of which there is at least one."""
        if len(domains) == 1:
            return self.of(domains[0])
        return f"{len(domains):,} domains wait for {self}."

    def __str__(self) -> str:
        return f"{self.obstacle}: {self.consequence}"


class WaitingDomains(NamedTuple):
    """Domains that wait for the same thing. ``message`` is the sentence about all of them."""

    domains: list[str]
    message: str


def waiting_together(waits: Iterable[tuple[str, Wait]]) -> dict[Wait, WaitingDomains]:
    """Group domains by what they wait for.

    Args:
        waits: domains, each with its wait.

    Returns:
        The groups, in the order of the first domain of each.
    """
    groups: dict[Wait, list[str]] = {}
    for domain, wait in waits:
        groups.setdefault(wait, []).append(domain)
    return {wait: WaitingDomains(names, wait.of_all(names)) for wait, names in groups.items()}
