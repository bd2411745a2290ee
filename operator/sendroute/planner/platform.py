"""The platform's own change, which comes before every account's."""

from collections.abc import Collection, Mapping

from sendroute.model.change import Action, PlatformChange
from sendroute.model.codes import finding, why_not_saved
from sendroute.model.current import Current
from sendroute.model.desired import Desired
from sendroute.model.finding import Finding, Where
from sendroute.model.owner import RELAY
from sendroute.model.platform import Platform, Relay
from sendroute.planner.account import suspended_object
from sendroute.planner.profiles import needs_test

PlatformDecision = tuple[Platform | None, PlatformChange | None, tuple[Finding, ...]]


def decide_platform(
    desired: Desired, current: Current, failed: Mapping[str, str], rotated: Collection[str]
) -> PlatformDecision:
    """Decide the platform's change.

    Args:
        desired: the manifests.
        current: the store.
        failed: the managed relay's name and the code that says why it may not be saved, if so.
        rotated: the managed relay's name, if its secret's content changed since it was saved.

    Returns:
        The platform on which accounts are planned (None if there is none), its change, and the
        findings.
    """
    if desired.platform is None:
        return None, None, ()
    where = desired.platform.where
    if desired.platform.suspended:
        reported = suspended_object("The MailPlatform", where, None)
        if current.platform is not None:
            return current.platform, None, (reported,)
        return None, None, (reported, _never_recorded(where))
    after = desired.platform.platform
    before, relay = relay_of(current.platform), relay_of(after)
    relay_rotated = relay is not None and RELAY in rotated
    if after == current.platform and not relay_rotated:
        return after, None, ()
    if relay is not None and RELAY in failed and (relay_rotated or needs_test(before, relay)):
        return _not_saved(current.platform, failed[RELAY], where)
    create = current.platform is None
    if create:
        message = "The platform is recorded."
    elif after == current.platform:
        message = "The content of the secret of the platform's managed relay changed."
    else:
        message = "The settings of the platform change."
    change = PlatformChange(
        Action.CREATE if create else Action.UPDATE,
        current.platform,
        after,
        "declared" if after != current.platform else "credentials-changed",
        message,
        where,
    )
    return after, change, ()


def relay_of(platform: Platform | None) -> Relay | None:
    """The managed relay of a platform; None without a platform, or if it has no managed relay."""
    return platform.managed.relay if platform is not None and platform.managed else None


def _not_saved(before: Platform | None, code: str, where: Where) -> PlatformDecision:
    """Skip the platform's change, because the managed relay's secret cannot be used: the previous
    platform stays in effect; without a previous one nothing can be planned. Another finding
    reports the secret."""
    why = (why_not_saved(code) or "it cannot be used").replace("its", "the managed relay's", 1)
    consequence = (
        "the previous version stays in effect"
        if before is not None
        else "nothing is applied without a platform"
    )
    change = PlatformChange(
        Action.SKIP,
        before,
        before,
        code,
        f"The platform is not saved: {why}; {consequence}.",
        where,
    )
    return before, change, ()


def _never_recorded(where: Where) -> Finding:
    return finding(
        "no-platform",
        "The MailPlatform is suspended, and the store holds no platform yet.",
        hint="Remove spec.suspend until the platform is recorded.",
        where=where.at("spec", "suspend"),
    )
