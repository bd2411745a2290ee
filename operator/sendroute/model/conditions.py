"""Which condition of an object of the Kubernetes API a finding shows, and with which reason.

The one table of it, beside that of the codes. What follows for a tool that waits is derived from
the properties of the code: see :func:`is_stalled`.
"""

from enum import StrEnum
from typing import NamedTuple

from sendroute.model.codes import Code, Responsible, Trait, code_of, has_trait


class ConditionType(StrEnum):
    """The types of conditions, in the order in which they are written. The last two are written
    only while they are true (kstatus: "The Reconciling and Stalled conditions")."""

    ACCEPTED = "Accepted"
    """What the object says is valid, alone and with the other objects of its account."""
    RESOLVED_REFS = "ResolvedRefs"
    """Every profile and secret that the object names exists and can be used."""
    CONNECTION_VERIFIED = "ConnectionVerified"
    """The provider was reached as the profile says."""
    APPLIED = "Applied"
    """The store holds what the object declares."""
    READY = "Ready"
    """The summary of the conditions before it."""
    RECONCILING = "Reconciling"
    """The operator is not done, and continues by itself."""
    STALLED = "Stalled"
    """Nothing changes until a person acts."""


class Reason(StrEnum):
    """The reasons of conditions. A reason never gets another meaning."""

    VALID = "Valid"
    INVALID = "Invalid"
    ACCOUNT_NOT_FOUND = "AccountNotFound"
    ACCOUNT_REMOVED = "AccountRemoved"
    PLAN_NOT_FOUND = "PlanNotFound"
    PLATFORM_NOT_FOUND = "PlatformNotFound"
    PLAN_FORBIDS_MANAGED = "PlanForbidsManaged"
    DOMAIN_CONFLICT = "DomainConflict"
    SUSPENDED = "Suspended"

    RESOLVED = "Resolved"
    PROFILE_NOT_FOUND = "ProfileNotFound"
    DEFAULT_FELL_BACK = "DefaultFellBack"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - the reason of a condition
    SECRET_FORBIDDEN = "SecretForbidden"  # noqa: S105
    SECRET_UNREADABLE = "SecretUnreadable"  # noqa: S105
    SECRET_KEY_MISSING = "SecretKeyMissing"  # noqa: S105
    SECRET_INVALID = "SecretInvalid"  # noqa: S105
    SECRET_NOT_BOUND = "SecretNotBound"  # noqa: S105
    SECRET_NOT_COMPARED = "SecretNotCompared"  # noqa: S105

    VERIFIED = "Verified"
    TEST_FAILED = "TestFailed"
    ADDRESS_REFUSED = "AddressRefused"
    TEST_SKIPPED = "TestSkipped"
    NOT_TESTED = "NotTested"

    APPLIED = "Applied"
    REMOVED = "Removed"
    SHADOWED = "Shadowed"
    PENDING = "Pending"
    WAITING = "Waiting"
    DEPENDENCY_SKIPPED = "DependencySkipped"
    ACCOUNT_NOT_APPLIED = "AccountNotApplied"
    AWAITING_CONFIRMATION = "AwaitingConfirmation"
    CONFIRMATION_EXCEEDED = "ConfirmationExceeded"
    APPLY_ALL_ID_REUSED = "ApplyAllIdReused"
    HELD_BACK = "HeldBack"
    STORE_CHANGED = "StoreChanged"
    STORE_UNAVAILABLE = "StoreUnavailable"
    STORE_LINEAGE_MISMATCH = "StoreLineageMismatch"
    CLUSTER_UNREACHABLE = "ClusterUnreachable"
    KEY_MISSING = "KeyMissing"
    CREDENTIAL_UNREADABLE = "CredentialUnreadable"


class ConditionOf(NamedTuple):
    """Where a finding is shown: a condition and its reason. ``is_advice``: it does not make the
    condition false. ``is_event``: it says what a change did, and not what is so since."""

    type: ConditionType
    reason: Reason
    is_advice: bool = False
    is_event: bool = False


_ACCEPTED, _RESOLVED = ConditionType.ACCEPTED, ConditionType.RESOLVED_REFS
_CONNECTED, _APPLIED = ConditionType.CONNECTION_VERIFIED, ConditionType.APPLIED
_INVALID = ConditionOf(_ACCEPTED, Reason.INVALID)
_ADVICE = ConditionOf(_ACCEPTED, Reason.VALID, is_advice=True)
_HELD_BACK = ConditionOf(_APPLIED, Reason.HELD_BACK)
_NO_STORE = ConditionOf(_APPLIED, Reason.STORE_UNAVAILABLE)
_OTHER_STORE = ConditionOf(_APPLIED, Reason.STORE_LINEAGE_MISMATCH)

CONDITIONS: dict[str, ConditionOf] = {
    Code.TOO_LARGE: _INVALID,
    Code.UNKNOWN_FIELD: _INVALID,
    Code.MISSING_FIELD: _INVALID,
    Code.INVALID_VALUE: _INVALID,
    Code.RESERVED_NAMESPACE: _INVALID,
    Code.DUPLICATE_OBJECT: _INVALID,
    Code.DUPLICATE_PROFILE: _INVALID,
    Code.INSECURE_AUTH: _INVALID,
    Code.CREDENTIALS_NEED_HOSTNAME: _INVALID,
    Code.UNKNOWN_ACCOUNT: ConditionOf(_ACCEPTED, Reason.ACCOUNT_NOT_FOUND),
    Code.ACCOUNT_NOT_EMPTY: ConditionOf(_ACCEPTED, Reason.ACCOUNT_NOT_FOUND),
    Code.UNKNOWN_PLAN: ConditionOf(_ACCEPTED, Reason.PLAN_NOT_FOUND),
    Code.NO_PLATFORM: ConditionOf(_ACCEPTED, Reason.PLATFORM_NOT_FOUND),
    Code.NO_MANIFESTS: ConditionOf(_ACCEPTED, Reason.PLATFORM_NOT_FOUND),
    Code.MANAGED_NOT_IN_PLAN: ConditionOf(_ACCEPTED, Reason.PLAN_FORBIDS_MANAGED),
    Code.APPLY_ALL_UNSATISFIABLE: ConditionOf(_ACCEPTED, Reason.PLAN_FORBIDS_MANAGED),
    Code.DOMAIN_CONFLICT: ConditionOf(_ACCEPTED, Reason.DOMAIN_CONFLICT),
    Code.SUSPENDED: ConditionOf(_ACCEPTED, Reason.SUSPENDED, is_advice=True),
    Code.DOCUMENTS_IGNORED: _ADVICE,
    Code.UNUSUAL_PORT: _ADVICE,
    Code.ENCRYPTION_MISMATCH: _ADVICE,
    Code.PROFILE_UNUSED: _ADVICE,
    Code.NOT_ENFORCED: _ADVICE,
    Code.BOUNCES_REFUSED: _ADVICE,
    Code.APPLY_ALL_WINS: _ADVICE._replace(is_event=True),
    Code.REMOVED_BEFORE_MOVE: _ADVICE._replace(is_event=True),
    Code.UNKNOWN_APPLY_ALL: _ADVICE,
    Code.UNKNOWN_PROFILE: ConditionOf(_RESOLVED, Reason.PROFILE_NOT_FOUND),
    Code.PROFILE_DELETED: ConditionOf(_RESOLVED, Reason.PROFILE_NOT_FOUND),
    Code.DEFAULT_FELL_BACK: ConditionOf(_RESOLVED, Reason.DEFAULT_FELL_BACK),
    Code.SECRET_MISSING: ConditionOf(_RESOLVED, Reason.SECRET_NOT_FOUND),
    Code.SECRET_FORBIDDEN: ConditionOf(_RESOLVED, Reason.SECRET_FORBIDDEN),
    Code.SECRET_UNREADABLE: ConditionOf(_RESOLVED, Reason.SECRET_UNREADABLE),
    Code.SECRET_KEY_MISSING: ConditionOf(_RESOLVED, Reason.SECRET_KEY_MISSING),
    Code.SECRET_INVALID: ConditionOf(_RESOLVED, Reason.SECRET_INVALID),
    Code.SECRET_NOT_BOUND: ConditionOf(_RESOLVED, Reason.SECRET_NOT_BOUND),
    Code.SECRET_NOT_COMPARED: ConditionOf(_RESOLVED, Reason.SECRET_NOT_COMPARED),
    Code.CONNECTION_TEST_FAILED: ConditionOf(_CONNECTED, Reason.TEST_FAILED),
    Code.ADDRESS_REFUSED: ConditionOf(_CONNECTED, Reason.ADDRESS_REFUSED),
    Code.CONNECTION_NOT_TESTED: ConditionOf(_CONNECTED, Reason.NOT_TESTED, is_advice=True),
    Code.AWAITING_CONFIRMATION: ConditionOf(_APPLIED, Reason.AWAITING_CONFIRMATION),
    Code.CONFIRMATION_EXCEEDED: ConditionOf(_APPLIED, Reason.CONFIRMATION_EXCEEDED),
    Code.APPLY_ALL_ID_REUSED: ConditionOf(_APPLIED, Reason.APPLY_ALL_ID_REUSED),
    Code.DEPENDENCY_SKIPPED: ConditionOf(_APPLIED, Reason.DEPENDENCY_SKIPPED),
    Code.TOO_MANY_CHANGES: _HELD_BACK,
    Code.TOO_MANY_REMOVALS: _HELD_BACK,
    Code.ACCOUNT_REMOVAL: _HELD_BACK,
    Code.OLDER_TREE: _HELD_BACK,
    Code.HELD_BACK: _HELD_BACK,
    Code.STALE_PLAN: ConditionOf(_APPLIED, Reason.STORE_CHANGED),
    Code.STORE_LOCKED: _NO_STORE,
    Code.STORE_FAILED: _NO_STORE,
    Code.STORE_VERSION: _NO_STORE,
    Code.NOT_INITIALISED: _NO_STORE,
    Code.STORE_EMPTY: _OTHER_STORE,
    Code.WRONG_STORE: _OTHER_STORE,
    Code.CLUSTER_UNREACHABLE: ConditionOf(_APPLIED, Reason.CLUSTER_UNREACHABLE),
    Code.KEY_MISSING: ConditionOf(_APPLIED, Reason.KEY_MISSING),
    Code.CREDENTIAL_UNREADABLE: ConditionOf(_APPLIED, Reason.CREDENTIAL_UNREADABLE),
}
"""The codes of findings about objects. All others are about files, git, commands or a relay."""

_ELSEWHERE = ConditionOf(_APPLIED, Reason.ACCOUNT_NOT_APPLIED)


def condition_of(code: str) -> ConditionOf:
    """Find where a finding is shown.

    Args:
        code: the code of the finding.

    Returns:
        The condition. A code that is of no object, or of another release, has the one of a change
        that was not applied.
    """
    return CONDITIONS.get(code, _ELSEWHERE)


def is_stalled(code: str) -> bool:
    """Whether what a finding stops continues only after a person acts.

    It does not if a retry is worth it, if it waits for something else, or if what Sendroute
    connects to must recover first.

    Args:
        code: the code of the finding.

    Returns:
        Whether a tool need not wait.
    """
    if has_trait(code, Trait.TRANSIENT) or has_trait(code, Trait.SKIPPED):
        return False
    try:
        return code_of(code).responsible is not Responsible.ENVIRONMENT
    except KeyError:
        return True
