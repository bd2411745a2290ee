"""Step 4: the one-time, confirmed switch of every domain of an account."""

from typing import NamedTuple

from msgspec import Struct

from sendroute.model.codes import finding
from sendroute.model.current import DomainState
from sendroute.model.desired import ApplyAll, DesiredDomain
from sendroute.model.finding import Finding
from sendroute.model.remedy import SetRoute
from sendroute.model.route import UNCONFIGURED, Origin, Route
from sendroute.model.spelling import did_you_mean
from sendroute.model.words import counted
from sendroute.planner.domains import newly_declared
from sendroute.planner.inputs import AccountInput, RouteContext

_COMPARED = 10
"""Apply-alls with which an unknown one is compared: each takes time, for each domain."""


class ApplyAllDecision(Struct, frozen=True):
    """``runs`` is the apply-all that this change runs, None if none runs."""

    apply_all: ApplyAll | None = None
    findings: tuple[Finding, ...] = ()
    skipped: bool = False


class ApplyAllDomains(NamedTuple):
    """The domains that count for the confirmation: those that an apply-all ``switches``, and the
    ``suspended`` ones, which stay on their routes."""

    switches: int = 0
    suspended: int = 0

    @property
    def confirmable(self) -> int:
        return self.switches + self.suspended


def decide_apply_all(
    inputs: AccountInput, context: RouteContext, domains: ApplyAllDomains
) -> ApplyAllDecision:
    """Decide whether the requested apply-all runs in this change.

    Args:
        inputs: the account.
        context: the result of steps 1 and 2.
        domains: the domains that count for the confirmation, new ones included.

    Returns:
        The apply-all that runs, and the findings.
    """
    requested = inputs.desired.apply_all
    if requested is None:
        return ApplyAllDecision()
    ran = inputs.current.completed_apply_alls.get(requested.id)
    if ran is not None:
        if ran.route == requested.route:
            return ApplyAllDecision()
        return _refuse(
            inputs,
            "apply-all-id-reused",
            f"The apply-all id {requested.id} ran before in account {inputs.key}, with"
            f" {ran.route}; the same id cannot run with {requested.route}.",
            "Give the apply-all a new id.",
            "id",
        )
    if requested.route.profile in context.unsaved:
        return _skip_until_saved(inputs, requested)
    if requested.route not in context.satisfiable:
        return _refuse(
            inputs,
            "apply-all-unsatisfiable",
            f"The apply-all {requested.id} of account {inputs.key} cannot run: service plan"
            f" {inputs.plan.name} does not offer {requested.route}.",
            f"Choose another route, or a service plan that offers {requested.route}.",
            "route",
        )
    return _confirmed(inputs, requested, domains)


def _confirmed(
    inputs: AccountInput, requested: ApplyAll, domains: ApplyAllDomains
) -> ApplyAllDecision:
    stay, total = "", domains.confirmable
    if domains.suspended:
        verb = "stays" if domains.suspended == 1 else "stay"
        stay = (
            f" {counted(domains.suspended, 'suspended domain')} {verb}, but must be confirmed too."
        )
    if requested.confirm is None:
        return _refuse(
            inputs,
            "awaiting-confirmation",
            f"The apply-all {requested.id} would switch {counted(domains.switches, 'domain')} of"
            f" account {inputs.key} to {requested.route}, but is not confirmed.{stay}",
            f"To run it, add to spec.applyToAll: confirm: {{domains: {total}}}",
        )
    if total > requested.confirm:
        return _refuse(
            inputs,
            "confirmation-exceeded",
            f"The apply-all {requested.id} is confirmed for {counted(requested.confirm, 'domain')},"
            f" but would switch {domains.switches} of account {inputs.key}.{stay}",
            f"To switch all of them, set confirm: {{domains: {total}}}",
            "confirm",
            "domains",
        )
    return ApplyAllDecision(apply_all=requested)


def _refuse(
    inputs: AccountInput, code: str, message: str, hint: str, *path: str
) -> ApplyAllDecision:
    problem = finding(
        code,
        message,
        hint=hint,
        where=inputs.desired.where.at("spec", "applyToAll", *path),
        account=inputs.key,
    )
    return ApplyAllDecision(findings=(problem,))


def _skip_until_saved(inputs: AccountInput, requested: ApplyAll) -> ApplyAllDecision:
    problem = finding(
        "dependency-skipped",
        f"The apply-all {requested.id} of account {inputs.key} does not run:"
        f" {requested.route} was not saved.",
        hint="Apply again when the profile can be saved.",
        where=inputs.desired.where.at("spec", "applyToAll", "route"),
        account=inputs.key,
    )
    return ApplyAllDecision(findings=(problem,), skipped=True)


def switched(declared: Route | None, overrides: str | None, requested: ApplyAll) -> DomainState:
    """Step 4: the state of a domain that the apply-all switches."""
    return DomainState(requested.route, Origin.APPLY_ALL, declared, requested.id, overrides)


def overruled(
    inputs: AccountInput, desired: DesiredDomain, current: DomainState | None, requested: ApplyAll
) -> tuple[Finding, ...]:
    """Warn that the apply-all decides, if the manifest declares that the domain must not send, or
    if the same change also edits its declared route."""
    if desired.route is None or desired.route == requested.route:
        return ()
    if desired.route == UNCONFIGURED:
        message = (
            f"The manifest of {desired.domain} declares unconfigured, but the apply-all"
            f" {requested.id} makes the domain send through {requested.route}."
        )
    elif newly_declared(desired, current):
        message = (
            f"The manifest of {desired.domain} declares {desired.route}, but the apply-all"
            f" {requested.id} of the same change switches the domain to {requested.route}."
        )
    else:
        return ()
    return (
        finding(
            "apply-all-wins",
            message,
            hint=f"To keep {requested.route}, write the assigned routes into the manifests after"
            f" the apply. To keep {desired.route}, add spec.overrides with this apply-all's id.",
            remedy=SetRoute(desired.domain, desired.route),
            where=desired.where.at("spec", "route"),
            account=inputs.key,
            domain=desired.domain,
        ),
    )


def unknown_override(inputs: AccountInput, desired: DesiredDomain) -> Finding:
    """Warn that the domain's ``overrides`` is the id of no apply-all that ran in the account."""
    latest = list(inputs.current.completed_apply_alls)[-_COMPARED:]
    near = did_you_mean(desired.overrides or "", latest)
    return finding(
        "unknown-apply-all",
        f"The manifest of {desired.domain} overrides the apply-all {desired.overrides}, which never"
        f" ran in account {inputs.key}.",
        hint=near or "Write the id of an apply-all that ran, or remove spec.overrides.",
        where=desired.where.at("spec", "overrides"),
        account=inputs.key,
        domain=desired.domain,
    )
