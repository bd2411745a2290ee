"""Domains that wait for the same thing, such as a profile that was not saved: how one of them is
reported, and how many are reported together."""

from collections.abc import Iterable
from typing import NamedTuple

_VERB = " waits for "
_PLURAL = " wait for "


def waiting_message(domain: str, thing: str, consequence: str) -> str:
    """The sentence about one domain: ``shop.example waits for profile ses, which was not saved: not
    created yet.``

    Args:
        domain: the domain.
        thing: what it waits for, and why that is not there.
        consequence: what is so until then, without a subject, so that it is right for many too.

    Returns:
        The sentence, which :func:`waiting_together` recognises.
    """
    return waits_for(domain, f"{thing}: {consequence}.")


def waits_for(domain: str, shared: str) -> str:
    """Write the sentence about one domain that waits.

    Args:
        domain: the domain.
        shared: what the sentences about all domains that wait for the same thing share.

    Returns:
        The sentence, which :func:`shared_wait` recognises.
    """
    return f"{domain}{_VERB}{shared}"


def shared_by_all(message: str) -> str:
    """Get what a sentence about many waiting domains says without them.

    Args:
        message: a sentence about many domains.

    Returns:
        Its shared part, as :func:`waits_for` takes it.
    """
    return message.partition(_PLURAL)[2]


class WaitingDomains(NamedTuple):
    """Domains that wait for the same thing. ``message`` is the sentence about all of them."""

    domains: list[str]
    message: str


def waiting_together(messages: Iterable[str]) -> dict[str, WaitingDomains]:
    """Group the sentences about domains by what they wait for.

    Args:
        messages: any sentences. Those about something else than waiting are left out.

    Returns:
        The groups in the order of their first sentence, by what the sentences have in common.
    """
    domains: dict[str, list[str]] = {}
    for message in messages:
        if (shared := shared_wait(message)) is not None:
            domains.setdefault(shared, []).append(message.partition(_VERB)[0])
    return {
        shared: WaitingDomains(
            names,
            waits_for(names[0], shared)
            if len(names) == 1
            else f"{len(names):,} domains{_PLURAL}{shared}",
        )
        for shared, names in domains.items()
    }


def shared_wait(message: str) -> str | None:
    """Get what a sentence about one waiting domain says without the domain.

    Args:
        message: any sentence of a finding.

    Returns:
        Its shared part; None for a sentence that is not about a waiting domain.
    """
    domain, verb, shared = message.partition(_VERB)
    return shared if verb and " " not in domain else None
