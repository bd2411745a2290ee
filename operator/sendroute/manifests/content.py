"""What one file holds, in the form in which it is compiled, cached and sent between processes.

Nearly every document is a simple sending domain, and becomes a row of plain values. A row depends
only on the document's bytes and on this program. A domain stays a document if its name is
internationalised (the result depends on the version of a library), if its name has an error (a
finding reports it), if it declares an inline profile, or if it overrides an apply-all.
"""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import UNSET

from sendroute.files.regular import regular
from sendroute.manifests import fast
from sendroute.manifests.acceptance import is_marked
from sendroute.manifests.fast import FileProblems, ParsedFile
from sendroute.manifests.fields import Metadata
from sendroute.manifests.names import plain_domain_name
from sendroute.manifests.own_output import is_own_output
from sendroute.manifests.shapes import API_GROUP, DEFAULT_NAMESPACE, Document, SendingDomain
from sendroute.manifests.sources import (
    EMPTY,
    OWN_OUTPUT,
    STDIN,
    SourceEntry,
    only_a_pointer,
    unreadable,
)
from sendroute.model.byte_order_mark import without_mark
from sendroute.model.codes import Code
from sendroute.model.finding import Finding, Path, whole_file
from sendroute.model.internal_error import internal_error, is_internal
from sendroute.model.manifest_name import is_yaml
from sendroute.model.route import RouteKind

# A pointer is valid YAML, a plain text. It would be read as a foreign document, and the objects in
# the real file would seem to be deleted.
# https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md, "The Pointer"
# https://git-annex.branchable.com/internals/pointer_file/
_POINTERS = {
    b"version https://git-lfs.github.com/spec/": "Git LFS",
    b"version https://hawser.github.com/spec/": "Git LFS",
    b"/annex/objects/": "git-annex",
}

# A full disk or a broken copy leaves an empty file, or blanks. The author who means an empty file
# can say so in a comment. (A NUL is a syntax error.)
_BLANKS = b" \t\n\v\f\r"
_PIPED = (
    "Check the program that writes it. If it shall hold nothing, let that write a comment. Until"
    " then nothing is removed."
)


class CompiledRow(NamedTuple):
    """A sending domain. ``ordinal`` is the document's number in its file, ``name`` the object's
    name, ``domain`` the lower-case A-label. ``kind`` is None if no route is declared."""

    ordinal: int
    namespace: str
    account: str
    name: str
    domain: str
    kind: RouteKind | None
    profile: str | None
    suspended: bool


class FileContent(NamedTuple):
    """The documents of a file that have no errors: rows, the others with their ordinals, how many
    documents are foreign, and which of these hold secrets in plain text."""

    rows: list[CompiledRow]
    documents: list[tuple[int, Document]]
    foreign: int
    plain_secrets: tuple[tuple[int, Path], ...] = ()

    def in_order(self) -> Sequence[CompiledRow | tuple[int, Document]]:
        """Return all of ours in the file's order, so that the first of two duplicates is reported
        as the first."""
        if not self.documents:
            return self.rows
        if not self.rows:
            return self.documents
        return sorted((*self.rows, *self.documents), key=_ordinal)


class FileResult(NamedTuple):
    """``problems`` is None if the fast reader read the complete file."""

    content: FileContent
    problems: FileProblems | None = None

    @property
    def is_sound(self) -> bool:
        """Whether the file was read fast, so that its content depends on no other library."""
        return self.problems is None


def read_file(
    entry: SourceEntry, data: bytes | Finding, *, as_documents: bool = False
) -> FileResult:
    """Read one file, fast if that is enough, else thoroughly. A bug that its content leads to is a
    problem of this file alone.

    Args:
        entry: the file.
        data: its bytes, or the finding that says why there are none.
        as_documents: return every document instead of turning sending domains into rows.

    Returns:
        The content of the file, and its problems.
    """
    if isinstance(data, bytes):
        data = _lost(entry, data) or data
    if not isinstance(data, bytes):
        return _unread(data)
    try:
        return _read(entry, data, as_documents=as_documents)
    except BaseException as error:
        if not is_internal(error):
            raise
        return _unread(internal_error(f"The file {entry.name}", error, whole_file(entry.name)))


def holds_manifests(path: str) -> bool:
    """Decide whether an output would replace manifests: whether a file holds an object of ours, or
    a part of it cannot be read that may be one.

    Args:
        path: the file, which need not exist.

    Returns:
        False also for a file that cannot be read, and for one of Sendroute's own output.
    """
    try:
        with open(path, "rb", opener=regular) as file:
            data = file.read()
    except OSError:
        return False
    if not data.strip(_BLANKS) or is_own_output(data):
        return False
    result = read_file(SourceEntry(path, path), data)
    content, problems = result.content, result.problems
    if content.rows or content.documents:
        return True
    if problems is None or not problems.findings:
        return False
    is_text = all(item.code == Code.YAML_SYNTAX for item in problems.findings)
    return not is_text or API_GROUP.encode() in data.replace(b"\0", b"")  # UTF-16


def _lost(entry: SourceEntry, data: bytes) -> Finding | None:
    """Why a file does not hold the manifests that it held or stands for; None if it may."""
    if kind := _pointer(data):
        return only_a_pointer(entry, kind)
    if not without_mark(data).strip(_BLANKS):
        return unreadable(entry.name, EMPTY, hint=_PIPED if entry.path == STDIN else None)
    if is_yaml(entry.name) and is_own_output(data):
        # One that is kept beside the manifests is JSON. This one was written over a manifest.
        return unreadable(entry.name, OWN_OUTPUT)
    return None


def _unread(problem: Finding) -> FileResult:
    """The result of a file of which nothing was read."""
    return FileResult(FileContent([], [], 0), FileProblems([problem], [problem], {}, {}))


def _read(entry: SourceEntry, data: bytes, *, as_documents: bool) -> FileResult:
    parsed, problems = fast.read(data), None
    if parsed is None:
        from sendroute.manifests.piecewise import read_piecewise

        parsed, problems = read_piecewise(entry, data)
    content = FileContent([], *parsed) if as_documents else content_of(parsed)
    return FileResult(content, problems)


def _pointer(data: bytes) -> str | None:
    """What a file that only points to its content belongs to; None for any other file."""
    if data[:1] not in (b"v", b"/"):
        return None
    return next((kind for start, kind in _POINTERS.items() if data.startswith(start)), None)


def content_of(parsed: ParsedFile) -> FileContent:
    """Return the parsed documents with every plain sending domain as a row."""
    rows: list[CompiledRow] = []
    others: list[tuple[int, Document]] = []
    for ordinal, document in parsed.documents:
        row = row_of(document, ordinal) if type(document) is SendingDomain else None
        if row is None:
            others.append((ordinal, document))
        else:
            rows.append(row)
    return FileContent(rows, others, parsed.foreign, parsed.plain_secrets)


def row_of(document: SendingDomain, ordinal: int) -> CompiledRow | None:
    """Return the document as a row, or None if it is more than a row can hold."""
    spec = document.spec
    domain = plain_domain_name(spec.domain)
    if domain is None or spec.overrides is not UNSET or is_marked(document.metadata):
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
    return CompiledRow(
        ordinal, namespace, spec.account, metadata.name, domain, kind, profile, suspended
    )


def namespace_of(metadata: Metadata) -> str:
    """Return the declared namespace, ``default`` if there is none."""
    return DEFAULT_NAMESPACE if metadata.namespace is UNSET else metadata.namespace


def _ordinal(item: CompiledRow | tuple[int, Document]) -> int:
    return item[0]
