"""The platform's own change, which comes before every account's."""

from collections.abc import Collection, Mapping

from msgspec import Struct
from msgspec.structs import replace

from sendroute.model.change import Action, ChangeReason, PlatformChange
from sendroute.model.codes import Code, code_of, finding, why_not_saved
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.finding import Finding, TenantText, Where
from sendroute.model.owner import RELAY_TITLES, relays_of
from sendroute.model.platform import Platform
from sendroute.model.secret import Resave
from sendroute.model.words import first_of
from sendroute.planner.account import suspended_object
from sendroute.planner.profiles import SAVED_AGAIN, needs_test, previous_version

_LISTED = 3
_NO_LONGER_USED = "Apply again when no domain is sent through the managed relay any more."


class PlatformDecision(Struct, frozen=True):
    """The platform on which accounts are planned (None if there is none), its change, and the
    findings."""

    platform: Platform | None = None
    change: PlatformChange | None = None
    findings: tuple[Finding, ...] = ()


def decide_platform(
    desired: Desired, current: Current, failed: Mapping[str, str], rotated: Mapping[str, Resave]
) -> PlatformDecision:
    """Decide the platform's change.

    Args:
        desired: the manifests.
        current: the store.
        failed: the names of relays that may not be saved, each with the code that says why.
        rotated: the names of relays whose credential is saved again, each with why.

    Returns:
        The decision.
    """
    if desired.platform is None:
        return PlatformDecision()
    where = desired.platform.where
    if desired.platform.suspended:
        reported = suspended_object("The MailPlatform", where, None)
        if current.platform is not None:
            return PlatformDecision(current.platform, findings=(reported,))
        return PlatformDecision(findings=(reported, _never_recorded(where)))
    after = desired.platform.platform
    before, relays = relays_of(current.platform), relays_of(after)
    rotated_relays = [name for name in relays if name in rotated]
    if after == current.platform and not rotated_relays:
        return PlatformDecision(after)
    for name, relay in relays.items():
        if name in failed and (name in rotated_relays or needs_test(before.get(name), relay)):
            return _not_saved(current.platform, name, failed[name], where, rotated.get(name))
    create = current.platform is None
    reason = ChangeReason.DECLARED
    if create:
        message = "The platform is recorded."
    elif after == current.platform:
        reason, message = _resaved({name: rotated[name] for name in rotated_relays})
    else:
        message = "The settings of the platform change."
    change = PlatformChange(
        Action.CREATE if create else Action.UPDATE,
        current.platform,
        after,
        reason,
        message,
        where,
    )
    return PlatformDecision(after, change)


def _resaved(relays: Mapping[str, Resave]) -> tuple[ChangeReason, str]:
    """The reason and the message of a change that only saves credentials again."""
    titles = {
        resave: " and of ".join(RELAY_TITLES[name] for name in relays if relays[name] is resave)
        for resave in Resave
    }
    sentences = []
    if titles[Resave.ROTATED]:
        sentences.append(f"The content of the secret of {titles[Resave.ROTATED]} changed.")
    if titles[Resave.LOST]:
        sentences.append(f"The credential of {titles[Resave.LOST]} {SAVED_AGAIN}")
    reason = Resave.ROTATED if titles[Resave.ROTATED] else Resave.LOST
    return ChangeReason(reason), " ".join(sentences)


def _not_saved(
    before: Platform | None, name: str, code: str, where: Where, resave: Resave | None
) -> PlatformDecision:
    """Skip the platform's change, because a relay's secret cannot be used: the previous platform
    stays in effect; without a previous one nothing can be planned. Another finding reports the
    secret."""
    reason = why_not_saved(code) or "it cannot be used"
    reason = reason.replace("its", f"{RELAY_TITLES[name]}'s", 1)
    consequence = "nothing is applied without a platform"
    if before is not None:
        consequence = previous_version(RELAY_TITLES[name], resave)
    change = PlatformChange(
        Action.SKIP,
        before,
        before,
        code_of(code),
        f"The platform is not saved: {reason}; {consequence}.",
        where,
    )
    return PlatformDecision(before, change)


def may_lose_relay(desired: Desired, current: Current) -> bool:
    """Decide whether a plan may remove the managed relay, so that it must know of every account on
    it.

    Args:
        desired: the manifests.
        current: the store.

    Returns:
        Whether the store has the relay, and the manifests do not.
    """
    if desired.platform is None or current.platform is None:
        return False
    return current.platform.managed is not None and desired.platform.platform.managed is None


def loses_relay(change: PlatformChange | None) -> bool:
    """Whether a change removes the managed relay."""
    if change is None or change.before is None or change.after is None:
        return False
    return change.before.managed is not None and change.after.managed is None


def takes_managed(change: PlatformChange) -> bool:
    """Decide whether a change of the platform takes managed sending from an account.

    Args:
        change: the change.

    Returns:
        Whether domains may be reassigned because of it.
    """
    before, after = change.before, change.after
    if before is None or after is None:
        return False
    managed = {plan.name for plan in after.plans if plan.managed}
    lost = (plan for plan in before.plans if plan.managed and plan.name not in managed)
    return loses_relay(change) or any(lost)


def keep_relay(
    desired: Desired,
    current: Current,
    failed: Mapping[str, str],
    rotated: Mapping[str, Resave],
    users: Collection[AccountKey],
) -> PlatformDecision:
    """Decide the platform's change without the removal of the managed relay, because domains are
    sent through it: their account is not planned or may not change, and their mail would go
    nowhere.

    Args:
        desired: the manifests, in which the platform has no managed relay.
        current: the store, in which it has one.
        failed: as for :func:`decide_platform`.
        rotated: as for :func:`decide_platform`.
        users: the accounts with such domains after the plan.

    Returns:
        The decision.
    """
    before, declared = current.platform, desired.platform
    if before is None or declared is None:
        raise AssertionError("there is no relay to keep")
    with_relay = replace(declared.platform, managed=before.managed)
    desired = replace(desired, platform=replace(declared, platform=with_relay))
    decided = decide_platform(desired, current, failed, rotated)
    names = [str(key) for key in sorted(users)]
    message = (
        "The managed relay is not removed: domains of"
        f" {'account' if len(names) == 1 else 'accounts'} {first_of(names, _LISTED)} are sent"
        " through it."
    )
    unnamed = "The managed relay is not removed: domains are sent through it."
    waits = finding(
        "dependency-skipped",
        message,
        hint=_NO_LONGER_USED,
        where=declared.where.at("spec"),
        for_tenant=TenantText(unnamed, _NO_LONGER_USED),
    )
    change = decided.change
    if change is None:
        skip = (Action.SKIP, before, before, Code.DEPENDENCY_SKIPPED, message, declared.where)
        change = PlatformChange(*skip)
    return PlatformDecision(with_relay, change, (*decided.findings, waits))


def _never_recorded(where: Where) -> Finding:
    return finding(
        "no-platform",
        "The MailPlatform is suspended, and the store holds no platform yet.",
        hint="Remove spec.suspend until the platform is recorded.",
        where=where.at("spec", "suspend"),
    )
