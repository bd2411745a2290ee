"""References: what an account declares must exist after the change, unless it is a deletion.

A declaration that is new or changed and cannot be had is an error and stops its account. One that
the store already knew is the consequence of a deletion or of a plan's change: a warning, and the
domains are reassigned.
"""

from collections.abc import Iterator

from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Severity, Where
from sendroute.model.route import MANAGED, Route
from sendroute.planner.case import Case
from sendroute.planner.spelling import did_you_mean


def check_references(case: Case, existing: frozenset[str]) -> tuple[Finding, ...]:
    """``existing``: the profiles that will exist if every connection test passes."""
    return (
        *_default(case, existing),
        *_apply_all(case, existing),
        *_reassignments(case, existing),
        # The order of documents never shows.
        *sorted(_domains(case, existing), key=lambda found: (found.code, found.message)),
    )


def _default(case: Case, existing: frozenset[str]) -> Iterator[Finding]:
    route = case.wanted.default
    if route is not None and _missing(route, existing):
        before = case.held.state.default if case.held.state is not None else None
        where = case.wanted.where.at("spec", "defaultRoute", "profile")
        yield _profile(case, route, existing, where, known=route == before, what="The default")


def _apply_all(case: Case, existing: frozenset[str]) -> Iterator[Finding]:
    asked = case.wanted.apply_all
    if asked is not None and asked.id not in case.held.ran and _missing(asked.route, existing):
        where = case.wanted.where.at("spec", "applyToAll", "route", "profile")
        what = f"The apply-all {asked.id}"
        yield _profile(case, asked.route, existing, where, known=False, what=what)


def _reassignments(case: Case, existing: frozenset[str]) -> Iterator[Finding]:
    for name in sorted(case.wanted.profiles):
        wanted, held = case.wanted.profiles[name], case.held.profiles.get(name)
        route = wanted.profile.reassign_to
        if wanted.suspended or route is None or not _missing(route, existing):
            continue
        inline = () if wanted.inline_in is None else ("route", "newProfile")
        where = wanted.where.at("spec", *inline, "onDelete", "reassignTo", "profile")
        known = held is not None and held.reassign_to == route
        what = f"The reassignTo of profile {name}"
        yield _profile(case, route, existing, where, known=known, what=what)


def _domains(case: Case, existing: frozenset[str]) -> Iterator[Finding]:
    offered = case.plan.managed
    for wanted in case.wanted.domains:
        route = wanted.route
        # The common case first: a million domains are asked this.
        if route is None or route.profile in existing or wanted.suspended:
            continue
        if route.profile is None and (offered or route != MANAGED):
            continue
        held = case.held.domains.get(wanted.domain)
        known = held is not None and held.declared == route
        if route.profile is not None:
            where = wanted.where.at("spec", "route", "profile")
            yield _profile(case, route, existing, where, known=known, what=wanted.domain)
        else:
            where = wanted.where.at("spec", "route")
            yield _managed(case, wanted.domain, where, known=known)


def _missing(route: Route, existing: frozenset[str]) -> bool:
    return route.profile is not None and route.profile not in existing


def _profile(
    case: Case, route: Route, existing: frozenset[str], where: Where, *, known: bool, what: str
) -> Finding:
    name = route.profile or ""
    if known:
        return finding(
            "profile-deleted",
            f"{what} still names profile {name}, which is gone from account {case.key.name}.",
            hint="Declare another route, or the profile again.",
            where=where,
            account=case.key,
        )
    held_back = case.wanted.profiles.get(name)
    return finding(
        "unknown-profile",
        f"{what} names profile {name}, which account {case.key.name} does not have.",
        hint=f"Profile {name} is suspended and was never saved; lift spec.suspend."
        if held_back is not None
        else did_you_mean(name, existing, "Declare an SMTPProfile of that name in this account."),
        where=where,
        account=case.key,
    )


def _managed(case: Case, domain: str, where: Where, *, known: bool) -> Finding:
    return finding(
        "managed-not-in-plan",
        f"{domain} declares managed, which plan {case.plan.name} of account {case.key.name}"
        " does not offer.",
        hint="Declare a profile, or choose a plan that offers managed sending.",
        where=where,
        account=case.key,
        severity=Severity.WARNING if known else None,
    )
