"""What the log says: each thing when it comes, when it changes and when it ends, and not again
with every round."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from sendroute.loop.rounds import Reconciled
from sendroute.loop.tree_source import LoadedTree
from sendroute.model.account_status import AccountStatus, StatusReason
from sendroute.model.finding import Finding, Severity
from sendroute.model.owner import PLATFORM, Owner
from sendroute.reconcile.assessment import Locate

_log = logging.getLogger(__name__)
_HELD = {
    StatusReason.HELD_BACK: "is held back",
    StatusReason.FAILED: "failed",
    StatusReason.REFUSED: "waits",
    StatusReason.SKIPPED: "is skipped in part",
}


class TransitionLog:
    """One kind of problem of the loop itself, such as the store's: told when it comes, when it
    changes and when it ends."""

    def __init__(self, over: str, level: int) -> None:
        self._over = over
        self._level = level
        self._told: tuple[str, ...] = ()

    def now(self, findings: Iterable[Finding], **extra: Any) -> None:
        """All that is wrong by now; nothing, where it is over."""
        known = list(findings)
        told = tuple(_sentence(found) for found in known)
        if not told and self._told:
            _log.info(self._over, extra=extra)
        for found, sentence in zip(known, told, strict=True):
            level = logging.DEBUG if sentence in self._told else self._level
            _log.log(level, "%s", sentence, extra=extra | {"code": found.code})
        self._told = told


class EventLog:
    """The log of one loop."""

    def __init__(self) -> None:
        self.tree = TransitionLog("The newest tree serves again.", logging.WARNING)
        self.store = TransitionLog("The store answers again.", logging.ERROR)
        self.round = TransitionLog("Rounds are made again.", logging.ERROR)
        self.kept = TransitionLog("The tree that serves is remembered again.", logging.WARNING)
        self._general: frozenset[str] = frozenset()
        self._account_statuses: dict[Owner, AccountStatus] = {}

    def serving(self, taken: LoadedTree) -> None:
        desired = taken.source.desired
        domains = sum(len(account.domains) for account in desired.accounts.values())
        at = f"commit {taken.source.commit}" if taken.source.commit else "the tree as it is now"
        _log.info(
            "Serving %s: %s, %s.",
            at,
            _counted(len(desired.accounts), "account"),
            _counted(domains, "domain"),
            extra={"commit": taken.source.commit},
        )

    def made(self, done: Reconciled, account_statuses: Mapping[Owner, AccountStatus]) -> None:
        """``account_statuses`` are all that there are by now."""
        commit = done.loaded.source.commit
        for key, count in done.drifted.items():
            _log.warning(
                "Account %s had drifted: it took %s to put it back.",
                key,
                _counted(count, "change"),
                extra=_of(key) | {"commit": commit, "changes": count},
            )
        for old in done.assessment.voided:
            _log.warning(
                "The approval of account %s by %s is void: it was for another plan.",
                old.key,
                old.approval.by if old.approval is not None else "",
                extra=_of(old.key) | {"commit": commit, "digest": old.digest},
            )
        self._tell_general(done, commit)
        for owner, standing in account_statuses.items():
            self._tell_standing(owner, standing)
        for gone in self._account_statuses.keys() - account_statuses.keys():
            _log.info("%s is settled.", _named(gone), extra=_of(gone) | {"commit": commit})
        self._account_statuses = dict(account_statuses)

    def _tell_general(self, done: Reconciled, commit: str | None) -> None:
        """What is wrong with the tree and is no account's: of a file that cannot be read."""
        locate = done.loaded.source.locate
        told = {}
        for found in done.result.plan.findings:
            if found.account is None and found.severity in (Severity.ERROR, Severity.REFUSED):
                told[_sentence(found, locate)] = found.code
        for sentence in sorted(told.keys() - self._general):
            _log.warning("%s", sentence, extra={"code": told[sentence], "commit": commit})
        for sentence in sorted(self._general - told.keys()):
            _log.info("Mended: %s", sentence, extra={"commit": commit})
        self._general = frozenset(told)

    def _tell_standing(self, key: Owner, standing: AccountStatus) -> None:
        before = self._account_statuses.get(key)
        same = before is not None and (before.outcome, before.digest, before.report.findings) == (
            standing.outcome,
            standing.digest,
            standing.report.findings,
        )
        reasons = standing.report.findings
        code = reasons[0].code if reasons else None
        extra = _of(key) | {"commit": standing.commit, "code": code, "outcome": standing.outcome}
        if standing.digest is not None:
            extra["digest"] = standing.digest
        first = f"{reasons[0].message} {reasons[0].hint or ''}".strip() if reasons else ""
        more = len(reasons) + standing.report.more - 1
        others = f" And {more} more." if more > 0 else ""
        _log.log(
            logging.DEBUG if same else logging.WARNING,
            "%s %s: %s%s",
            _named(key),
            _HELD[standing.outcome],
            first,
            others,
            extra=extra,
        )


def _sentence(found: Finding, locate: Locate | None = None) -> str:
    place = found.position
    if place is None and found.where is not None and locate is not None:
        place = locate(found.where)
    at = f"{place}: " if place is not None else ""
    return f"{at}{found.message} {found.hint or ''}".strip()


def _named(key: Owner) -> str:
    return "The platform" if key is PLATFORM else f"Account {key}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _of(key: Owner) -> dict[str, Any]:
    return {} if key is PLATFORM else {"namespace": key.namespace, "account": key.name}
