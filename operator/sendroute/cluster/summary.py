"""From the state of an object to its conditions, with the summary that tools wait for.

Tools that wait use kstatus: it reads Reconciling, Stalled and Ready, in this way
(https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md). An object ends as
Current if it is Ready, as Failed if it is Stalled, and is InProgress while it is Reconciling.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from sendroute.manifests.statuses import MAX_MESSAGE, Condition
from sendroute.model.codes import Code, Trait, condition_of, has_trait, is_stalled
from sendroute.model.conditions import ConditionOf, ConditionType, Reason
from sendroute.model.finding import Finding, Severity
from sendroute.model.words import counted

ConditionStatus = Literal["True", "False", "Unknown"]


class ConditionValue(NamedTuple):
    """What one condition says."""

    status: ConditionStatus
    reason: str
    message: str


class AppliedState(NamedTuple):
    """Whether the store holds what an object declares. ``stalled``: if it does not, this remains
    so until a person acts."""

    value: ConditionValue
    stalled: bool = False

    @property
    def is_applied(self) -> bool:
        return self.value.status == "True"


_SEVERITIES = (Severity.ERROR, Severity.REFUSED, Severity.WARNING, Severity.INFO)
_ALSO = 2
"""So many problems after the first one are shown in full."""


def is_blocking(finding: Finding) -> bool:
    """Whether an object with this finding is not ready. A warning and information block nothing,
    unless they say that something was skipped."""
    is_problem = finding.severity in (Severity.ERROR, Severity.REFUSED)
    return is_problem or has_trait(finding.code, Trait.SKIPPED)


def shown_at(finding: Finding) -> ConditionOf:
    """Where a finding is shown; one that follows from another problem where that one is shown."""
    return condition_of(finding.cause or finding.code)


def is_event(finding: Finding) -> bool:
    """Whether a finding says what a change did, so that the next reconcile does not report it. The
    removal of a profile is reported once, about the account; its references remain findings."""
    where = finding.where
    once = finding.code == Code.PROFILE_DELETED and where is not None and not where.path
    return shown_at(finding).is_event or once


def most_severe(findings: Iterable[Finding]) -> list[Finding]:
    """The findings with the most severe ones first, in an order that never changes."""
    return sorted(
        findings,
        key=lambda item: (_SEVERITIES.index(item.severity), item.code, item.message),
    )


def condition_from(
    kind: ConditionType, findings: Iterable[Finding], otherwise: ConditionValue
) -> tuple[ConditionValue, bool]:
    """What a condition says because of the findings about its object.

    Args:
        kind: the condition.
        findings: the findings about the object.
        otherwise: what it says without any.

    Returns:
        The value, and whether findings make the condition false.
    """
    shown = [
        (item, shown_by)
        for item in most_severe(findings)
        if (shown_by := shown_at(item))[0] is kind
    ]
    problems = [(item, shown_by) for item, shown_by in shown if not shown_by.is_advice]
    if problems:
        shown_by = problems[0][1]
        return ConditionValue(
            "False", shown_by.reason, _sentences([item for item, _ in problems])
        ), True
    if shown and otherwise.status == "True" and otherwise.reason == Reason.VALID:
        advice = _sentences([item for item, _ in shown])
        return otherwise._replace(message=f"{otherwise.message} {advice}"), False
    return otherwise, False


def _sentences(findings: Sequence[Finding]) -> str:
    """The messages of findings, the first with its hint if that helps: a guard's approval is said
    elsewhere, and what waits for something else needs no separate step."""
    first = findings[0]
    others = list(dict.fromkeys(item.message for item in findings))[1:]
    text = first.message
    needs_hint = not has_trait(first.code, Trait.SKIPPED) and not has_trait(
        first.code, Trait.APPROVABLE
    )
    if first.hint and needs_hint:
        text = f"{text} {first.hint}"
    for other in others[:_ALSO]:
        text += f" Also: {other}"
    if more := len(others[_ALSO:]):
        text += f" There {'is' if more == 1 else 'are'} {counted(more, 'more problem')}."
    return text


def conditions(
    values: Mapping[ConditionType, ConditionValue],
    applied: AppliedState,
    findings: Sequence[Finding],
    generation: int,
    before: Sequence[Condition],
    now: datetime,
    *,
    waits: bool = False,
) -> list[Condition]:
    """Add the summary, and turn everything into conditions.

    Args:
        values: what the conditions before the summary say.
        applied: whether the store holds what the object declares.
        findings: the findings about the object.
        generation: the generation of the object that they are about.
        before: the conditions that the object has now.
        now: the time, without fractions of a second.
        waits: the account is not reconciled yet, so nothing is final.

    Returns:
        The conditions. One whose status is the same as before keeps its time.
    """
    blocking = [item for item in findings if is_blocking(item)]
    ready = _ready(values, applied, bool(blocking))
    summary = {ConditionType.READY: ready}
    if ready.status != "True":
        stalled = any(is_stalled(item.cause or item.code) for item in blocking)
        stalled = (stalled or (not applied.is_applied and applied.stalled)) and not waits
        kind = ConditionType.STALLED if stalled else ConditionType.RECONCILING
        summary[kind] = ready._replace(status="True")
    times = {item.type: item for item in before}
    return [
        _condition(kind, value, generation, times.get(kind), now)
        for kind, value in {**values, **summary}.items()
    ]


def _ready(
    values: Mapping[ConditionType, ConditionValue], applied: AppliedState, blocked: bool
) -> ConditionValue:
    """An object is ready if the store holds what it declares, and nothing about it is an error, a
    refusal or skipped. The reason is that of the first condition which is not true, and otherwise
    that of the store."""
    not_true = [value for value in values.values() if value.status == "False"]
    if blocked or not applied.is_applied:
        first = not_true[0] if not_true else applied.value
        return ConditionValue("False", first.reason, first.message)
    if not_true:
        return ConditionValue("True", not_true[0].reason, not_true[0].message)
    return applied.value


def _condition(
    kind: ConditionType,
    value: ConditionValue,
    generation: int,
    before: Condition | None,
    now: datetime,
) -> Condition:
    same = before is not None and before.status == value.status
    return Condition(
        type=kind.value,
        status=value.status,
        reason=str(value.reason),
        message=_shortened(value.message),
        observed_generation=generation,
        last_transition_time=before.last_transition_time if same and before is not None else now,
    )


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_MESSAGE else f"{line[: MAX_MESSAGE - 1]}…"
