"""The conditions of an object of the Kubernetes API, and their reasons.

Which of them shows a finding is a property of its code (:mod:`sendroute.model.codes`).
"""

from enum import StrEnum
from typing import NamedTuple


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
    CONTESTED = "Contested"
    STORE_CHANGED = "StoreChanged"
    STORE_UNAVAILABLE = "StoreUnavailable"
    STORE_LINEAGE_MISMATCH = "StoreLineageMismatch"
    CLUSTER_UNREACHABLE = "ClusterUnreachable"
    KEY_MISSING = "KeyMissing"
    CREDENTIAL_UNREADABLE = "CredentialUnreadable"


class ConditionOf(NamedTuple):
    """Where a finding is shown: a condition and its reason. ``is_advice``: it does not make the
    condition false. ``is_event``: it says what a change did, not the state since then."""

    type: ConditionType
    reason: Reason
    is_advice: bool = False
    is_event: bool = False
