"""The failure of a test."""

from sendroute.model.connection import ConnectionOutcome


class ConnectionTestError(Exception):
    """Raised anywhere in a test and caught at its end; it never leaves this package.

    ``detail`` is Sendroute's own sentence. The errors that caused it are never shown, because they
    contain text of the server. ``advice`` is the next step, if it follows from what was seen.
    ``next_address`` is true if another address of the host may do better: the server was not
    reached, or ended the session before the sign-in.
    """

    def __init__(
        self,
        outcome: ConnectionOutcome,
        detail: str,
        *,
        advice: str | None = None,
        next_address: bool = False,
    ) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail
        self.advice = advice
        self.next_address = next_address
