"""Findings: errors, refusals, warnings and information, each with code, position and hint."""

from enum import StrEnum

from msgspec import Struct

from sendroute.model.remedy import Remedy


class Severity(StrEnum):
    """``REFUSED``: a person must confirm or approve it (exit status 3, not 1)."""

    ERROR = "error"
    REFUSED = "refused"
    WARNING = "warning"
    INFO = "info"


class Where(Struct, frozen=True, gc=False):
    """A value in the manifests, before its line is known: lines are looked up only for what is
    shown.

    ``document`` counts the documents of the file from 0 as they are read; each item of a ``List``
    counts as one. ``path`` leads to a value in that document, or with ``of_key`` to its key.
    """

    file: str
    document: int
    path: tuple[str | int, ...] = ()
    of_key: bool = False

    def at(self, *path: str | int) -> "Where":
        """The same document, at another value."""
        return Where(self.file, self.document, path)


class Position(Struct, frozen=True, gc=False, order=True):
    """A position in a file. Line and column count from 1, the column in characters."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Finding(Struct, frozen=True):
    """One problem, refusal, warning or information.

    ``code`` is one of :class:`~sendroute.model.codes.Code`. :mod:`sendroute.manifests.locate` turns
    ``where`` into ``position``. ``related`` are other positions that explain it, such as the first
    of two definitions.

    ``hint`` is the next step as a sentence, without a front end's commands and options; ``remedy``
    is the same step as data, which a front end words for its users.
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
