"""A problem, a piece of advice or a refusal, told to a person: code, place, sentence, hint."""

from enum import StrEnum

from msgspec import Struct

from sendroute.model.remedy import Remedy


class Severity(StrEnum):
    """``REFUSED`` is what a person must confirm or let through: exit status 3, not 1."""

    ERROR = "error"
    REFUSED = "refused"
    WARNING = "warning"
    INFO = "info"


class Where(Struct, frozen=True, gc=False):
    """A place in the manifests before its line is known: lines are found late, for what is shown.

    ``document`` counts the documents of the file from 0 as they are read, those of a ``List``'s
    ``items`` one by one after the other. ``path`` leads to a value in that document; where
    ``of_key`` is true the place meant is the key itself.
    """

    file: str
    document: int
    path: tuple[str | int, ...] = ()
    of_key: bool = False

    def at(self, *path: str | int) -> "Where":
        """The same document, at another value."""
        return Where(self.file, self.document, path)


class Position(Struct, frozen=True, gc=False, order=True):
    """A place that a person can open: line and column count from 1, column in characters."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Finding(Struct, frozen=True):
    """``where`` is turned into ``position`` by :mod:`sendroute.manifests.locate`; ``related`` are
    the other places that a reader must see to understand it (the first of two definitions).

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
