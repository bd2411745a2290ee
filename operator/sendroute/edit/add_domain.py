"""``edit add-domain``: a new SendingDomain next to the account's others, in their style."""

import posixpath
from collections import Counter
from typing import Any, NamedTuple

from msgspec import Struct

from sendroute.edit.declare import check_profile
from sendroute.edit.documents import NewDocument, can_follow
from sendroute.edit.proposal import Proposal
from sendroute.edit.set_route import checked_name
from sendroute.edit.style import YamlStyle, style_of
from sendroute.edit.tree import EditTree
from sendroute.manifests.problems import problems
from sendroute.manifests.shapes import API_VERSION, DEFAULT_NAMESPACE
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


class _Target(NamedTuple):
    """Where the new document goes: behind ``after`` or at the end of ``file``, or into a new file
    of that name. It is written in the style of the document ``model``."""

    file: str
    after: Where | None
    is_new: bool
    model: Where


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
    tree.account(key)
    _check_free(tree, label, key)
    target = _target(tree, key, label, file)
    value = _document(tree, key, name, label, route, target.model)
    wrong = problems("SendingDomain", value)
    if wrong:
        raise ProblemError(*(finding(p.code, p.message, hint=p.hint, account=key) for p in wrong))
    proposal = Proposal(tree)
    fresh = NewDocument(value)
    if not target.is_new:
        proposal.add(target.after, target.file, fresh)
    else:
        style = style_of(tree.layout(target.model.file), tree.document(target.model))
        is_json = target.file.endswith(".json")
        if not is_json and style.quote:
            style = YamlStyle(newline=style.newline)
        proposal.add_file(target.file, fresh, style, json=is_json)
    shown = route.name if isinstance(route, InlineProfile) else route
    kind = "new profile " if isinstance(route, InlineProfile) else ""
    message = f"new domain {name} of account {key.name}, in {target.file}"
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


def _target(tree: EditTree, key: AccountKey, label: str, file: str | None) -> _Target:
    """Behind the last of the account's domains in the file that has most of them. If each domain
    has a file named after it, in such a file. Without any domain, behind the MailAccount."""
    domains = [domain for domain in tree.domains_of(key) if domain.where.file not in tree.broken]
    if domains:
        counts = Counter(domain.where.file for domain in domains)
        most = max(counts.values())
        model = [domain for domain in domains if counts[domain.where.file] == most][-1]
        where, known = model.where, model.name
    else:
        where, known = tree.account(key).where, ""
    if file is not None:
        return _Target(file, None, file not in tree.files, where)
    layout = tree.layout(where.file)
    stem, dot, ending = posixpath.basename(where.file).rpartition(".")
    named_alike = {known: label, known.replace(".", "-"): label.replace(".", "-")}
    alone = len(layout.documents) == 1
    if known and alone and stem in named_alike:
        beside = posixpath.join(posixpath.dirname(where.file), named_alike[stem] + dot + ending)
        return _Target(beside, None, True, where)
    if not can_follow(layout, tree.document(where)):
        name = f"{label.replace('.', '-')}.json"
        return _Target(posixpath.join(posixpath.dirname(where.file), name), None, True, where)
    return _Target(where.file, where, False, where)


def _document(
    tree: EditTree,
    key: AccountKey,
    name: str,
    label: str,
    route: Route | InlineProfile | None,
    model: Where,
) -> dict[str, Any]:
    spec: dict[str, Any] = {"account": key.name, "domain": name}
    match route:
        case Route():
            check_profile(tree, key, route)
            spec["route"] = route.as_manifest()
        case InlineProfile():
            _check_new(tree, key, route.name)
            spec["route"] = {"newProfile": {"name": route.name, **route.fields}}
    metadata = {"name": _object_name(tree, key, label)}
    like = tree.document(model).root.value()
    if key.namespace != DEFAULT_NAMESPACE or "namespace" in like["metadata"]:
        metadata["namespace"] = key.namespace
    return {
        "apiVersion": API_VERSION,
        "kind": "SendingDomain",
        "metadata": metadata,
        "spec": spec,
    }


def _check_new(tree: EditTree, key: AccountKey, name: str) -> None:
    for profile in tree.profiles_of(key, name):
        raise ProblemError(
            finding(
                "duplicate-profile",
                f"Account {key.name} already has a profile {name}.",
                hint=f"Route through profile {name}, or choose another name.",
                where=profile.where,
                account=key,
            )
        )


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
