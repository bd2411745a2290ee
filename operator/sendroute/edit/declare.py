"""Changes that several edits make: declare a domain's route, insert keys in their order, remove an
apply-all; and what they check and warn of."""

from typing import Any

from sendroute.edit.inline_profile import extract
from sendroute.edit.proposal import Proposal
from sendroute.edit.references import apply_all_route
from sendroute.edit.tree import EditedAccount, EditedDomain, EditTree, unknown_profile
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Severity
from sendroute.model.problem import ProblemError
from sendroute.model.route import Route


def declare(proposal: Proposal, domain: EditedDomain, route: Route) -> None:
    """Declare a domain's route. A profile that its document defines inline is kept, in a separate
    document: another route does not remove a profile.

    Raises:
        ProblemError: the profile cannot get a separate document.
    """
    if domain.route == route:
        return
    before = str(domain.route) if domain.route else "none"
    message = f"route of {domain.name}: {before} → {route}"
    spec = proposal.spec(domain.where)
    if domain.inline is not None:
        for profile in proposal.tree.profiles_of(domain.key, domain.inline):
            if profile.domain is domain:
                extract(proposal, profile, domain)
        message += f"; profile {domain.inline} moves to a separate document"
    put_after(spec, "domain", "route", route.as_manifest())
    path = ("spec", "route") if domain.route else ("spec",)
    proposal.describe(domain.where.at(*path), message)


def confirm(proposal: Proposal, domain: EditedDomain, apply_all: str) -> None:
    """State that the domain's declared route was confirmed after an apply-all (rules: apply-all).
    ``apply_all`` is its id."""
    if domain.overrides == apply_all:
        return
    put_after(proposal.spec(domain.where), "route", "overrides", apply_all)
    path = ("spec", "overrides") if domain.overrides else ("spec", "route")
    proposal.describe(
        domain.where.at(*path),
        f"route of {domain.name}: {domain.route} overrides the apply-all {apply_all}",
    )


def put_after(mapping: dict[str, Any], anchor: str, key: str, value: Any) -> None:
    """Set a key; a new one is inserted behind ``anchor``."""
    if key in mapping or anchor not in mapping:
        mapping[key] = value
        return
    items = list(mapping.items())
    mapping.clear()
    for name, old in items:
        mapping[name] = old
        if name == anchor:
            mapping[key] = value


def check_profile(tree: EditTree, key: AccountKey, route: Route | None) -> None:
    """Check that an account has the profile of a route.

    A tree without the account's MailAccount is only a part: it may lack the profile too.

    Raises:
        ProblemError: the account has no such profile (``unknown-profile``).
    """
    if route is None or route.profile is None or key not in tree.accounts:
        return
    if not tree.profiles_of(key, route.profile):
        raise ProblemError(unknown_profile(tree, key, route.profile))


def check_new_profile(tree: EditTree, key: AccountKey, name: str) -> None:
    """Check that an account has no profile of this name.

    Raises:
        ProblemError: it has one (``duplicate-profile``).
    """
    for profile in tree.profiles_of(key, name):
        raise ProblemError(
            finding(
                "duplicate-profile",
                f"Account {key} already has a profile {name}.",
                hint=f"Choose another name. To use the existing one, route through profile {name}.",
                where=profile.where,
                account=key,
            )
        )


def too_few_confirmed(
    confirmed: int,
    count: int,
    account: EditedAccount,
    subject: str,
    hint: str | None = None,
) -> Finding:
    """The warning for a confirmation with which the next apply refuses ``subject``, for example
    "the apply-all". Without a ``hint`` it says which number confirms all domains."""
    return finding(
        "confirmation-exceeded",
        f"Account {account.key} has {count} domains, but only {confirmed} are confirmed, so"
        f" {subject} would be refused.",
        hint=hint or f"To confirm them all, set the number to {count}.",
        where=account.where.at("spec"),
        account=account.key,
        severity=Severity.WARNING,
    )


def remove_apply_all(proposal: Proposal, account: EditedAccount, reason: str = "") -> None:
    """Remove an account's ``applyToAll``. ``reason`` continues the description of the change."""
    del proposal.spec(account.where)["applyToAll"]
    where = account.where.at("spec", "applyToAll")
    message = f"apply-all of account {account.key} to {apply_all_route(account)}: removed{reason}"
    proposal.describe(where, message)
