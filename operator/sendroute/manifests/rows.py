"""A sending domain of which there is nothing more to say, as of nearly all: a row of plain values.

This is what a cache keeps of it. A row follows from the document's bytes and this program alone:
an internationalised name, which a library encodes by its version's tables, makes none, nor does a
name with a fault, of which a finding is told, or a profile declared in line.
"""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import UNSET

from sendroute.manifests.fast import Parsed
from sendroute.manifests.fields import Metadata
from sendroute.manifests.names import plain_domain_name
from sendroute.manifests.shapes import DEFAULT_NAMESPACE, Document, SendingDomain
from sendroute.model.route import RouteKind


class Row(NamedTuple):
    """``ordinal`` is the document's in its file, ``name`` the object's own, ``domain`` the
    lower-case A-label. ``kind`` is None where no route is declared."""

    ordinal: int
    namespace: str
    account: str
    name: str
    domain: str
    kind: RouteKind | None
    profile: str | None
    suspended: bool


class Content(NamedTuple):
    """What a file holds that is in good order: rows, the other documents with their ordinals, and
    how many documents are not ours."""

    rows: list[Row]
    documents: list[tuple[int, Document]]
    foreign: int

    def in_order(self) -> Sequence[Row | tuple[int, Document]]:
        """As they stand in the file: of two duplicates the first is told as the first."""
        if not self.documents:
            return self.rows
        if not self.rows:
            return self.documents
        return sorted((*self.rows, *self.documents), key=_ordinal)


def content_of(parsed: Parsed) -> Content:
    rows: list[Row] = []
    others: list[tuple[int, Document]] = []
    for ordinal, document in parsed.documents:
        row = row_of(document, ordinal) if type(document) is SendingDomain else None
        if row is None:
            others.append((ordinal, document))
        else:
            rows.append(row)
    return Content(rows, others, parsed.foreign)


def row_of(document: SendingDomain, ordinal: int) -> Row | None:
    """None for a document that is more than a row."""
    spec = document.spec
    domain = plain_domain_name(spec.domain)
    if domain is None:
        return None
    kind, profile = None, None
    route = spec.route
    if route is not UNSET:
        if route.profile is not UNSET:
            kind, profile = RouteKind.PROFILE, route.profile
        elif route.managed is not UNSET:
            kind = RouteKind.MANAGED
        elif route.unconfigured is not UNSET:
            kind = RouteKind.UNCONFIGURED
        else:
            return None
    metadata = document.metadata
    namespace = namespace_of(metadata)
    suspended = spec.suspend is True
    return Row(ordinal, namespace, spec.account, metadata.name, domain, kind, profile, suspended)


def namespace_of(metadata: Metadata) -> str:
    return DEFAULT_NAMESPACE if metadata.namespace is UNSET else metadata.namespace


def _ordinal(item: Row | tuple[int, Document]) -> int:
    return item[0]
