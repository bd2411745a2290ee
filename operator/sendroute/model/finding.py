"""Findings: errors, refusals, warnings and information, each with code, position and hint."""

from collections.abc import Callable, Iterable
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from sendroute.model.remedy import Remedy
from sendroute.model.waiting import Wait


class Severity(StrEnum):
    """``REFUSED``: a person must confirm or approve it (exit status 3, not 1)."""

    ERROR = "error"
    REFUSED = "refused"
    WARNING = "warning"
    INFO = "info"


Path = tuple[str | int, ...]
"""The path to a value in a document: keys of mappings, and indexes of lists."""


class Where(Struct, frozen=True, gc=False):
    """A value in the manifests, before its line is known: lines are looked up only for what is
    shown.

    ``document`` counts the documents of the file from 0 as they are read; each item of a ``List``
    counts as one, and :data:`WHOLE_FILE` stands for no document. ``path`` leads to a value in that
    document, or with ``of_key`` to its key. ``outside``: the file was reached by a link that leads
    out of the tree, so no finding quotes anything of it: its author may not be allowed to read it.
    """

    file: str
    document: int
    path: Path = ()
    of_key: bool = False
    outside: bool = False

    def at(self, *path: str | int, of_key: bool = False) -> "Where":
        """Return the same document, at another value.

        Args:
            path: the keys and indexes that lead from the document to the value.
            of_key: the position of the value's key instead.
        """
        return Where(self.file, self.document, path, of_key, self.outside)


WHOLE_FILE = -1


def whole_file(path: str) -> Where:
    """Point at a file as a whole, such as a lock file or a report: a finding about it has no line.

    Args:
        path: the path of the file, as it is shown.

    Returns:
        The position, for ``Finding.where``.
    """
    return Where(path, WHOLE_FILE)


class Position(Struct, frozen=True, gc=False, order=True):
    """A position in a file. Line and column count from 1, the column in characters."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    @classmethod
    def of_text(cls, text: str) -> "Position | None":
        """Return the position that ``str`` wrote; None for a text without line and column."""
        file, *numbers = text.rsplit(":", 2)
        if len(numbers) < 2 or not all(number.isdecimal() for number in numbers):
            return None
        return cls(file, *map(int, numbers))


class TenantText(Struct, frozen=True):
    """How a finding reads to a tenant who may not know of other tenants.

    ``accounts`` are the accounts besides its own that the finding names, as ``(namespace, name)``:
    a tenant may know of those in its own namespace. Empty if the finding says something of the
    whole platform, which no tenant may know.
    """

    message: str
    hint: str | None
    accounts: tuple[tuple[str, str], ...] = ()


class Finding(Struct, frozen=True):
    """One problem, refusal, warning or information.

    ``code`` is one of :class:`~sendroute.model.codes.Code`. :func:`located` turns ``where`` into
    ``position``. ``related`` are other positions that explain it, such as the first
    of two definitions.

    ``hint`` is the next step as a sentence, without a front end's commands and options; ``remedy``
    is the same step as data, which a front end words for its users. ``cause`` is the code of the
    problem that led to it; None if it is that problem itself.

    ``namespace`` without an ``account`` is that of an object whose account cannot be read.
    ``domain`` is the sending domain that it is about, as an A-label; None if it is about something
    else, or about several. ``profile`` is the account's profile because of which it was reported.
    ``wait`` is why that domain waits, if it does. Nothing reads any of them out of ``message``,
    which is for people.

    ``for_tenant`` is how it reads to a tenant; None if it says nothing of other tenants.
    """

    code: str
    severity: Severity
    message: str
    hint: str | None = None
    where: Where | None = None
    position: Position | None = None
    related: tuple[Where | Position, ...] = ()
    namespace: str | None = None
    account: str | None = None
    remedy: Remedy | None = None
    cause: str | None = None
    for_tenant: TenantText | None = None
    domain: str | None = None
    wait: Wait | None = None
    profile: str | None = None


Locate = Callable[[Where], Position | None]
"""Finds the line and column of a value; None if the value is not in the files that it reads."""


def no_positions(_where: Where) -> None:
    """A ``Locate`` for manifests that are unavailable: reports then show only the file."""


def located(finding: Finding, locate: Locate) -> Finding:
    """Add positions to a finding and to what is related to it.

    Args:
        finding: the finding. A position that it has already is kept.
        locate: finds positions; called only if one is missing.

    Returns:
        The finding with its positions; the same object if nothing changed. One about a file
        outside the tree loses its account, whose name is in the file.
    """
    position, where = finding.position, finding.where
    if where is not None and where.outside and finding.account is not None:
        finding = replace(finding, namespace=None, account=None)
    if position is None and where is not None and where.document != WHOLE_FILE:
        position = locate(where)
    if position is finding.position and not finding.related:
        return finding
    related = tuple(
        location if isinstance(location, Position) else _located(location, locate)
        for location in finding.related
    )
    return replace(finding, position=position, related=related)


def _located(where: Where, locate: Locate) -> Where | Position:
    return where if where.document == WHOLE_FILE else locate(where) or where


def sort_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Sort findings by file, line and column, then by code and message; at the same position those
    of no account are first, because those of accounts may follow from them. In each file, those
    without a line are first; those without a file are first of all.

    Args:
        findings: the findings, with their positions.

    Returns:
        The sorted findings.
    """
    return sorted(findings, key=_order)


def _order(finding: Finding) -> tuple[str, int, int, bool, str, str]:
    if finding.position is not None:
        position = (finding.position.file, finding.position.line, finding.position.column)
    else:
        position = (finding.where.file if finding.where else "", 0, 0)
    return (*position, finding.account is not None, finding.code, finding.message)
