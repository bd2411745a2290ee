"""Step 1: which profiles are new, changed or gone, and which exist after the change."""

from msgspec import Struct

from sendroute.model.change import Action, Change, Kind
from sendroute.model.profile import Profile
from sendroute.model.wanted import WantedProfile
from sendroute.planner.case import Case


class Profiles(Struct, frozen=True):
    """``after``: what exists then. ``waiting``: new or changed, but not saved."""

    changes: tuple[Change, ...]
    after: dict[str, Profile]
    removed: dict[str, Profile]
    waiting: frozenset[str]


def needs_test(before: Profile | None, after: Profile) -> bool:
    """Whether a profile is new or changed in what a connection test proves."""
    return before is None or _proved(before) != _proved(after)


def _proved(profile: Profile) -> tuple[object, ...]:
    return (
        profile.host,
        profile.port,
        profile.encryption,
        profile.secret,
        profile.username,
        profile.allow_insecure_auth,
    )


def decide_profiles(case: Case) -> Profiles:
    held = case.held.profiles
    after: dict[str, Profile] = {}
    waiting = set()
    changes = []
    for name in sorted(case.wanted.profiles):
        wanted, before = case.wanted.profiles[name], held.get(name)
        if wanted.suspended or before == wanted.profile:
            if before is not None:
                after[name] = before
            continue
        if name in case.failed and needs_test(before, wanted.profile):
            waiting.add(name)
            if before is not None:
                after[name] = before
            changes.append(_skipped(case, name, before, wanted))
            continue
        after[name] = wanted.profile
        changes.append(_saved(case, name, before, wanted))
    removed = {name: held[name] for name in sorted(held) if name not in case.wanted.profiles}
    changes += [_removed(case, name, profile) for name, profile in removed.items()]
    return Profiles(tuple(changes), after, removed, frozenset(waiting))


def _saved(case: Case, name: str, before: Profile | None, wanted: WantedProfile) -> Change:
    if before is None:
        action, message = Action.CREATE, f"Profile {name} is saved."
    else:
        fields = [
            field.replace("_", " ")
            for field in Profile.__struct_fields__
            if getattr(before, field) != getattr(wanted.profile, field)
        ]
        action, message = Action.UPDATE, f"Profile {name} changes: {', '.join(fields)}."
    reason = "declared" if wanted.inline_in is None else "declared-in-line"
    return Change(
        Kind.PROFILE, case.key, name, action, before, wanted.profile, reason, message, wanted.where
    )


def _skipped(case: Case, name: str, before: Profile | None, wanted: WantedProfile) -> Change:
    stands = "its old version stands" if before is not None else "it does not exist"
    return Change(
        Kind.PROFILE,
        case.key,
        name,
        Action.SKIP,
        before,
        before,
        "connection-test-failed",
        f"Profile {name} is not saved, for its connection test failed; {stands}.",
        wanted.where,
    )


def _removed(case: Case, name: str, profile: Profile) -> Change:
    return Change(
        Kind.PROFILE,
        case.key,
        name,
        Action.DELETE,
        profile,
        None,
        "removed",
        f"Profile {name} is no longer in the manifests.",
        case.wanted.where,
    )
