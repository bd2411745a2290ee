"""From an account that was reconciled to the status of each of its objects: a pure projection.

A status is derived from what the object declares, from what the store holds afterwards and from
the findings, never from an earlier status. Two things are kept from it: the times of conditions
that did not change, and, while the store cannot be read or is another one, what was known of it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from sendroute.cluster.approvals import digest_in
from sendroute.cluster.objects import (
    APPROVE,
    ClusterObject,
    ObjectKey,
    Reconciled,
    ReconciledPlatform,
)
from sendroute.cluster.summary import (
    AppliedState,
    ConditionValue,
    condition_from,
    conditions,
    is_blocking,
    is_event,
    most_severe,
    shown_at,
)
from sendroute.cluster.tenancy import findings_for_tenant
from sendroute.manifests.shapes import MailAccount, SendingDomain, SMTPProfile
from sendroute.manifests.statuses import (
    MAX_HELD_BACK,
    STATUSES,
    AccountCounts,
    Condition,
    HeldBackAccount,
    LastApplyAll,
    MailAccountStatus,
    MailPlatformStatus,
    ObjectStatus,
    SendingDomainStatus,
    StoreIdentity,
    decode_status,
    route_shape,
)
from sendroute.model.account_status import AccountStatus, StatusReason
from sendroute.model.codes import Code, Trait, finding, has_trait, is_stalled, why_not_saved
from sendroute.model.conditions import ConditionType, Reason
from sendroute.model.current import AccountState, CurrentAccount, DomainState
from sendroute.model.desired import AccountKey, DesiredDomain, DesiredProfile
from sendroute.model.finding import Finding, Severity
from sendroute.model.outcome import Outcome
from sendroute.model.owner import PLATFORM
from sendroute.model.profile import ConnectionTest
from sendroute.model.words import counted
from sendroute.planner.default import effective_default
from sendroute.planner.inputs import satisfiable_routes
from sendroute.reconcile.approvals import is_digest_of

_ACCEPTED, _RESOLVED = ConditionType.ACCEPTED, ConditionType.RESOLVED_REFS
_CONNECTED, _APPLIED = ConditionType.CONNECTION_VERIFIED, ConditionType.APPLIED
_VALID = ConditionValue("True", Reason.VALID, "The object is valid.")
_EXIST = ConditionValue("True", Reason.RESOLVED, "Everything that the object refers to exists.")
_IS_APPLIED = AppliedState(
    ConditionValue("True", Reason.APPLIED, "The store holds what the object declares.")
)
_PENDING = AppliedState(ConditionValue("False", Reason.PENDING, "The object is not applied yet."))


def project(reconciled: Reconciled, now: datetime) -> dict[ObjectKey, ObjectStatus]:
    """Project an account.

    Args:
        reconciled: the account.
        now: the time, aware, in UTC.

    Returns:
        The status of each of its objects.
    """
    namespace = reconciled.key.namespace
    findings = findings_for_tenant(reconciled.findings, namespace)
    reconciled = replace(reconciled, findings=findings)
    account = _AccountProjection(reconciled, now.replace(microsecond=0))
    return {seen.key: account.status_of(seen) for seen in reconciled.objects}


def project_platform(reconciled: ReconciledPlatform, now: datetime) -> MailPlatformStatus | None:
    """Project the platform.

    Args:
        reconciled: the platform.
        now: the time, aware, in UTC.

    Returns:
        The status of the MailPlatform; None without one.
    """
    seen = reconciled.object
    if seen is None:
        return None
    before = _before(seen)
    file = str(seen.key)
    about = [item for item in reconciled.findings if item.where is None or item.where.file == file]
    contest = _contest(reconciled.statuses.get(PLATFORM))
    about += contest
    suspended = seen.document is not None and seen.document.spec.suspend is True
    accepted = _suspended("The MailPlatform") if suspended else _VALID
    applied = _platform_applied(reconciled, about, contest, suspended=suspended)
    values = {
        _ACCEPTED: condition_from(_ACCEPTED, about, accepted)[0],
        _RESOLVED: condition_from(_RESOLVED, about, _EXIST)[0],
        _APPLIED: condition_from(_APPLIED, about, applied.value)[0],
    }
    held_back = _held_back(reconciled.statuses)
    store = before.store if isinstance(before, MailPlatformStatus) else UNSET
    if reconciled.lineage and not _is_other_store(reconciled.findings):
        store = StoreIdentity(lineage=reconciled.lineage)
    return MailPlatformStatus(
        observed_generation=seen.generation,
        conditions=conditions(
            values,
            applied,
            about,
            seen.generation,
            _conditions_of(before),
            now.replace(microsecond=0),
            waits=reconciled.waiting is not None,
        ),
        held_back=held_back[:MAX_HELD_BACK] or UNSET,
        held_back_total=len(held_back),
        store=store,
    )


def _contest(status: AccountStatus | None) -> tuple[Finding, ...]:
    """That another writer reverts an account, or the platform, each time, as a tenant reads it."""
    if status is None or status.reason is not StatusReason.CONTESTED:
        return ()
    account = status.key if isinstance(status.key, AccountKey) else None
    return tuple(
        finding(item.code, text.message, hint=text.hint, account=account)
        for item in status.report.findings
        if item.code == Code.CONTESTED_ACCOUNT and (text := item.for_tenant) is not None
    )


def _platform_applied(
    reconciled: ReconciledPlatform,
    about: Sequence[Finding],
    contest: Sequence[Finding],
    *,
    suspended: bool,
) -> AppliedState:
    if suspended:
        return AppliedState(_suspended("The MailPlatform"))
    if reconciled.waiting is not None:
        return AppliedState(ConditionValue("False", Reason.WAITING, reconciled.waiting))
    if contested := _because(contest):
        return contested
    if reconciled.desired is not None and reconciled.current == reconciled.desired:
        return _IS_APPLIED
    return _because(about) or _PENDING


def _held_back(statuses: Mapping[Any, AccountStatus]) -> list[HeldBackAccount]:
    held = [
        (key, status)
        for key, status in statuses.items()
        if isinstance(key, AccountKey) and status.reason is StatusReason.HELD_BACK and status.digest
    ]
    return [
        HeldBackAccount(
            namespace=key.namespace,
            account=key.name,
            effect=_effect(status),
            digest=status.digest or "",
        )
        for key, status in sorted(held)
    ]


def _effect(status: AccountStatus) -> str:
    """What a held-back change would do: the guard's sentence."""
    for item in status.report.findings:
        if has_trait(item.code, Trait.APPROVABLE):
            return item.message
    return f"A change of account {status.key} is held back."


class _Subject(NamedTuple):
    """An object, with what its part of the status is derived from. ``accepted`` is what Accepted
    says without findings."""

    seen: ClusterObject
    before: ObjectStatus | None
    findings: Sequence[Finding]
    applied: AppliedState
    accepted: ConditionValue = _VALID


class _AccountProjection:
    """One account while its objects are projected."""

    def __init__(self, reconciled: Reconciled, now: datetime) -> None:
        self._reconciled = reconciled
        self._now = now
        self._files = {str(seen.key) for seen in reconciled.objects}
        kinds = {seen.key.kind: seen for seen in reconciled.objects}
        self._account_object = kinds.get("MailAccount")
        desired = reconciled.desired
        self._domains = {d.where.file: d for d in desired.domains} if desired is not None else {}
        self._profiles = (
            {p.where.file: (name, p) for name, p in desired.profiles.items()}
            if desired is not None
            else {}
        )
        self._findings: dict[str, list[Finding]] = {}
        self._general: list[Finding] = []
        for item in reconciled.findings:
            file = item.where.file if item.where is not None else ""
            if is_event(item):
                continue
            if item.code == Code.PROFILE_UNUSED and file in self._profiles:
                item = self._unused(item, self._profiles[file][0])
            if file in self._files:
                others = _also_about(item) - self._domains.keys()
                for name in {file, *others}:
                    self._findings.setdefault(name, []).append(item)
            elif is_blocking(item) and self._concerns_account(file):
                self._general.append(item)

    def _unused(self, item: Finding, name: str) -> Finding:
        """That no object refers to a profile, with what the store knows: files do not say whether
        domains still use it."""
        message, hint = f"No object of the account refers to profile {name}", None
        current = self._reconciled.current
        if current is not None:
            used = sum(state.route.profile == name for state in current.domains.values())
            if used:
                message += (
                    f", but {counted(used, 'domain')} of it {'uses' if used == 1 else 'use'} the"
                    " profile because of an earlier declaration, default or apply-all"
                )
            else:
                message, hint = f"{message}, and no domain uses it", "It can be deleted."
        return replace(item, message=f"{message}.", hint=hint)

    def _concerns_account(self, file: str) -> bool:
        """Whether a finding about none of the objects stops the account. One about the platform
        does only if there is no platform."""
        of_platform = file.partition("/")[0] == "MailPlatform"
        return not of_platform or self._reconciled.platform is None

    def status_of(self, seen: ClusterObject) -> ObjectStatus:
        """The status of one of its objects."""
        before = _before(seen)
        findings = self._findings.get(str(seen.key), [])
        if seen is self._account_object:
            findings = [*findings, *self._general, *self._contest]
        subject = self._subject(seen, before, _without_repetition(findings))
        fields = self._fields(subject)
        status = STATUSES[seen.key.kind](
            observed_generation=seen.generation, conditions=self._conditions(subject)
        )
        return replace(status, **fields)

    # What the store holds

    def _subject(
        self, seen: ClusterObject, before: ObjectStatus | None, findings: Sequence[Finding]
    ) -> _Subject:
        subject = _Subject(seen, before, findings, _IS_APPLIED)
        if seen.document is None:
            return subject._replace(applied=self._not_applied(subject))
        name = f"{seen.key.kind} {seen.key.name}"
        if self._account_object is None and not self._is_unread:
            missing = (
                f"{name} belongs to account {self._reconciled.key}, which no MailAccount defines."
            )
            gone = ConditionValue("False", Reason.ACCOUNT_NOT_FOUND, missing)
            return subject._replace(applied=AppliedState(gone, stalled=True), accepted=gone)
        desired = self._reconciled.desired
        if desired is not None and desired.remove is not None:
            return self._of_removed(subject)
        if seen.document.spec.suspend is True:
            value = _suspended(name)
            return subject._replace(applied=AppliedState(value), accepted=value)
        if desired is not None and desired.suspended:
            value = _suspended(f"Account {desired.key}")
            return subject._replace(applied=AppliedState(value), accepted=value)
        return subject._replace(applied=self._object_applied(subject))

    def _of_removed(self, subject: _Subject) -> _Subject:
        current = self._reconciled.current
        if subject.seen is not self._account_object:
            message = "The account is to be removed (spec.remove), so this object is ignored."
            ignored = ConditionValue("False", Reason.ACCOUNT_REMOVED, message)
            return subject._replace(applied=AppliedState(ignored, stalled=True), accepted=ignored)
        if current is not None and current.state is None:
            message = "The account is removed. This object can be deleted."
            return subject._replace(
                applied=AppliedState(ConditionValue("True", Reason.REMOVED, message))
            )
        return subject._replace(applied=self._not_applied(subject))

    def _object_applied(self, subject: _Subject) -> AppliedState:
        """Compare what the object declares with what the store holds."""
        current, file = self._reconciled.current, str(subject.seen.key)
        if current is None or self._is_other_store:
            return self._as_before(subject)
        applied: AppliedState | None = None
        match subject.seen.document:
            case MailAccount():
                applied = self._stopped or self._account_applied(current)
            case SMTPProfile() if file in self._profiles:
                name, profile = self._profiles[file]
                applied = _IS_APPLIED if current.profiles.get(name) == profile.profile else None
            case SendingDomain() if file in self._domains:
                desired = self._domains[file]
                applied = _domain_applied(desired, current.domains.get(desired.domain))
        if applied is not None and applied.is_applied:
            applied = _because(self._contest) or applied  # the store holds it for a moment only
        return applied or self._not_applied(subject)

    def _account_applied(self, current: CurrentAccount) -> AppliedState | None:
        desired = self._reconciled.desired
        if desired is None:
            return None
        requested = desired.apply_all
        done = requested is None or requested.id in current.completed_apply_alls
        state = AccountState(desired.plan, desired.default, desired.logins)
        return _IS_APPLIED if done and current.state == state else None

    def _as_before(self, subject: _Subject) -> AppliedState:
        """What is known while the store cannot be read: an object that was ready and is still the
        same is not said to be anything else."""
        before = subject.before
        ready = _conditions_of(before, ConditionType.READY)
        same = before is not None and before.observed_generation == subject.seen.generation
        if same and ready and ready[0].status == "True":
            return AppliedState(ConditionValue("True", ready[0].reason, ready[0].message))
        return self._not_applied(subject)

    def _not_applied(self, subject: _Subject) -> AppliedState:
        """Why the store does not hold what an object declares: because of the object itself, or
        because of what stops its account."""
        waiting = self._reconciled.waiting
        if waiting is not None:
            of_others = {item.message for item in self._reconciled.findings} - {
                item.message for item in subject.findings
            }
            if waiting in of_others and subject.seen is not self._account_object:
                waiting = "The account waits, because another of its objects may be incomplete."
            return AppliedState(ConditionValue("False", Reason.WAITING, waiting))
        return _because(subject.findings) or self._stopped or _because(self._contest) or _PENDING

    @cached_property
    def _contest(self) -> tuple[Finding, ...]:
        return _contest(self._reconciled.status)

    @cached_property
    def _stopped(self) -> AppliedState | None:
        """What stops the account as a whole."""
        outcome = self._reconciled.outcome
        if outcome is not None and outcome.outcome in (Outcome.COMMITTED, Outcome.UNCHANGED):
            return None
        stops = [
            item
            for item in (*self._general, *self._reconciled.findings)
            if item.severity in (Severity.ERROR, Severity.REFUSED)
            and why_not_saved(item.code) is None
            and not has_trait(item.code, Trait.CLAIM)
        ]
        if not stops:
            return None
        first = most_severe(stops)[0]
        shown_by = shown_at(first)
        applied = shown_by.type is _APPLIED
        reason = shown_by.reason if applied else Reason.ACCOUNT_NOT_APPLIED
        if shown_by.reason is Reason.PLATFORM_NOT_FOUND:
            reason = shown_by.reason
        message = f"The account is not applied: {first.message}"
        return AppliedState(ConditionValue("False", reason, message), is_stalled(first.code))

    @cached_property
    def _is_other_store(self) -> bool:
        return _is_other_store(self._reconciled.findings)

    @cached_property
    def _is_unread(self) -> bool:
        """Whether objects cannot be read, so that one which seems to be missing may be there."""
        findings = self._reconciled.findings
        return self._reconciled.outcome is None and any(
            item.code == Code.CLUSTER_UNREACHABLE for item in findings
        )

    # Conditions

    def _conditions(self, subject: _Subject) -> list[Condition]:
        findings = subject.findings
        values = {
            _ACCEPTED: condition_from(_ACCEPTED, findings, subject.accepted)[0],
            _RESOLVED: condition_from(_RESOLVED, findings, _EXIST)[0],
        }
        profile = self._profile_of(subject.seen)
        if profile is not None or subject.seen.key.kind == "SMTPProfile":
            connected = self._connection(subject, profile)
            values[_CONNECTED] = condition_from(_CONNECTED, findings, connected)[0]
        condition, is_false = condition_from(_APPLIED, findings, subject.applied.value)
        if is_false and condition.reason == Reason.HELD_BACK:
            condition = self._with_approval(condition, subject.seen)
        values[_APPLIED] = condition
        return conditions(
            values,
            subject.applied,
            findings,
            subject.seen.generation,
            _conditions_of(subject.before),
            self._now,
            waits=self._reconciled.waiting is not None,
        )

    def _profile_of(self, seen: ClusterObject) -> tuple[str, DesiredProfile] | None:
        """The profile that the object defines, also inline in a domain."""
        return self._profiles.get(str(seen.key))

    def _connection(
        self, subject: _Subject, profile: tuple[str, DesiredProfile] | None
    ) -> ConditionValue:
        """What is known of the connection without a finding about it. A profile whose test is
        required is in the store only if the test passed."""
        before = _conditions_of(subject.before, _CONNECTED)
        current = self._reconciled.current
        if profile is None or profile[1].suspended or current is None:
            return _as_value(before) or _not_tested("The connection was not tested.")
        name, desired = profile
        if desired.profile.connection_test is ConnectionTest.SKIP:
            message = "The connection is not tested, because its connectionTest is skip."
            return ConditionValue("Unknown", Reason.TEST_SKIPPED, message)
        if current.profiles.get(name) != desired.profile:
            return _not_tested("The connection was not tested yet.")
        if name in self._reconciled.tested:
            return _VERIFIED
        skipped = before and before[0].reason == Reason.TEST_SKIPPED
        if desired.profile.connection_test is ConnectionTest.REQUIRED and not skipped:
            return _VERIFIED
        return _as_value(before) or _not_tested("The connection was not tested since.")

    def _with_approval(self, value: ConditionValue, seen: ClusterObject) -> ConditionValue:
        """The sentence of a guard, with how the change is approved."""
        status = self._reconciled.status
        if status is None or not status.digest:
            return value
        given = seen.annotations.get(APPROVE)
        if status.approved:
            step = "The change is approved, and is applied next."
        else:
            step = (
                "If the change is intended, approve it: set the annotation"
                f" {APPROVE} to {status.digest}."
            )
            if given is not None and not is_digest_of(status, digest_in(given)):
                step = f"The annotation {APPROVE} approves another change, {given}. {step}"
        return value._replace(message=f"{value.message} {step}")

    # Fields

    def _fields(self, subject: _Subject) -> dict[str, Any]:
        """What the status shows besides its conditions; while the store is unknown, what it has
        shown before."""
        current = self._reconciled.current
        if current is None or self._is_other_store:
            return _fields_before(subject.before)
        match subject.seen.document:
            case MailAccount():
                return self._account_fields(current)
            case SendingDomain() if domain := self._domains.get(str(subject.seen.key)):
                state = current.domains.get(domain.domain)
                return {} if state is None else self._domain_fields(domain.domain, state)
            case SendingDomain() if self._reconciled.desired is None:
                return _fields_before(subject.before)
        return {}

    def _domain_fields(self, name: str, state: DomainState) -> dict[str, Any]:
        since = self._reconciled.since.get(name)
        return {
            "route": route_shape(state.route),
            "route_text": str(state.route),
            "origin": state.origin,
            "shadowed_by": state.shadow if state.is_shadowed and state.shadow else UNSET,
            "since": since.replace(microsecond=0) if since is not None else UNSET,
        }

    def _account_fields(self, current: CurrentAccount) -> dict[str, Any]:
        lineage = self._reconciled.lineage
        fields: dict[str, Any] = {"store": StoreIdentity(lineage=lineage)} if lineage else {}
        if current.completed_apply_alls:
            name, ran = list(current.completed_apply_alls.items())[-1]
            route = route_shape(ran.route)
            fields["last_apply_all"] = LastApplyAll(id=name, route=route, domains=ran.domain_count)
        if current.state is None:
            return fields
        platform = self._reconciled.platform
        plan = platform.plan(current.state.plan) if platform is not None else None
        if plan is not None:
            satisfiable = satisfiable_routes(plan, current.profiles)
            default = effective_default(current.state.default, plan, satisfiable)
            fields["effective_default"] = route_shape(default)
            fields["effective_default_text"] = str(default)
        fields["counts"] = AccountCounts(
            domains=len(current.domains),
            profiles=len(current.profiles),
            shadowed=sum(state.is_shadowed for state in current.domains.values()),
        )
        return fields


def _domain_applied(desired: DesiredDomain, state: DomainState | None) -> AppliedState | None:
    if state is None or state.declared != desired.route or state.overrides != desired.overrides:
        return None
    if desired.route in (None, state.route):
        return _IS_APPLIED
    if state.shadow is None:
        return None
    message = (
        f"The apply-all {state.shadow} switched the domain to {state.route}. Its declared route,"
        f" {desired.route}, counts again when it is edited, or confirmed with spec.overrides."
    )
    return AppliedState(ConditionValue("True", Reason.SHADOWED, message))


_VERIFIED = ConditionValue("True", Reason.VERIFIED, "The provider was reached as the profile says.")


def _not_tested(message: str) -> ConditionValue:
    return ConditionValue("Unknown", Reason.NOT_TESTED, message)


def _suspended(subject: str) -> ConditionValue:
    message = f"{subject} is suspended: what the store holds of it stays unchanged."
    return ConditionValue("True", Reason.SUSPENDED, message)


def _because(findings: Sequence[Finding]) -> AppliedState | None:
    """Why an object is not applied, by the findings about it."""
    reasons = [item for item in findings if not shown_at(item).is_advice]
    if not reasons:
        return None
    first = most_severe(reasons)[0]
    stalled = any(is_stalled(item.cause or item.code) for item in reasons)
    return AppliedState(ConditionValue("False", shown_at(first).reason, first.message), stalled)


def _without_repetition(findings: Sequence[Finding]) -> Sequence[Finding]:
    """A default that fell back says already that its profile is gone."""
    if all(item.code != Code.DEFAULT_FELL_BACK for item in findings):
        return findings
    return [
        item
        for item in findings
        if item.code != Code.PROFILE_DELETED
        or item.where is None
        or item.where.path[:2] != ("spec", "defaultRoute")
    ]


def _also_about(item: Finding) -> set[str]:
    """The other objects that a finding is about just as much: those of an account that is gone, and
    the other claim of two in one account, if neither is used."""
    if shown_at(item).reason in (Reason.ACCOUNT_NOT_FOUND, Reason.DOMAIN_CONFLICT):
        return {other.file for other in item.related}
    return set()


def _is_other_store(findings: Sequence[Finding]) -> bool:
    return any(shown_at(item).reason is Reason.STORE_LINEAGE_MISMATCH for item in findings)


def _before(seen: ClusterObject) -> ObjectStatus | None:
    return decode_status(seen.key.kind, seen.status_json)


def _conditions_of(
    status: ObjectStatus | None, kind: ConditionType | None = None
) -> Sequence[Condition]:
    if status is None or status.conditions is UNSET:
        return ()
    return [item for item in status.conditions if kind is None or item.type == kind]


def _as_value(before: Sequence[Condition]) -> ConditionValue | None:
    if not before:
        return None
    return ConditionValue(before[0].status, before[0].reason, before[0].message)


def _fields_before(status: ObjectStatus | None) -> dict[str, Any]:
    if not isinstance(status, MailAccountStatus | SendingDomainStatus):
        return {}
    common = {"observed_generation", "conditions"}
    return {name: getattr(status, name) for name in status.__struct_fields__ if name not in common}
