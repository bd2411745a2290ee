"""A new SendingDomain next to the account's others, in their style."""

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import UNSET, Struct

from sendroute.edit.declare import check_new_profile, check_profile, too_few_confirmed
from sendroute.edit.documents import NewDocument
from sendroute.edit.domains import checked_name
from sendroute.edit.placement import Sibling, check_document, document, placement_among
from sendroute.edit.proposal import Proposal
from sendroute.edit.tree import EditedAccount, EditTree
from sendroute.manifests.profiles import route_of
from sendroute.model.codes import finding
from sendroute.model.current import CurrentAccount
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Severity, Where
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Perform, Task
from sendroute.model.route import Route, via

_LABEL = 63


class InlineProfile(Struct, frozen=True):
    """A profile to define inline; ``fields`` are those of the manifest."""

    name: str
    fields: dict[str, Any]


def add_domain(
    tree: EditTree,
    key: AccountKey,
    name: str,
    route: Route | InlineProfile | None = None,
    file: str | None = None,
    stored: Callable[[AccountKey], CurrentAccount | None] = lambda _key: None,
) -> Proposal:
    """Add a SendingDomain to an account. If the account's apply-all is about to run, it concerns
    the new domain too: that is noted.

    Args:
        tree: the manifests.
        key: the account.
        name: the domain, written as it is given.
        route: the declared route, or a new profile to define inline.
        file: the file to add it to; a new one if the tree has none of that name.
        stored: an account in the store; None if it has none, or without a store.

    Returns:
        The changes.

    Raises:
        ProblemError: the domain or the profile exists, or a value is invalid.
    """
    label = checked_name(name)
    account = tree.account(key)
    _check_free(tree, label, key)
    siblings = [Sibling(domain.where, domain.name) for domain in tree.domains_of(key)]
    placement = placement_among(tree, siblings, label, account.where, file)
    value = _document(tree, key, name, label, route, placement.model)
    check_document(key, value)
    proposal = Proposal(tree)
    placement.put(proposal, NewDocument(value))
    shown = route.name if isinstance(route, InlineProfile) else route
    kind = "new profile " if isinstance(route, InlineProfile) else ""
    message = f"new domain {name} of account {key}, in {placement.file}"
    proposal.describe(None, f"{message}: {kind}{shown}" if shown else message)
    declared = via(route.name) if isinstance(route, InlineProfile) else route
    proposal.notes += _notes_of_apply_all(tree, account, label, declared, stored)
    return proposal


def _notes_of_apply_all(
    tree: EditTree,
    account: EditedAccount,
    label: str,
    declared: Route | None,
    stored: Callable[[AccountKey], CurrentAccount | None],
) -> Iterator[Finding]:
    """What an apply-all that may run in the same change does to a new domain, and what the domain
    does to it (rules: apply-all)."""
    requested, key = account.spec.apply_to_all, account.key
    if requested is UNSET:
        return
    current = stored(key)
    if current is not None and requested.id in current.completed_apply_alls:
        return
    unless = "" if current is not None else ", unless it ran already"
    route = route_of(requested.route)
    wins = declared not in (None, route)
    yield finding(
        "apply-all-wins",
        f"The apply-all {requested.id} of account {key} gives {label} {route} too"
        f"{f', and not {declared}' if wins else ''}{unless}.",
        hint="To keep the declared route, set it again." if wins else None,
        remedy=Perform(Task.SET_ROUTE, label) if wins else None,
        where=account.where.at("spec", "applyToAll"),
        account=key,
        severity=Severity.WARNING if wins else Severity.INFO,
    )
    count = len(tree.domains_of(key)) + 1
    if requested.confirm is not UNSET and requested.confirm.domains < count:
        hint = f"Set its confirm.domains to {count} if the new domain may switch too."
        confirmed = requested.confirm.domains
        yield too_few_confirmed(confirmed, count, account, f"the apply-all {requested.id}", hint)


def _check_free(tree: EditTree, label: str, key: AccountKey) -> None:
    for domain in tree.domains:
        if domain.name == label:
            same_account = domain.key == key
            move = f"To move it to account {key}, delete it there and add it here, in one change."
            raise ProblemError(
                finding(
                    "domain-conflict",
                    f"{label} is already declared, in account {domain.key}.",
                    hint="To change its route, edit the route." if same_account else move,
                    remedy=Perform(Task.SET_ROUTE, label) if same_account else None,
                    where=domain.where.at("spec", "domain"),
                    account=key,
                )
            )


def _document(
    tree: EditTree,
    key: AccountKey,
    name: str,
    label: str,
    route: Route | InlineProfile | None,
    model: Where | None,
) -> dict[str, Any]:
    spec: dict[str, Any] = {"account": key.name, "domain": name}
    match route:
        case Route():
            check_profile(tree, key, route)
            spec["route"] = route.as_manifest()
        case InlineProfile():
            check_new_profile(tree, key, route.name)
            spec["route"] = {"newProfile": {"name": route.name, **route.fields}}
    return document("SendingDomain", _object_name(tree, key, label), key, spec, tree, model)


def _object_name(tree: EditTree, key: AccountKey, label: str) -> str:
    """The domain with hyphens for dots, shortened or numbered if it is too long or exists."""
    stem = label.replace(".", "-")
    number = 1
    while True:
        suffix = f"-{number}" if number > 1 else ""
        name = stem[: _LABEL - len(suffix)].rstrip("-") + suffix
        if (key.namespace, name) not in tree.names:
            return name
        number += 1
