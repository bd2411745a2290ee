"""What a manifest may hold: every kind and every field, described once.

Reading, the messages of :mod:`~sendroute.manifests.problems` and the JSON Schemas are all derived
from these structs, and their descriptions are what an author sees in an editor.

``null`` is refused everywhere but in what is ignored (``status``, the server's metadata). An API
server drops the null of a field that is not ``nullable``, as if the field were absent, so a
manifest refused here may pass there, but none is read in two ways; and a null is mostly a value
that somebody forgot to write.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sendroute.manifests.fields import (
    ApplyAllId,
    ClusterMetadata,
    Count,
    Credentials,
    DisplayName,
    DomainRoute,
    FilePath,
    HostName,
    Label,
    Limit,
    Metadata,
    Network,
    Port,
    ProfileFields,
    Route,
    Shape,
    SpfTerm,
    says,
    says_route,
)
from sendroute.model.profile import Encryption

API_GROUP = "sendroute.dev"
API_VERSION = "sendroute.dev/v1alpha1"
DEFAULT_NAMESPACE = "default"

_ApiVersion = Annotated[Literal["sendroute.dev/v1alpha1"], says("The API group and version.")]
_Metadata = Annotated[
    Metadata, says("The object's name and namespace.", {"name": "acme", "namespace": "acme"})
]
_Status = Annotated[Any, says("What the operator reports. Accepted and ignored.")]
_Suspend = Annotated[bool, says("The object is left as the store holds it until this is lifted.")]
_Account = Annotated[
    Label,
    says("The name of the MailAccount that owns this, in the same namespace.", "acme"),
]


class PublicPort(Shape, frozen=True, kw_only=True):
    """A port of the managed service, as users are shown it."""

    port: Annotated[Port, says("The port.", 587)]
    encryption: Annotated[
        Encryption,
        says("How the connection is encrypted on this port.", "starttls"),
    ]


class Relay(Shape, frozen=True, kw_only=True):
    """The host that managed mail is handed to."""

    host: Annotated[
        HostName,
        says("A DNS name; an address only without credentials.", "relay.internal.example"),
    ]
    port: Annotated[Port, says("The relay's port.", 587)]
    encryption: Annotated[
        Encryption,
        says(
            "starttls: the connection must upgrade to TLS. tls: TLS from the first "
            "byte. none: in clear.",
            "starttls",
        ),
    ]
    credentials: Annotated[
        Credentials | UnsetType,
        says(
            "Where the relay's user name and password are found, in the operator's "
            "own namespace (default for files).",
            {"secretRef": {"name": "managed-relay"}},
        ),
    ] = UNSET
    allow_insecure_auth: Annotated[
        bool | UnsetType, says("Allows credentials with encryption none.")
    ] = UNSET


class Managed(Shape, frozen=True, kw_only=True):
    """The managed relay: what users are shown, and where mail really goes."""

    display_name: Annotated[
        DisplayName | UnsetType,
        says("The name that users are shown, at most 80 characters.", "TrekMail SMTP"),
    ] = UNSET
    host: Annotated[
        HostName,
        says("The host that users are shown.", "smtp.trekmail.example"),
    ]
    ports: Annotated[
        list[PublicPort],
        Meta(
            min_length=1,
            description="The ports that users are shown.",
            examples=[[{"port": 587, "encryption": "starttls"}]],
        ),
    ]
    relay: Annotated[
        Relay,
        says(
            "The host that managed mail is handed to.",
            {"host": "relay.internal.example", "port": 587, "encryption": "starttls"},
        ),
    ]
    spf: Annotated[
        SpfTerm | UnsetType,
        says(
            "The SPF term by which a domain authorises managed sending.",
            "include:spf.trekmail.example",
        ),
    ] = UNSET


class PlatformConnectionTest(Shape, frozen=True, kw_only=True):
    """What connection tests may reach and trust besides the public internet."""

    allow_networks: Annotated[
        list[Network] | UnsetType,
        says(
            "Networks in CIDR form that tests may reach besides public addresses.", ["10.0.0.0/8"]
        ),
    ] = UNSET
    ca_file: Annotated[
        FilePath | UnsetType,
        says(
            "A file of certificate authorities to trust besides the system's.",
            "/etc/ssl/our-ca.pem",
        ),
    ] = UNSET


class PlanLimits(Shape, frozen=True, kw_only=True):
    """Messages a day."""

    account_per_day: Annotated[Limit | UnsetType, says("Of a whole account.", 20000)] = UNSET
    mailbox_per_day: Annotated[Limit | UnsetType, says("Of one mailbox.", 1000)] = UNSET


class Plan(Shape, frozen=True, kw_only=True):
    """What an account may have."""

    name: Annotated[
        Label,
        says("The plan's name: a lower-case RFC 1123 label.", "pro"),
    ]
    managed: Annotated[
        bool,
        says("Is the managed relay part of this plan? Then it is the plan's default."),
    ]
    limits: Annotated[
        PlanLimits | UnsetType,
        says("The plan's limits.", {"accountPerDay": 20000, "mailboxPerDay": 1000}),
    ] = UNSET


class PlatformSpec(Shape, frozen=True, kw_only=True):
    """The managed relay and the plans."""

    managed: Annotated[
        Managed | UnsetType,
        says("The managed relay. Absent: no plan can offer managed sending."),
    ] = UNSET
    connection_test: Annotated[
        PlatformConnectionTest | UnsetType,
        says(
            "What connection tests may reach besides public addresses.",
            {"allowNetworks": ["10.0.0.0/8"]},
        ),
    ] = UNSET
    plans: Annotated[
        list[Plan],
        says(
            "The plans that accounts may have; each name once.",
            [{"name": "nano", "managed": False}, {"name": "pro", "managed": True}],
        ),
    ]
    suspend: _Suspend | UnsetType = UNSET


class Confirm(Shape, frozen=True, kw_only=True):
    """The confirmation of an apply-all."""

    domains: Annotated[
        Count,
        says("How many domains are expected to switch. With more, it is refused.", 42),
    ]


class ApplyToAll(Shape, frozen=True, kw_only=True):
    """A one-time switch of every domain of the account."""

    id: Annotated[
        ApplyAllId,
        says(
            "Names this switch: one id runs at most once per account, for ever.",
            "2026-11-move-to-ses",
        ),
    ]
    route: Annotated[Route, says_route("The route that every domain gets.", {"profile": "ses"})]
    confirm: Annotated[
        Confirm | UnsetType,
        says(
            "The confirmation. Without it, plan shows the switch and nothing runs.", {"domains": 42}
        ),
    ] = UNSET


class AccountSpec(Shape, frozen=True, kw_only=True):
    """An account's plan, default and one-time switch."""

    plan: Annotated[Label, says("A plan that the MailPlatform defines.", "pro")]
    default_route: Annotated[
        Route | UnsetType,
        says_route(
            "What new domains without a route of their own start with. Absent: managed where "
            "the plan offers it, else unconfigured. Changing it re-routes nothing.",
            {"profile": "ses"},
        ),
    ] = UNSET
    apply_to_all: Annotated[
        ApplyToAll | UnsetType,
        says(
            "Switches every domain of the account, once.",
            {
                "id": "2026-11-move-to-ses",
                "route": {"profile": "ses"},
                "confirm": {"domains": 42},
            },
        ),
    ] = UNSET
    suspend: _Suspend | UnsetType = UNSET


class ProfileSpec(ProfileFields, frozen=True, kw_only=True):
    """A saved SMTP provider of one account."""

    account: _Account


class DomainSpec(Shape, frozen=True, kw_only=True):
    """A sending domain and its route."""

    account: _Account
    domain: Annotated[
        HostName,
        says(
            "The domain of the senders' addresses, without a trailing dot. "
            "Internationalised names are welcome.",
            "shop.example.com",
        ),
    ]
    route: Annotated[
        DomainRoute | UnsetType,
        says_route(
            "What the domain's mail is sent through. Absent: a new domain starts with the "
            "account's default, an existing one stays as it is.",
            {"profile": "ses"},
        ),
    ] = UNSET
    suspend: _Suspend | UnsetType = UNSET


class MailPlatform(Shape, frozen=True, kw_only=True, tag_field="kind", tag="MailPlatform"):
    """The platform: its managed relay and its plans. Exactly one, named default."""

    api_version: _ApiVersion
    metadata: Annotated[ClusterMetadata, says("The object's name.", {"name": "default"})]
    spec: Annotated[
        PlatformSpec,
        says("The managed relay and the plans.", {"plans": [{"name": "nano", "managed": False}]}),
    ]
    status: _Status = UNSET


class MailAccount(Shape, frozen=True, kw_only=True, tag_field="kind", tag="MailAccount"):
    """An account: owns SMTP profiles and sending domains, and has a plan."""

    api_version: _ApiVersion
    metadata: _Metadata
    spec: Annotated[
        AccountSpec, says("The plan, the default and the one-time switch.", {"plan": "pro"})
    ]
    status: _Status = UNSET


class SMTPProfile(Shape, frozen=True, kw_only=True, tag_field="kind", tag="SMTPProfile"):
    """An SMTP profile: a saved provider of one account."""

    api_version: _ApiVersion
    metadata: _Metadata
    spec: Annotated[
        ProfileSpec,
        says(
            "The provider and how it is reached.",
            {
                "account": "acme",
                "provider": "mailgun",
                "credentials": {"secretRef": {"name": "mailgun-smtp"}},
            },
        ),
    ]
    status: _Status = UNSET


class SendingDomain(Shape, frozen=True, kw_only=True, tag_field="kind", tag="SendingDomain"):
    """A sending domain: whose mail takes which route."""

    api_version: _ApiVersion
    metadata: _Metadata
    spec: Annotated[
        DomainSpec,
        says(
            "The domain and its route.",
            {"account": "acme", "domain": "shop.example.com", "route": {"profile": "ses"}},
        ),
    ]
    status: _Status = UNSET


Document = MailPlatform | MailAccount | SMTPProfile | SendingDomain

KINDS: dict[str, type[Document]] = {
    "MailPlatform": MailPlatform,
    "MailAccount": MailAccount,
    "SMTPProfile": SMTPProfile,
    "SendingDomain": SendingDomain,
}


def whole(value: Any) -> Any:
    """The same value with numbers such as ``587.0`` as integers, which JSON Schema calls them."""
    match value:
        case float():
            return int(value) if value.is_integer() else value
        case dict():
            return {key: whole(item) for key, item in value.items()}
        case list():
            return [whole(item) for item in value]
        case _:
            return value


def decode(value: dict[str, Any]) -> Document:
    """One document as its typed form. Raises ``msgspec.ValidationError`` at the first problem;
    :func:`sendroute.manifests.problems.problems` tells them all."""
    try:
        return _convert(value)
    except msgspec.ValidationError:
        rounded = whole(value)  # a copy, made only for what is wrong or writes 587 as 587.0
    return _convert(rounded)


def _convert(value: dict[str, Any]) -> Document:
    try:
        shape = KINDS[value["kind"]]
    except (KeyError, TypeError) as error:
        raise msgspec.ValidationError("Expected a mapping of one of our kinds") from error
    try:
        # By its kind: of a union msgspec works out anew, at each call, how it is read.
        return msgspec.convert(value, shape)
    except UnicodeEncodeError as error:  # a lone surrogate, which msgspec cannot even compare
        raise msgspec.ValidationError("Expected text that is valid Unicode") from error
