"""Errors that carry findings: adapters raise them, front ends show them."""

from sendroute.model.finding import Finding


class ProblemError(Exception):
    """Raised by adapters instead of a library's error (``raise ... from error``).

    ``findings`` has at least one finding. The message joins theirs: it holds no secret and no
    text of a server.
    """

    def __init__(self, *findings: Finding) -> None:
        super().__init__("; ".join(finding.message for finding in findings))
        self.findings = findings


class StaleError(ProblemError):
    """The store changed after the plan was made. Nothing was written; plan again."""


class InvalidSettingError(ProblemError):
    """What Sendroute is run with is malformed or contradicts itself (``invalid-value``), such as a
    URL. No retry helps."""
