"""The log of the loop: a problem is logged when it begins, when it changes and when it ends, and
not again in every round."""

import logging
from collections.abc import Mapping

from sendroute.loop.rounds import RoundResult
from sendroute.loop.served_trees import Candidate
from sendroute.model.account_status import AccountStatus
from sendroute.model.owner import PLATFORM, Owner
from sendroute.model.words import counted, first_of
from sendroute.runtime.account_log import AccountLog
from sendroute.runtime.transition_log import Advise, TransitionLog

_log = logging.getLogger(__name__)
_LISTED = 5


class LoopLog:
    """The log of one loop. ``advise`` words what can be done about a problem."""

    def __init__(self, advise: Advise) -> None:
        self.tree = TransitionLog("The newest tree is served again.", logging.WARNING, advise)
        self.store = TransitionLog("The store answers again.", logging.ERROR, advise)
        self.round = TransitionLog("Rounds succeed again.", logging.ERROR, advise)
        self.last_good = TransitionLog(
            "The last good tree is remembered again.", logging.WARNING, advise
        )
        self.overdue = TransitionLog(
            "No change waits for the directory any more.", logging.WARNING, advise
        )
        self._accounts = AccountLog(advise)
        self._held: frozenset[Owner] = frozenset()

    def serving(self, served: Candidate) -> None:
        desired = served.tree.desired
        domains = sum(len(account.domains) for account in desired.accounts.values())
        at = f"commit {served.tree.commit}" if served.tree.commit else "the directory"
        _log.info(
            "Serving %s, which declares %s and %s.",
            at,
            counted(len(desired.accounts), "account"),
            counted(domains, "domain"),
            extra={"commit": served.tree.commit},
        )

    def holding(self, held: frozenset[Owner], settle: float) -> None:
        """Log which accounts begin to wait until their manifests have not changed for ``settle``
        seconds, and whether the platform does."""
        begins, self._held = held - self._held, held
        if PLATFORM in begins:
            _log.info("The platform waits until its manifest has not changed for %g s.", settle)
        if names := sorted(str(owner) for owner in begins if owner is not PLATFORM):
            _log.info(
                "What cannot be undone waits until the manifests of its account have not changed"
                " for %g s. This concerns %s: %s",
                settle,
                counted(len(names), "account"),
                first_of(names, _LISTED),
            )

    def round_completed(
        self, round_result: RoundResult, statuses: Mapping[Owner, AccountStatus]
    ) -> None:
        """Log what a round changed. ``statuses`` are those of all accounts after the round."""
        self._accounts.round_completed(
            round_result.result,
            round_result.drifted,
            round_result.recorded,
            round_result.assessment.voided_approvals,
            statuses,
            commit=round_result.served.tree.commit,
            locate=round_result.served.tree.locate,
        )
