"""What the last reconcile could not settle of an account, and why. It is kept until settled."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from sendroute.model.finding import Finding, Severity
from sendroute.model.owner import Owner
from sendroute.model.remedy import Remedy


class StatusReason(StrEnum):
    """Why an account is not settled.

    ``HELD_BACK``: a guard stopped the change, and it waits for an approval. ``FAILED``: because of
    an error the account stays as it was. ``REFUSED``: a part needs an edit or a confirmation first;
    the rest was applied. ``SKIPPED``: a part stays as it is; the rest was applied.
    """

    HELD_BACK = "held-back"
    FAILED = "failed"
    REFUSED = "refused"
    SKIPPED = "skipped"


class ReportedFinding(Struct, frozen=True, omit_defaults=True):
    """A finding as it was reported. ``place`` is ``FILE:LINE:COLUMN``, or None without one."""

    code: str
    severity: Severity
    message: str
    hint: str | None = None
    place: str | None = None
    remedy: Remedy | None = None


class Step(Struct, frozen=True, omit_defaults=True):
    """One change of a plan that is held back, as it is shown before an approval."""

    kind: str
    name: str
    action: str
    message: str


class Report(Struct, frozen=True, omit_defaults=True):
    """What is kept of a reconcile to show it later.

    ``findings`` are the first findings and ``more`` how many followed. For a plan that is held
    back, ``summary`` counts its changes by action and ``steps`` are the first of them: a plan may
    have a million.
    """

    findings: tuple[ReportedFinding, ...] = ()
    more: int = 0
    summary: dict[str, int] = {}
    steps: tuple[Step, ...] = ()


class Approval(Struct, frozen=True):
    """``digest`` is the digest of the one plan that may be applied. ``at`` is aware, in UTC."""

    digest: str
    by: str
    at: datetime


class AccountStatus(Struct, frozen=True):
    """An account, or the platform, that is not settled.

    ``digest`` is the digest of the plan that is held back, None if none is. ``since`` is the time
    since when it is so, aware, in UTC. ``commit`` is the commit of the manifests.
    """

    key: Owner
    outcome: StatusReason
    report: Report
    since: datetime
    digest: str | None = None
    commit: str | None = None
    approval: Approval | None = None

    @property
    def approved(self) -> bool:
        """Whether the plan that is held back is the one that was approved."""
        return self.approval is not None and self.approval.digest == self.digest


def reported(finding: Finding, place: str | None) -> ReportedFinding:
    """The finding as it is kept. ``place`` is ``FILE:LINE:COLUMN``, None without a position."""
    return ReportedFinding(
        finding.code, finding.severity, finding.message, finding.hint, place, finding.remedy
    )
