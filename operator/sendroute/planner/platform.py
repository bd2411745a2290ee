"""The platform's own change, which comes before every account's."""

from collections.abc import Mapping

from msgspec import Struct

from sendroute.model.change import Action, ChangeReason, PlatformChange
from sendroute.model.codes import code_of, finding, why_not_saved
from sendroute.model.current import Current
from sendroute.model.desired import Desired
from sendroute.model.finding import Finding, Where
from sendroute.model.owner import RELAY_TITLES, relays_of
from sendroute.model.platform import Platform
from sendroute.model.secret import Resave
from sendroute.planner.account import suspended_object
from sendroute.planner.profiles import SAVED_AGAIN, needs_test, previous_version


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


def _never_recorded(where: Where) -> Finding:
    return finding(
        "no-platform",
        "The MailPlatform is suspended, and the store holds no platform yet.",
        hint="Remove spec.suspend until the platform is recorded.",
        where=where.at("spec", "suspend"),
    )
