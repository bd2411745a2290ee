"""The log of a process that runs for long: a problem is logged when it begins, changes and ends."""

import logging
from collections.abc import Iterable
from typing import Protocol, TypeVar

from sendroute.model.account_status import ReportedFinding
from sendroute.model.finding import Finding, Locate, located, no_positions

_log = logging.getLogger(__name__)


AnyFinding = TypeVar("AnyFinding", Finding, ReportedFinding)


class Advise(Protocol):
    """Appends a finding's remedy to its hint, in the form of the front end."""

    def __call__(self, finding: AnyFinding, /) -> AnyFinding: ...


class TransitionLog:
    """Logs one kind of problem of the process itself, for example of the store, when it begins,
    changes and ends."""

    def __init__(self, resolved: str, level: int, advise: Advise) -> None:
        self._resolved = resolved
        self._advise = advise
        self._level = level
        self._messages: tuple[str, ...] = ()

    def update(self, findings: Iterable[Finding]) -> None:
        """Log what is new among ``findings``, which are all problems now: none if it ended."""
        current = [(finding_text(self._advise(finding)), finding.code) for finding in findings]
        if not current and self._messages:
            _log.info(self._resolved)
        for message, code in current:
            level = logging.DEBUG if message in self._messages else self._level
            _log.log(level, "%s", message, extra={"code": code})
        self._messages = tuple(message for message, _ in current)


def finding_text(finding: Finding, locate: Locate = no_positions) -> str:
    """Write a finding as one line of a log.

    Args:
        finding: the finding.
        locate: finds its position, if it has none yet.

    Returns:
        Its position, message and hint.
    """
    position = located(finding, locate).position
    prefix = f"{position}: " if position is not None else ""
    return f"{prefix}{finding.message} {finding.hint or ''}".strip()


def log_failure(findings: Iterable[Finding], advise: Advise) -> None:
    """Log why a process did not start, for a program that reads the log.

    Args:
        findings: why it did not start.
        advise: adds the hint that fits the front end to each finding.
    """
    TransitionLog("", logging.ERROR, advise).update(findings)
