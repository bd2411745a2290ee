"""``edit add-domain``: a new SendingDomain next to the account's others, in their style."""

from typing import Any

from msgspec import Struct

from sendroute.edit.declare import check_new_profile, check_profile
from sendroute.edit.documents import NewDocument
from sendroute.edit.domains import checked_name
from sendroute.edit.placement import Sibling, check_document, document, placement_among
from sendroute.edit.proposal import Proposal
from sendroute.edit.tree import EditTree
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Where
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Perform, Task
from sendroute.model.route import Route

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
) -> Proposal:
    """Add a SendingDomain to an account.

    Args:
        tree: the manifests.
        key: the account.
        name: the domain, written as it is given.
        route: the declared route, or a new profile to define inline.
        file: the file to add it to; a new one if the tree has none of that name.

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
    message = f"new domain {name} of account {key.name}, in {placement.file}"
    proposal.describe(None, f"{message}: {kind}{shown}" if shown else message)
    return proposal


def _check_free(tree: EditTree, label: str, key: AccountKey) -> None:
    for domain in tree.domains:
        if domain.name == label:
            raise ProblemError(
                finding(
                    "domain-conflict",
                    f"{label} is already declared, in account {domain.key.name}.",
                    hint="To change its route, edit the route.",
                    remedy=Perform(Task.SET_ROUTE, label),
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
