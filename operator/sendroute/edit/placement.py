"""Where a new document goes: beside the documents that it resembles, as their author laid them
out."""

import posixpath
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from sendroute.edit.documents import NewDocument, can_follow
from sendroute.edit.proposal import Proposal
from sendroute.edit.style import YamlStyle, style_of
from sendroute.edit.tree import EditTree
from sendroute.manifests.problems import problems
from sendroute.manifests.shapes import API_VERSION, DEFAULT_NAMESPACE
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Where
from sendroute.model.problem import ProblemError


class Sibling(NamedTuple):
    """A document of the same kind as the new one, and its name as a file may be named."""

    where: Where
    name: str


class Placement(NamedTuple):
    """Behind ``after`` or at the end of ``file``, or into a new file of that name. The document is
    written in the style of ``model``; None if the tree has no document to follow."""

    file: str
    after: Where | None
    is_new: bool
    model: Where | None

    @classmethod
    def in_file(cls, tree: EditTree, file: str, model: Where | None) -> "Placement":
        """At the end of a file, which is new if the tree does not have it."""
        return cls(file, None, file not in tree.files, model)

    @classmethod
    def after_document(cls, where: Where) -> "Placement":
        """Behind a document, in its file and in its style."""
        return cls(where.file, where, False, where)

    def put(self, proposal: Proposal, fresh: NewDocument) -> None:
        """Add the document to the proposal. Raises what reading the model's file raises."""
        if not self.is_new:
            proposal.add(self.after, self.file, fresh)
            return
        style = YamlStyle()
        if self.model is not None:
            tree = proposal.tree
            style = style_of(tree.layout(self.model.file), tree.document(self.model))
        is_json = self.file.endswith(".json")
        if not is_json and style.quote:
            style = YamlStyle(newline=style.newline)
        proposal.add_file(self.file, fresh, style, json=is_json)


def placement_among(
    tree: EditTree,
    siblings: Sequence[Sibling],
    name: str,
    otherwise: Where,
    file: str | None = None,
) -> Placement:
    """Behind the last sibling in the file that has most of them. If each sibling has a file named
    after it, in such a file. Without siblings, behind another document.

    Args:
        tree: the manifests.
        siblings: the documents of the same kind and account, in the order of reading.
        name: the name of the new document, as a file may be named.
        otherwise: the document to follow if there are no siblings.
        file: the file that the user chose; None for none.

    Returns:
        The placement.

    Raises:
        ProblemError: the file of the document to follow has errors, or changed.
    """
    sound = [sibling for sibling in siblings if sibling.where.file not in tree.broken]
    where, known = otherwise, ""
    if sound:
        counts = Counter(sibling.where.file for sibling in sound)
        most = max(counts.values())
        where, known = [sibling for sibling in sound if counts[sibling.where.file] == most][-1]
    if file is not None:
        return Placement.in_file(tree, file, where)
    layout = tree.layout(where.file)
    stem, dot, ending = posixpath.basename(where.file).rpartition(".")
    named_alike = {known: name, _hyphened(known): _hyphened(name)}
    if known and len(layout.documents) == 1 and stem in named_alike:
        separate = posixpath.join(posixpath.dirname(where.file), named_alike[stem] + dot + ending)
        if tree.lists(separate):
            return Placement.in_file(tree, separate, where)
    return behind(tree, where, name)


def behind(tree: EditTree, where: Where, name: str) -> Placement:
    """The placement behind a document; if its JSON file can hold no other, in a file beside it."""
    if can_follow(tree.layout(where.file), tree.document(where)):
        return Placement.after_document(where)
    separate = posixpath.join(posixpath.dirname(where.file), f"{_hyphened(name)}.json")
    return Placement.in_file(tree, separate, where)


def _hyphened(name: str) -> str:
    return name.replace(".", "-")


def document(
    kind: str,
    name: str,
    key: AccountKey,
    spec: dict[str, Any],
    tree: EditTree,
    model: Where | None,
) -> dict[str, Any]:
    """The value of a new document. The namespace ``default`` is written only if the model does.

    Args:
        kind: the kind.
        name: the object's name.
        key: its account.
        spec: the fields.
        tree: the manifests.
        model: the document that it resembles; None for none.

    Returns:
        The document as plain data, its keys in the usual order.
    """
    like = {} if model is None else tree.document(model).root.value()["metadata"]
    metadata = {"name": name}
    if key.namespace != DEFAULT_NAMESPACE or "namespace" in like:
        metadata["namespace"] = key.namespace
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def check_document(key: AccountKey, value: dict[str, Any]) -> None:
    """Check the fields of a new document of an account.

    Raises:
        ProblemError: every problem of the document.
    """
    wrong = problems(value["kind"], value)
    if wrong:
        raise ProblemError(*(finding(p.code, p.message, hint=p.hint, account=key) for p in wrong))
