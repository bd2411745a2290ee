"""References: what an account declares must exist after the change, unless it is a removal.

A new or changed declaration that is not satisfiable is an error and stops its account. One that the
store already has is the consequence of a removal or of a plan's change: it is a warning, and the
domains are reassigned.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Severity, Where
from sendroute.model.route import MANAGED, Route
from sendroute.model.spelling import suggestions
from sendroute.planner.domains import newly_declared
from sendroute.planner.inputs import AccountInput


class _MissingProfile(NamedTuple):
    """A reference to a profile that does not exist. ``known``: the store has the reference."""

    route: Route
    where: Where
    subject: str
    known: bool
    domain: str | None = None


def check_references(inputs: AccountInput, existing: frozenset[str]) -> tuple[Finding, ...]:
    """``existing``: the profiles that will exist if every connection test passes."""
    of_account = [
        *_check_default(inputs, existing),
        *_check_apply_all(inputs, existing),
        *_check_reassignments(inputs, existing),
    ]
    of_domains = list(_missing_of_domains(inputs, existing))
    names = {item.route.profile or "" for item in (*of_account, *of_domains) if not item.known}
    hints = suggestions(names, existing)
    domains = (
        *(
            replace(_profile_finding(inputs, item, hints), domain=item.domain)
            for item in of_domains
        ),
        *_check_managed(inputs),
    )
    return (
        *(_profile_finding(inputs, item, hints) for item in of_account),
        # The result never depends on the order of documents.
        *sorted(domains, key=lambda item: (item.code, item.message)),
    )


def _check_default(inputs: AccountInput, existing: frozenset[str]) -> Iterator[_MissingProfile]:
    route = inputs.desired.default
    if route is not None and _is_missing(route, existing):
        before = inputs.current.state.default if inputs.current.state is not None else None
        where = inputs.desired.where.at("spec", "defaultRoute", "profile")
        subject = f"The default of account {inputs.key}"
        yield _MissingProfile(route, where, subject, known=route == before)


def _check_apply_all(inputs: AccountInput, existing: frozenset[str]) -> Iterator[_MissingProfile]:
    requested = inputs.desired.apply_all
    if (
        requested is not None
        and requested.id not in inputs.current.completed_apply_alls
        and _is_missing(requested.route, existing)
    ):
        where = inputs.desired.where.at("spec", "applyToAll", "route", "profile")
        subject = f"The apply-all {requested.id} of account {inputs.key}"
        yield _MissingProfile(requested.route, where, subject, known=False)


def _check_reassignments(
    inputs: AccountInput, existing: frozenset[str]
) -> Iterator[_MissingProfile]:
    for name in sorted(inputs.desired.profiles):
        desired, current = inputs.desired.profiles[name], inputs.current.profiles.get(name)
        route = desired.profile.reassign_to
        if desired.suspended or route is None or not _is_missing(route, existing):
            continue
        inline = () if desired.inline_in is None else ("route", "newProfile")
        where = desired.where.at("spec", *inline, "onDelete", "reassignTo", "profile")
        known = current is not None and current.reassign_to == route
        subject = f"The reassignTo of profile {name}"
        yield _MissingProfile(route, where, subject, known=known)


def _missing_of_domains(
    inputs: AccountInput, existing: frozenset[str]
) -> Iterator[_MissingProfile]:
    for desired in inputs.desired.domains:
        route = desired.route
        # The common case first, because a store may have a million domains.
        if route is None or route.profile is None or route.profile in existing or desired.suspended:
            continue
        known = not newly_declared(desired, inputs.current.domains.get(desired.domain))
        where = desired.where.at("spec", "route", "profile")
        yield _MissingProfile(route, where, desired.domain, known, desired.domain)


def _check_managed(inputs: AccountInput) -> Iterator[Finding]:
    if inputs.plan.managed:
        return
    for desired in inputs.desired.domains:
        if desired.route == MANAGED and not desired.suspended:
            known = not newly_declared(desired, inputs.current.domains.get(desired.domain))
            where = desired.where.at("spec", "route")
            yield _managed_finding(inputs, desired.domain, where, known=known)


def _is_missing(route: Route, existing: frozenset[str]) -> bool:
    return route.profile is not None and route.profile not in existing


def _profile_finding(
    inputs: AccountInput, item: _MissingProfile, hints: Mapping[str, str]
) -> Finding:
    name, subject, where = item.route.profile or "", item.subject, item.where
    if item.known:
        return finding(
            "profile-deleted",
            f"{subject} still refers to profile {name}, which account {inputs.key} no longer has.",
            hint=inputs.claims.to_keep_profile(
                name, "Declare another route, or the profile again."
            ),
            where=where,
            account=inputs.key,
        )
    hint = f"Declare an SMTPProfile {name} in account {inputs.key}."
    hint = inputs.claims.to_keep_profile(name, hint)
    if name in inputs.desired.profiles:
        hint = f"Profile {name} is suspended and was never saved; remove spec.suspend."
    elif name in hints:
        hint = hints[name]
    return finding(
        "unknown-profile",
        f"{subject} refers to profile {name}, which account {inputs.key} does not have.",
        hint=hint,
        where=where,
        account=inputs.key,
    )


def _managed_finding(inputs: AccountInput, domain: str, where: Where, *, known: bool) -> Finding:
    return finding(
        "managed-not-in-plan",
        f"{domain} declares managed, which service plan {inputs.plan.name} of account"
        f" {inputs.key} does not offer.",
        hint="Declare a profile, or choose a service plan that offers managed sending.",
        where=where,
        account=inputs.key,
        severity=Severity.WARNING if known else None,
        domain=domain,
    )
