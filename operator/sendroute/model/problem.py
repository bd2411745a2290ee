"""A finding that ends the work at hand: raised at an edge, shown by the front end."""

from sendroute.model.finding import Finding


class ProblemError(Exception):
    """Raised by adapters in place of a library's own error (``raise ... from error``).

    The message holds only what the findings hold: no secret and no server's raw text.
    """

    def __init__(self, *findings: Finding) -> None:
        super().__init__("; ".join(found.message for found in findings))
        self.findings = findings


class StaleError(ProblemError):
    """What a plan was made from has changed since: nothing was written; plan again."""
