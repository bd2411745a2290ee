"""The log of the loop: a problem is logged when it begins, when it changes and when it ends, and
not again in every round."""

import logging
from collections.abc import Mapping
from typing import Any

from sendroute.loop.rounds import RoundResult
from sendroute.loop.served_trees import Candidate
from sendroute.model.account_status import AccountStatus, StatusReason
from sendroute.model.finding import Severity
from sendroute.model.owner import PLATFORM, Owner
from sendroute.model.words import counted
from sendroute.runtime.transition_log import Advise, TransitionLog, finding_text

_log = logging.getLogger(__name__)
_VERBS = {
    StatusReason.HELD_BACK: "is held back",
    StatusReason.FAILED: "failed",
    StatusReason.REFUSED: "waits",
    StatusReason.SKIPPED: "is skipped in part",
}


class EventLog:
    """The log of one loop. ``advise`` words what can be done about a problem."""

    def __init__(self, advise: Advise) -> None:
        self._advise = advise
        self.tree = TransitionLog("The newest tree is served again.", logging.WARNING, advise)
        self.store = TransitionLog("The store answers again.", logging.ERROR, advise)
        self.round = TransitionLog("Rounds succeed again.", logging.ERROR, advise)
        self.last_good = TransitionLog(
            "The last good tree is remembered again.", logging.WARNING, advise
        )
        self._tree_errors: frozenset[str] = frozenset()
        self._statuses: dict[Owner, AccountStatus] = {}

    def serving(self, served: Candidate) -> None:
        desired = served.tree.desired
        domains = sum(len(account.domains) for account in desired.accounts.values())
        at = f"commit {served.tree.commit}" if served.tree.commit else "the directory"
        _log.info(
            "Serving %s: %s, %s.",
            at,
            counted(len(desired.accounts), "account"),
            counted(domains, "domain"),
            extra={"commit": served.tree.commit},
        )

    def round_completed(
        self, round_result: RoundResult, statuses: Mapping[Owner, AccountStatus]
    ) -> None:
        """Log what a round changed. ``statuses`` are those of all accounts after the round."""
        commit = round_result.served.tree.commit
        for key, count in round_result.drifted.items():
            _log.warning(
                "Account %s had drifted: repaired with %s.",
                key,
                counted(count, "change"),
                extra=_fields(key) | {"commit": commit, "changes": count},
            )
        for old in round_result.assessment.voided_approvals:
            _log.warning(
                "The approval of account %s by %s is void: it is for another plan.",
                old.key,
                old.approval.by if old.approval is not None else "",
                extra=_fields(old.key) | {"commit": commit, "digest": old.digest},
            )
        self._log_tree_errors(round_result, commit)
        for owner, status in statuses.items():
            self._log_status(owner, status)
        for complete in self._statuses.keys() - statuses.keys():
            _log.info(
                "%s is fully applied.",
                _name(complete),
                extra=_fields(complete) | {"commit": commit},
            )
        self._statuses = dict(statuses)

    def _log_tree_errors(self, round_result: RoundResult, commit: str | None) -> None:
        """Errors that belong to no account, for example of a file that cannot be read."""
        locate = round_result.served.tree.locate
        codes = {
            finding_text(self._advise(finding), locate): finding.code
            for finding in round_result.result.plan.findings
            if finding.account is None and finding.severity in (Severity.ERROR, Severity.REFUSED)
        }
        for message in sorted(codes.keys() - self._tree_errors):
            _log.warning("%s", message, extra={"code": codes[message], "commit": commit})
        for message in sorted(self._tree_errors - codes.keys()):
            _log.info("Fixed: %s", message, extra={"commit": commit})
        self._tree_errors = frozenset(codes)

    def _log_status(self, key: Owner, status: AccountStatus) -> None:
        before = self._statuses.get(key)
        same = before is not None and (before.reason, before.digest, before.report.findings) == (
            status.reason,
            status.digest,
            status.report.findings,
        )
        reasons = [self._advise(finding) for finding in status.report.findings]
        code = reasons[0].code if reasons else None
        extra = _fields(key) | {"commit": status.commit, "code": code, "reason": status.reason}
        if status.digest is not None:
            extra["digest"] = status.digest
        first = f"{reasons[0].message} {reasons[0].hint or ''}".strip() if reasons else ""
        omitted = len(reasons) + status.report.more - 1
        others = f" And {omitted} more." if omitted > 0 else ""
        _log.log(
            logging.DEBUG if same else logging.WARNING,
            "%s %s: %s%s",
            _name(key),
            _VERBS[status.reason],
            first,
            others,
            extra=extra,
        )


def _name(key: Owner) -> str:
    return "The platform" if key is PLATFORM else f"Account {key}"


def _fields(key: Owner) -> dict[str, Any]:
    return {} if key is PLATFORM else {"namespace": key.namespace, "account": key.name}
