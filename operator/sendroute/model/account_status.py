"""Why the last reconcile did not apply an account completely. The status is kept until it does."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import force_setattr

from sendroute.model.change import DomainCounts, WholeChange
from sendroute.model.finding import WHOLE_FILE, Finding, Position, Severity, TenantText
from sendroute.model.owner import Owner
from sendroute.model.remedy import Remedy
from sendroute.model.waiting import Wait


class StatusReason(StrEnum):
    """Why an account was not applied completely.

    ``HELD_BACK``: a guard stopped the change, and it waits for an approval. ``FAILED``: an error
    occurred, and nothing was applied. ``REFUSED``: a part needs an edit or a confirmation first;
    the rest was applied. ``SKIPPED``: a part was not changed; the rest was applied.
    ``CONTESTED``: another writer reverts it each time that it is applied.
    """

    HELD_BACK = "held-back"
    FAILED = "failed"
    REFUSED = "refused"
    SKIPPED = "skipped"
    CONTESTED = "contested"


class ReportedFinding(Struct, frozen=True, omit_defaults=True):
    """A finding as it was reported. ``position`` is a path for a finding about a file as a whole;
    None for one about no file.

    ``domain``, ``wait``, ``for_tenant`` and ``profile`` are those of the finding. A finding about
    many domains that wait for the same thing names the first of them in ``domains``, and counts the
    others in ``more_domains``. A status of an earlier version has none of the first four, and its
    position is the text ``FILE:LINE:COLUMN``.
    """

    code: str
    severity: Severity
    message: str
    hint: str | None = None
    position: Position | str | None = None
    remedy: Remedy | None = None
    domains: tuple[str, ...] = ()
    more_domains: int = 0
    domain: str | None = None
    wait: Wait | None = None
    for_tenant: TenantText | None = None
    profile: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.position, str):
            force_setattr(self, "position", Position.of_text(self.position) or self.position)

    @property
    def positioned(self) -> str:
        """The message, after the position if there is one."""
        return self.message if self.position is None else f"{self.position}: {self.message}"


class PlanStep(Struct, frozen=True, omit_defaults=True):
    """One change of a held-back plan, in the form in which it is shown before an approval. ``does``
    is what it changes, ``managed → profile ses``, and ``reason`` why, ``declared``; both are empty
    in a status of an earlier version."""

    kind: str
    name: str
    action: str
    message: str
    does: str = ""
    reason: str = ""


class StatusReport(Struct, frozen=True, omit_defaults=True):
    """The part of a reconcile's result that is stored, to show it later.

    ``findings`` are the first findings, and ``more`` counts the others. For a held-back plan,
    ``summary`` counts its changes by action, and ``steps`` are only the first of them, because a
    plan may have a million changes. ``counts`` is what the guards count of a plan that was not
    committed: plans of other accounts take it into account (rules: guards). ``whole`` is the whole
    change because of whose size the account was held back first; it is kept until the account is
    applied, so that what else is applied meanwhile does not let the change through.
    """

    findings: tuple[ReportedFinding, ...] = ()
    more: int = 0
    summary: dict[str, int] = {}
    steps: tuple[PlanStep, ...] = ()
    counts: DomainCounts = DomainCounts()
    whole: WholeChange | None = None


class Approval(Struct, frozen=True):
    """``digest`` is the digest of the one plan that may be applied. ``at`` is aware, in UTC."""

    digest: str
    by: str
    at: datetime


class AccountStatus(Struct, frozen=True):
    """The status of an account, or of the platform, that was not applied completely.

    ``digest`` is the digest of the held-back plan, None if no plan is held back. ``since`` is the
    time at which the status began, aware, in UTC. ``commit`` is the commit of the manifests.
    """

    key: Owner
    reason: StatusReason
    report: StatusReport
    since: datetime
    digest: str | None = None
    commit: str | None = None
    approval: Approval | None = None

    @property
    def approved(self) -> bool:
        """Whether the held-back plan is the approved one."""
        return self.approval is not None and self.approval.digest == self.digest


def reported(finding: Finding) -> ReportedFinding:
    """Convert a finding to the form in which a status stores it.

    Args:
        finding: the finding.

    Returns:
        The stored form, without related positions.
    """
    position: Position | str | None = finding.position
    if position is None and finding.where is not None and finding.where.document == WHOLE_FILE:
        position = finding.where.file
    return ReportedFinding(
        finding.code,
        finding.severity,
        finding.message,
        finding.hint,
        position,
        finding.remedy,
        domain=finding.domain,
        wait=finding.wait,
        for_tenant=finding.for_tenant,
        profile=finding.profile,
    )
