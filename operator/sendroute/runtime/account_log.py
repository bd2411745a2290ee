"""The log of a process that reconciles accounts: what an account leaves open is logged when it
begins, when it changes and when it ends, and not again in every round."""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sendroute.model.account_status import AccountStatus, StatusReason
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Locate, Severity, no_positions
from sendroute.model.outcome import Result
from sendroute.model.owner import PLATFORM, Owner
from sendroute.model.words import PREDICATES, counted, first_of
from sendroute.runtime.transition_log import Advise, finding_text

_log = logging.getLogger(__name__)
_LISTED = 5
_REVISION = re.compile(r"\brevision \d+")


class AccountLog:
    """The log of the accounts of one process. ``advise`` words what can be done about a problem."""

    def __init__(self, advise: Advise) -> None:
        self._advise = advise
        self._general: dict[str, str] = {}
        self._statuses: dict[Owner, AccountStatus] = {}

    def round_completed(
        self,
        result: Result,
        repaired: Mapping[AccountKey, int],
        recorded: Mapping[AccountKey, Sequence[str]],
        voided_approvals: Iterable[AccountStatus],
        statuses: Mapping[Owner, AccountStatus],
        *,
        commit: str | None = None,
        locate: Locate = no_positions,
    ) -> None:
        """Log what a round changed.

        Args:
            result: what the round did.
            repaired: the changes that repaired drift, by account.
            recorded: the sentences about what stays as another process left it, by account.
            voided_approvals: the approvals that no longer hold.
            statuses: those of all accounts after the round.
            commit: the commit of the manifests.
            locate: finds the positions of findings.
        """
        for key, messages in recorded.items():
            _log.warning(
                "Account %s was changed by another process. Without a declared route nothing is"
                " repaired: %s",
                key,
                first_of(messages, _LISTED).replace("., ", "; "),
                extra=_fields(key) | {"commit": commit},
            )
        for key, count in repaired.items():
            _log.warning(
                "Account %s had drifted: repaired with %s.",
                key,
                counted(count, "change"),
                extra=_fields(key) | {"commit": commit, "changes": count},
            )
        for old in voided_approvals:
            _log.warning(
                "The approval of account %s by %s is void: it is for another plan.",
                old.key,
                old.approval.by if old.approval is not None else "",
                extra=_fields(old.key) | {"commit": commit, "digest": old.digest},
            )
        self._log_general(result.plan.findings, commit, locate)
        open_owners = frozenset(statuses)
        statuses = {owner: status for owner, status in statuses.items() if not _is_logged(status)}
        for owner, status in statuses.items():
            self._log_status(owner, status)
        for complete in self._statuses.keys() - open_owners:
            _log.info(
                "%s is fully applied.",
                _name(complete),
                extra=_fields(complete) | {"commit": commit},
            )
        self._statuses = statuses

    def _log_general(self, findings: Iterable[Finding], commit: str | None, locate: Locate) -> None:
        """Errors that belong to no account, for example of a file that cannot be read, and warnings
        about a position in the manifests, for example of a Secret in plain text."""
        codes, texts = {}, {}
        for finding in findings:
            if finding.account is None and _is_general(finding):
                text = finding_text(self._advise(finding), locate)
                # The store's revision grows with every change; what is wrong stays the same.
                problem = _REVISION.sub("revision", text)
                codes[problem], texts[problem] = finding.code, text
        for problem in sorted(texts.keys() - self._general.keys()):
            extra = {"code": codes[problem], "commit": commit}
            _log.warning("%s", texts[problem], extra=extra)
        for problem in sorted(self._general.keys() - texts.keys()):
            _log.info("Fixed: %s", self._general[problem], extra={"commit": commit})
        self._general = texts

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
        if others and not first.endswith("."):  # a hint may end with a command or an option
            others = f".{others}"
        _log.log(
            logging.DEBUG if same else logging.WARNING,
            "%s %s: %s%s",
            _name(key),
            PREDICATES[status.reason],
            first,
            others,
            extra=extra,
        )


def _is_general(finding: Finding) -> bool:
    if finding.severity is Severity.WARNING:
        return finding.where is not None or finding.position is not None
    return finding.severity is not Severity.INFO


def _is_logged(status: AccountStatus) -> bool:
    """Whether the errors of no account, which are logged by themselves, are all that it says."""
    return status.key is PLATFORM and status.reason in (StatusReason.REFUSED, StatusReason.SKIPPED)


def _name(key: Owner) -> str:
    return "The platform" if key is PLATFORM else f"Account {key}"


def _fields(key: Owner) -> dict[str, Any]:
    return {} if key is PLATFORM else {"namespace": key.namespace, "account": key.name}
