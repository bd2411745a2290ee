"""The failure of a test."""

from sendroute.model.connection import ConnectionOutcome


class ConnectionTestError(Exception):
    """Raised anywhere in a test and caught at its end; it never leaves this package.

    ``detail`` is Sendroute's own sentence. The errors that caused it are never shown, because they
    contain text of the server.
    """

    def __init__(self, outcome: ConnectionOutcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail
