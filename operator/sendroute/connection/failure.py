"""The end of a test that did not succeed."""

from sendroute.model.connection import ConnectionOutcome


class FailureError(Exception):
    """Raised anywhere in a test, caught where the test ends; it never leaves this package.

    ``detail`` is our own sentence. The errors that led here are not shown to anyone: they hold
    the server's text.
    """

    def __init__(self, outcome: ConnectionOutcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail
