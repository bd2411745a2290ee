"""Step 1: which profiles are new, changed or removed, and which exist after the change."""

from collections.abc import Mapping

from msgspec import Struct, structs

from sendroute.model.change import Action, ChangeReason, ProfileChange
from sendroute.model.codes import Code, code_of, why_not_saved
from sendroute.model.desired import DesiredProfile
from sendroute.model.platform import Relay
from sendroute.model.profile import Profile
from sendroute.model.secret import Resave
from sendroute.planner.inputs import AccountInput

SAVED_AGAIN = "is saved again from its secret: the store has none that can be used."
"""How a sentence about a credential ends that the store has lost."""


class ProfilesDecision(Struct, frozen=True):
    """``after`` are the profiles that exist after the change, ``unsaved`` the new or changed ones
    that are not saved."""

    changes: tuple[ProfileChange, ...]
    after: dict[str, Profile]
    removed: dict[str, Profile]
    unsaved: frozenset[str]


def needs_test(before: Profile | Relay | None, after: Profile | Relay) -> bool:
    """Whether an endpoint needs a connection test: it is new, or a tested field changed.

    Args:
        before: the endpoint in the store; None if it is new.
        after: the endpoint in the manifests.

    Returns:
        False also if only fields changed that no test uses, such as limits.
    """
    return before is None or tested_fields(before) != tested_fields(after)


def tested_fields(endpoint: Profile | Relay) -> tuple[object, ...]:
    """The fields that a connection test verifies: destination, encryption and credential."""
    return (
        endpoint.host,
        endpoint.port,
        endpoint.encryption,
        endpoint.secret,
        endpoint.username if isinstance(endpoint, Profile) else None,
        endpoint.allow_insecure_auth,
    )


def _is_unchanged(inputs: AccountInput, name: str, desired: Profile) -> bool:
    """Neither its manifest nor its secret has changed."""
    return desired == inputs.current.profiles.get(name) and name not in inputs.rotated


def _is_tried(inputs: AccountInput, name: str, desired: Profile) -> bool:
    return name in inputs.rotated or needs_test(inputs.current.profiles.get(name), desired)


def decide_profiles(inputs: AccountInput) -> ProfilesDecision:
    """Step 1: the changes of an account's profiles, and the profiles that exist afterwards."""
    current = inputs.current.profiles
    unsaved = _unsaved_profiles(inputs)
    after: dict[str, Profile] = {}
    changes = []
    for name in sorted(inputs.desired.profiles):
        desired, before = inputs.desired.profiles[name], current.get(name)
        if desired.suspended or name in unsaved or _is_unchanged(inputs, name, desired.profile):
            if before is not None:
                after[name] = before
            if name in unsaved:
                changes.append(_skipped(inputs, name, before, desired))
            continue
        after[name] = desired.profile
        changes.append(_saved(inputs, name, before, desired))
    removed = {}
    for name in sorted(current.keys() - inputs.desired.profiles.keys()):
        removal = _removed(inputs, name, current[name])
        if (claimant := inputs.claims.unmoved_profiles.get(name)) is None:
            removed[name] = current[name]
            changes.append(removal)
        else:
            after[name] = current[name]
            changes.append(_kept(removal, inputs.claims.why_profile_stays(claimant)))
    return ProfilesDecision(tuple(changes), after, removed, unsaved)


def _unsaved_profiles(inputs: AccountInput) -> frozenset[str]:
    """The profiles that failed, and those that newly refer to one of these in ``reassignTo``."""
    changed = {
        name: desired.profile
        for name, desired in inputs.desired.profiles.items()
        if not desired.suspended and not _is_unchanged(inputs, name, desired.profile)
    }
    unsaved = {
        name
        for name, profile in changed.items()
        if name in inputs.failed and _is_tried(inputs, name, profile)
    }
    while newly_waiting := {
        name
        for name, profile in changed.items()
        if name not in unsaved
        and profile.reassign_to is not None
        and profile.reassign_to.profile in unsaved
        and not _same_reassignment(inputs.current.profiles.get(name), profile)
    }:
        unsaved |= newly_waiting
    return frozenset(unsaved)


def _same_reassignment(before: Profile | None, after: Profile) -> bool:
    return before is not None and before.reassign_to == after.reassign_to


def keep_in_use(profiles: ProfilesDecision, used: Mapping[str, str]) -> ProfilesDecision:
    """Keep the removed profiles that a domain still uses, because the domain's edit is skipped.
    ``used`` maps the name of such a profile to one of its domains."""
    return ProfilesDecision(
        tuple(
            _kept(change, f"{used[change.name]} still uses it")
            if change.action is Action.DELETE and change.name in used
            else change
            for change in profiles.changes
        ),
        profiles.after | {name: profiles.removed[name] for name in used},
        {name: removal for name, removal in profiles.removed.items() if name not in used},
        profiles.unsaved,
    )


def _saved(
    inputs: AccountInput, name: str, before: Profile | None, desired: DesiredProfile
) -> ProfileChange:
    reason = ChangeReason.DECLARED
    if desired.inline_in is not None:
        reason = ChangeReason.DECLARED_IN_LINE
    if before is None:
        action, message = Action.CREATE, f"Profile {name} of account {inputs.key} is saved."
    else:
        fields = [
            field.replace("_", " ")
            for field in Profile.__struct_fields__
            if getattr(before, field) != getattr(desired.profile, field)
        ]
        resave = inputs.rotated.get(name)
        if resave is not None and not fields:
            reason = ChangeReason(resave)
        if resave is Resave.ROTATED:
            fields.append("the content of its secret")
        action, message = Action.UPDATE, f"Profile {name} of account {inputs.key}"
        message += f" changes: {', '.join(fields)}." if fields else " is unchanged."
        if resave is Resave.LOST:
            message += f" Its credential {SAVED_AGAIN}"
    return ProfileChange(
        inputs.key,
        name,
        action,
        before,
        desired.profile,
        reason,
        message,
        desired.where,
    )


def _skipped(
    inputs: AccountInput, name: str, before: Profile | None, desired: DesiredProfile
) -> ProfileChange:
    reason = Code.DEPENDENCY_SKIPPED
    if name in inputs.failed and _is_tried(inputs, name, desired.profile):
        reason = code_of(inputs.failed[name])
    fault = why_not_saved(reason) or "the profile in its reassignTo was not saved"
    consequence = "no previous version exists"
    if before is not None:
        consequence = previous_version("it", inputs.rotated.get(name))
    return ProfileChange(
        inputs.key,
        name,
        Action.SKIP,
        before,
        before,
        reason,
        f"Profile {name} of account {inputs.key} is not saved: {fault}; {consequence}.",
        desired.where,
    )


def previous_version(endpoint: str, resave: Resave | None) -> str:
    """What becomes of the previous version of a profile or relay whose change is not saved."""
    if resave is Resave.LOST:
        return f"nothing can be sent with {endpoint}, because the store has no credential for it"
    return "the previous version stays in effect"


def _removed(inputs: AccountInput, name: str, profile: Profile) -> ProfileChange:
    return ProfileChange(
        inputs.key,
        name,
        Action.DELETE,
        profile,
        None,
        ChangeReason.REMOVED,
        f"Profile {name} of account {inputs.key} is no longer in the manifests.",
        inputs.desired.where,
    )


def _kept(removal: ProfileChange, reason: str) -> ProfileChange:
    """A removal that waits. ``reason`` is a clause."""
    return structs.replace(
        removal,
        action=Action.SKIP,
        after=removal.before,
        reason=Code.DEPENDENCY_SKIPPED,
        message=f"Profile {removal.name} of account {removal.account} is not removed yet, because"
        f" {reason}.",
    )
