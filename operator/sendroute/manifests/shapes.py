"""Every kind and every field of a manifest, described once.

The reader, the messages of :mod:`~sendroute.manifests.problems`, the JSON Schemas and
docs/manifests.md are all derived from these structs. Authors see their descriptions in an editor.

``null`` is refused everywhere except in ignored fields (``status``, the server's metadata). An API
server drops the null of a field that is not ``nullable``, as if the field were absent, so a
manifest refused here may be accepted there, but none is read in two ways. Most nulls are values
that an author forgot to write.
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
    DomainRouteShape,
    FilePath,
    HostName,
    Label,
    Limit,
    Login,
    Metadata,
    NetworkText,
    Port,
    ProfileFields,
    RouteShape,
    Seconds,
    Shape,
    SpfTerm,
    says,
    says_route,
)
from sendroute.model.profile import Encryption
from sendroute.model.stored_values import MOST_LOGINS, MOST_NETWORKS, MOST_PLANS, MOST_PORTS

API_GROUP = "sendroute.dev"
API_VERSION = "sendroute.dev/v1alpha1"
DEFAULT_NAMESPACE = "default"

_ApiVersion = Annotated[
    Literal["sendroute.dev/v1alpha1"], says("The API group and version.", API_VERSION)
]
_Metadata = Annotated[
    Metadata, says("The object's name and namespace.", {"name": "acme", "namespace": "acme"})
]
_Status = Annotated[Any, says("Written by the operator. Accepted and ignored.")]
_Suspend = Annotated[
    bool,
    says("Keep the object as the store has it, and ignore this declaration. Default: false."),
]
_Account = Annotated[
    Label,
    says("The name of the MailAccount that owns this object, in the same namespace.", "acme"),
]


class PublicPortShape(Shape, frozen=True, kw_only=True):
    """A port of the managed service, as users see it."""

    port: Annotated[Port, says("The port.", 587)]
    encryption: Annotated[
        Encryption,
        says("How the connection is encrypted on this port.", "starttls"),
    ]


class RelayShape(Shape, frozen=True, kw_only=True):
    """A host of the platform that receives mail."""

    host: Annotated[
        HostName,
        says(
            "A DNS name. An IP address is accepted only without credentials.",
            "relay.internal.example",
        ),
    ]
    port: Annotated[Port, says("The relay's port.", 587)]
    encryption: Annotated[
        Encryption,
        says(
            "starttls: the connection must upgrade to TLS. tls: TLS from the first "
            "byte. none: no encryption.",
            "starttls",
        ),
    ]
    credentials: Annotated[
        Credentials | UnsetType,
        says(
            "The secret with the relay's username and password, in the namespace sendroute-system.",
            {"secretRef": {"name": "managed-relay"}},
        ),
    ] = UNSET
    allow_insecure_auth: Annotated[
        bool | UnsetType,
        says("Allow credentials with encryption none. Default: false."),
    ] = UNSET


class ManagedShape(Shape, frozen=True, kw_only=True):
    """The managed relay: what users see, and where the mail goes."""

    display_name: Annotated[
        DisplayName | UnsetType,
        says("The name that users see, at most 80 characters.", "TrekMail SMTP"),
    ] = UNSET
    host: Annotated[
        HostName,
        says("The host that users see.", "smtp.trekmail.example"),
    ]
    ports: Annotated[
        list[PublicPortShape],
        Meta(
            min_length=1,
            max_length=MOST_PORTS,
            description="The ports that users see.",
            examples=[[{"port": 587, "encryption": "starttls"}]],
        ),
    ]
    relay: Annotated[
        RelayShape,
        says(
            "The host that receives managed mail.",
            {"host": "relay.internal.example", "port": 587, "encryption": "starttls"},
        ),
    ]
    spf: Annotated[
        SpfTerm | UnsetType,
        says(
            "The SPF term with which a domain authorises managed sending.",
            "include:spf.trekmail.example",
        ),
    ] = UNSET


class BouncesShape(Shape, frozen=True, kw_only=True):
    """Where the mail of the null sender goes."""

    relay: Annotated[
        RelayShape,
        says(
            "The host that receives mail of the null sender.",
            {"host": "bounces.internal.example", "port": 587, "encryption": "starttls"},
        ),
    ]


class PlatformConnectionTest(Shape, frozen=True, kw_only=True):
    """What connection tests may reach and trust in addition to the public internet, and how long
    they may take."""

    allow_networks: Annotated[
        Annotated[list[NetworkText], Meta(max_length=MOST_NETWORKS)] | UnsetType,
        says(
            "Networks in CIDR form that tests may reach, in addition to public addresses.",
            ["10.0.0.0/8"],
        ),
    ] = UNSET
    ca_file: Annotated[
        FilePath | UnsetType,
        says(
            "A PEM file of certificate authorities to trust, in addition to the system's. A "
            "relative path is relative to this manifest, also for a saved plan. A later "
            "test of saved profiles reads it relative to the working directory, unless it is given "
            "the manifests.",
            "/etc/ssl/our-ca.pem",
        ),
    ] = UNSET
    timeout: Annotated[
        Seconds | UnsetType,
        says(
            "How long one test may take, from 1s to 300s. A server that delays its greeting needs "
            "more. Postfix waits as long for a connection, and for the answer to EHLO. "
            "Default: 30s.",
            "30s",
        ),
    ] = UNSET


class PlanLimitsShape(Shape, frozen=True, kw_only=True):
    """Sending limits in messages per day."""

    account_per_day: Annotated[
        Limit | UnsetType, says("Messages per day of a whole account.", 20000)
    ] = UNSET
    mailbox_per_day: Annotated[
        Limit | UnsetType, says("Messages per day of one mailbox.", 1000)
    ] = UNSET


class PlanShape(Shape, frozen=True, kw_only=True):
    """A service plan: what an account may use."""

    name: Annotated[
        Label,
        says("The service plan's name: a lower-case RFC 1123 label.", "pro"),
    ]
    managed: Annotated[
        bool,
        says(
            "Whether the service plan includes the managed relay, which is then the plan default.",
            True,
        ),
    ]
    limits: Annotated[
        PlanLimitsShape | UnsetType,
        says("The service plan's limits.", {"accountPerDay": 20000, "mailboxPerDay": 1000}),
    ] = UNSET


class PlatformSpec(Shape, frozen=True, kw_only=True):
    """The managed relay and the service plans."""

    managed: Annotated[
        ManagedShape | UnsetType,
        says("The managed relay. Without it, no service plan can include managed sending."),
    ] = UNSET
    helo_name: Annotated[
        HostName | UnsetType,
        says(
            "The name that Sendroute and Postfix give with EHLO, a DNS name. Strict servers expect "
            "it to resolve to the sender's address. Default: the name of the machine that "
            "connects, if it is fully qualified, otherwise the managed host.",
            "mail.trekmail.example",
        ),
    ] = UNSET
    bounces: Annotated[
        BouncesShape | UnsetType,
        says(
            "Where mail of the null sender goes, which is that of bounces. Without it, the managed "
            "relay takes this mail; without both, it is refused.",
            {
                "relay": {
                    "host": "bounces.internal.example",
                    "port": 587,
                    "encryption": "starttls",
                }
            },
        ),
    ] = UNSET
    connection_test: Annotated[
        PlatformConnectionTest | UnsetType,
        says(
            "What connection tests may reach in addition to public addresses, and how long they "
            "may take.",
            {"allowNetworks": ["10.0.0.0/8"]},
        ),
    ] = UNSET
    plans: Annotated[
        list[PlanShape],
        Meta(
            max_length=MOST_PLANS,
            description="The service plans that accounts can have. Each name is unique.",
            examples=[[{"name": "nano", "managed": False}, {"name": "pro", "managed": True}]],
        ),
    ]
    suspend: _Suspend | UnsetType = UNSET


class Confirm(Shape, frozen=True, kw_only=True):
    """The confirmation of an apply-all."""

    domains: Annotated[
        Count,
        says("The number of domains expected to switch. If there are more, it is refused.", 42),
    ]


class ApplyToAll(Shape, frozen=True, kw_only=True):
    """A one-time switch of every domain of the account."""

    id: Annotated[
        ApplyAllId,
        says(
            "The identifier of this switch. Each id runs at most once per account.",
            "2026-11-move-to-ses",
        ),
    ]
    route: Annotated[
        RouteShape, says_route("The route that every domain gets.", {"profile": "ses"})
    ]
    confirm: Annotated[
        Confirm | UnsetType,
        says(
            "The confirmation. Without it, the plan shows the switch but nothing runs.",
            {"domains": 42},
        ),
    ] = UNSET


class RemoveConfirm(Shape, frozen=True, kw_only=True):
    """The confirmation of an account's removal."""

    domains: Annotated[
        Count,
        says("The number of domains expected to be removed. If there are more, it is refused.", 12),
    ]


class Remove(Shape, frozen=True, kw_only=True):
    """The removal of an account with all its domains and profiles."""

    confirm: Annotated[
        RemoveConfirm,
        says("The confirmation.", {"domains": 12}),
    ]


class Submission(Shape, frozen=True, kw_only=True):
    """Who may send as the domains of an account."""

    logins: Annotated[
        list[Login],
        Meta(
            min_length=1,
            max_length=MOST_LOGINS,
            description="The login names with which clients sign in to the relay. A name in this"
            " list gives access to this account's domains, and takes nothing from another account.",
            examples=[["acme-app", "acme-crm"]],
        ),
    ]


class AccountSpec(Shape, frozen=True, kw_only=True):
    """An account's plan, default route, one-time switch, removal and clients."""

    plan: Annotated[Label, says("The name of a service plan in the MailPlatform.", "pro")]
    default_route: Annotated[
        RouteShape | UnsetType,
        says_route(
            "The route of new domains that declare none. Default: managed if the service plan "
            "includes it, otherwise unconfigured. Changing it does not reroute existing domains.",
            {"profile": "ses"},
        ),
    ] = UNSET
    apply_to_all: Annotated[
        ApplyToAll | UnsetType,
        says(
            "Switch every domain of the account, once.",
            {
                "id": "2026-11-move-to-ses",
                "route": {"profile": "ses"},
                "confirm": {"domains": 42},
            },
        ),
    ] = UNSET
    remove: Annotated[
        Remove | UnsetType,
        says(
            "Remove the account with all its domains and profiles. Its other documents are then "
            "ignored. After the removal, delete this document.",
            {"confirm": {"domains": 12}},
        ),
    ] = UNSET
    submission: Annotated[
        Submission | UnsetType,
        says(
            "Which signed-in clients of the relay may send as this account's domains. Without "
            "it, any client that the relay accepts may.",
            {"logins": ["acme-app", "acme-crm"]},
        ),
    ] = UNSET
    suspend: _Suspend | UnsetType = UNSET


class ProfileSpec(ProfileFields, frozen=True, kw_only=True):
    """A saved SMTP provider of an account."""

    account: _Account


class DomainSpec(Shape, frozen=True, kw_only=True):
    """A sending domain and its route."""

    account: _Account
    domain: Annotated[
        HostName,
        says(
            "The domain of the sender addresses, without a trailing dot. Internationalised "
            "names are accepted.",
            "shop.example.com",
        ),
    ]
    route: Annotated[
        DomainRouteShape | UnsetType,
        says_route(
            "Where the domain's mail is sent. Without it, a new domain gets the account's "
            "default route, and an existing domain keeps its route.",
            {"profile": "ses"},
        ),
    ] = UNSET
    overrides: Annotated[
        ApplyAllId | UnsetType,
        says(
            "The id of an apply-all that ran. It confirms the declared route after that apply-all: "
            "the domain gets it again, also if the route reads the same as before.",
            "2026-11-move-to-ses",
        ),
    ] = UNSET
    suspend: _Suspend | UnsetType = UNSET


class MailPlatform(Shape, frozen=True, kw_only=True, tag_field="kind", tag="MailPlatform"):
    """The platform: its managed relay and service plans. There is exactly one, named default."""

    api_version: _ApiVersion
    metadata: Annotated[ClusterMetadata, says("The object's name.", {"name": "default"})]
    spec: Annotated[
        PlatformSpec,
        says(
            "The managed relay and the service plans.",
            {"plans": [{"name": "nano", "managed": False}]},
        ),
    ]
    status: _Status = UNSET


class MailAccount(Shape, frozen=True, kw_only=True, tag_field="kind", tag="MailAccount"):
    """An account: it has a service plan, and owns SMTP profiles and sending domains."""

    api_version: _ApiVersion
    metadata: _Metadata
    spec: Annotated[
        AccountSpec,
        says("The service plan, the default route and the one-time switch.", {"plan": "pro"}),
    ]
    status: _Status = UNSET


class SMTPProfile(Shape, frozen=True, kw_only=True, tag_field="kind", tag="SMTPProfile"):
    """An SMTP profile: a saved provider of an account."""

    api_version: _ApiVersion
    metadata: _Metadata
    spec: Annotated[
        ProfileSpec,
        says(
            "The provider and how to connect to it.",
            {
                "account": "acme",
                "provider": "mailgun",
                "credentials": {"secretRef": {"name": "mailgun-smtp"}},
            },
        ),
    ]
    status: _Status = UNSET


class SendingDomain(Shape, frozen=True, kw_only=True, tag_field="kind", tag="SendingDomain"):
    """A sending domain and the route of its mail."""

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


def with_integers(value: Any) -> Any:
    """Return the value with numbers such as ``587.0`` as integers, as JSON Schema reads them."""
    match value:
        case float():
            return int(value) if value.is_integer() else value
        case dict():
            return {key: with_integers(item) for key, item in value.items()}
        case list():
            return [with_integers(item) for item in value]
        case _:
            return value


def decode(value: dict[str, Any]) -> Document:
    """Convert a document to its typed form.

    Args:
        value: the document as read, of one of our kinds.

    Returns:
        The typed document.

    Raises:
        msgspec.ValidationError: the first problem;
            :func:`sendroute.manifests.problems.problems` reports all of them.
    """
    try:
        return _convert(value)
    except msgspec.ValidationError:
        rounded = with_integers(value)  # a copy, made only for an error or for 587.0 instead of 587
    return _convert(rounded)


def _convert(value: dict[str, Any]) -> Document:
    try:
        shape = KINDS[value["kind"]]
    except (KeyError, TypeError) as error:
        raise msgspec.ValidationError("Expected a mapping of one of our kinds") from error
    try:
        # By its kind: msgspec would work out how to read a union again at each call.
        return msgspec.convert(value, shape)
    except UnicodeEncodeError as error:  # a lone surrogate, which msgspec cannot even compare
        raise msgspec.ValidationError("Expected text that is valid Unicode") from error
