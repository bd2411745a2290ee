"""A profile that a domain's document defines inline: move it into a separate document. Its lines
move unchanged, with their comments."""

import posixpath
from itertools import count
from typing import Any

from sendroute.edit.documents import NewDocument, can_follow
from sendroute.edit.layout import Layout, LayoutEntry, LayoutNode
from sendroute.edit.lines import column, comment_after, is_comment
from sendroute.edit.placement import Placement
from sendroute.edit.proposal import Proposal
from sendroute.edit.rewrite import block_of
from sendroute.edit.style import scalar, style_of
from sendroute.edit.tree import EditedDomain, EditedProfile, EditTree
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Where
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import RenameProfile

_LONGEST_START = 50
"""Characters of a name before its number: together they are a label of at most 63."""


def extract(
    proposal: Proposal,
    profile: EditedProfile,
    domain: EditedDomain,
    placement: Placement | None = None,
) -> None:
    """Add a separate document for a profile that ``domain`` defines inline. The caller changes the
    domain's route.

    Args:
        proposal: takes the document.
        profile: the profile.
        domain: the domain whose document defines it.
        placement: where the document goes; None for behind the domain's.

    Raises:
        ProblemError: another account of the namespace has a profile of the same name.
    """
    tree, where = proposal.tree, profile.where
    if (problem := not_extractable(proposal, profile)) is not None:
        raise ProblemError(problem)
    proposal.profile_names.add((profile.key.namespace, profile.name))
    document = tree.document(where)
    layout = tree.layout(where.file)
    entry = document.root.entry("spec", "route", "newProfile")
    value: dict[str, Any] = document.root.value()
    fields = {k: v for k, v in entry.value.value().items() if k != "name"}
    body, remark = _body(layout, entry)
    if domain.suspended and not fields.get("suspend"):  # like its domain
        fields["suspend"] = True
        body = [*body, "suspend: true"]
    metadata = {"name": profile.name}
    if "namespace" in value["metadata"]:
        metadata["namespace"] = value["metadata"]["namespace"]
    fresh = NewDocument(
        {
            "apiVersion": value["apiVersion"],
            "kind": "SMTPProfile",
            "metadata": metadata,
            "spec": {"account": profile.key.name, **fields},
        },
        tuple(body),
        remark,
    )
    if placement is not None:
        placement.put(proposal, fresh)
        return
    if can_follow(layout, document):
        proposal.add(where, where.file, fresh)
        return
    file = _free_name(tree, posixpath.join(posixpath.dirname(where.file), profile.name))
    proposal.add_file(file, fresh, style_of(layout, document), json=True)


def _free_name(tree: EditTree, stem: str) -> str:
    file, number = f"{stem}.json", 1
    while file in tree.files:
        number += 1
        file = f"{stem}-{number}.json"
    return file


def not_extractable(proposal: Proposal, profile: EditedProfile) -> Finding | None:
    """Why an inline profile cannot get a separate document under its name; None if it can."""
    key, name = profile.key, profile.name
    if (key.namespace, name) not in proposal.profile_names:
        return None
    return finding(
        "duplicate-object",
        f"Profile {name} of account {key} cannot move to a separate document: namespace"
        f" {key.namespace} already has an SMTPProfile {name}, of another account.",
        hint="Names are unique in a namespace. Rename this profile first.",
        remedy=RenameProfile(key.namespace, key.name, name, _other_name(proposal, profile)),
        where=profile.where.at("spec", "route", "newProfile", "name"),
        account=key,
    )


def _other_name(proposal: Proposal, profile: EditedProfile) -> str:
    """The name with the first number that no profile of the namespace has."""
    namespace = profile.key.namespace
    taken = {item.name for item in proposal.tree.profiles if item.key.namespace == namespace}
    start = profile.name[:_LONGEST_START].rstrip("-")
    return next(name for number in count(2) if (name := f"{start}-{number}") not in taken)


def check_name_free(tree: EditTree, key: AccountKey, name: str, where: Where) -> None:
    """Check that no other account of a namespace has a profile's document of this name.

    Args:
        tree: the manifests.
        key: the account that will have the document.
        name: the name.
        where: the position of a finding.

    Raises:
        ProblemError: the name is taken (``duplicate-object``).
    """
    if (key.namespace, name) in tree.profile_names:
        raise ProblemError(
            finding(
                "duplicate-object",
                f"Namespace {key.namespace} already has an SMTPProfile {name}, of another account.",
                hint="Names are unique in a namespace. Choose another name.",
                where=where,
                account=key,
            )
        )


def _body(layout: Layout, entry: LayoutEntry) -> tuple[list[str], str]:
    """The lines of an inline profile without its name, not indented; and the comment next to the
    name."""
    if entry.value.flow:
        return _from_flow(layout.text, entry.value)
    return _from_block(layout.text, entry)


def _from_block(text: str, entry: LayoutEntry) -> tuple[list[str], str]:
    start, end = block_of(text, entry)
    name = entry.value.entry("name")
    indent = column(text, (entry.value.entries or [])[0].key.start)
    lines = []
    remark = ""
    for line in text[start:end].splitlines(keepends=True):
        if start <= name.key.start < start + len(line):
            remark = comment_after(text, name.value.end)
        elif not start <= name.value.start < start + len(line):
            lines.append(_dedented(line.rstrip(), indent))
        start += len(line)
    return lines, remark


def _dedented(line: str, by: int) -> str:
    spaces = len(line) - len(line.lstrip(" "))
    return line[min(spaces, by) :]


def _from_flow(text: str, node: LayoutNode) -> tuple[list[str], str]:
    reached = node.start + 1
    beside = comment_after(text, reached)
    lines = [beside] if beside else []
    remark = ""
    for key, value in node.entries or ():
        lines += _comments(text[reached : key.start])
        beside = comment_after(text, value.end)
        reached = value.end
        if key.scalar == "name":
            remark = beside
            continue
        first, *rest = text[value.start : value.end].splitlines()
        written = [f"{scalar(key.scalar)}: {first}", *("  " + line.strip() for line in rest)]
        written[-1] += f"  {beside}" if beside else ""
        lines += written
    return [*lines, *_comments(text[reached : node.end - 1])], remark


def _comments(gap: str) -> list[str]:
    """The comments on separate lines."""
    return [line.strip() for line in gap.splitlines()[1:] if is_comment(line)]
