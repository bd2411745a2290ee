"""What a process that runs for long reports of itself."""

from typing import Protocol


class HealthReporter(Protocol):
    """What the HTTP server answers at ``/healthz`` and ``/readyz``."""

    def beat(self) -> None:
        """Report that the process is alive."""
        ...

    def ready(self, reason: str) -> None:
        """Report readiness.

        Args:
            reason: a sentence that is visible to everyone who can connect.
        """
        ...

    def not_ready(self, reason: str) -> None:
        """Report that the process is not ready.

        Args:
            reason: a sentence as for :meth:`ready`.
        """
        ...
