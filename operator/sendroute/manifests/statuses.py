"""Every field of a status that the operator writes, described once.

The operator encodes and decodes these structs; the status of each CustomResourceDefinition is
derived from them. A status is a projection of the store: it can be deleted, and is written again.
Unknown fields are ignored, because a newer release may have written the status.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from sendroute.manifests.fields import ApplyAllId, Count, Empty, Label, RouteShape, says
from sendroute.model.route import Origin, Route, RouteKind

MAX_MESSAGE = 1024
"""How many characters of a message are kept. The API's own convention allows 32,768."""
MAX_HELD_BACK = 100
"""How many accounts are listed as held back: an object of the API has at most 1.5 MiB."""


class StatusShape(Struct, frozen=True, gc=False, kw_only=True, rename="camel"):
    """The base of all statuses: immutable, camelCase."""


class Condition(StatusShape, frozen=True, kw_only=True):
    """A condition (Kubernetes API conventions, "Typical status properties")."""

    type: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=63,
            description="Accepted, ResolvedRefs, ConnectionVerified, Applied, Ready, Reconciling"
            " or Stalled.",
        ),
    ]
    status: Annotated[Literal["True", "False", "Unknown"], says("True, False or Unknown.")]
    reason: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=63,
            pattern=r"^[A-Za-z][A-Za-z0-9]*\Z",
            description="Why, in one word. Programs may rely on it.",
        ),
    ]
    message: Annotated[str, Meta(max_length=MAX_MESSAGE, description="Why, as a sentence.")]
    observed_generation: Annotated[
        int, Meta(ge=0, description="The generation of the object that the condition is about.")
    ]
    last_transition_time: Annotated[datetime, says("The time at which the status changed last.")]


_Conditions = Annotated[
    list[Condition] | UnsetType,
    says("The conditions, by type. Wait for Ready."),
]
_ObservedGeneration = Annotated[
    Annotated[int, Meta(ge=-1)] | UnsetType,
    says(
        "The generation of the object that the status is about; -1 before the operator has seen"
        " the object."
    ),
]
_Line = Annotated[str, Meta(max_length=MAX_MESSAGE)]


class StoreIdentity(StatusShape, frozen=True, kw_only=True):
    """The store that the status is a projection of."""

    lineage: Annotated[_Line, says("The store's lineage, which another store never has.")]


_Store = Annotated[
    StoreIdentity | UnsetType,
    says("The store. While it is another one, nothing is applied."),
]


class HeldBackAccount(StatusShape, frozen=True, kw_only=True):
    """An account whose change waits for an approval."""

    namespace: Annotated[Label, says("The account's namespace.")]
    account: Annotated[Label, says("The account's name.")]
    effect: Annotated[_Line, says("What the change would do.")] = field(name="what")
    digest: Annotated[
        _Line,
        says("What identifies the change: the value of the annotation that approves it."),
    ]


class MailPlatformStatus(StatusShape, frozen=True, kw_only=True):
    """The platform, and what waits for an approval."""

    observed_generation: _ObservedGeneration = UNSET
    conditions: _Conditions = UNSET
    held_back: Annotated[
        list[HeldBackAccount] | UnsetType,
        says("The first hundred accounts whose change waits for an approval."),
    ] = UNSET
    held_back_total: Annotated[
        Count | UnsetType, says("How many accounts have a change that waits for an approval.")
    ] = UNSET
    store: _Store = UNSET


class AccountCounts(StatusShape, frozen=True, kw_only=True):
    """What the store holds of an account."""

    domains: Annotated[Count, says("The number of its domains.")]
    profiles: Annotated[Count, says("The number of its SMTP profiles.")]
    shadowed: Annotated[
        Count,
        says("The number of its domains that an apply-all keeps from their declared route."),
    ]


class LastApplyAll(StatusShape, frozen=True, kw_only=True):
    """The apply-all of an account that ran last."""

    id: Annotated[ApplyAllId, says("Its id.")]
    route: Annotated[RouteShape, says("The route that every domain got.")]
    domains: Annotated[Count, says("The number of domains that it switched.")]


class MailAccountStatus(StatusShape, frozen=True, kw_only=True):
    """An account as the store holds it."""

    observed_generation: _ObservedGeneration = UNSET
    conditions: _Conditions = UNSET
    effective_default: Annotated[
        RouteShape | UnsetType, says("The route of a new domain that declares none.")
    ] = UNSET
    effective_default_text: Annotated[
        _Line | UnsetType, says("The effective default as one text, for columns.")
    ] = UNSET
    counts: Annotated[AccountCounts | UnsetType, says("What the store holds of it.")] = UNSET
    last_apply_all: Annotated[LastApplyAll | UnsetType, says("The apply-all that ran last.")] = (
        UNSET
    )
    store: _Store = UNSET


class SMTPProfileStatus(StatusShape, frozen=True, kw_only=True):
    """An SMTP profile."""

    observed_generation: _ObservedGeneration = UNSET
    conditions: _Conditions = UNSET


class SendingDomainStatus(StatusShape, frozen=True, kw_only=True):
    """A sending domain and its assigned route: the one that its mail takes."""

    observed_generation: _ObservedGeneration = UNSET
    conditions: _Conditions = UNSET
    route: Annotated[
        RouteShape | UnsetType,
        says("The assigned route. Without it, the store does not hold the domain: it cannot send."),
    ] = UNSET
    route_text: Annotated[
        _Line | UnsetType, says("The assigned route as one text, for columns.")
    ] = UNSET
    origin: Annotated[Origin | UnsetType, says("Why the domain has this route.", "declared")] = (
        UNSET
    )
    shadowed_by: Annotated[
        ApplyAllId | UnsetType,
        says("The id of the apply-all that keeps the domain from its declared route."),
    ] = UNSET
    since: Annotated[datetime | UnsetType, says("The time at which the domain got this route.")] = (
        UNSET
    )


ObjectStatus = MailPlatformStatus | MailAccountStatus | SMTPProfileStatus | SendingDomainStatus

STATUSES: dict[str, type[ObjectStatus]] = {
    "MailPlatform": MailPlatformStatus,
    "MailAccount": MailAccountStatus,
    "SMTPProfile": SMTPProfileStatus,
    "SendingDomain": SendingDomainStatus,
}


def decode_status(kind: str, data: bytes) -> ObjectStatus | None:
    """Read the status of an object.

    Args:
        kind: the kind of the object.
        data: the status as JSON, as the API returns it; empty for none.

    Returns:
        The status; None without one, and for one that cannot be read: it is written again.
    """
    try:
        return msgspec.json.decode(data, type=STATUSES[kind]) if data else None
    except msgspec.DecodeError:
        return None


def encode_status(status: ObjectStatus) -> dict[str, Any]:
    """Return a status in the form in which the API takes it: plain values, times as text."""
    encoded: dict[str, Any] = msgspec.to_builtins(status)
    return encoded


def route_shape(route: Route) -> RouteShape:
    """Return a route in the form that it has in a manifest and in a status."""
    match route.kind:
        case RouteKind.MANAGED:
            return RouteShape(managed=Empty())
        case RouteKind.UNCONFIGURED:
            return RouteShape(unconfigured=Empty())
        case RouteKind.PROFILE:
            return RouteShape(profile=route.profile or "")
