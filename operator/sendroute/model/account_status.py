"""What the last reconcile left unsettled of an account, and why: kept until it is settled."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from sendroute.model.finding import Finding, Severity
from sendroute.model.owner import Owner
from sendroute.model.remedy import Remedy


class StatusReason(StrEnum):
    """``HELD_BACK``: a guard stopped it, and it waits to be approved; ``FAILED``: an error left
    it as it was; ``REFUSED``: something asks for an edit or a confirmation first, the rest went
    on; ``SKIPPED``: a part was left as it is, the rest went on."""

    HELD_BACK = "held-back"
    FAILED = "failed"
    REFUSED = "refused"
    SKIPPED = "skipped"


class ReportedFinding(Struct, frozen=True, omit_defaults=True):
    """A finding as it was told, at a place that a person can open (``FILE:LINE:COLUMN``)."""

    code: str
    severity: Severity
    message: str
    hint: str | None = None
    place: str | None = None
    remedy: Remedy | None = None


class Step(Struct, frozen=True, omit_defaults=True):
    """One change of a plan that is held back, in words."""

    kind: str
    name: str
    action: str
    message: str


class Report(Struct, frozen=True, omit_defaults=True):
    """What is kept to be read again: the first findings, and how many more there are; and of a
    plan that is held back its number of changes by action, and the first of them, for a plan may
    have a million."""

    findings: tuple[ReportedFinding, ...] = ()
    more: int = 0
    summary: dict[str, int] = {}
    steps: tuple[Step, ...] = ()


class Approval(Struct, frozen=True):
    """``digest`` names the plan that may go through: that one, and no other."""

    digest: str
    by: str
    at: datetime


class AccountStatus(Struct, frozen=True):
    """``digest`` is that of the plan that is held back, None where nothing is. ``since`` is when
    it became so: aware, in UTC."""

    key: Owner
    outcome: StatusReason
    report: Report
    since: datetime
    digest: str | None = None
    commit: str | None = None
    approval: Approval | None = None

    @property
    def approved(self) -> bool:
        return self.approval is not None and self.approval.digest == self.digest


def told(found: Finding, place: str | None) -> ReportedFinding:
    return ReportedFinding(
        found.code, found.severity, found.message, found.hint, place, found.remedy
    )
