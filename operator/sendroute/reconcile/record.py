"""The store as reconciling sees it."""

from collections.abc import Sequence
from typing import Protocol

from sendroute.model.change import AccountPlan, Change
from sendroute.model.held import Held
from sendroute.model.stamp import Stamp


class Record(Protocol):
    """What is assigned. Each method is one transaction, and raises a
    :class:`~sendroute.model.problem.ProblemError` in place of a database's own error."""

    def read(self) -> Held:
        """All of it at one revision."""
        ...

    def commit(self, plans: Sequence[AccountPlan], platform: Change | None, stamp: Stamp) -> int:
        """All of these accounts' changes or none, and the platform's with them; the store's
        revision afterwards.

        Raises :class:`~sendroute.model.problem.StaleError` where an account or the platform is
        not any more what it was planned on.
        """
        ...
